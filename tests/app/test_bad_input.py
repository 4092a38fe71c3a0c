"""Whatever is sent: a reason, nothing written, and never a 5xx."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from tests.app.site import Person, Site, reason, with_key

from unbusy.api import Cursors, Role

GOOD: dict[str, Any] = {"payee": "@mei", "amount": 1, "asset": "EUR"}
UNKNOWN = "0" * 32


async def rows(site: Site) -> dict[str, int]:
    """How many rows every table has that a request could write to."""
    tables = ("payments.payments", "payments.refunds", "payments.requests", "payments.events", "payments.profiles")
    tables += ("ledger.transfers", "ledger.accounts", "people.people", "people.sessions")
    return {table: await site.bank.count(table) for table in tables}


def raw(body: str | bytes) -> dict[str, Any]:
    return {"content": body, "headers": with_key() | {"content-type": "application/json"}}


def order(**changes: Any) -> dict[str, Any]:
    return {"json": GOOD | changes, "headers": with_key()}


BODIES: dict[str, tuple[dict[str, Any], int, str | None]] = {
    "a float": (raw('{"payee":"@mei","amount":1.0,"asset":"EUR"}'), 400, "amount"),
    "an exponent": (raw('{"payee":"@mei","amount":1e2,"asset":"EUR"}'), 400, "amount"),
    "not a number": (raw('{"payee":"@mei","amount":NaN,"asset":"EUR"}'), 400, "body"),
    "a negative amount": (order(amount=-1), 400, "amount"),
    "zero": (order(amount=0), 400, "amount"),
    "a huge amount": (order(amount=10**18 + 1), 400, "amount"),
    "an amount beyond all integers": (order(amount=10**400), 400, None),
    "an amount as text": (order(amount="1"), 400, "amount"),
    "true": (order(amount=True), 400, "amount"),
    "an unknown asset": (order(asset="XYZ"), 400, "asset"),
    "an asset that is none": (order(asset="eur"), 400, "asset"),
    "an asset with a line break": (order(asset="EUR\n"), 400, "asset"),
    "oneself": (order(payee="@ming"), 400, "payee"),
    "nobody's handle": (order(payee="@nobody"), 404, "payee"),
    "nobody's id": (order(payee=f"per_{UNKNOWN}"), 404, "payee"),
    "a payee with a zero byte": (order(payee="@mei\0"), 404, "payee"),
    "a long payee": (order(payee="@" + "m" * 64), 400, "payee"),
    "a long note": (order(note="x" * 141), 400, "note"),
    "a note with a zero byte": (order(note="a\0b"), 400, "note"),
    "a note of two lines": (order(note="a\nb"), 400, "note"),
    "a note that ends with a line break": (order(note="a\n"), 400, "note"),
    "a lone surrogate": (raw('{"payee":"@mei","amount":1,"asset":"EUR","note":"\\ud800"}'), 400, None),
    "an unknown field": (order(tip=1), 400, "tip"),
    "a missing field": (raw('{"payee":"@mei","amount":1}'), 400, "asset"),
    "a list": (raw("[]"), 400, "body"),
    "nothing": (raw(""), 400, "body"),
    "half of it": (raw('{"payee":"@mei","amo'), 400, "body"),
    "no UTF-8": (raw(b'{"payee":"\xff","amount":1,"asset":"EUR"}'), 400, "body"),
    "deep nesting": (raw('{"payee":' + "[" * 20_000), 400, None),
    "ten megabytes": (raw(b'{"note":"' + b"x" * 10_000_000 + b'"}'), 413, "body"),
    "another type": ({"content": b"payee=@mei", "headers": with_key()}, 415, None),
    "no key": ({"json": GOOD}, 400, "Idempotency-Key"),
    "an empty key": ({"json": GOOD, "headers": {"idempotency-key": ""}}, 400, "Idempotency-Key"),
    "a long key": ({"json": GOOD, "headers": with_key("k" * 65)}, 400, "Idempotency-Key"),
    "a key that cannot be printed": ({"json": GOOD, "headers": with_key("k\tk")}, 400, "Idempotency-Key"),
    "a deadline that is none": (
        {"json": GOOD, "headers": with_key() | {"x-request-deadline-ms": "soon"}},
        400,
        "X-Request-Deadline-Ms",
    ),
}


async def test_payments_that_cannot_work(site: Site) -> None:
    """Each way to get a payment wrong has its status and names its field; none writes a row."""
    ming, _ = await site.person("ming", 100), await site.person("mei")
    before = await rows(site)
    for name, (request, status, field) in BODIES.items():
        answer = await ming.post("/v1/payments", **request)
        expected = "not_found" if status == 404 else "invalid"
        assert reason(answer) == (status, expected), (name, answer.text)
        if field:
            assert answer.json()["field"] == field, (name, answer.text)
    assert await rows(site) == before
    assert (await ming.pay("@mei", 1)).status_code == 201


async def test_other_bodies_that_cannot_work(site: Site) -> None:
    """Requests, refunds, accounts and people read what they are sent just as strictly."""
    ming, mei = await site.person("ming", 100), await site.person("mei")
    operator = await site.person("ops", role=Role.operator)
    paid = (await ming.pay("@mei", 10)).json()
    account = (await ming.get("/v1/wallet")).json()["accounts"][0]["id"]
    refunds, state = f"/v1/payments/{paid['id']}/refunds", f"/v1/accounts/{account}/state"
    asking = {"payer": "@ming", "amount": 1, "asset": "EUR"}
    before = await rows(site)
    wrong: list[tuple[Person, str, dict[str, Any], str]] = [
        (mei, refunds, {"amount": 0}, "amount"),
        (mei, refunds, {"amount": 1.5}, "amount"),
        (mei, refunds, {"payment": paid["id"]}, "payment"),
        (mei, "/v1/requests", asking | {"payer": "@mei"}, "payer"),
        (mei, "/v1/requests", asking | {"amount": -1}, "amount"),
        (mei, "/v1/requests", asking | {"asset": "XYZ"}, "asset"),
        (mei, "/v1/requests", asking | {"expires_in_days": 0}, "expires_in_days"),
        (mei, "/v1/requests", asking | {"expires_in_days": 366}, "expires_in_days"),
        (mei, "/v1/requests", asking | {"note": "\u007f"}, "note"),
        (operator, state, {"state": "gone"}, "state"),
        (operator, "/v1/merchants", {"name": "", "handle": "x", "email": "y", "password": "z"}, "name"),
        (ming, "/v1/customers", {"name": "A", "password": "short"}, "password"),
        (ming, "/v1/sessions", {"identifier": "", "password": "x"}, "identifier"),
        (ming, "/v1/sessions/refresh", {"refresh_token": ""}, "refresh_token"),
    ]
    for person, path, body, field in wrong:
        answer = await person.post(path, json=body, headers=with_key())
        assert (*reason(answer), answer.json()["field"]) == (400, "invalid", field), (path, body, answer.text)
    assert reason(await mei.post("/v1/requests", json=asking | {"payer": "@nobody"}, headers=with_key())) == (
        404,
        "not_found",
    )
    assert await rows(site) == before


async def test_queries_that_cannot_work(site: Site) -> None:
    """Times, cursors and numbers in a query are read strictly, and never reach the database unread."""
    ming = await site.person("ming", 100)
    far = Cursors("statement", int)
    wrong = [
        ("/v1/statement", "limit", "101"),
        ("/v1/statement", "cursor", "x"),
        ("/v1/statement", "cursor", Cursors("payments", int).write(1)),
        ("/v1/statement", "cursor", far.write(2**63)),
        ("/v1/statement", "cursor", far.write(-(2**63))),
        ("/v1/statement", "asset", "eur"),
        ("/v1/statement", "asset", "EUR\0"),
        ("/v1/statement", "since", "yesterday"),
        ("/v1/statement", "since", "2026-01-01T00:00:00"),
        ("/v1/statement", "until", "2026-13-01T00:00:00Z"),
        ("/v1/statement", "until", "nan"),
        ("/v1/payments", "limit", "0"),
        ("/v1/payments", "cursor", "x" * 257),
        ("/v1/requests", "cursor", "💰"),
        (f"/v1/payments/pay_{UNKNOWN}", "wait", "31"),
        (f"/v1/payments/pay_{UNKNOWN}", "wait", "-1"),
    ]
    for path, name, value in wrong:
        answer = await ming.get(path, params={name: value})
        assert (*reason(answer), answer.json()["field"]) == (400, "invalid", name), (path, name, value, answer.text)


@pytest.mark.parametrize("name", ["since", "until"])
async def test_times_at_the_end_of_the_calendar(site: Site, name: str) -> None:
    """The earliest and the latest time there is can be asked for, from every zone."""
    ming = await site.person("ming", 100)
    found: list[int] = []
    for time in ("0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59-14:00"):
        answer = await ming.get("/v1/statement", params={name: time})
        assert answer.status_code == 200, answer.text
        found.append(len(answer.json()["items"]))
    assert found == ([1, 1, 0] if name == "since" else [0, 0, 1])


async def test_what_is_not_there_or_not_yours(site: Site) -> None:
    """Another's payment, request or account gets, byte for byte, the answer of one that does not exist."""
    ming, mei, tao = await site.person("ming", 100), await site.person("mei"), await site.person("tao", 1)
    paid = (await ming.pay("@mei", 10)).json()["id"]
    asking = {"payer": "@ming", "amount": 1, "asset": "EUR"}
    asked = (await mei.post("/v1/requests", json=asking, headers=with_key())).json()["id"]
    before = await rows(site)
    for theirs, nobodys in ((paid, f"pay_{UNKNOWN}"), (asked, f"req_{UNKNOWN}")):
        kind = "payments" if theirs == paid else "requests"
        verbs: list[tuple[str, str, dict[str, Any]]] = [("GET", "", {}), ("POST", "/cancel", {})]
        if kind == "payments":
            verbs += [("GET", "/receipt", {}), ("GET", "/refunds", {}), ("POST", "/refunds", {"json": {}})]
        else:
            verbs += [("POST", "/decline", {}), ("POST", "/payment", {})]
        for method, verb, more in verbs:
            answers = [
                await tao.client.request(
                    method, f"/v1/{kind}/{id}{verb}", headers=with_key() | {"request-id": "same"}, **more
                )
                for id in (theirs, nobodys, theirs[:-1], theirs.upper(), "%00", "..;", "💰")
            ]
            assert reason(answers[0]) == (404, "not_found"), (method, verb, answers[0].text)
            assert answers[0].content == answers[1].content
            assert {answer.status_code for answer in answers} == {404}
    assert await rows(site) == before


