"""Never more calls a second than a bank allows, however many workers there are.

One row a bank says when the next call may begin. Who wants to call locks it, takes as many of the next
times as can be used soon, and moves it on: the generic cell rate algorithm, with the cell in the database.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from unbusy.banks import sql
from unbusy.db import Tx

# What one of ours is to a bank at most: a consent and a payment, or an enquiry and a withdrawal.
_CALLS_EACH = 2
# Seconds. Times further off are left to whoever comes then.
_HORIZON_S = 0.5


class Pace:
    """How fast one bank may be called; without `calls_per_s` as fast as one likes."""

    def __init__(self, bank: str, calls_per_s: float | None) -> None:
        self._bank = bank
        self._interval = timedelta(seconds=_CALLS_EACH / calls_per_s) if calls_per_s else None

    @property
    def longest_wait_s(self) -> float:
        """How far off a time may be that is given."""
        return _HORIZON_S if self._interval else 0.0

    async def times(self, tx: Tx, now: datetime, most: int) -> Sequence[float]:
        """The seconds from now at which the next calls may begin, at most so many. Nobody else is given
        any before the transaction ends; what is used of them is then `spent`."""
        if self._interval is None:
            return [0.0] * most
        first = max(now, await sql.free_at(tx, self._bank, now)) - now
        count = (timedelta(seconds=_HORIZON_S) - first) // self._interval + 1
        return [(first + number * self._interval).total_seconds() for number in range(min(most, count))]

    async def spend(self, tx: Tx, now: datetime, times: Sequence[float]) -> None:
        """These times are taken."""
        if self._interval and times:
            await sql.set_free_at(tx, self._bank, now + timedelta(seconds=times[-1]) + self._interval)
