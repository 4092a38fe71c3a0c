"""When will it be done? Promises from what was measured of a queue, and what is learnt from keeping them.

    wait (p50)   rest + cost before it / drain       drain: this queue's own, never the total throughput
    wait (p90)   p50 × stretch                       stretch: what lately covered nine waits in ten
    finish_by    cost before it / floor              the floor: what is drained even at the peak

The stretch is adaptive conformal inference (Gibbs and Candès, 2021): a quantile of the recent ratios
of actual to expected waits, at a level that moves by itself until one promise in ten at most is broken,
whatever the load does; nothing is assumed about how waits are distributed. Short and long waits err
differently and are learnt apart (Mondrian conformal prediction). A promise counts as broken the
moment it is overdue: waiting for its end would go on promising too little for as long as it lasts.

Every payment of a queue costs its worker the same, so the cost before one is the number before it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import accumulate
from typing import NamedTuple
from uuid import UUID

import msgspec

# Of ten likely times nine are kept. Aimed at is half as many misses: a load that changes costs a few,
# in the simulated queues up to seven in a hundred.
MISSED_AT_MOST = 0.05

# No finish_by is nearer than this, if that much may be promised at all: it outlives a database that
# freezes for ten seconds and a worker that is started again.
SHORTEST_S = 30.0

# A worker tells of its queue every second. Five without a word: nobody is draining it.
SILENCE_S = 5.0

# A new measurement of the drain weighs as much as all older ones after so many busy seconds: soon
# enough to follow a drain that halves, late enough to be steadier than single batches.
_DRAIN_MEMORY_S = 2.0
_REST_MEMORY = 20.0

# What was late is not revised again for so long, so that a bad minute does not fill the disk.
_SOONEST_REVISION_S = 5.0

# Seconds of expected wait from which one belongs to the next class of waits.
_LONG_FROM_S = (1.0, 5.0)

# Ratios of actual to expected waits are kept in buckets that grow by a tenth, from 0.05 to 44.
_FIRST_RATIO, _GROWTH, _BUCKETS = 0.05, 1.1, 72
# How much of what was learnt is kept each time there is something new, which is once a second at
# most: a minute or so, long enough to have seen the pace change and short enough to forget a bad day.
_KEPT = 0.98
# How far one second of broken promises moves the level that is aimed at, and the bounds of that.
_GAIN, _MANY = 0.05, 20
_AIMED_AT = (0.002, 0.3)
_LESS_THAN_ONCE = 0.9
# Until there is something to learn from.
_FIRST_STRETCH, _ENOUGH = 2.0, 20.0
# What is done first is learnt first, and says that all goes faster than it does.
_LEAST_STRETCH = 1.15


class Outcome(StrEnum):
    """What became of a promise. One whose payer thought again says nothing about us."""

    kept = "kept"
    broken = "broken"
    withdrawn = "withdrawn"


class Terms(NamedTuple):
    """What an operator promises: settled within `longest_s`, by a queue that drains `floor_per_s` at the least."""

    longest_s: float
    floor_per_s: float

    @property
    def most(self) -> int:
        """The longest backlog whose last is still done in time."""
        return int(self.longest_s * self.floor_per_s)


class Lesson(msgspec.Struct, frozen=True):
    """What is known of one class of waits: how often each ratio of actual to expected came, and the
    share of misses to aim at so that no more than one in ten is missed."""

    ratios: tuple[float, ...] = (0.0,) * _BUCKETS
    # Careful at first: what one burst teaches is one experience, however many promises it held.
    aim: float = 0.03

    @property
    def stretch(self) -> float:
        """By what an expected wait is multiplied to be likely."""
        total = sum(self.ratios)
        if total < _ENOUGH:
            return _FIRST_STRETCH
        return max(_LEAST_STRETCH, quantile(self.ratios, 1 - self.aim))


class Queue(msgspec.Struct, frozen=True):
    """What is known of a queue. `rest_s` is what one waits who finds nobody before them."""

    drain_per_s: float
    rest_s: float = 0.1
    heard_at: datetime | None = None
    lessons: tuple[Lesson, ...] = (Lesson(),) * (len(_LONG_FROM_S) + 1)

    def is_paused_at(self, now: datetime) -> bool:
        """Whether nobody drains it: then no time is better than a false one."""
        return self.heard_at is None or (now - self.heard_at).total_seconds() > SILENCE_S

    def expected_s(self, ahead: float) -> float:
        """Seconds that half of those wait less than who have so many before them."""
        return self.rest_s + ahead / self.drain_per_s

    def likely_s(self, expected_s: float) -> float:
        """Seconds that nine of ten wait less than who are expected to wait so long."""
        return expected_s * self.lessons[_class_of(expected_s)].stretch


class Promise(msgspec.Struct, frozen=True):
    """What is promised to one who has `ahead` before them. While the queue is paused there is only `finish_by`."""

    ahead: int
    made_at: datetime
    expected_at: datetime | None
    likely_by: datetime | None
    finish_by: datetime


class Overdue(NamedTuple):
    """A promise whose likely time has passed, with what is before it now. `was_overdue`: it had been before."""

    payment_id: UUID
    ahead: int
    made_at: datetime
    expected_at: datetime
    promised_by: datetime
    finish_by: datetime
    was_overdue: bool


class Backlog:
    """How many are before a newcomer, between two counts: who came is added, who was drained is not
    there any more, as far as one knows."""

    def __init__(self, counted: int, at: datetime) -> None:
        self.most = counted
        self._level = float(counted)
        self._at = at

    def join(self, queue: Queue, now: datetime, many: int = 1) -> float:
        """How many are before the first of `many` who come now."""
        passed = max(0.0, (now - self._at).total_seconds())
        ahead = max(0.0, self._level - (0 if queue.is_paused_at(now) else queue.drain_per_s * passed))
        self._level, self._at = ahead + many, now
        self.most += many
        return ahead


def promise(
    queue: Queue, ahead: float, most_ahead: int, now: datetime, terms: Terms, *, recorded_in_s: float = 0.0
) -> Promise:
    """What is promised to one who has about `ahead` before them and certainly no more than `most_ahead`,
    and is in the queue as soon as it is recorded."""
    expected_s = None if queue.is_paused_at(now) else recorded_in_s + queue.expected_s(ahead)
    return Promise(
        ahead=round(ahead),
        made_at=now,
        expected_at=_after(now, expected_s),
        likely_by=_after(now, None if expected_s is None else queue.likely_s(expected_s)),
        finish_by=now + timedelta(seconds=min(terms.longest_s, max(SHORTEST_S, (most_ahead + 1) / terms.floor_per_s))),
    )


def revised(queue: Queue, late: Overdue, now: datetime, terms: Terms) -> Promise:
    """What is promised instead to one whose likely time has passed.

    `finish_by` moves only if it would be missed at the pace there is, before it has passed, once, and by
    no more than the longest promise: there is an end, and after it nothing happens any more.
    """
    expected_s = queue.expected_s(late.ahead)
    likely_by = now + timedelta(seconds=max(_SOONEST_REVISION_S, queue.likely_s(expected_s)))
    is_first = late.finish_by == late.promised_by
    moves = is_first and now < late.finish_by < now + timedelta(seconds=expected_s)
    longest = now + timedelta(seconds=terms.longest_s)
    return Promise(
        ahead=late.ahead,
        made_at=now,
        expected_at=now + timedelta(seconds=expected_s),
        likely_by=likely_by,
        finish_by=max(late.finish_by, min(likely_by, longest)) if moves else late.finish_by,
    )


class Measured(NamedTuple):
    """How a queue was drained for a while: payments and the seconds they took, in all and in large
    batches; those who had found nobody before them and the seconds they waited."""

    settled: int = 0
    busy_s: float = 0.0
    settled_large: int = 0
    busy_large_s: float = 0.0
    rests: int = 0
    rested_s: float = 0.0


def learned(queue: Queue, measured: Measured, outcomes: Iterable[tuple[float, float, bool]], now: datetime) -> Queue:
    """The queue after a while in which this was measured, with these outcomes: seconds a promise
    expected, seconds it took, whether the likely time was missed."""
    drain, rest = queue.drain_per_s, queue.rest_s
    if measured.busy_large_s > 0:
        pace = measured.settled_large / measured.busy_large_s
        drain = _mixed(drain, pace, measured.busy_large_s / _DRAIN_MEMORY_S)
    elif measured.busy_s > 0:
        # Small batches cost more each, so they only show what the queue is able to at the least.
        drain = max(drain, measured.settled / measured.busy_s)
    if measured.rests:
        rest = _mixed(rest, measured.rested_s / measured.rests, measured.rests / _REST_MEMORY)
    classes: list[list[tuple[float, bool]]] = [[] for _ in queue.lessons]
    for expected_s, took_s, is_missed in outcomes:
        classes[_class_of(expected_s)].append((took_s / expected_s, is_missed))
    lessons = tuple(_taught(*each) for each in zip(queue.lessons, classes, strict=True))
    return Queue(max(drain, 1.0), max(rest, 0.001), now, lessons)


def _taught(lesson: Lesson, outcomes: Sequence[tuple[float, bool]]) -> Lesson:
    if not outcomes:
        return lesson
    counts = [0.0] * _BUCKETS
    for ratio, _ in outcomes:
        counts[bucket(ratio)] += 1
    ratios = tuple(_KEPT * old + new for old, new in zip(lesson.ratios, counts, strict=True))
    missed = sum(is_missed for _, is_missed in outcomes) / len(outcomes)
    step = _GAIN * min(1.0, len(outcomes) / _MANY) * (MISSED_AT_MOST - missed)
    return Lesson(ratios, min(max(lesson.aim + step, _AIMED_AT[0]), _AIMED_AT[1]))


def _class_of(expected_s: float) -> int:
    return sum(expected_s >= bound for bound in _LONG_FROM_S)


def bucket(ratio: float) -> int:
    """Which of the buckets a ratio falls into."""
    place = math.log(max(ratio, _FIRST_RATIO) / _FIRST_RATIO, _GROWTH)
    return min(int(place), _BUCKETS - 1)


def quantile(buckets: Sequence[float], share: float) -> float:
    """The ratio that this share of what the buckets hold does not exceed, at a bucket's precision."""
    wanted = share * sum(buckets)
    below = 0.0
    for index, (weight, upto) in enumerate(zip(buckets, accumulate(buckets), strict=True)):
        if weight and upto >= wanted:
            return _FIRST_RATIO * _GROWTH ** (index + (wanted - below) / weight)
        below = upto
    return _FIRST_RATIO * _GROWTH**_BUCKETS


