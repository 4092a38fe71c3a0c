"""The line of one class and tenant in one gateway: who is let in now, and who gets which place.

A line is a *bucket*, filled at the line's rate, from which everybody who comes in takes one; and a
counter in a waiting hall, with sixty-four *lanes* before it, which all gateways share (see `hall`).

    position ──▶ moves by rate / (lanes in which somebody waits) a second
    lane 0   ├────┼────┼────┤            tags, one apart: of those given the last one is kept
    lane 1   ├──┼────┼────┼────┼────┤    a place is due when the position has reached its tag
    …

That is fair queueing by virtual time (Demers, Keshav and Shenker, 1989) with one number a lane, the
generic cell rate algorithm. Whoever asks is dealt eight lanes by a hash (shuffle sharding, as in
Kubernetes' priority and fairness) and stands in the shortest. A crowd fills all lanes evenly and is
served in the order it came; one who asks for everything fills his own eight and no others. Each
lane's tags have a fraction of their own, so that places fall due one by one and not sixty-four at once.

Positions know no seconds. When the rate falls they stay, in order, and only their times move; when
lanes empty, the position moves faster. What a holder was told is the time at which, by the rate then,
the position would reach his tag; nobody is told an earlier one than was told before in his lane.

Who does not come back must not cost anybody: what is left in the bucket goes to newcomers, and when
many stay away the position moves faster than the rate (overbooking), and slows down when they come.
"""

from __future__ import annotations

import math
import random
from array import array
from collections.abc import Sequence
from typing import Final

from unbusy.admission.hall import Cells, Hall
from unbusy.admission.shared import HEAD, LANES

_HAND: Final = 8
HANDS: Final = 2048
# Always the same hands, in every gateway and after a restart.
_DEALER: Final = random.Random(0)  # noqa: S311 - spreads load; no secret depends on it
_HANDS: Final = tuple(tuple(_DEALER.sample(range(HEAD, HEAD + LANES), _HAND)) for _ in range(HANDS))

# In seconds of the rate: what may come in at once after a pause, for it queues inside, and as much must be
# left over before holders who are late are not waited for; how much too many of them may come in.
_BURST_S: Final = 0.04
_DEBT_S: Final = 0.03
_FEW: Final = 4.0
# Who comes in a crowd of late ones is asked back after this at the earliest: asking has its price, too.
LATER_S: Final = 0.1
# So much earlier than due one is let in: clocks and networks are not more exact.
TOLERANCE_S: Final = 0.05
# The line moves faster while its bucket fills, and slower while it is in debt: in so many seconds it would
# be even, but by no more than this part.
_EVEN_S: Final = 1.0
_MOST_HASTE: Final = 0.1
# How many tickets fall due in which second is kept so far ahead.
_TOLD_S: Final = 4096
# Over which it is counted how many come back, from which share on it is believed that all do, and
# how many times the rate is given out at most.
_SHOW_UP_S: Final = 10.0
_NEARLY_ALL: Final = 0.9
_MOST_OVERBOOKED: Final = 4.0
_DEMAND_S: Final = 0.5
# What it costs to turn one away, in parts of what it costs to serve one: where one core does everything, some 90 of
# 160 microseconds were measured.
_TURNING_AWAY: Final = 0.5
_LEAST_RATE: Final = 0.1


