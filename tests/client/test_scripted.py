"""Both clients against a wallet that misbehaves over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from typing import Any

import pytest
from tests.client.conftest import Connect
from tests.client.scripted import (
    Scripted,
    answer,
    cut,
    half,
    in_line,
    playing,
    problem,
    silence,
    stream,
    trickle,
)
from tests.client.simulation import PAYMENT
from tests.client.test_call import SESSION

from unbusy_client import (
    AsyncClient,
    InLine,
    Invalid,
    LineFull,
    NewPayment,
    Payment,
    QuotaExceeded,
    Unauthenticated,
    Unreachable,
    Unresolved,
)

_RENEWED = {
    "access_token": "access-2",
    "refresh_token": "refresh-2",
    "expires_in": 600,
    "person": {"id": "per_1", "name": "Ming", "handle": "@ming", "role": "customer"},
}


async def _pay(client: AsyncClient, within_s: float | None) -> Payment:
    return await client.pay("@anna", 5, "EUR", key="key-1", within_s=within_s)


def same(played: Scripted) -> bool:
    """Whether every request asked for the same under the same key."""
    return len({(heard.line, heard.body, heard.headers["idempotency-key"]) for heard in played.heard}) == 1


async def test_the_place_in_line_is_kept(connect: Connect) -> None:
    """Wait, come back once with the ticket when it is time, and be served."""
    async with playing(in_line(0.3), in_line(0.2, "another")) as played:
        payment = await _pay(connect(played.url, session=SESSION), None)
        assert payment.is_completed
        tickets = [heard.headers.get("unbusy-ticket") for heard in played.heard]
        assert tickets == [None, "a.ticket", "another"]
        assert played.heard[1].at - played.heard[0].at >= 0.3
        assert same(played)


async def test_whatever_is_lost_is_asked_for_again(connect: Connect) -> None:
    """Cut connections, halves of answers, a proxy's page: the same request again, with its key."""
    script = [cut(), half(), answer(502, "Bad Gateway"), answer(200, "<html>"), problem(500, "our_mistake", after=0)]
    async with playing(*script) as played:
        payment = await _pay(connect(played.url, session=SESSION), None)
        assert payment.is_completed
        assert len(played.heard) == 6
        assert same(played)


async def test_refusals_that_pass_are_waited_out(connect: Connect) -> None:
    """429 and 503 without a place: after `Retry-After`, and within the deadline only."""
    script = [problem(429, "quota_exceeded", after=1), problem(503, "deadline_unreachable", after=0)]
    async with playing(*script) as played:
        assert (await _pay(connect(played.url, session=SESSION), None)).is_completed
        assert played.heard[1].at - played.heard[0].at >= 1
    for script, kind in [
        ([problem(503, "line_full", after=30)], LineFull),
        ([problem(429, "quota_exceeded", after=30)], QuotaExceeded),
        ([in_line(30.0)], InLine),
    ]:
        async with playing(*script) as played:
            with pytest.raises(kind) as raised:
                await _pay(connect(played.url, session=SESSION), 5)
            assert (raised.value.key, raised.value.may_have_moved) == ("key-1", False)
            assert len(played.heard) == 1


async def test_a_deadline_is_a_deadline(connect: Connect) -> None:
    """Silence and answers that trickle end with it; the error says that it may have been done, and its key."""
    for play in (silence(30), trickle(0.02)):
        async with playing(play) as played:
            began = time.monotonic()
            with pytest.raises(Unresolved) as raised:
                await _pay(connect(played.url, session=SESSION), 0.5)
            assert time.monotonic() - began < 1.5
            assert raised.value.key == "key-1"
            assert 1 <= int(played.heard[0].headers["x-request-deadline-ms"]) <= 500


async def test_nobody_listens(connect: Connect) -> None:
    """A connection that is refused has sent nothing, so nothing has moved."""
    async with playing() as played:
        url = played.url
    with pytest.raises(Unreachable) as raised:
        await _pay(connect(url, session=SESSION), 0.5)
    assert not raised.value.may_have_moved


async def test_a_token_that_ended_is_renewed_once(connect: Connect) -> None:
    """Many calls that find it ended together cost one refresh, and each is repeated with its key."""

    async def wallet(heard: object, writer: asyncio.StreamWriter) -> None:
        last = played.heard[-1]
        if last.line.startswith("POST /v1/sessions/refresh"):
            await asyncio.sleep(0.1)
            await answer(201, _RENEWED)(last, writer)
        elif last.headers["authorization"] == "Bearer access-2":
            await answer(201, PAYMENT)(last, writer)
        else:
            await problem(401, "unauthenticated")(last, writer)

    async with playing(*[wallet] * 20) as played:
        client = connect(played.url, session=SESSION)
        payments = await asyncio.gather(*(client.pay("@anna", 5, "EUR", key=f"key-{n}") for n in range(4)))
        assert all(payment.is_completed for payment in payments)
        assert sum("refresh" in heard.line for heard in played.heard) == 1
        assert client.session is not None
        assert client.session.refresh_token == "refresh-2"
        assert "access" not in repr(client.session)


