"""A request that is not accepted is answered with one shape, from wherever it was refused."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from tests.api import sample

from unbusy import telemetry
from unbusy.api import bodies
from unbusy.api.problems import describe, render
from unbusy.errors import Invalid
from unbusy.reasons import Reason

GOOD = {"payee": "@ming", "amount": 1250}
KEY = {"idempotency-key": "k-1"}

STATUS = {
    "invalid": 400,
    "unauthenticated": 401,
    "forbidden": 403,
    "not_found": 404,
    "handle_taken": 409,
    "key_reused": 422,
    "quota_exceeded": 429,
    "our_mistake": 500,
    "deadline_unreachable": 503,
    "ledger_unavailable": 503,
}


@pytest.mark.parametrize("name", sample.ERRORS)
async def test_every_error_has_its_problem(client: httpx.AsyncClient, name: str) -> None:
    """Each error of the tree has one status and reason, and a problem says the same in header and body."""
    answer = await client.get(f"/errors/{name}", headers={"request-id": "abc-1"})
    problem = answer.json()
    assert answer.status_code == STATUS[name] == problem["status"]
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["reason"] == name
    assert problem["type"] == f"/problems/{name}"
    assert problem["request_id"] == answer.headers["request-id"] == "abc-1"
    assert problem["title"]
    assert problem["detail"]
    assert problem["fix"]
    assert set(problem["retry"]) == {"safe", "same_key", "after"}


@pytest.mark.parametrize("name", ["quota_exceeded", "deadline_unreachable", "ledger_unavailable", "our_mistake"])
async def test_who_may_come_back_is_told_when(client: httpx.AsyncClient, name: str) -> None:
    """Every 429, 500 and 503 says after how many whole seconds, never fewer than meant, and not all the same."""
    least = {"quota_exceeded": 3, "ledger_unavailable": 2}.get(name, 1)
    answers = [await client.get(f"/errors/{name}") for _ in range(20)]
    seconds = [int(answer.headers["retry-after"]) for answer in answers]
    assert all(least <= each <= 2 * least for each in seconds)
    assert [answer.json()["retry"]["after"] for answer in answers] == seconds


def test_waiting_times_are_spread() -> None:
    """Those who were refused together come back apart: up to half as long again."""
    description = describe(sample.ERRORS["ledger_unavailable"])._replace(retry_after=100.0)
    scope: Any = {"headers": []}
    first, last = (dict(render(scope, description, lambda at=at: at).headers) for at in (0.0, 1.0))
    assert (first["retry-after"], last["retry-after"]) == ("100", "150")


async def test_a_mistake_of_ours_is_logged_and_not_shown(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    """The traceback goes to the log under the request's id; the caller sees none of it."""
    answer = await client.get("/errors/our_mistake", headers={"request-id": "find-me"})
    assert "SELECT" not in answer.text
    assert "Traceback" not in answer.text
    for told in ("find-me", "/errors/{name}", "Traceback", "SELECT secret"):
        assert told in caplog.text


@pytest.mark.parametrize(
    ("accept_language", "language", "title"),
    [("", "en", "There is no such thing here"), ("fr, zh-Hans;q=0.8, en;q=0.2", "zh", "找不到所请求的内容")],
)
async def test_a_problem_speaks_the_callers_language(
    client: httpx.AsyncClient, accept_language: str, language: str, title: str
) -> None:
    """Title and fix are in the language asked for, and the answer says so."""
    answer = await client.get("/errors/not_found", headers={"accept-language": accept_language})
    assert answer.json()["title"] == title
    assert answer.headers["content-language"] == language
    assert answer.headers["vary"] == "accept-language"


