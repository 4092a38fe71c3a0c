"""Whoever wastes connections, time or room is cut off, and payments keep flowing meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime

import pytest
from tests.app.site import Person, Site
from tests.app.wire import Wire, get, payment, wire

from unbusy.admission import Class, Gate, OverQuota
from unbusy.api import door

# What is cut off within ten seconds otherwise, and a second for the sweep that does it.
PATIENCE_S = 0.3
SOON_S = PATIENCE_S + 2.0

HEAD = b"GET /healthz HTTP/1.1\r\nHost: bank\r\n"
IDLE = 1_000

_numbers = itertools.count()


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:  # pyright: ignore[reportUnusedFunction] - pytest's
    monkeypatch.setattr(door, "HEAD_S", PATIENCE_S)


@asynccontextmanager
async def paying(site: Site) -> AsyncGenerator[Person]:
    """Somebody pays without a pause meanwhile: every payment is done, its wait in line included, in little time."""
    ming, _ = await site.person("ming", 100_000), await site.person("mei")
    slowest = 0.0

    async def pay() -> None:
        nonlocal slowest
        while True:
            began, key = time.monotonic(), f"paying-{next(_numbers)}"
            answer = await ming.pay("@mei", 1, key=key)
            while answer.status_code == 503:
                slot_at = datetime.fromisoformat(answer.json()["ticket"]["slot_at"])
                await asyncio.sleep(max(0.0, (slot_at - datetime.now(UTC)).total_seconds()))
                answer = await ming.pay("@mei", 1, key=key, unbusy_ticket=answer.json()["ticket"]["token"])
            assert answer.status_code == 201, answer.text
            slowest = max(slowest, time.monotonic() - began)
            await asyncio.sleep(0.005)

    task = asyncio.create_task(pay())
    try:
        yield ming
        assert not task.done(), task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    assert 0 < slowest < 2.0


async def trickle(connection: Wire, data: bytes) -> None:
    """Send byte by byte, for as long as somebody listens."""
    with contextlib.suppress(ConnectionError):
        for byte in itertools.cycle(data):
            await connection.send(bytes([byte]))
            await asyncio.sleep(0.02)


async def test_slow_senders(site: Site) -> None:
    """A head that trickles in is cut off, however steadily it does."""
    async with paying(site), AsyncExitStack() as stack:
        wires = [await stack.enter_async_context(wire(site.url)) for _ in range(20)]
        tasks = [asyncio.create_task(trickle(one, b"GET /healthz HTTP/1.1\r\nX: " + b"a" * 10_000)) for one in wires]
        assert all(await asyncio.gather(*(one.is_closed(SOON_S) for one in wires)))
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_half_open_connections(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever connects and says nothing is cut off; whoever asks now and then is not."""
    monkeypatch.setattr(door, "FRESH_S", PATIENCE_S)
    async with paying(site), AsyncExitStack() as stack:
        silent = [await stack.enter_async_context(wire(site.url)) for _ in range(20)]
        asking = await stack.enter_async_context(wire(site.url))
        await asking.send(get("/healthz"))
        assert (await asking.receive()).status == 200
        assert all(await asyncio.gather(*(one.is_closed(SOON_S) for one in silent)))
        await asking.send(get("/healthz"))
        assert (await asking.receive()).status == 200


