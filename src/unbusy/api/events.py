"""Server-sent events: what happens to a person, told as it happens.

    somebody's transaction ─▶ Hub.wake(person ids) ─▶ Subscription ─▶ EventStream reads and sends

The hub carries no event, only the news that there is one: each stream then reads on from where it
is. So nothing is buffered in the process, a slow reader costs nobody memory, and resuming after a
lost connection is the same as reading on.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from typing import Annotated, Any
from uuid import UUID

import litestar
import msgspec
from litestar import Response
from litestar.params import HeaderParameter
from litestar.types import Receive, Scope, Send

from unbusy import telemetry
from unbusy.api.requests import Request
from unbusy.clock import Clock
from unbusy.errors import QuotaExceeded

# A proxy that hears nothing for half a minute may close the connection; common ones wait a minute.
_HEART_BEAT_S = 15.0

# A reader that takes nothing for so long is gone, or as good as.
_MOST_SENDING_S = 30.0

# Streams of one person in one process: its devices, each with a few tabs.
_MOST_PER_PERSON = 20

LastEventId = Annotated[
    str | None,
    HeaderParameter(
        name="Last-Event-ID", max_length=64, description="The id of the last event received: the stream goes on after."
    ),
]
"""A handler's parameter: `last_event_id: api.LastEventId = None`."""


class Event(msgspec.Struct, frozen=True):
    """One event. `id` is what a reader resumes from, `data` JSON that is already encoded."""

    id: str
    type: str
    data: bytes

    def frame(self) -> bytes:
        """The event as the stream carries it (HTML Standard, "Server-sent events")."""
        assert b"\n" not in self.data, "encoded JSON has no line breaks"
        return b"id: %b\nevent: %b\ndata: %b\n\n" % (self.id.encode(), self.type.encode(), self.data)


Read = Callable[[str], Awaitable[Sequence[Event]]]
"""The next events after an id, oldest first; at most as many as a page holds."""


class Subscription:
    """Waits for news of one person."""

    __slots__ = ("_has_news", "_waiter", "is_closed")

    def __init__(self) -> None:
        self._has_news = False
        self._waiter: asyncio.Future[None] | None = None
        self.is_closed = False
        """Whether to end: the process is stopping or the reader has gone."""

    async def wait(self, seconds: float) -> bool:
        """Wait until there is news, at most so long. False when there was none, or it is closed.

        News between two waits ends the next one at once.
        """
        if not (self._has_news or self.is_closed):
            loop = asyncio.get_running_loop()
            self._waiter = loop.create_future()
            timer = loop.call_later(max(0.0, seconds), self._stop_waiting)
            try:
                await self._waiter
            finally:
                timer.cancel()
                self._waiter = None
        had_news, self._has_news = self._has_news, False
        return had_news and not self.is_closed

    def notify(self) -> None:
        """There is news."""
        self._has_news = True
        self._stop_waiting()

    def close(self) -> None:
        """End it: whoever waits, waits no longer."""
        self.is_closed = True
        self._stop_waiting()

    def _stop_waiting(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Hub:
    """Who waits for news of whom, in this process."""

    def __init__(self) -> None:
        self._subscriptions: dict[UUID, set[Subscription]] = {}
        self._is_closed = False

    @contextmanager
    def subscribe(self, person_id: UUID) -> Generator[Subscription]:
        """A subscription for as long as the block lasts. Raises QuotaExceeded when one person has too many."""
        subscription = Subscription()
        subscription.is_closed = self._is_closed
        of_person = self._subscriptions.setdefault(person_id, set())
        if len(of_person) >= _MOST_PER_PERSON:
            raise QuotaExceeded(f"one person may wait at {_MOST_PER_PERSON} places at once", retry_after=_HEART_BEAT_S)
        of_person.add(subscription)
        try:
            yield subscription
        finally:
            of_person.discard(subscription)
            if not of_person:
                self._subscriptions.pop(person_id, None)

    @property
    def is_empty(self) -> bool:
        """Whether nobody listens."""
        return not self._subscriptions

    def wake(self, person_ids: Iterable[UUID]) -> None:
        """Tell whoever listens to one of them that there is news. Costs next to nothing when nobody does."""
        if self.is_empty:
            return
        for person_id in person_ids:
            for subscription in self._subscriptions.get(person_id, ()):
                subscription.notify()

    def wake_everybody(self) -> None:
        """Nobody knows whom something happened to: each looks for itself."""
        self.wake(list(self._subscriptions))

    def close(self) -> None:
        """End every subscription, now and from now on: the process is stopping, readers come back elsewhere."""
        self._is_closed = True
        for of_person in self._subscriptions.values():
            for subscription in of_person:
                subscription.close()


class EventStream(Response[Any]):
    """The answer of `GET /v1/events`: reads and sends until the reader goes, the access token
    expires, or the process stops. Lives as long as the subscription does, which it makes itself.

    `after` is the last event that the reader has: its `Last-Event-ID`, else the newest there is.
    `read` is asked again at once until it returns none.
    """

    def __init__(self, request: Request, hub: Hub, read: Read, *, after: str) -> None:
        super().__init__(None, media_type="text/event-stream")
        self._principal = request.principal
        self._clock = request.part(Clock)
        self._hub = hub
        self._read = read
        self._after = after

    def to_asgi_response(  # pyright: ignore[reportIncompatibleMethodOverride] - what it leaves out is not used here
        self,
        app: litestar.Litestar | None,  # noqa: ARG002 - Litestar passes it
        request: litestar.Request[Any, Any, Any],  # noqa: ARG002 - Litestar passes it
        **_: object,
    ) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
        return self._run

    async def _run(self, _scope: Scope, receive: Receive, send: Send) -> None:
        with self._hub.subscribe(self._principal.person_id) as subscription, telemetry.STREAMS.track_inprogress():
            watcher = asyncio.create_task(_close_when_gone(receive, subscription))
            try:
                await send({"type": "http.response.start", "status": 200, "headers": list(_HEADERS)})
                await self._tell(send, subscription)
                await _send(send, b"", more=False)
            finally:
                watcher.cancel()

    async def _tell(self, send: Send, subscription: Subscription) -> None:
        ends_at = self._clock.monotonic() + (self._principal.expires_at - self._clock.now()).total_seconds()
        # Spread, so that the readers of a process that stops do not all come to the next one at once.
        await _send(send, b"retry: %d\n\n" % random.randint(1_000, 3_000))  # noqa: S311 - no secret
        while not subscription.is_closed:
            events = await self._read(self._after)
            if events:
                self._after = events[-1].id
                await _send(send, b"".join(event.frame() for event in events))
                continue
            left = ends_at - self._clock.monotonic()
            if left <= 0:
                return
            if not await subscription.wait(min(_HEART_BEAT_S, left)) and not subscription.is_closed:
                await _send(send, b":\n\n")


_HEADERS = (
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store"),
    # nginx and those who copied it would otherwise collect events until a buffer is full.
    (b"x-accel-buffering", b"no"),
)


async def _send(send: Send, body: bytes, *, more: bool = True) -> None:
    async with asyncio.timeout(_MOST_SENDING_S):
        await send({"type": "http.response.body", "body": body, "more_body": more})


async def _close_when_gone(receive: Receive, subscription: Subscription) -> None:
    with contextlib.suppress(Exception):
        while (await receive())["type"] != "http.disconnect":
            pass
    subscription.close()
