"""The reckoning: what became of money that crossed the edge of the wallet, by our books and by the banks' own. Pure.

Nobody is trusted: what callers were told, what our database says, what each bank executed and what its
statements show must be one story.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from unbusy.drill.measures import Second
from unbusy.drill.sandboxes import Booked
from unbusy.load import percentile


class Transit(NamedTuple):
    """A top-up or a payout as our database has it. Times are seconds since 1970; `ended` are those at which it was
    told to be final; `is_parked` when the bank was followed after it had been reversed."""

    id: str
    reference: str
    key: str
    bank: str
    is_pull: bool
    iban: str
    amount: int
    status: str
    reason: str
    is_parked: bool
    tries: int
    created_at: float
    resolve_by: float
    ended: Sequence[float]

    @property
    def has_moved(self) -> bool:
        """Whether our books say that the bank executed it."""
        return self.status == "completed" or self.is_parked

    @property
    def ended_at(self) -> float:
        """When it was told to be final first; infinite while it is not."""
        return min(self.ended, default=math.inf)


class Told(NamedTuple):
    """What one bank tells of itself: its books, how often its statements show each reference, and `owed`, which
    is what our books say it owes us, in minor units."""

    booked: Sequence[Booked]
    lines: Mapping[str, int]
    owed: int


def lost(acknowledged: Mapping[str, str], ours: Sequence[Transit], banks: Mapping[str, Told]) -> int:
    """How many were acknowledged under a key and are not there; moved at one side only, or otherwise than told; or
    moved at a bank and are nobody's."""
    ids = {(each.key, each.id) for each in ours}
    missing = sum(pair not in ids for pair in acknowledged.items())
    executed = {(bank, one.reference): one for bank, told in banks.items() for one in told.booked if one.is_executed}
    astray = sum(_is_astray(each, executed.pop((each.bank, each.reference), None)) for each in ours)
    return missing + astray + len(executed)


def _is_astray(ours: Transit, theirs: Booked | None) -> bool:
    if theirs is None or not ours.has_moved:
        return ours.has_moved or theirs is not None
    return (ours.is_pull, ours.iban, ours.amount) != (theirs.is_pull, theirs.iban, theirs.amount)


def doubled(ours: Sequence[Transit], banks: Mapping[str, Told]) -> int:
    """How many were begun twice under one key, or executed twice by what the banks' statements show."""
    begun = Counter(each.key for each in ours)
    shown = Counter[str]()
    for told in banks.values():
        shown.update(told.lines)
    return sum(times > 1 for times in begun.values()) + sum(shown[each.reference] > 1 for each in ours)


def late(ours: Sequence[Transit]) -> int:
    """How many were not final by their `resolve_by`, or were told to be final more than once."""
    return sum(each.ended_at > each.resolve_by or len(each.ended) != 1 for each in ours)


def apart(banks: Mapping[str, Told]) -> int:
    """By how much our books and each bank's differ, in minor units, summed up."""
    return sum(abs(told.owed - sum(one.moved for one in told.booked)) for told in banks.values())


def outcomes(ours: Sequence[Transit]) -> dict[str, int]:
    """How many ended how, most frequent first."""
    return dict(Counter(" ".join(filter(None, (each.status, each.reason))) for each in ours).most_common())


def series(ours: Sequence[Transit]) -> list[Second]:
    """Second by second from the first of them: what was begun, what completed, and what was declined or reversed.
    Latencies are of what ended then, from its beginning."""
    time = _Time(ours)
    seconds = [Second(number) for number in range(time.seconds)]
    took: list[list[float]] = [[] for _ in seconds]
    for each in ours:
        seconds[time.second(each.created_at)].wanted += 1
        if math.isfinite(each.ended_at):
            at = time.second(each.ended_at)
            seconds[at].completed += each.status == "completed"
            seconds[at].refused += each.status != "completed"
            took[at].append((each.ended_at - each.created_at) * 1e3)
    for second, found in zip(seconds, took, strict=True):
        second.p50_ms, second.p99_ms = round(percentile(found, 0.5), 2), round(percentile(found, 0.99), 2)
    return seconds


def standing(ours: Sequence[Transit]) -> dict[str, list[int]]:
    """How many were not final at the end of each second, by their bank."""
    time = _Time(ours)
    found = {bank: [0] * time.seconds for bank in sorted({each.bank for each in ours})}
    for each in ours:
        end = time.second(each.ended_at) if math.isfinite(each.ended_at) else time.seconds
        for second in range(time.second(each.created_at), end):
            found[each.bank][second] += 1
    return found


class _Time:
    """From the first beginning to the last end of these, in whole seconds."""

    def __init__(self, ours: Sequence[Transit]) -> None:
        moments = [at for each in ours for at in (each.created_at, *each.ended)]
        self._began_at = min(moments, default=0.0)
        self.seconds = self.second(max(moments)) + 1 if moments else 0

    def second(self, at: float) -> int:
        return int(at - self._began_at)