class Ended(NamedTuple):
    """A promise at its end. `was_overdue`: it was counted as missed, and learnt from, before."""

    ahead: int
    made_at: datetime
    expected_at: datetime | None
    likely_by: datetime | None
    was_overdue: bool
    outcome: Outcome
    at: datetime

    @property
    def took_s(self) -> float:
        return max(0.001, (self.at - self.made_at).total_seconds())

    @property
    def lesson(self) -> tuple[float, float, bool] | None:
        """What there is to learn: seconds expected, seconds it took, whether the likely time was missed."""
        if self.expected_at is None or self.likely_by is None or self.was_overdue:
            return None
        return (self.expected_at - self.made_at).total_seconds(), self.took_s, self.at > self.likely_by

    @property
    def sharpness(self) -> float | None:
        """How many times the actual wait the likely one was. Of what was revised we only know: less than once."""
        if self.likely_by is None:
            return None
        return _LESS_THAN_ONCE if self.was_overdue else (self.likely_by - self.made_at).total_seconds() / self.took_s


class Tally(NamedTuple):
    """How many of some promises were kept, by `finish_by` and by `likely_by`; `sharpness` by `bucket`."""

    kept: int
    broken: int
    likely_kept: int
    likely_missed: int
    sharpness: list[int]


def tally(ended: Sequence[Ended]) -> Tally:
    """Count what became of these promises."""
    ratios = [ratio for promise in ended if (ratio := promise.sharpness) is not None]
    missed = sum(ratio < 1 for ratio in ratios)
    sharpness = [0] * _BUCKETS
    for ratio in ratios:
        sharpness[bucket(ratio)] += 1
    kept = sum(promise.outcome is Outcome.kept for promise in ended)
    return Tally(kept, len(ended) - kept, len(ratios) - missed, missed, sharpness)