async def test_what_operators_look_for_in_vain(site: Site) -> None:
    """An unknown person, or an unknown account, is not found: not shown as somebody with nothing."""
    operator = await site.person("ops", role=Role.operator)
    for id in (f"per_{UNKNOWN}", "per_", "x"):
        assert reason(await operator.get(f"/v1/people/{id}")) == (404, "not_found")
        assert reason(await operator.get(f"/v1/people/{id}/wallet")) == (404, "not_found")
    for id in (f"acc_{UNKNOWN}", "acc_", "x"):
        answer = await operator.post(f"/v1/accounts/{id}/state", json={"state": "frozen"})
        assert reason(answer) == (404, "not_found")


async def test_tokens_that_are_no_good(site: Site) -> None:
    """Forged, cut, foreign, or of a session that has ended: the same answer, before anything is read."""
    ming = await site.person("ming", 100)
    token: str = ming.session["access_token"]
    head, body, signature = token.split(".")
    stranger = await site.client()
    forged = ["x", f"{head}.{body}.", f"{head}.{body}.{signature[:-2]}", f"{head}.{body[:-2]}.{signature}"]
    for each in [*forged, ming.session["refresh_token"], token + "x", "é", "x" * 5_000]:
        headers = httpx.Headers([(b"authorization", f"Bearer {each}".encode()), (b"idempotency-key", b"k")])
        answer = await stranger.post("/v1/payments", content=b"{", headers=headers)
        assert reason(answer) == (401, "unauthenticated"), each
    await ming.delete("/v1/sessions")
    assert reason(await ming.pay("@mei", 1)) == (401, "unauthenticated")