async def test_a_session_that_ended_is_said_so(connect: Connect) -> None:
    """When the refresh token is refused too, somebody has to sign in; nothing more is sent until then."""
    async with playing(*[problem(401, "unauthenticated")] * 2) as played:
        client = connect(played.url, session=SESSION)
        for _ in range(2):
            with pytest.raises(Unauthenticated):
                await client.wallet()
        assert len(played.heard) == 2


async def test_events_go_on_where_they_were_lost(connect: Connect) -> None:
    """Cut in the middle of an event, refused, told to wait in line: none is missed, none comes twice."""
    event = b'id: %d-0\nevent: payment.completed\ndata: {"type": "payment.completed"}\n\n'
    script = [
        stream(b"retry: 10\n\n", b"id: 0-0\nevent: ready\ndata: {}\n\n", event % 1, (event % 2)[:20]),
        problem(503, "ledger_unavailable", after=0),
        cut(),
        in_line(0.1),
        stream(b":\n\n", (event % 2)[:30], (event % 2)[30:], event % 3, then_wait_s=0.5),
    ]
    async with playing(*script) as played:
        client, seen = connect(played.url, session=SESSION), list[str]()
        async with contextlib.aclosing(client.events()) as events:
            async for happened in events:
                seen.append(happened.id)
                if len(seen) == 4:
                    break
        assert seen == ["0-0", "1-0", "2-0", "3-0"]
        assert [heard.headers.get("last-event-id") for heard in played.heard] == [None, *["1-0"] * 4]


async def test_events_that_are_rejected_end() -> None:
    """A place that the wallet does not know is the caller's mistake, and is raised."""
    async with playing(problem(400, "invalid", safe=False)) as played, AsyncClient(played.url, session=SESSION) as ming:
        with pytest.raises(Exception, match="invalid"):
            await anext(ming.events(after="yesterday"))


async def test_a_newer_wallet_is_understood(connect: Connect) -> None:
    """Fields, statuses and reasons that are unknown here change nothing about what is known."""
    new = PAYMENT | {"status": "on_its_way", "reason": "moon_phase", "colour": "blue", "retry": {"safe": False, "x": 1}}
    async with playing(answer(201, new), problem(418, "teapot", safe=False, retry="no")) as played:
        client = connect(played.url, session=SESSION)
        payment = await _pay(client, None)
        assert (payment.status, payment.reason, payment.is_final) == ("on_its_way", "moon_phase", False)
        with pytest.raises(Exception, match="teapot") as raised:
            await client.wallet()
        assert type(raised.value).__name__ == "Rejected"


BATCH: dict[str, Any] = {
    "id": "bat_1",
    "status": "queued",
    "accepted": 2,
    "refused": 0,
    "payments": {"queued": 2},
    "rows": {"items": [], "next": None},
    "created_at": "2026-03-10T11:00:00Z",
    "finish_by": "2026-03-10T12:00:00Z",
}
ROW: dict[str, Any] = {"line": 1, "key": "row-1", "status": "completed", "payment_id": "pay_1"}
DECLINED = ROW | {"line": 2, "status": "declined", "reason": "insufficient_funds"}


async def test_batches(connect: Connect) -> None:
    """Each payment with its own key, the whole with one; a report that is gone through row by row."""
    script = [
        cut(),
        answer(202, BATCH),
        problem(422, "invalid", safe=False, errors=[{"field": "line 17: amount", "detail": "not a number"}]),
        answer(200, BATCH | {"status": "finished"}),
        answer(200, BATCH | {"rows": {"items": [ROW], "next": "more"}}),
        answer(200, BATCH | {"rows": {"items": [DECLINED], "next": None}}),
    ]
    async with playing(*script) as played:
        client = connect(played.url, session=SESSION)
        row = NewPayment(key="row-1", payee="@anna", amount=5, asset="EUR")
        batch = await client.pay_batch([row], key="batch-1")
        assert (batch.id, batch.status, batch.accepted) == ("bat_1", "queued", 2)
        assert [heard.headers["idempotency-key"] for heard in played.heard] == ["batch-1"] * 2
        assert json.loads(played.heard[1].body) == {
            "payments": [{"key": "row-1", "payee": "@anna", "amount": 5, "asset": "EUR", "note": ""}],
            "take_good_rows": False,
        }
        with pytest.raises(Invalid) as raised:
            await client.pay_file(b"key,payee,amount,asset\n", "text/csv", take_good_rows=True)
        assert raised.value.fields[0].field == "line 17: amount"
        assert played.heard[2].line == "POST /v1/payment-batches?take_good_rows=true HTTP/1.1"
        assert (played.heard[2].headers["content-type"], played.heard[2].body[:4]) == ("text/csv", b"key,")
        assert (await client.batch(batch.id)).is_finished
        rows = [(row.line, row.status, row.reason) async for row in client.batch_rows(batch.id)]
        assert rows == [(1, "completed", None), (2, "declined", "insufficient_funds")]
        assert "cursor=more" in played.heard[-1].line


async def test_promises_are_public(connect: Connect) -> None:
    """Nobody has to be signed in to see how many were kept."""
    async with playing(answer(200, {"classes": {"queued": {"kept": 7, "broken": 0}}})) as played:
        assert (await connect(played.url).promises())["classes"]["queued"]["kept"] == 7
        assert "authorization" not in played.heard[0].headers