@pytest.mark.parametrize(
    ("body", "field", "detail"),
    [
        (b'{"payee":"@a","amount":12.5}', "amount", "Expected `int`, got `float`"),
        (b'{"payee":"@a","amount":1e3}', "amount", "Expected `int`, got `float`"),
        (b'{"payee":"@a","amount":12.0}', "amount", "Expected `int`, got `float`"),
        (b'{"payee":"@a","amount":"12"}', "amount", "Expected `int`, got `str`"),
        (b'{"payee":"@a","amount":true}', "amount", "Expected `int`, got `bool`"),
        (b'{"payee":"@a","amount":null}', "amount", "Expected `int`, got `null`"),
        (b'{"payee":"@a","amount":0}', "amount", "Expected `int` >= 1"),
        (b'{"payee":"@a","amount":-5}', "amount", "Expected `int` >= 1"),
        (b'{"payee":"@a","amount":1%s}' % (b"0" * 40), "amount", "<= 1000000000000000000"),
        (b'{"payee":"@a","amount":NaN}', "body", "not well-formed JSON"),
        (b'{"payee":7,"amount":1}', "payee", "Expected `str`, got `int`"),
        (b'{"payee":"@a"}', "amount", "missing required field `amount`"),
        (b'{"payee":"@a","amount":1,"tip":2}', "tip", "unknown field `tip`"),
        (b'{"payee":"@a","amount":1,"lines":[{"a":1},{"b":"x"}]}', "lines[1][...]", "Expected `int`, got `str`"),
        (b"[]", "body", "Expected `object`, got `array`"),
        (b"null", "body", "Expected `object`, got `null`"),
        (b"", "body", "a JSON body is missing"),
        (b'{"payee":"@a","amount":1', "body", "not well-formed JSON"),
        (b'{"payee":"@a","amount":1}{}', "body", "not well-formed JSON"),
        (b"\xff\xfe{}", "body", "not well-formed JSON"),
        (b'{"payee":"\xff","amount":1}', "body", "not well-formed JSON"),
        (b'{"payee":"\xed\xa0\x80","amount":1}', "body", "not well-formed JSON"),
        (b'{"payee":"@a","lines":' + b"[" * 60_000, "lines[0]", "Expected `object`, got `array`"),
        (b'{"payee":' * 7_000, "payee", "Expected `str`, got `object`"),
    ],
    ids=lambda value: repr(value[:50]) if isinstance(value, bytes) else "",
)
async def test_what_is_wrong_with_a_body_is_named(
    client: httpx.AsyncClient, body: bytes, field: str, detail: str
) -> None:
    """Whatever stands in a body, the answer is 400 with the field and what is wrong with it."""
    headers = {**KEY, "content-type": "application/json"}
    answer = await client.post("/payments", content=body, headers=headers)
    problem = answer.json()
    assert (answer.status_code, problem["reason"]) == (400, "invalid"), problem
    assert problem["field"] == field
    assert detail in problem["errors"][0]["detail"]


async def test_a_problem_repeats_little(client: httpx.AsyncClient) -> None:
    """However long the name of an unknown field is, its problem is short."""
    body = b'{"%s":1}' % (b"x" * 60_000)
    answer = await client.post("/payments", content=body, headers={**KEY, "content-type": "application/json"})
    assert answer.status_code == 400
    assert len(answer.content) < 2_000


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"a":' * 100_000, b'[{"a":' * 50_000])
def test_a_body_may_not_be_nested_without_end(body: bytes) -> None:
    """Depth is an error of the caller's, even where anything may stand, and does not exhaust the stack."""
    scope: Any = {"headers": [(b"content-type", b"application/json")]}
    with pytest.raises(Invalid, match="nested too deeply"):
        bodies.decode(scope, body, Any)


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "application/msgpack", ""])
async def test_a_body_says_that_it_is_json(client: httpx.AsyncClient, media_type: str) -> None:
    """A body of another type, or of none, is refused with 415 rather than guessed at."""
    answer = await client.post("/payments", content=json.dumps(GOOD), headers={**KEY, "content-type": media_type})
    assert (answer.status_code, answer.json()["reason"]) == (415, "invalid")


async def test_json_may_name_its_charset(client: httpx.AsyncClient) -> None:
    """`application/json; charset=utf-8` is JSON too."""
    headers = {**KEY, "content-type": "Application/JSON; charset=utf-8"}
    assert (await client.post("/payments", content=json.dumps(GOOD), headers=headers)).status_code == 201


