"""Events reach those who wait for them, and waiting costs next to nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from uuid import UUID, uuid4

import httpx
import pytest
from tests.api import sample
from tests.api.conftest import CUSTOMER, Served

from unbusy.api import Event, Hub
from unbusy.api import streams as module
from unbusy.errors import QuotaExceeded

SOMEBODY = UUID(int=1)


class TestHub:
    """News of a person wakes whoever waits for it, and nobody else."""

    async def test_wakes(self) -> None:
        """Every place at which the person waits."""
        hub = Hub()
        with hub.subscribe(SOMEBODY) as one, hub.subscribe(SOMEBODY) as two, hub.subscribe(uuid4()) as other:
            waiting = [asyncio.create_task(each.wait(5)) for each in (one, two)]
            alone = asyncio.create_task(other.wait(0.05))
            await asyncio.sleep(0)
            hub.wake([SOMEBODY, uuid4()])
            assert await asyncio.gather(*waiting) == [True, True]
            assert await alone is False

    async def test_news_between_two_waits_is_not_lost(self) -> None:
        """Whoever was busy when it came hears of it at once, and once."""
        hub = Hub()
        with hub.subscribe(SOMEBODY) as subscription:
            hub.wake([SOMEBODY])
            hub.wake([SOMEBODY])
            assert await subscription.wait(5) is True
            assert await subscription.wait(0.01) is False

    async def test_closing_ends_every_wait(self) -> None:
        """Now and for whoever comes later."""
        hub = Hub()
        with hub.subscribe(SOMEBODY) as subscription:
            waiting = asyncio.create_task(subscription.wait(60))
            await asyncio.sleep(0)
            hub.close()
            assert await waiting is False
            assert subscription.is_closed
        with hub.subscribe(SOMEBODY) as later:
            assert await later.wait(60) is False

    async def test_a_cancelled_wait_leaves_nothing(self) -> None:
        """The subscription can be waited on again."""
        hub = Hub()
        with hub.subscribe(SOMEBODY) as subscription:
            waiting = asyncio.create_task(subscription.wait(60))
            await asyncio.sleep(0)
            waiting.cancel()
            hub.wake([SOMEBODY])
            assert await subscription.wait(60) is True

    async def test_one_person_has_so_many_places(self) -> None:
        """And may come back when one of them is free."""
        hub = Hub()
        places = [hub.subscribe(SOMEBODY) for _ in range(20)]
        for place in places:
            place.__enter__()
        with pytest.raises(QuotaExceeded), hub.subscribe(SOMEBODY):
            pass
        places[0].__exit__(None, None, None)
        with hub.subscribe(SOMEBODY):
            pass

    async def test_ten_thousand_cost_little(self) -> None:
        """Waking one of ten thousand costs the same as one of one, and nobody listening costs nothing."""
        hub = Hub()
        people = [UUID(int=n) for n in range(10_000)]
        subscriptions = [hub.subscribe(person) for person in people]
        for subscription in subscriptions:
            subscription.__enter__()
        began = time.perf_counter()
        for person in people:
            hub.wake((person,))
        assert time.perf_counter() - began < 0.5
        for subscription in subscriptions:
            subscription.__exit__(None, None, None)


def stream(served: Served, **headers: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=served.url, headers={**CUSTOMER, **headers}, timeout=10)


class TestStream:
    """`GET /v1/events`, as a browser reads it."""

    async def test_tells_as_it_happens(self, served: Served) -> None:
        """What happens after the stream was opened, in order, with ids to resume from."""
        served.journal.add("old")
        async with stream(served) as client, client.stream("GET", "/events") as answer:
            assert answer.headers["content-type"] == "text/event-stream"
            lines = answer.aiter_lines()
            assert (await anext(lines)).startswith("retry: ")
            served.journal.add("payment.completed")
            served.hub.wake([sample.PERSON])
            told = [await anext(lines) for _ in range(4)]
            assert told == ["", "id: 2", "event: payment.completed", 'data: {"ok":true}']

    async def test_resumes(self, served: Served) -> None:
        """After the last event received, however many pages that takes."""
        for number in range(7):
            served.journal.add(f"e{number}")
        async with stream(served, **{"last-event-id": "2"}) as client, client.stream("GET", "/events") as answer:
            seen: list[str] = []
            async for line in answer.aiter_lines():
                seen += [line] if line.startswith("id") else []
                if len(seen) == 5:
                    break
        assert seen == [f"id: {number}" for number in range(3, 8)]

    async def test_beats_when_nothing_happens(self, served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
        """A comment now and then keeps proxies from hanging up."""
        monkeypatch.setattr(module, "_HEART_BEAT_S", 0.05)
        async with stream(served) as client, client.stream("GET", "/events") as answer:
            lines = [line async for line in _first(answer, 6)]
        assert lines.count(":") >= 2

    async def test_ends_with_the_token(self, served: Served) -> None:
        """A stream outlives its access token by nothing."""
        began = time.monotonic()
        async with stream(served, authorization="Bearer short") as client:
            answer = await client.get("/events")
        assert answer.status_code == 200
        assert 0.5 < time.monotonic() - began < 3

    async def test_ends_when_the_process_stops(self, served: Served) -> None:
        """The stream ends whole, so that the reader comes back and resumes."""
        async with stream(served) as client:
            reading = asyncio.create_task(client.get("/events"))
            await _until(lambda: sample.PERSON in served.hub._listeners)  # pyright: ignore[reportPrivateUsage] - looks inside
            served.hub.close()
            assert (await reading).status_code == 200

    async def test_forgets_a_reader_who_left(self, served: Served) -> None:
        """Nothing waits for somebody who has gone."""
        async with stream(served) as client, client.stream("GET", "/events"):
            await _until(lambda: bool(served.hub._listeners))  # pyright: ignore[reportPrivateUsage] - looks inside
        await _until(lambda: not served.hub._listeners)  # pyright: ignore[reportPrivateUsage] - looks inside


def test_an_event_cannot_be_split() -> None:
    """Data with a line break would be read as two events, so it is a mistake to send it."""
    with pytest.raises(AssertionError):
        Event("1", "a", b"{\n}").frame()


async def _first(answer: httpx.Response, count: int) -> AsyncGenerator[str]:
    lines = answer.aiter_lines()
    for _ in range(count):
        yield await anext(lines)


async def _until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not is_so():  # noqa: ASYNC110 - what it waits for tells nobody
            await asyncio.sleep(0.01)
