"""How well a bank does what it is asked, from nothing but the calls to it.

    open ──▶ closed ──▶ reopening ──▶ open        of one operation: how many calls may be under way
      the bank is down   │ one call, then twice as many each second
             ▲           │
             └───────────┘ the first fails, or so many that the bank is down

Judged are the calls of the last ten seconds, by the lower end of what their failures prove (Wilson's
interval), so that one failure of one call proves little, and two of forty no more. An operation that
nobody has called is as well as enquiries are: those risk nobody's money, and are made for that.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from enum import StrEnum
from statistics import median
from typing import NamedTuple


class Operation(StrEnum):
    """What a bank is called for."""

    send_pull = "send_pull"
    send_push = "send_push"
    enquire = "enquire"


class Outcome(StrEnum):
    """What a call ended with, as far as it speaks of the bank's health."""

    good = "good"
    declined = "declined"  # for a reason of the business: the bank does its work
    failed = "failed"  # no answer, or the bank took nothing
    maintenance = "maintenance"  # the bank took nothing, because it is closed and says so


class Condition(StrEnum):
    """How an operation fares, from good to bad."""

    operational = "operational"
    degraded = "degraded"
    maintenance = "maintenance"
    down = "down"


class Pulse(NamedTuple):
    """One operation as it is now. `p50_s` is in seconds, None when nothing was answered lately; so is
    `last_good` (of the clock that was passed in) when nothing ever was."""

    operation: Operation
    condition: Condition
    p50_s: float | None
    last_good: float | None


class Call(NamedTuple):
    """A call under way."""

    operation: Operation
    began: float


class _Ended(NamedTuple):
    at: float
    took_s: float
    outcome: Outcome


_CLOSED = {Condition.down, Condition.maintenance}

# Seconds: a fault shows within ten, and an end of it within thirty, of which reopening takes five.
WINDOW_S = 10.0
# Banks answer 99 of 100 calls within a second. What takes longer is no failure yet, and no good sign.
SLOW_S = 1.0
# Proven to be more than this share: slow or failed calls, failed calls.
_DEGRADED, _DOWN = 0.1, 0.5
_REOPENING_STEP_S = 1.0
# From a call that failed to the next one that risks money.
_PAUSE_S = 5.0
# Of all calls, those that may always enquire: that risks no money, and what is unknown must come to its end.
_ENQUIRIES = 0.25
# 95 % of intervals made so contain the truth.
_Z = 1.96


def least_share(hits: int, of: int) -> float:
    """The lower end of Wilson's interval (1927, score interval, 95 %) for a share of which `hits` of `of` were seen."""
    if not hits:
        return 0.0
    share, z2 = hits / of, _Z * _Z
    middle = share + z2 / (2 * of)
    margin = _Z * math.sqrt(share * (1 - share) / of + z2 / (4 * of * of))
    return max(0.0, (middle - margin) / (1 + z2 / of))


