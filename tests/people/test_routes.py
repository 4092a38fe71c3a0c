"""People over HTTP: what goes in, what comes out, and who may."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest
from tests.people.world import HOME, PASSWORD, TENANT, ManualClock

from unbusy import api
from unbusy.clock import SystemClock
from unbusy.people import NewPerson, People
from unbusy.people.guessing import FREE
from unbusy.people.routes import HANDLERS
from unbusy.settings import Settings

MING = {"name": "Ming", "handle": "ming", "email": "ming@example.com", "password": PASSWORD}
TEA = {"name": "Tea House", "handle": "tea_house", "email": "tea@example.com", "password": PASSWORD}
NOBODY = "per_" + "0" * 32


@pytest.fixture
async def client(people: People, clock: ManualClock) -> AsyncGenerator[httpx.AsyncClient]:
    """Speaks to an application of people alone, put together as the real one is."""
    application = api.create(
        HANDLERS, authenticator=people, settings=Settings(), clock=SystemClock(), hub=api.Hub(), parts=(people,)
    )
    transport = httpx.ASGITransport(application, client=(HOME, 50_000))
    async with httpx.AsyncClient(transport=transport, base_url="http://unbusy.test") as each:
        yield each


async def sign_in(client: httpx.AsyncClient, identifier: str = "@ming") -> dict[str, Any]:
    answer = await client.post("/v1/sessions", json={"identifier": identifier, "password": PASSWORD})
    assert answer.status_code == 201
    return answer.json()


def bearer(session: dict[str, Any]) -> dict[str, str]:
    return {"authorization": f"{session['token_type']} {session['access_token']}"}


def reason(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["reason"]


async def operator(client: httpx.AsyncClient, people: People) -> dict[str, str]:
    """The header of somebody who works here."""
    ops = NewPerson(name="Ops", handle="ops", email="ops@example.com", password=PASSWORD)
    await people.add_operator(TENANT, ops)
    return bearer(await sign_in(client, "@ops"))


async def test_from_signing_up_to_signing_out(client: httpx.AsyncClient) -> None:
    """Sign up, sign in, see yourself, refresh, sign out, in again, out everywhere."""
    made = await client.post("/v1/customers", json=MING)
    person = made.json()
    assert (made.status_code, made.headers["cache-control"]) == (201, "no-store")
    assert person.pop("id").startswith("per_")
    assert person.pop("created_at").endswith("Z")
    assert person == {
        "role": "customer",
        "name": "Ming",
        "handle": "@ming",
        "email": "ming@example.com",
        "phone": None,
        "language": "en",
        "state": "open",
    }
    session = await sign_in(client)
    assert (session["token_type"], session["expires_in"], session["person"]) == ("Bearer", 600, made.json())
    assert (await client.get("/v1/me", headers=bearer(session))).json() == made.json()

    refreshed = await client.post("/v1/sessions/refresh", json={"refresh_token": session["refresh_token"]})
    assert refreshed.status_code == 201
    assert refreshed.json()["refresh_token"] != session["refresh_token"]

    out = await client.delete("/v1/sessions/current", headers=bearer(refreshed.json()))
    assert (out.status_code, out.content) == (204, b"")
    assert reason(await client.get("/v1/me", headers=bearer(session))) == (401, "unauthenticated")

    sessions = [await sign_in(client) for _ in range(2)]
    assert (await client.delete("/v1/sessions", headers=bearer(sessions[0]))).status_code == 204
    for each in sessions:
        assert reason(await client.get("/v1/me", headers=bearer(each))) == (401, "unauthenticated")


async def test_a_response_to_sign_in_never_repeats_secrets(client: httpx.AsyncClient) -> None:
    """Neither a person nor a problem shows a password."""
    answers = [
        await client.post("/v1/customers", json=MING),
        await client.post("/v1/customers", json=MING),
        await client.post("/v1/customers", json=MING | {"password": "ming@example.com"}),
        await client.post("/v1/sessions", json={"identifier": "@mei", "password": PASSWORD}),
    ]
    assert [answer.status_code for answer in answers] == [201, 409, 400, 401]
    assert all(PASSWORD not in answer.text for answer in answers)


BAD: list[tuple[str, object]] = [
    ("/v1/customers", MING | {"admin": True}),
    ("/v1/customers", MING | {"role": "operator"}),
    ("/v1/customers", MING | {"handle": "Ming"}),
    ("/v1/customers", MING | {"password": "short"}),
    ("/v1/customers", MING | {"password": "x y" * 100}),
    ("/v1/customers", MING | {"name": ""}),
    ("/v1/customers", MING | {"name": 7}),
    ("/v1/customers", MING | {"name": "Mi\u0000ng"}),
    ("/v1/customers", MING | {"email": None}),
    ("/v1/customers", MING | {"language": "fr"}),
    ("/v1/customers", {"name": "Ming"}),
    ("/v1/customers", []),
    ("/v1/sessions", {"identifier": "@ming"}),
    ("/v1/sessions", {"identifier": "", "password": PASSWORD}),
    ("/v1/sessions", {"identifier": "@ming", "password": PASSWORD, "remember": True}),
    ("/v1/sessions/refresh", {}),
    ("/v1/sessions/refresh", {"refresh_token": "x" * 1_000}),
]


async def test_bad_bodies_are_named(client: httpx.AsyncClient) -> None:
    """Unknown and missing fields, wrong types and lengths: 400, never a 5xx."""
    for path, body in BAD:
        assert reason(await client.post(path, json=body)) == (400, "invalid"), body


async def test_conflicts_have_their_reasons(client: httpx.AsyncClient) -> None:
    """A taken handle is named, a taken address is not."""
    await client.post("/v1/customers", json=MING)
    taken = await client.post("/v1/customers", json=MING | {"email": "other@example.com"})
    assert (*reason(taken), taken.json()["field"]) == (409, "handle_taken", "handle")
    unavailable = await client.post("/v1/customers", json=MING | {"handle": "other"})
    assert reason(unavailable) == (409, "identity_unavailable")
    assert "field" not in unavailable.json()


async def test_guessing_is_told_to_wait(client: httpx.AsyncClient) -> None:
    """429 with the time, the same for an account that does not exist."""
    for _ in range(FREE["account"]):
        answer = await client.post("/v1/sessions", json={"identifier": "@mei", "password": PASSWORD})
        assert reason(answer) == (401, "unauthenticated")
    answer = await client.post("/v1/sessions", json={"identifier": "@mei", "password": PASSWORD})
    assert reason(answer) == (429, "quota_exceeded")
    assert int(answer.headers["retry-after"]) >= 1


async def test_operators_add_shops_and_see_people(client: httpx.AsyncClient, people: People) -> None:
    """Within their tenant; an unknown id, another tenant's and no id at all are one answer."""
    headers = await operator(client, people)
    shop = await client.post("/v1/merchants", json=TEA, headers=headers)
    assert (shop.status_code, shop.json()["role"], shop.json()["handle"]) == (201, "merchant", "@tea_house")
    assert (await client.get(f"/v1/people/{shop.json()['id']}", headers=headers)).json() == shop.json()
    for id in (NOBODY, "per_1", "tea_house", shop.json()["id"].upper(), "%00"):
        assert reason(await client.get(f"/v1/people/{id}", headers=headers)) == (404, "not_found")


async def test_roles_are_kept(client: httpx.AsyncClient, people: People) -> None:
    """Nobody without a token, nor with a customer's or a merchant's, does what an operator does."""
    headers = await operator(client, people)
    await client.post("/v1/merchants", json=TEA, headers=headers)
    await client.post("/v1/customers", json=MING)
    for identifier in ("@ming", "@tea_house"):
        asking = bearer(await sign_in(client, identifier))
        assert reason(await client.post("/v1/merchants", json=TEA, headers=asking)) == (403, "forbidden")
        assert reason(await client.get(f"/v1/people/{NOBODY}", headers=asking)) == (403, "forbidden")
        assert (await client.get("/v1/me", headers=asking)).status_code == 200
    for method, path in (
        ("GET", "/v1/me"),
        ("GET", f"/v1/people/{NOBODY}"),
        ("POST", "/v1/merchants"),
        ("DELETE", "/v1/sessions"),
        ("DELETE", "/v1/sessions/current"),
    ):
        for asking in ({}, {"authorization": "Bearer x"}, {"authorization": "Basic eDp5"}):
            assert reason(await client.request(method, path, headers=asking)) == (401, "unauthenticated")
