"""News: something happened to a person, and whoever waits for it is told.

    somebody's transaction ─▶ Hub.wake(person ids) ─▶ Listener: a long poll, or an event stream

The hub carries no event, only the news that there is one: each listener then reads on from where it
is. So nothing is buffered in the process, a slow reader costs nobody memory, and resuming after a
lost connection is the same as reading on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import Annotated, Protocol
from uuid import UUID

import msgspec
from litestar.params import HeaderParameter

from unbusy.errors import QuotaExceeded

# Places where one person waits in one process: its devices, each with a few tabs.
_MOST_PER_PERSON = 20
_ANOTHER_PLACE_S = 15.0

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


class Listener(Protocol):
    """Who wants to hear of a person's news."""

    def notify(self) -> None:
        """There is news."""
        ...

    def close(self) -> None:
        """The process is stopping: there will be no more."""
        ...


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
        self._listeners: dict[UUID, set[Listener]] = {}
        self._is_closed = False

    @contextmanager
    def subscribe(self, person_id: UUID) -> Generator[Subscription]:
        """A subscription for as long as the block lasts. Raises QuotaExceeded when one person has too many."""
        subscription = Subscription()
        subscription.is_closed = self._is_closed
        self.add(person_id, subscription)
        try:
            yield subscription
        finally:
            self.remove(person_id, subscription)

    def add(self, person_id: UUID, listener: Listener) -> None:
        """Tell this one of the person's news. Raises QuotaExceeded when one person has too many."""
        of_person = self._listeners.setdefault(person_id, set())
        if len(of_person) >= _MOST_PER_PERSON:
            raise QuotaExceeded(
                f"one person may wait at {_MOST_PER_PERSON} places at once", retry_after=_ANOTHER_PLACE_S
            )
        of_person.add(listener)

    def remove(self, person_id: UUID, listener: Listener) -> None:
        """Tell this one no more."""
        of_person = self._listeners.get(person_id, set())
        of_person.discard(listener)
        if not of_person:
            self._listeners.pop(person_id, None)

    @property
    def is_closed(self) -> bool:
        """Whether the process is stopping."""
        return self._is_closed

    @property
    def is_empty(self) -> bool:
        """Whether nobody listens."""
        return not self._listeners

    def wake(self, person_ids: Iterable[UUID]) -> None:
        """Tell whoever listens to one of them that there is news. Costs next to nothing when nobody does."""
        if self.is_empty:
            return
        for person_id in person_ids:
            for listener in self._listeners.get(person_id, ()):
                listener.notify()

    def wake_everybody(self) -> None:
        """Nobody knows whom something happened to: each looks for itself."""
        self.wake(list(self._listeners))

    def close(self) -> None:
        """End every wait, now and from now on: the process is stopping, readers come back elsewhere."""
        self._is_closed = True
        for listener in [each for of_person in self._listeners.values() for each in of_person]:
            listener.close()
