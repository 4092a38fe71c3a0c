"""What is answered the short way is answered the same the long way."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from typing import Any

import httpx
from tests.app.site import Site, with_key
from tests.app.test_bad_input import BODIES, GOOD

from unbusy.api import Role

# A query sends a request the long way; no handler looks at it.
SHORT, LONG = "/v1/payments", "/v1/payments?long"

_DIFFERS = re.compile(
    r'"(id|number|url|request_id|at|\w+_at|\w+_by|paused_since|next_check_after|location)": ?"[^"]*"'
    r'|"(balance|place|after)": ?\d+|[\d:]{8} UTC'
)
_NOT_COMPARED = {"date", "request-id", "retry-after", "content-length"}

JSON = {"content-type": "application/json"}
BODY = b'{"payee":"@mei","amount":1,"asset":"EUR"}'

HEADERS: dict[str, list[tuple[str, str]]] = {
    "nothing more": [],
    "a preference": [("prefer", "respond-async")],
    "a wait": [("prefer", "wait=1")],
    "preferences on two lines": [("prefer", "wait=1"), ("prefer", "respond-async")],
    "an empty preference": [("prefer", "")],
    "a preference nobody understands": [("prefer", 'é;q="x", , =')],
    "another language": [("accept-language", "zh")],
    "another media type wanted": [("accept", "text/html")],
    "a name for the request": [("request-id", "mine")],
    "a bad name for the request": [("request-id", "not mine!")],
    "a deadline": [("x-request-deadline-ms", "5000")],
    "a bad deadline": [("x-request-deadline-ms", "0")],
    "a version": [("if-none-match", "*")],
    "the key twice": [("idempotency-key", "again")],
    "the type twice": [("content-type", "application/json")],
    "a charset": [],
}


Shown = tuple[int, list[tuple[str, str]], str]


def shown(answer: httpx.Response) -> Shown:
    """What must not differ: all but ids, times and what was left afterwards."""
    headers = [(name, value) for name, value in answer.headers.multi_items() if name not in _NOT_COMPARED]
    path = re.compile("pay_[0-9a-f]{32}")
    return (
        answer.status_code,
        sorted((name, path.sub("pay", value)) for name, value in headers),
        _DIFFERS.sub("", path.sub("pay", answer.text)),
    )


async def both(client: httpx.AsyncClient, request: dict[str, Any], key: str | None = None) -> list[httpx.Response]:
    """The same request both ways, each under a key of its own unless one is given."""
    answers: list[httpx.Response] = []
    for path in (SHORT, LONG):
        headers: dict[str, str] = dict(request.get("headers", {}))
        if headers.get("idempotency-key", "").startswith("key-"):
            headers |= with_key(key)
        whole: dict[str, Any] = request | {"headers": headers}
        answers.append(await client.post(path, **whole))
    return answers


async def test_every_body(site: Site) -> None:
    """A body that cannot work is described in the same words."""
    ming, _ = await site.person("ming", 100), await site.person("mei")
    unusual = {
        "nothing, of another type": ({"headers": with_key() | {"content-type": "text/plain"}}, 400, None),
        "nothing, of no type": ({"headers": with_key()}, 400, None),
    }
    for name, (request, status, _) in (BODIES | unusual).items():
        short, long = await both(ming.client, request)
        assert short.status_code == status, name
        assert shown(short) == shown(long), name


async def test_every_header(site: Site) -> None:
    """Whatever stands beside the body has the same effect."""
    ming, _ = await site.person("ming", 100), await site.person("mei")
    for name, more in HEADERS.items():
        kind = "Application/JSON; charset=utf-8" if name == "a charset" else "application/json"
        pairs: list[httpx.Response] = []
        for path in (SHORT, LONG):
            headers = [("content-type", kind), *with_key().items(), *more]
            encoded = httpx.Headers([(field.encode(), value.encode("latin-1")) for field, value in headers])
            pairs.append(await ming.post(path, content=BODY, headers=encoded))
        assert shown(pairs[0]) == shown(pairs[1]), name


async def test_every_outcome(site: Site) -> None:
    """Done, declined, replayed, refused: the ways do not differ, and a key means the same on both."""
    ming, _ = await site.person("ming", 100), await site.person("mei")
    done, replayed = await both(ming.client, {"json": GOOD, "headers": with_key()}, key="k")
    assert replayed.headers["idempotent-replayed"] == "true"
    assert done.json() == replayed.json()
    for amount, note in ((1, "猫"), (1_000, ""), (2_000_00, "")):
        short, long = await both(ming.client, {"json": GOOD | {"amount": amount, "note": note}, "headers": with_key()})
        assert (short.status_code, shown(short)) == (201, shown(long))
    short, long = await both(ming.client, {"json": GOOD | {"amount": 2}, "headers": with_key()}, key="k")
    assert (short.status_code, shown(short)) == (422, shown(long))


async def test_every_caller(site: Site) -> None:
    """Who may not pay is told so in the same way, before the body is read."""
    operator = await site.person("ops", role=Role.operator)
    stranger, forger, other = [
        await site.client(**headers) for headers in ({}, {"authorization": "Bearer x"}, {"authorization": "Basic eDp5"})
    ]
    for client, status in ((operator.client, 403), (stranger, 401), (forger, 401), (other, 401)):
        short, long = await both(client, {"content": b"{", "headers": with_key()})
        assert (short.status_code, shown(short)) == (status, shown(long))


async def test_a_body_in_pieces(site: Site) -> None:
    """A body that comes piece by piece is the same body."""
    ming, _ = await site.person("ming", 100), await site.person("mei")

    async def pieces() -> AsyncGenerator[bytes]:
        for byte in BODY:
            yield bytes([byte])

    answers = [await ming.post(path, content=pieces(), headers=with_key() | JSON) for path in (SHORT, LONG)]
    assert (answers[0].status_code, shown(answers[0])) == (201, shown(answers[1]))
