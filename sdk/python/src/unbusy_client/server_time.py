"""What time it is at the wallet, as far as that is certain.

The machine's own clock may be wrong by minutes, and may be set while somebody waits. So a slot is
waited for on the monotonic clock, and what the wallet says ties the two together. Every answer says
that the wallet's clock showed *at least* something when the answer came: its `Date`, whose seconds
are cut off, or a ticket's slot less its `Retry-After`, which is rounded up. The highest of these
bounds is never ahead of the wallet's clock, and soon behind it by no more than the way of one
answer, because what is cut off differs each time.
"""

from __future__ import annotations

from datetime import datetime
from email.utils import parsedate_to_datetime

# A `Date` may be cut off by a second, kept for another by the server that writes it, and its answer
# may have taken a while. An estimate further ahead than this is from a clock that was set back.
_MOST_BEHIND_S = 30.0


class ServerTime:
    """Learns from answers. Differences are seconds since 1970 at the wallet less monotonic seconds here."""

    def __init__(self) -> None:
        self._difference: float | None = None

    def hear_date(self, header: str | None, at: float) -> None:
        """An answer that came at `at` had this `Date`; one that cannot be read teaches nothing."""
        if (date := read_date(header)) is None:
            return
        difference = date.timestamp() - at
        if self._difference is not None and self._difference > difference + _MOST_BEHIND_S:
            self._difference = difference
        self._hear(difference)

    def hear_slot(self, slot_at: datetime, retry_after_s: float, at: float) -> None:
        """An answer that came at `at` said that the slot is at most so many seconds away."""
        self._hear(slot_at.timestamp() - retry_after_s - at)

    def monotonic(self, moment: datetime) -> float | None:
        """When it will certainly be `moment` at the wallet; None while nothing is known."""
        return None if self._difference is None else moment.timestamp() - self._difference

    def _hear(self, difference: float) -> None:
        self._difference = difference if self._difference is None else max(self._difference, difference)


def read_date(header: str | None) -> datetime | None:
    """The time in an HTTP date (RFC 9110, section 5.6.7), if it is one."""
    try:
        date = parsedate_to_datetime(header or "")
    except (ValueError, IndexError, TypeError):
        return None
    return date if date.tzinfo else None