async def test_the_state_forbids_it(site: Site) -> None:
    """What can be done no more is a conflict that says why."""
    ming, mei = await site.person("ming", 100), await site.person("mei")
    paid = (await ming.pay("@mei", 10)).json()["id"]
    assert reason(await ming.post(f"/v1/payments/{paid}/cancel")) == (409, "payment_not_cancellable")
    assert reason(await mei.post(f"/v1/payments/{paid}/cancel")) == (403, "forbidden")
    assert reason(await ming.post(f"/v1/payments/{paid}/refunds", json={}, headers=with_key())) == (403, "forbidden")
    more: dict[str, Any] = {"json": {"amount": 11}, "headers": with_key()}
    declined = await mei.post(f"/v1/payments/{paid}/refunds", **more)
    assert (declined.status_code, declined.json()["reason"]) == (201, "refund_exceeds_payment")
    assert (await mei.post(f"/v1/payments/{paid}/refunds", json={}, headers=with_key())).status_code == 201
    over = await mei.post(f"/v1/payments/{paid}/refunds", json={}, headers=with_key())
    assert reason(over) == (409, "payment_not_refundable")
    asking = {"payer": "@ming", "amount": 1, "asset": "EUR"}
    asked = (await mei.post("/v1/requests", json=asking, headers=with_key())).headers["location"]
    assert (await ming.post(f"{asked}/decline")).json()["status"] == "declined"
    assert reason(await ming.post(f"{asked}/payment", headers=with_key())) == (409, "request_not_open")
    assert reason(await mei.post(f"{asked}/cancel")) == (409, "request_not_open")


async def test_one_key_for_two_bodies(site: Site) -> None:
    """422, on every route that takes a key, and the first is unchanged."""
    ming, mei = await site.person("ming", 100), await site.person("mei")
    paid = (await ming.pay("@mei", 10, key="k")).json()
    assert reason(await ming.pay("@mei", 11, key="k")) == (422, "key_reused")
    for amount, status in ((1, 201), (2, 422)):
        answer = await mei.post(f"/v1/payments/{paid['id']}/refunds", json={"amount": amount}, headers=with_key("k"))
        assert answer.status_code == status
    for amount, status in ((1, 201), (2, 422)):
        body = {"payer": "@ming", "amount": amount, "asset": "EUR"}
        assert (await mei.post("/v1/requests", json=body, headers=with_key("k"))).status_code == status
    asked = (await mei.get("/v1/requests")).json()["items"][0]["id"]
    assert reason(await ming.post(f"/v1/requests/{asked}/payment", headers=with_key("k"))) == (422, "key_reused")
