"""The wallets that were looked at last, remembered in this process: for when more is to be read than can be.

A remembered wallet says when it was read, is a few seconds old at most, and is forgotten when a
payment of its owner settles here. So whoever has paid and then looks sees what they paid.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from unbusy.clock import Clock
from unbusy.ledger import Account

# Seconds. Older than this, a wallet is better not shown at all.
_GOOD_FOR_S = 5.0
# People whose wallets are remembered: some 30 MB. The one read longest ago is forgotten first.
_MOST_WALLETS = 20_000


class Seen(NamedTuple):
    """A wallet as it was: its accounts, and when they were read."""

    accounts: Sequence[Account]
    as_of: datetime


class Recent:
    """The last look at each wallet."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        # With each, until when it is good on the monotonic clock.
        self._seen: OrderedDict[UUID, tuple[Seen, float]] = OrderedDict()
        # The reads under way. One that is forgotten meanwhile may have begun before the payment that made it so.
        self._reading: dict[UUID, object] = {}

    def get(self, person_id: UUID) -> Seen | None:
        """The person's wallet, if it was looked at just now."""
        seen, good_until = self._seen.get(person_id, _NOTHING)
        return seen if self._clock.monotonic() < good_until else None

    async def read(self, person_id: UUID, read: Callable[[], Awaitable[Sequence[Account]]]) -> Seen:
        """Read the person's wallet and remember it, unless it changes meanwhile."""
        mine = self._reading[person_id] = object()
        as_of, good_until = self._clock.now(), self._clock.monotonic() + _GOOD_FOR_S
        try:
            seen = Seen(await read(), as_of)
            if self._reading.get(person_id) is mine:
                self._keep(person_id, seen, good_until)
        finally:
            if self._reading.get(person_id) is mine:
                del self._reading[person_id]
        return seen

    def forget(self, person_ids: Iterable[UUID]) -> None:
        """Their wallets have changed: what was read before is true no more."""
        for person_id in person_ids:
            self._seen.pop(person_id, None)
            self._reading.pop(person_id, None)

    def _keep(self, person_id: UUID, seen: Seen, good_until: float) -> None:
        self._seen[person_id] = (seen, good_until)
        self._seen.move_to_end(person_id)
        if len(self._seen) > _MOST_WALLETS:
            self._seen.popitem(last=False)


_NOTHING: tuple[Seen | None, float] = (None, 0.0)