@pytest.mark.parametrize("key", [None, "", "x" * 65, "ein schlüssel", "tab\there"])
async def test_money_needs_a_key(client: httpx.AsyncClient, key: str | None) -> None:
    """A missing, overlong or unprintable idempotency key is refused by its name."""
    headers = {} if key is None else {b"idempotency-key": key.encode()}
    answer = await client.post("/payments", json=GOOD, headers=headers)
    assert answer.status_code == 400
    assert answer.json()["field"] == "Idempotency-Key"


async def test_all_that_is_wrong_is_named_at_once(client: httpx.AsyncClient) -> None:
    """Several wrong parameters give several errors, and no single field."""
    problem = (await client.get("/payments?limit=1000&cursor=" + "x" * 300)).json()
    assert {error["field"] for error in problem["errors"]} == {"limit", "cursor"}
    assert "field" not in problem


@pytest.mark.parametrize("limit", ["0", "101", "1.5", "ten", "", "-1"])
async def test_limits_of_a_page(client: httpx.AsyncClient, limit: str) -> None:
    """A page has between 1 and 100 items."""
    answer = await client.get("/payments", params={"limit": limit})
    assert (answer.status_code, answer.json()["field"]) == (400, "limit")


async def test_an_unknown_address(client: httpx.AsyncClient) -> None:
    """What is not there is a problem like any other, and does not tell what is."""
    answer = await client.get("/nowhere?q=<script>")
    assert (answer.status_code, answer.json()["reason"]) == (404, "not_found")
    assert "script" not in answer.text


@pytest.mark.parametrize("method", ["DELETE", "PUT", "PATCH", "TRACE", "BREW"])
async def test_a_method_that_is_not_taken(client: httpx.AsyncClient, method: str) -> None:
    """405 names the methods that are."""
    answer = await client.request(method, "/payments")
    assert (answer.status_code, answer.json()["reason"]) == (405, "invalid")
    assert set(answer.headers["allow"].split(", ")) == {"GET", "OPTIONS", "POST"}


async def test_options_are_told_to_anyone(client: httpx.AsyncClient) -> None:
    """Which methods there are is no secret."""
    answer = await client.options("/payments", headers={"authorization": ""})
    assert answer.status_code == 204
    assert "POST" in answer.headers["allow"]


class TestWhoAsks:
    """Routes are closed unless they say for whom they are open."""

    async def test_without_a_token(self, client: httpx.AsyncClient) -> None:
        """The challenge names the scheme, and no error, for nothing was tried (RFC 6750)."""
        del client.headers["authorization"]
        answer = await client.get("/payments")
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == 'Bearer realm="unbusy"'

    @pytest.mark.parametrize("token", ["Bearer forged", "Bearer " + "x" * 5_000, "Basic abc", "Bearer", "bearer  "])
    async def test_with_a_wrong_one(self, client: httpx.AsyncClient, token: str) -> None:
        """A token that is not ours is told apart from none."""
        answer = await client.get("/payments", headers={"authorization": token})
        assert answer.status_code == 401
        assert 'error="invalid_token"' in answer.headers["www-authenticate"]

    async def test_another_role(self, client: httpx.AsyncClient) -> None:
        """Who is known and not meant gets 403."""
        answer = await client.post("/payments", json=GOOD, headers={**KEY, "authorization": "Bearer merchant"})
        assert (answer.status_code, answer.json()["reason"]) == (403, "forbidden")

    async def test_a_route_that_names_nobody(self, client: httpx.AsyncClient) -> None:
        """A forgotten `opt` closes a route to everybody."""
        assert (await client.get("/forgotten")).status_code == 403

    async def test_refused_before_the_body_is_read(self, client: httpx.AsyncClient) -> None:
        """A stranger learns nothing about what a body should look like."""
        answer = await client.post("/payments", content=b"{", headers={"authorization": "Bearer x"})
        assert answer.status_code == 401


async def test_reasons_are_counted(client: httpx.AsyncClient) -> None:
    """What was answered with a reason can be asked for afterwards."""
    await client.get("/errors/handle_taken")
    assert Reason.handle_taken in telemetry.reasons_given()
