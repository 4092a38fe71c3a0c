"""Event streams: server-sent events, told as they happen, however many listen.

    Hub ─ news ─▶ stream ─▶ in line ─▶ one of a few readers reads a page ─▶ written ─▶ in line again,
                    ▲                                                                  until there is none
                    └── nothing happens: no task, no timer, no request; a line in one list

A stream lives for as long as an access token, nearly always waiting. So what waits is one small
object and its connection; one sweep beats all hearts, and few read at a time: a crowd that is woken
at once stands in line instead of storming the database.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import random
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from uuid import UUID

import litestar
import structlog
from litestar import Response
from litestar.types import Receive, Scope, Send

from unbusy import telemetry
from unbusy.api import scope as scopes
from unbusy.api.events import Event, Hub
from unbusy.api.requests import Request
from unbusy.clock import Clock
from unbusy.errors import Unavailable

_log = structlog.get_logger()

# A proxy that hears nothing for half a minute may close the connection; common ones wait a minute.
_HEART_BEAT_S = 15.0
_HEART_BEAT = b":\n\n"

# A reader that takes nothing for so long is gone, or as good as.
_MOST_SENDING_S = 30.0

# How often it is looked whose heart is to beat, and whose token ends before the next look.
_SWEEP_S = 0.1

# Streams that are read for at once: half of the connections for reads, so that others look too.
_MOST_READERS = 2

# Until what could not be read is tried again, spread over as much again.
_RETRY_S = 1.0

Read = Callable[[str], Awaitable[Sequence[Event]]]
"""The next events after an id, oldest first; at most as many as a page holds."""

_HEADERS = (
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store"),
    # nginx and those who copied it would otherwise collect events until a buffer is full.
    (b"x-accel-buffering", b"no"),
)


class EventStream(Response[Any]):
    """The answer of `GET /v1/events`: tells until the reader goes, the access token expires, or the
    process stops.

    `after` is the last event that the reader has: its `Last-Event-ID`, else the newest there is.
    `read` is asked again and again until it returns none.
    """

    def __init__(self, request: Request, read: Read, *, after: str) -> None:
        super().__init__(None, media_type="text/event-stream")
        streams, principal = request.part(Streams), request.principal
        left = (principal.expires_at - request.part(Clock).now()).total_seconds()
        self._stream = _Stream(streams, principal.person_id, read, after, left)
        self._streams = streams

    def to_asgi_response(  # pyright: ignore[reportIncompatibleMethodOverride] - what it leaves out is not used here
        self,
        app: litestar.Litestar | None,  # noqa: ARG002 - Litestar passes it
        request: litestar.Request[Any, Any, Any],  # noqa: ARG002 - Litestar passes it
        **_: object,
    ) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
        return self._run

    async def _run(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Begin, and leave it to the sweep and the readers: the task of this request ends here."""
        stream = self._stream
        self._streams.add(stream)
        try:
            await send({"type": "http.response.start", "status": 200, "headers": list(_HEADERS)})
            stream.begin(scopes.hold_open(scope, stream))
        except BaseException:
            stream.lost()
            raise


class Streams:
    """All event streams of a process."""

    def __init__(self, hub: Hub, clock: Clock) -> None:
        self._hub = hub
        self._clock = clock
        self._line: deque[_Stream] = deque()
        self._readers: set[asyncio.Task[None]] = set()
        # Every stream once, by when it is to be looked at next; one that has ended for a heart beat longer.
        self._due: list[tuple[float, int, _Stream]] = []
        self._numbers = itertools.count()

    def add(self, stream: _Stream) -> None:
        """Listen for it. Raises QuotaExceeded when one person has too many."""
        self._hub.add(stream.person_id, stream)
        telemetry.STREAMS.inc()

    def remove(self, stream: _Stream) -> None:
        self._hub.remove(stream.person_id, stream)
        telemetry.STREAMS.dec()

    def look_at(self, stream: _Stream, at: float) -> None:
        """Look at it at this time, on the monotonic clock."""
        heapq.heappush(self._due, (at, next(self._numbers), stream))

    def line_up(self, stream: _Stream) -> None:
        """Read for it, after those who are in line already."""
        self._line.append(stream)
        if len(self._readers) < _MOST_READERS:
            reader = asyncio.create_task(self._read())
            self._readers.add(reader)
            reader.add_done_callback(self._readers.discard)

    @property
    def are_ending(self) -> bool:
        """Whether the process is stopping."""
        return self._hub.is_closed

    def now(self) -> float:
        return self._clock.monotonic()

    async def sweep(self) -> None:
        """Beat the hearts of those who hear nothing, and end those whose time is over, until cancelled."""
        while True:
            await asyncio.sleep(_SWEEP_S)
            now = self.now()
            while self._due and self._due[0][0] <= now + _SWEEP_S:
                stream = heapq.heappop(self._due)[2]
                if not stream.is_over:
                    stream.look(now)

    async def _read(self) -> None:
        while self._line:
            await self._line.popleft().read_on()


