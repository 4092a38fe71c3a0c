"""The hall in which a line of one class and tenant waits, before all gateways: where it stands, and who stands where.

    gateway 0 (leads)   position ──▶ moves by the least pace that a living gateway offers
    gateway 1           … reads it there, and goes on itself when the leader's word is old

    last tag of a lane = the greatest that any gateway has written; whoever gives a place writes one more

Each gateway writes its own cells and reads the others'; there is no lock. The first of those that live,
line by line, leads: it moves the position, and its word is good for a second. Two who lead for a moment
say nearly the same. Two who give a place in the same lane within a microsecond give it twice, which
costs one request that comes in a little early.

A gateway offers the pace at which those who come to *it* would be as many as it can let in. Of a line's holders
seven in ten may come to one of two gateways, for connections are not spread evenly; the line moves as
fast as that one can bear, and what the other has left goes to newcomers.

A lane keeps the last slot it was told, too: who asks later is never told an earlier one, though capacity grows.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from typing import Final, TypeAlias

from unbusy.admission.shared import HEAD, LANES, LIVE_S

# The head of what a gateway keeps of a line.
_POSITION, _AT, _SPEED, _TOLD, _OFFER, _RATE, _CAME, _DUE = range(HEAD)
# What is told reckons with so much of the pace: capacity is measured and flickers, and who comes when the
# place is due already is let in at once. What that leaves over goes to newcomers.
_SURE: Final = 0.9
# A better pace is believed after some seconds, a worse one soon: who is told too early a time comes in vain.
_BETTER_S: Final = 1.5
_WORSE_S: Final = 0.6
# The fraction of a lane's tags: its number with the bits reversed, so that lanes in use are spread evenly.
_FRACTIONS: Final = tuple(int(f"{lane:06b}"[::-1], 2) / LANES for lane in range(LANES))
# Beyond it a number of eight bytes has no sixty-fourths any more; a century at a million a second is less.
_MOST_POSITION: Final = 2.0**46
# More than any number of gateways can do.
_MOST_PACE: Final = 1e7

Cells: TypeAlias = "memoryview[float]"


class Hall:
    """See the module. `kept` is what each gateway keeps, `own` which of them this is. No wait exceeds `longest_s`."""

    __slots__ = (
        "_at",
        "_kept",
        "_lead",
        "_live",
        "_longest_s",
        "_own",
        "_pace",
        "_speed",
        "active",
        "end",
        "position",
        "told_pace",
    )  # fmt: skip

    def __init__(self, kept: Sequence[Cells], own: int, rate: float, longest_s: float, now: float) -> None:
        self._kept = kept
        self._own = kept[own]
        self._longest_s = longest_s
        self._at = now
        self._pace = rate
        self.end = 0.0
        """The last tag given."""
        self._live = [cells for cells in kept if _is_live(cells, now) or cells is self._own]
        others = [cells for cells in self._live if cells is not self._own]
        self._lead = others[0] if others else self._own
        self.position: float = _where(self._lead, now) if others else _stood(self._own, rate * longest_s, now)
        kept_before = self._own.tolist()
        self._own[:] = array("d", bytes(self._own.nbytes))
        self._own[_TOLD] = self.told_pace = rate * len(self._live)
        self._take_over(kept_before, rate * longest_s, now)
        self._count()
        self._speed: float = rate / max(1, self.active)

    def advance(self, now: float) -> None:
        """Let it go on to this time."""
        passed = now - self._at
        self._at = now
        lead = self._lead
        if lead is self._own:
            # A clock that was set back stops the line for no longer than this one call.
            if passed > 0:
                self.position += passed * self._speed
        else:
            # In as many lanes as the leader knows of, or this gateway does: with fewer, one runs ahead of it.
            position = lead[_POSITION] + min(lead[_SPEED], self._speed) * (now - lead[_AT])
            self.position = max(self.position, position)

    def give(self, hand: Sequence[int], *, is_impatient: bool) -> tuple[float, float]:
        """The tag of a new place in a lane of this hand, and the seconds until its slot. Too long a wait gives none."""
        cells, position = self._own, self.position
        lane = max(hand, key=cells.__getitem__) if is_impatient else min(hand, key=cells.__getitem__)
        last, slot = self._last(lane)
        if last + 1.0 > position:
            active = self.active
            tag = last + 1.0
        else:
            active = self.active + 1
            tag = position // 1.0 + _FRACTIONS[lane - HEAD]
            if tag <= position:
                tag += 1.0
        each = active / (self.told_pace * _SURE)
        wait = max((tag - position) * each, slot + each - self._at)
        if wait <= self._longest_s:
            cells[lane] = tag
            cells[lane + LANES] = self._at + wait
            if active != self.active:
                self.active = active
                self._speed = self._pace / active
                self._tell()
            self.end = max(self.end, tag)
        return tag, wait

    def wait_of(self, tag: float) -> float:
        """Seconds until this place is due, below zero when it has been. A place the line never gave is due."""
        return (tag - self.position) * self.active / self.told_pace if tag <= self.end else 0.0

    def share(self, rate: float, came: float, due: float) -> tuple[float, float]:
        """Tell the others one's rate, and how many holders came to oneself and fell due by one's own word.

        Gives the share of all holders who came, and the part of those who came to this gateway.
        """
        own = self._own
        own[_RATE], own[_CAME], own[_DUE] = rate, came, due
        rates = sum(cells[_RATE] for cells in self._live)
        all_came = sum(cells[_CAME] for cells in self._live) + rates
        all_due = sum(cells[_DUE] for cells in self._live) + rates
        return all_came / all_due, (came + rate) / all_came

    def look(self, now: float, offer: float, lasting: float, passed: float) -> None:
        """See who lives and what was given, and offer this pace; what is told goes by how much of it was to last in
        the last seconds."""
        own, before = self._own, self._live
        self._live = [cells for cells in self._kept if cells is own or _is_live(cells, now)]
        self._lead = self._live[0]
        if self._lead is not own:
            self.position = _where(self._lead, now)
        # Also from those who died since: what they gave is given.
        for cells in before:
            if cells is not own:
                self._take_over(cells, _MOST_PACE * self._longest_s, now)
        self._count()
        own[_OFFER] = offer
        told = own[_TOLD]
        own[_TOLD] += (lasting - told) * (1 - math.exp(-passed / (_BETTER_S if lasting > told else _WORSE_S)))
        self._pace = min(cells[_OFFER] for cells in self._live)
        self.told_pace = min(cells[_TOLD] for cells in self._live)
        self._speed = self._pace / max(1, self.active)
        self._tell()

    def _tell(self) -> None:
        self._own[_POSITION], self._own[_AT], self._own[_SPEED] = self.position, self._at, self._speed

    def _last(self, lane: int) -> tuple[float, float]:
        """The last tag given in a lane, by whomever, and the last slot told."""
        last, slot = self._own[lane], self._own[lane + LANES]
        for cells in self._live:
            # What is not a number is less than nothing, too.
            last = max(last, cells[lane])
            slot = max(slot, cells[lane + LANES])
        return last, slot

    def _take_over(self, cells: Sequence[float] | Cells, most: float, now: float) -> None:
        """Take over what is later, of tags and slots, but nothing that cannot be. No tag is more than `most` ahead.

        A tag of zero is more than one behind any position, so that its lane is free.
        """
        own = self._own
        for begin, bound in ((HEAD, self.position + most), (HEAD + LANES, now + self._longest_s)):
            pairs = zip(own[begin : begin + LANES], cells[begin : begin + LANES], strict=True)
            # What is not a number is neither more nor less than another.
            later = [theirs if ours < theirs <= bound else ours for ours, theirs in pairs]
            own[begin : begin + LANES] = array("d", later)

    def _count(self) -> None:
        """In how many lanes a place was given less than one ago: a newcomer there would have to wait."""
        tags, least = self._own[HEAD : HEAD + LANES].tolist(), self.position - 1.0
        self.active = sum(last > least for last in tags)
        self.end = max(tags)


def _is_live(cells: Cells, now: float) -> bool:
    """Whether its owner wrote lately, and nothing that cannot be. Nothing compares with what is not a number."""
    return (
        abs(now - cells[_AT]) <= LIVE_S
        and 1 <= cells[_POSITION] < _MOST_POSITION
        and cells[_OFFER] > 0 < cells[_TOLD]
        and all(0 <= value < _MOST_POSITION for value in cells[_SPEED:HEAD])
    )


def _where(cells: Cells, now: float) -> float:
    return cells[_POSITION] + cells[_SPEED] * max(0.0, now - cells[_AT])


def _stood(cells: Cells, most_speed: float, now: float) -> float:
    """The position of a line that nobody has moved since its owner died. Who was told a time in between is due now."""
    if not (1 <= cells[_POSITION] < _MOST_POSITION and 0 <= cells[_SPEED] < most_speed and cells[_AT] >= 0):
        return 1.0
    return _where(cells, now)