class Health:
    """One bank's health, as one worker sees it. Times are seconds of one clock that only grows.

    `most` is how many calls may be under way while all is well.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._windows = {operation: _Window() for operation in Operation}
        self._valves = {operation: _Valve(most) for operation in Operation}

    def begin(self, operation: Operation, now: float) -> Call:
        """A call begins; give it back to `end`."""
        call = Call(operation, now)
        self._windows[operation].under_way[call.began] += 1
        return call

    def end(self, call: Call, now: float, outcome: Outcome) -> None:
        """A call has ended."""
        self._windows[call.operation].end(call.began, now, outcome)
        if outcome in {Outcome.failed, Outcome.maintenance}:
            self._valves[call.operation].fail(now, has_answered=self._windows[call.operation].has_answered)
            self._turn(call.operation, now)

    def room(self, operation: Operation, now: float) -> int:
        """How many more calls of an operation may begin now."""
        allowed = self._turn(operation, now).room
        if operation is Operation.enquire:
            allowed = max(allowed, int(self._most * _ENQUIRIES))
        return max(0, allowed - self._windows[operation].under_way.total())

    def is_open(self, operation: Operation, now: float) -> bool:
        """Whether nothing is held back."""
        return self._turn(operation, now).is_open

    def is_closed(self, operation: Operation, now: float) -> bool:
        """Whether everything is held back: the bank is down, or says that it is closed."""
        return self._turn(operation, now).is_closed

    def pulse(self, operation: Operation, now: float) -> Pulse:
        """An operation as it is now."""
        window, valve = self._windows[operation], self._turn(operation, now)
        return Pulse(operation, valve.shown(self._judge(operation, now)), window.p50_s, window.last_good)

    def _turn(self, operation: Operation, now: float) -> _Valve:
        window, valve = self._windows[operation], self._valves[operation]
        if valve.is_closed and self._may_reopen(operation, now):
            if operation is not Operation.enquire:
                window.forget()
            valve.reopen(now)
        valve.turn(self._judge(operation, now), now, is_slow=window.overdue(now) > 0)
        return valve

    def _may_reopen(self, operation: Operation, now: float) -> bool:
        """Whether a call is worth it again: enquiries, which risk no money, have come through since the last
        failure."""
        enquiries, closed_at = self._windows[Operation.enquire], self._valves[operation].troubled_at
        if self._judge(Operation.enquire, now) in _CLOSED or now < closed_at + _PAUSE_S:
            return False
        return enquiries.last_good is not None and enquiries.last_good > closed_at

    def _judge(self, operation: Operation, now: float) -> Condition:
        window = self._windows[operation]
        window.slide(now)
        if window.is_empty(now) and operation is not Operation.enquire:
            return self._judge(Operation.enquire, now)
        return window.condition(now)


class _Window:
    """The calls of one operation: those of the last seconds, and those under way."""

    def __init__(self) -> None:
        self.under_way: Counter[float] = Counter()
        self.last_good: float | None = None
        self._ended: deque[_Ended] = deque()
        self._count: Counter[Outcome] = Counter()
        self._slow = 0

    def end(self, began: float, now: float, outcome: Outcome) -> None:
        self.under_way[began] -= 1
        if not self.under_way[began]:
            del self.under_way[began]
        self._ended.append(_Ended(now, now - began, outcome))
        self._count[outcome] += 1
        self._slow += _is_slow(self._ended[-1])
        if outcome in {Outcome.good, Outcome.declined}:
            self.last_good = now

    def slide(self, now: float) -> None:
        """Forget what ended too long ago."""
        while self._ended and self._ended[0].at <= now - WINDOW_S:
            ended = self._ended.popleft()
            self._count[ended.outcome] -= 1
            self._slow -= _is_slow(ended)

    def forget(self) -> None:
        """What was says nothing any more."""
        self._ended.clear()
        self._count.clear()
        self._slow = 0

    def overdue(self, now: float) -> int:
        """How many calls under way should have been answered by now."""
        return sum(count for began, count in self.under_way.items() if now - began > SLOW_S)

    def is_empty(self, now: float) -> bool:
        """Whether nothing is known."""
        return not self._ended and not self.overdue(now)

    def condition(self, now: float) -> Condition:
        overdue, closed = self.overdue(now), self._count[Outcome.maintenance]
        failed = self._count[Outcome.failed] + closed
        if closed and 2 * closed >= failed and least_share(failed, len(self._ended)) > _DEGRADED:
            return Condition.maintenance
        if least_share(failed, len(self._ended)) > _DOWN:
            return Condition.down
        is_bad = least_share(failed + self._slow + overdue, len(self._ended) + overdue) > _DEGRADED
        return Condition.degraded if is_bad else Condition.operational

    @property
    def has_answered(self) -> bool:
        """Whether one of these calls was answered."""
        return self._count[Outcome.good] + self._count[Outcome.declined] > 0

    @property
    def p50_s(self) -> float | None:
        answered = [each.took_s for each in self._ended if each.outcome in {Outcome.good, Outcome.declined}]
        return median(answered) if answered else None


def _is_slow(ended: _Ended) -> bool:
    """Whether it was answered, and late."""
    return ended.outcome in {Outcome.good, Outcome.declined} and ended.took_s > SLOW_S


class _Valve:
    """Lets calls through: all of them, none, or one and then more. `troubled_at`: when it closed, or a call
    failed after that."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._closed: Condition | None = None
        self._reopened_at: float | None = None
        self.troubled_at = -math.inf
        self.room = most

    @property
    def is_open(self) -> bool:
        return self.room >= self._most

    @property
    def is_closed(self) -> bool:
        return self._closed is not None

    def fail(self, now: float, *, has_answered: bool) -> None:
        """A call failed. While reopening one is enough where none was answered yet: the others have waited so long,
        and can wait on. After an answer it is not, or a bank that loses every fifth call would never be open again."""
        self.troubled_at = now
        if self._reopened_at is not None and not has_answered:
            self._close(Condition.down, now)

    def reopen(self, now: float) -> None:
        """Let one call through, and more after it."""
        self._closed, self._reopened_at, self.room = None, now, 1

    def turn(self, judged: Condition, now: float, *, is_slow: bool) -> None:
        """Go on to where the valve should be now."""
        if judged in _CLOSED:
            self._close(judged, now)
        elif self._reopened_at is not None:
            if is_slow:  # a call that is not answered is no reason to send more after it
                self._reopened_at = now
            steps = min(int((now - self._reopened_at) / _REOPENING_STEP_S), self._most.bit_length())
            self.room = min(self._most, 1 << steps)
            if self.is_open:
                self._reopened_at = None

    def shown(self, judged: Condition) -> Condition:
        """What is said of the operation: that the bank is well again is not yet so for who waits."""
        return self._closed or (judged if self._reopened_at is None else Condition.degraded)

    def _close(self, judged: Condition, now: float) -> None:
        if not self._closed:
            self.troubled_at = now
        self._closed, self._reopened_at, self.room = judged, None, 0
