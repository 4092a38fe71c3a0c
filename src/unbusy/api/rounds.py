"""How much of what callers send is looked at in one round of the event loop.

    round ─▶ answers of the database ─▶ a few of the requests that have come ─▶ next round

A batch of payments goes around the loop six times, once for each answer of the database. When ten
times as many requests come as can be served, a loop that first looks at all that have come takes
60 ms for a round, and a batch takes half a second: saying no would take the time of those who were
let in. So what has come beyond a few waits for the next round, in the order it came. Of many who
wait a part is looked at in each round: their line grows no longer than it takes the gate to notice.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import Final, Protocol

# A millisecond or two of refusals; and of a long line one in so many.
FEW: Final = 32
PART: Final = 8


class Reader(Protocol):
    """Who looks at what came in."""

    def look_at(self, data: bytes) -> None:
        """Its turn has come. Must not raise."""
        ...


class Rounds:
    """Gives everybody who reads from a connection of this loop his turn."""

    def __init__(self) -> None:
        # Since when it waits, who is to look at it, and what came.
        self._waiting: deque[tuple[float, Reader, bytes]] = deque()
        self._left = FEW
        self._is_under_way = False

    @property
    def oldest_wait(self) -> float:
        """How many seconds that has waited which has waited longest."""
        return time.monotonic() - self._waiting[0][0] if self._waiting else 0.0

    def take_turn(self, reader: Reader, data: bytes) -> None:
        """Have it looked at, at once or in a later round; of one reader, in the order it came."""
        if not self._is_under_way:
            self._is_under_way = True
            asyncio.get_running_loop().call_soon(self._next)
        if self._left > 0 and not self._waiting:
            self._left -= 1
            reader.look_at(data)
        else:
            self._waiting.append((time.monotonic(), reader, data))

    def finish(self) -> None:
        """Look at all that waits: the process is about to stop."""
        while self._waiting:
            self._look_at_first()

    def _next(self) -> None:
        """Another round begins."""
        self._left = max(FEW, len(self._waiting) // PART)
        self._is_under_way = bool(self._waiting)
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._next)
        while self._waiting and self._left > 0:
            self._left -= 1
            self._look_at_first()

    def _look_at_first(self) -> None:
        _, reader, data = self._waiting.popleft()
        reader.look_at(data)
