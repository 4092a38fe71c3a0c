"""How often one may look at what is not final: remembered in this process, without the database.

Whoever looks is told when the next look is worth it (`next_check_after`). A few early ones are free;
further ones are refused from memory, so that a storm of polls costs no payment its place. Waiting
(`?wait=`) and event streams cost nothing while nothing happens, and are free.
"""

from __future__ import annotations

from collections import OrderedDict
from datetime import datetime, timedelta
from uuid import UUID

from unbusy.clock import Clock
from unbusy.errors import QuotaExceeded

# Looks before their time that are answered: a page that is loaded again, a second device.
_EARLY_LOOKS = 3
# Seconds. Nobody need look twice in one, and whoever waits long still wants to see a place move.
_SOONEST_S, _LATEST_S = 1.0, 30.0
# Who looks at what, at once, remembered: some 15 MB. The one that looked longest ago is forgotten first.
_MOST_LOOKS = 50_000


class Polls:
    """The looks of all people at what this gateway shows them."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._looks: OrderedDict[tuple[UUID, UUID], _Look] = OrderedDict()

    def look(self, person_id: UUID, subject_id: UUID) -> None:
        """Somebody asks how something stands. Raises QuotaExceeded when it is too early once too often."""
        look = self._looks.get((person_id, subject_id))
        if look is None or (early_s := look.next_at - self._clock.monotonic()) <= 0:
            return
        if look.early_left <= 0:
            raise QuotaExceeded("look again when `next_check_after` has come, or wait with ?wait=", retry_after=early_s)
        look.early_left -= 1

    def next_check(self, person_id: UUID, subject_id: UUID, expected_at: datetime | None) -> datetime:
        """When the next look at what is not final yet is worth it: when it is expected to be final."""
        now, moment = self._clock.now(), self._clock.monotonic()
        look = self._looks.pop((person_id, subject_id), None)
        if look is None or look.next_at <= moment:
            wait_s = (expected_at - now).total_seconds() if expected_at else _SOONEST_S
            wait_s = min(max(wait_s, _SOONEST_S), _LATEST_S)
            look = _Look(moment + wait_s, now + timedelta(seconds=wait_s))
        if len(self._looks) >= _MOST_LOOKS:
            self._looks.popitem(last=False)
        self._looks[person_id, subject_id] = look
        return look.shown

    def forget(self, person_id: UUID, subject_id: UUID) -> None:
        """It is final: look as often as you like."""
        self._looks.pop((person_id, subject_id), None)

    def retry_after(self, next_check: datetime) -> dict[str, str]:
        """The header that says so."""
        return {"retry-after": str(max(1, -int((self._clock.now() - next_check).total_seconds() // 1)))}


class _Look:
    __slots__ = ("early_left", "next_at", "shown")

    def __init__(self, next_at: float, shown: datetime) -> None:
        self.next_at = next_at
        self.shown = shown
        self.early_left = _EARLY_LOOKS
