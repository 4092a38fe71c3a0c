"""Time, passed in so that a run can be replayed and a test can move it.

Two clocks, two uses: `now` and `timestamp` are for people and rows (UTC, may jump), `monotonic` is for waiting and
deadlines (never jumps, means nothing outside this process).
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Where a part of unbusy gets the time from."""

    def now(self) -> datetime:
        """The time of day, aware, in UTC."""
        ...

    def timestamp(self) -> float:
        """The time of day, in seconds since 1970."""
        ...

    def monotonic(self) -> float:
        """Seconds that only ever grow."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def timestamp(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()


class Deadline:
    """The moment after which nobody waits for an answer any more.

    Counted on the monotonic clock from when the request arrived, so that time spent in a queue
    counts and a jump of the wall clock does not.
    """

    __slots__ = ("_at", "_clock")

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._at = clock.monotonic() + seconds

    def remaining(self) -> float:
        """Seconds left, zero when it has passed."""
        return max(0.0, self._at - self._clock.monotonic())

    @property
    def has_passed(self) -> bool:
        return self._clock.monotonic() >= self._at