class _Stream:
    """One reader: where it is, and until when. The hub and the door tell it what happens."""

    __slots__ = (
        "_after",
        "_answer",
        "_ends_at",
        "_has_news",
        "_is_in_line",
        "_read",
        "_streams",
        "_told_at",
        "is_over",
        "person_id",
    )

    def __init__(self, streams: Streams, person_id: UUID, read: Read, after: str, life_s: float) -> None:
        self.person_id = person_id
        self.is_over = False
        self._streams = streams
        self._read = read
        self._after: str = after
        self._answer: scopes.OpenAnswer | None = None
        self._has_news = False
        self._is_in_line = False
        self._told_at = streams.now()
        self._ends_at = self._told_at + life_s

    def begin(self, answer: scopes.OpenAnswer) -> None:
        """The head has been sent; whatever there is to tell comes now."""
        self._answer = answer
        # Spread, so that the readers of a process that stops do not all come to the next one at once.
        self._tell(b"retry: %d\n\n" % random.randint(1_000, 3_000))  # noqa: S311 - no secret
        self._look_later()
        self.notify()
        if self._streams.are_ending:
            self.close()

    def notify(self) -> None:
        """There is news for it, perhaps."""
        self._has_news = True
        if self._answer and not (self.is_over or self._is_in_line or self._answer.is_full):
            self._is_in_line = True
            self._streams.line_up(self)

    def drained(self) -> None:
        """The reader took what it had been sent."""
        if self._has_news:
            self.notify()

    def close(self) -> None:
        """End it whole: its reader comes back when it likes."""
        if not self.is_over:
            self.lost()
            if self._answer:
                self._answer.end()

    def lost(self) -> None:
        """Its reader has gone."""
        if not self.is_over:
            self.is_over = True
            self._streams.remove(self)

    def look(self, now: float) -> None:
        """The sweep came to it."""
        assert self._answer is not None
        if self._ends_at <= now + _SWEEP_S:
            self.close()
            return
        silent_s = now - self._told_at
        if self._answer.is_full and silent_s >= _MOST_SENDING_S:
            self._answer.cut()
            return
        # Twice: the sweep may be a whole one early, and a bit more by rounding.
        if silent_s >= _HEART_BEAT_S - 2 * _SWEEP_S and not self._answer.is_full:
            self._tell(_HEART_BEAT)
        self._look_later()

    async def read_on(self) -> None:
        """Read the next page and send it; line up again until there is none."""
        self._has_news = False
        events: Sequence[Event] = ()
        try:
            events = () if self.is_over else await self._read(self._after)
        except Unavailable:
            # The reader need not know, nor come back with all others while there is nothing to be had.
            delay = random.uniform(_RETRY_S, 2 * _RETRY_S)  # noqa: S311 - no secret
            asyncio.get_running_loop().call_later(delay, self.notify)
        except Exception:  # noqa: BLE001 - whatever it was, those in line behind are to be read for
            _log.exception("events could not be read")
            self.close()
        self._is_in_line = False
        if events and not self.is_over:
            self._after = events[-1].id
            self._tell(b"".join(event.frame() for event in events))
            self._has_news = True
        if self._has_news:
            self.notify()

    def _tell(self, frames: bytes) -> None:
        assert self._answer is not None
        self._told_at = self._streams.now()
        self._answer.write(frames)

    def _look_later(self) -> None:
        next_beat = max(self._told_at, self._streams.now() - _SWEEP_S) + _HEART_BEAT_S
        self._streams.look_at(self, min(next_beat, self._ends_at))