class Hour(NamedTuple):
    """What became of a class's promises that ended within one hour. `sharpness` counts, by `bucket`, how
    many times the actual wait the likely one was."""

    name: str
    begins_at: datetime
    kept: int
    broken: int
    likely_kept: int
    likely_missed: int
    sharpness: Sequence[int]

    @property
    def coverage(self) -> float | None:
        """The share of likely times that were kept; None when there was none."""
        likely = self.likely_kept + self.likely_missed
        return round(self.likely_kept / likely, 3) if likely else None

    @property
    def median_sharpness(self) -> float | None:
        """How many times the actual wait the likely one was, in the median; None when there was none."""
        return round(quantile(self.sharpness, 0.5), 2) if any(self.sharpness) else None


def summed(hours: Sequence[Hour]) -> Hour:
    """All of these hours of one class as one. There is at least one."""
    return Hour(
        name=hours[0].name,
        begins_at=min(hour.begins_at for hour in hours),
        kept=sum(hour.kept for hour in hours),
        broken=sum(hour.broken for hour in hours),
        likely_kept=sum(hour.likely_kept for hour in hours),
        likely_missed=sum(hour.likely_missed for hour in hours),
        sharpness=[sum(counts) for counts in zip(*(hour.sharpness for hour in hours), strict=True)],
    )


def _mixed(old: float, new: float, weight: float) -> float:
    return old + (1 - math.exp(-weight)) * (new - old)


def _after(now: datetime, seconds: float | None) -> datetime | None:
    return None if seconds is None else now + timedelta(seconds=seconds)