async def test_a_head_without_an_end(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """No more of a head is read than any needs: then it is told so, and the connection ends."""
    monkeypatch.setattr(door, "HEAD_S", 10.0)
    async with paying(site), wire(site.url) as connection:
        await connection.send(HEAD)
        await asyncio.sleep(0.2)
        with contextlib.suppress(ConnectionError):
            for number in range(66):
                await connection.send(b"X-%d: %b\r\n" % (number, b"a" * 1_000))
                await asyncio.sleep(0)
        answer = await connection.receive()
        assert (answer.status, answer.json["reason"], answer.json["field"]) == (431, "invalid", "headers")
        assert answer.headers["connection"] == "close"
        assert await connection.is_closed()


async def test_a_body_that_does_not_come(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The body of a request that is not let in is not waited for, either."""
    ming, _ = await site.person("ming", 100), await site.person("mei")

    def refuse(*_: object) -> OverQuota:
        return OverQuota(Class.pay, 1.0)

    monkeypatch.setattr(Gate, "decide", refuse)
    async with wire(site.url) as connection:
        await connection.send(payment(ming.session["access_token"], "one")[:-1])
        assert await connection.is_closed(SOON_S)


async def test_thousands_of_idle_connections(site: Site) -> None:
    """Connections that only stand there, all from one address, take nothing from those who pay."""
    async with paying(site) as ming, AsyncExitStack() as stack:
        for _ in range(IDLE):
            await stack.enter_async_context(wire(site.url))
        assert (await ming.pay("@mei", 1)).status_code == 201


async def test_more_connections_than_there_is_room_for(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where half the room is taken nobody may idle, and beyond the last place nobody is let in; then it empties."""
    monkeypatch.setattr(door, "MOST_CONNECTIONS", 30)
    monkeypatch.setattr("unbusy.gateway.MOST_CONNECTIONS", 30)
    async with paying(site) as ming, AsyncExitStack() as stack:
        idle = [await stack.enter_async_context(wire(site.url)) for _ in range(60)]
        assert all(await asyncio.gather(*(one.is_closed(SOON_S) for one in idle)))
        assert (await ming.pay("@mei", 1)).status_code == 201
        late = await stack.enter_async_context(wire(site.url))
        await late.send(get("/healthz"))
        assert (await late.receive()).status == 200


MALFORMED = {
    "no HTTP": b"hello\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "a header without a colon": b"GET /healthz HTTP/1.1\r\nHost bank\r\n\r\n",
    "two lengths": b"POST /v1/payments HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    "a length below zero": b"POST /v1/payments HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    "an address that is none": b"GET http://[/ HTTP/1.1\r\nHost: bank\r\n\r\n",
    "an upgrade with a body": payment("", "one", "Connection: Upgrade", "Upgrade: h2c"),
    "an address to connect to": b"CONNECT bank:443 HTTP/1.1\r\nHost: bank\r\n\r\n",
    "a chunk without a size": b"POST /v1/sessions HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
}


@pytest.mark.parametrize("sent", MALFORMED.values(), ids=MALFORMED)
async def test_what_is_not_http(site: Site, sent: bytes) -> None:
    """It is answered with a problem like everything else, and the connection ends."""
    async with wire(site.url) as connection:
        await connection.send(sent)
        answer = await connection.receive()
        assert (answer.status, answer.headers["content-type"]) == (400, "application/problem+json")
        assert answer.json["reason"] == "invalid"
        assert answer.json["request_id"] == answer.headers["request-id"]
        assert answer.headers["connection"] == "close"
        assert await connection.is_closed()


async def test_an_answer_belongs_to_its_request(site: Site) -> None:
    """Nonsense behind a payment is not answered in its place: the payment is, and then the connection ends."""
    ming, _ = await site.person("ming", 100), await site.person("mei")
    async with wire(site.url) as connection:
        await connection.send(payment(ming.session["access_token"], "one") + b"nonsense\r\n\r\n")
        answer = await connection.receive()
        assert (answer.status, answer.headers["request-id"]) == (201, "one")
        assert await connection.is_closed()


async def test_the_last_request_is_the_last(site: Site) -> None:
    """What comes behind `Connection: close` is not done, for nobody could be told."""
    ming, _ = await site.person("ming", 100), await site.person("mei")
    token = ming.session["access_token"]
    async with wire(site.url) as connection:
        await connection.send(payment(token, "one", "Connection: close") + payment(token, "two"))
        assert (await connection.receive()).status == 201
        assert await connection.is_closed()
    assert await ming.balance() == 99


async def test_an_upgrade_that_nobody_makes(site: Site) -> None:
    """A request that asks for another protocol is answered as it is, and so is the one behind it."""
    ming, _ = await site.person("ming", 100), await site.person("mei")
    upgrade = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk")
    async with wire(site.url) as connection:
        await connection.send(get("/v1/wallet", ming.session["access_token"], *upgrade) + get("/healthz"))
        assert (await connection.receive()).json["accounts"][0]["posted"] == 100
        assert (await connection.receive()).status == 200


async def test_our_mistake_is_not_the_callers(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """What breaks while a request is taken in is ours: 500 with its number in the log, never "malformed"."""

    def breaks(*_: object) -> None:
        raise RuntimeError("a defect in the gate")

    monkeypatch.setattr(Gate, "decide", breaks)
    async with wire(site.url) as connection:
        await connection.send(get("/healthz"))
        answer = await connection.receive()
        assert (answer.status, answer.json["reason"]) == (500, "our_mistake")
        assert "defect" not in str(answer.body)
        assert await connection.is_closed()
