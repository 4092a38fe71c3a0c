"""Quotas: how often one customer, or one tenant, may ask. And who does not wait when told to.

Both are buckets kept as one number each, the time at which the bucket is full again (the generic cell
rate algorithm). A bucket that is full can be forgotten, so two dictionaries are enough: what is not
asked for during a whole generation drops out, and a flood of strangers cannot grow the memory.
"""

from __future__ import annotations

from typing import Final

import msgspec

# Some 20 MB. More callers than that within seconds means that the oldest are forgotten early.
_MOST: Final = 100_000
# Longer than any bucket takes to fill.
_GENERATION_S: Final = 10.0
# So many times early within a generation or two is no accident of clocks.
_PATIENCE: Final = 3


class Quota(msgspec.Struct, frozen=True):
    """`rate` requests a second, and `burst` at once."""

    rate: float
    burst: float


CUSTOMER: Final = Quota(rate=50.0, burst=100.0)


class Quotas:
    """The buckets of customers, who are told by a 64-bit hash, and of tenants. Those without a quota have none."""

    def __init__(self, customer: Quota = CUSTOMER, tenants: dict[int, Quota] | None = None) -> None:
        # The bucket is full again after burst / rate, which has to be within a generation.
        self._spacing = 1 / customer.rate
        self._depth = min(customer.burst / customer.rate, _GENERATION_S)
        self._tenants = {tenant: (1 / one.rate, one.burst / one.rate) for tenant, one in (tenants or {}).items()}
        self._tenants_full_at: dict[int, float] = {}
        self._full_at = _Recent()
        self._early = _Recent()

    def wait(self, tenant: int, who: int, now: float) -> float:
        """Seconds until another request is welcome; zero when this one is, and then it is counted."""
        full_at = self._full_at.get(who)
        if full_at < now or full_at > now + 2 * self._depth:
            full_at = now
        over = full_at + self._spacing - now - self._depth
        if over > 0:
            return over
        if tenant in self._tenants and (over := self._wait_of(tenant, now)) > 0:
            return over
        self._full_at.put(who, full_at + self._spacing)
        return 0.0

    def came_early(self, who: int) -> None:
        """Somebody came before the time it was told."""
        self._early.put(who, self._early.get(who) + 1)

    def is_impatient(self, who: int) -> bool:
        """Whether somebody came early again and again; it is forgotten after some seconds of waiting."""
        return self._early.get(who) >= _PATIENCE

    def tick(self, now: float) -> None:
        """Begin another generation when this one is over."""
        self._full_at.tick(now)
        self._early.tick(now)

    def _wait_of(self, tenant: int, now: float) -> float:
        spacing, depth = self._tenants[tenant]
        full_at = self._tenants_full_at.get(tenant, now)
        if full_at < now or full_at > now + 2 * depth:
            full_at = now
        over = full_at + spacing - now - depth
        if over <= 0:
            self._tenants_full_at[tenant] = full_at + spacing
        return over


class _Recent:
    """Numbers by hash, zero by default, forgotten when not written for one to two generations."""

    __slots__ = ("_began_at", "_now", "_then")

    def __init__(self) -> None:
        self._now: dict[int, float] = {}
        self._then: dict[int, float] = {}
        self._began_at = 0.0

    def get(self, who: int) -> float:
        value = self._now.get(who)
        return self._then.get(who, 0.0) if value is None else value

    def put(self, who: int, value: float) -> None:
        if len(self._now) >= _MOST and who not in self._now:
            self._then, self._now = self._now, {}
        self._now[who] = value

    def tick(self, now: float) -> None:
        if not 0 <= now - self._began_at < _GENERATION_S:
            self._began_at = now
            self._then, self._now = self._now, {}