class Line:
    """See the module. `kept` is what each gateway keeps of it, and `own` which of them this is."""

    __slots__ = (
        "_at",
        "_burst",
        "_came",
        "_came_lately",
        "_counted_s",
        "_debt",
        "_due_lately",
        "_hall",
        "_late_at",
        "_left_over",
        "_longest_s",
        "_offered",
        "_overtaken",
        "_overtakers",
        "_rate",
        "_ticked_at",
        "_tokens",
        "_told",
        "demand",
    )  # fmt: skip

    def __init__(self, kept: Sequence[Cells], own: int, rate: float, longest_s: float, now: float) -> None:
        rate = max(rate, _LEAST_RATE)
        self._hall = Hall(kept, own, rate, longest_s, now)
        self._longest_s = longest_s
        self._at = self._late_at = self._ticked_at = now
        self._tokens = 0.0
        self._offered = self._came = self._overtakers = 0
        self._overtaken = 0.0
        self._due_lately = self._came_lately = 0.0
        self._told = array("I", bytes(4 * _TOLD_S))
        self._counted_s = int(now) - 2
        self.demand = 0.0
        """Requests a second that asked lately to come in, newcomers and holders whose time it was."""
        self._set_rate(rate, rate, 0.0)
        self._tokens = self._burst

    @property
    def waits(self) -> bool:
        """Whether anybody has a place that is not due yet."""
        return self._hall.end > self._hall.position

    def is_behind(self, now: float) -> bool:
        """Whether somebody has to wait: else whoever was told a later time may as well come in now."""
        self._advance(now)
        return self.waits or self._tokens < 1.0

    def has_room(self, now: float) -> bool:
        """Whether a newcomer may come in now. He is counted, but takes nothing yet."""
        self._advance(now)
        self._offered += 1
        waiting = self._hall.end - self._hall.position
        if waiting <= 0:
            return self._tokens >= 1.0
        # With places given, only what their holders leave: there is enough for them as well, or they stay away.
        return self._tokens >= min(self._left_over, 1.0 + waiting * self._hall.active)

    def enter(self) -> None:
        """A newcomer comes in."""
        self._tokens -= 1.0
        self._overtakers += self.waits

    def brake(self) -> None:
        """Nobody comes in for a moment."""
        self._tokens = min(self._tokens, -self._debt)

    def give_back(self) -> None:
        """Somebody who had come in was not served."""
        self._tokens += 1.0

    def place(self, who: int, *, is_impatient: bool = False) -> tuple[float, float]:
        """The tag of a new place, and the seconds until its slot. Too long a wait gives no place.

        `who` is a hash that deals the lanes. The impatient stand in the longest of theirs.
        """
        tag, wait = self._hall.give(_HANDS[who % HANDS], is_impatient=is_impatient)
        if wait <= self._longest_s:
            self._told[int(self._at + wait) % _TOLD_S] += 1
        return tag, wait

    def wait_of(self, tag: float, now: float) -> float:
        """Seconds until this place is due, below zero when it has been. A place the line never gave is due."""
        self._advance(now)
        return self._hall.wait_of(tag)

    def welcome(self, now: float) -> bool:
        """Let a holder in whose place is due, unless too many who are late came at once: see `later`."""
        self._advance(now)
        self._offered += 1
        if self._tokens <= -self._debt:
            return False
        self._tokens -= 1.0
        return True

    def came(self) -> None:
        """A holder came when he was told to, whatever becomes of him."""
        self._came += 1

    def later(self, now: float) -> float:
        """Seconds after which a holder who was not let in will be: one after the other, at the line's rate."""
        self._late_at = max(self._late_at, now + LATER_S) + 1 / self._rate
        return self._late_at - now

    def tell(self, slot_at: float) -> None:
        """A holder was told another slot, and is expected then."""
        self._told[int(slot_at) % _TOLD_S] += 1

    def tick(self, now: float, rate: float, sure: float) -> None:
        """Count, and go on at another rate (requests a second), of which so much is sure to last. For every tenth of
        a second or so."""
        self._advance(now)
        passed = now - self._ticked_at
        self._ticked_at = now
        if passed > 0:
            weight = 1 - math.exp(-passed / _DEMAND_S)
            self.demand += (self._offered / passed - self.demand) * weight
            self._overtaken += (self._overtakers / passed - self._overtaken) * weight
            self._offered = self._overtakers = 0
            self._count_who_came(now, passed)
        self._set_rate(max(rate, _LEAST_RATE), max(sure, _LEAST_RATE), max(0.0, passed))

    def _advance(self, now: float) -> None:
        self._hall.advance(now)
        passed = now - self._at
        self._at = now
        if passed > 0:
            tokens = self._tokens + passed * self._rate
            self._tokens = min(self._burst, tokens)

    def _count_who_came(self, now: float, passed: float) -> None:
        kept = math.exp(-passed / _SHOW_UP_S)
        self._due_lately *= kept
        self._came_lately = self._came_lately * kept + self._came
        self._came = 0
        # Counted a second after the one they were told, for some wait in whole seconds.
        for second in range(max(self._counted_s + 1, int(now) - _TOLD_S), int(now) - 1):
            self._due_lately += self._told[second % _TOLD_S]
            self._told[second % _TOLD_S] = 0
            self._counted_s = second

    def _set_rate(self, rate: float, sure: float, passed: float) -> None:
        self._rate = rate
        self._burst = max(_FEW, rate * _BURST_S)
        self._debt = max(_FEW, rate * _DEBT_S)
        came, part = self._hall.share(rate, self._came_lately, self._due_lately)
        # For holders, who come unevenly: for as many of them as do come.
        self._left_over = 1.0 + min(1.0, came) * (self._burst - 2.0)
        # Whom it gave out too many places, it owes: first they come in.
        is_safe = self.waits and self._tokens >= 0 and came < _NEARLY_ALL
        overbooked = min(_MOST_OVERBOOKED, 1 / came) if is_safe else 1.0
        haste = max(-_MOST_HASTE, min(_MOST_HASTE, self._tokens / (rate * _EVEN_S)))
        offer = rate / part * overbooked * (1 + haste)
        # Whoever is let in past those who wait would have been turned away first, had he waited: when all wait,
        # saying no takes that much of what can be done now.
        lasting = max(sure / 2, sure - _TURNING_AWAY * self._overtaken)
        self._hall.look(self._at, offer, offer * min(1.0, lasting / rate), passed)
