"""Who may call what: the whole matrix, made by calling."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute
from tests.app.site import Site, with_key

from unbusy.api import Role

_FILE = Path(__file__).with_name("roles.txt")


def routes(site: Site) -> Iterator[tuple[str, str]]:
    """Every route there is: its method and path."""
    for route in site.application.litestar.routes:
        assert isinstance(route, HTTPRoute), "what is no HTTP route has no guard"
        for handler in route.route_handlers:
            assert isinstance(handler, HTTPRouteHandler)
            for method in sorted(handler.http_methods - {"OPTIONS"}):
                yield method, route.path_format


async def call(client: httpx.AsyncClient, method: str, path: str) -> str:
    """`yes`, or the status of the refusal. What is wrong with the request shows only to who may make it."""
    filled = path.replace("{", "").replace("}", "")
    async with client.stream(method, filled, headers=with_key() | {"last-event-id": "0-x"}) as answer:
        return str(answer.status_code) if answer.status_code in {401, 403} else "yes"


async def test_the_matrix(site: Site) -> None:
    """Every route, asked by everybody, answers as written down. After a change that is meant:
    `UPDATE=1 pytest tests/app/test_roles.py`, and read the difference."""
    people = {
        role: (await site.person(role.value, role=role)).client
        for role in (Role.customer, Role.merchant, Role.operator)
    }
    callers = {Role.anyone: await site.client()} | people
    lines = [f"{'':<50}{''.join(f'{role:<10}' for role in callers)}".rstrip()]
    # Signing out last: it ends the sessions the others ask with.
    for method, path in sorted(routes(site), key=lambda each: (each[0] == "DELETE", each[1], each[0])):
        said: list[str] = []
        for role, client in callers.items():
            said.append(await call(client, method, path))
            if method == "DELETE" and role is not Role.anyone:
                client.headers["authorization"] = (await site.sign_in(f"@{role}")).client.headers["authorization"]
        lines.append(f"{method:<7}{path:<42} {''.join(f'{each:<10}' for each in said)}".rstrip())
    matrix = "\n".join([*lines, ""])
    if os.environ.get("UPDATE"):
        _FILE.write_text(matrix)
    assert matrix == _FILE.read_text()


async def test_an_unguarded_method_is_none(site: Site) -> None:
    """A method that a path does not take is refused to everybody alike."""
    client = await site.client()
    for path in ("/v1/payments", "/v1/wallet", "/v1/sessions/current"):
        assert (await client.put(path)).status_code == 405
        assert (await client.head(path)).status_code == 405


@pytest.mark.parametrize("role", [Role.customer, Role.merchant])
async def test_nobody_becomes_an_operator(site: Site, role: Role) -> None:
    """What operators do is closed to everybody else, also with a body that is right."""
    ming = await site.person("ming", 100, role=role)
    account = (await ming.get("/v1/wallet")).json()["accounts"][0]["id"]
    answer = await ming.post(f"/v1/accounts/{account}/state", json={"state": "frozen"})
    assert answer.status_code == 403
    assert (await ming.get("/v1/wallet")).json()["accounts"][0]["state"] == "open"
