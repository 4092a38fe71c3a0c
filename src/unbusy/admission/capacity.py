"""How much one gateway can do, found by watching it. Pure: (state, sample) to state.

    nothing queues, all of the limit is asked for ─▶ a little more, as long as completions follow
    work queues longer than the target            ─▶ less at once, and the less the longer it lasts
    it is over                                    ─▶ back to nine tenths of what was good, within half a second

Overload is told by *queueing time*, as in WeChat's DAGOR (Zhou et al., SoCC 2018): processors may be
idle and answers slow for other reasons, but work that waits 40 ms on average came too fast. (There it
is 20 ms; here work is gathered into batches, and waits for the one before it in any case.)

Two kinds of trouble look alike at first. A machine that stands still for a moment (a slow disk, a
neighbour) loses nothing but that moment, and most machines do so every few seconds: giving up more
than a part of the limit for it would mean never to be at full speed. One that has become slower shows
by completing less while work waits, for longer than a moment. So *good*, the capacity that was once
reached, is kept through the first and doubted by the second; and a server that completes next to
nothing is frozen, which says nothing about how fast it is.

Some of the queueing is no sign of anything: where a commit takes 30 ms, work waits for the one before
it at any rate. What is seen while little is asked for is how this machine is *at rest*, and the target
counts from there.
"""

from __future__ import annotations

import math
from typing import Final

import msgspec

TARGET_S: Final = 0.040

# Cost units a second. Enough to learn from, when everything seems to stand still.
LEAST: Final = 20.0
# Where a gateway begins that knows nothing of its machine: two small processors do several times as much.
START: Final = 500.0
# Never reached by one process; it bounds what a damaged memory may claim.
MOST: Final = 1_000_000.0

# Over which completions are averaged: several batches, for they complete in lumps.
_COMPLETIONS_S: Final = 0.5
_QUEUEING_S: Final = 0.2
# Times the target; what waits longer only means "far too long", and is to be forgotten as fast.
_MOST_QUEUEING: Final = 5.0
# How much the limit grows in a tenth of a second: before it was ever met, and since, when nothing queues at
# all and when nearly too much does. And how far above the completions it may stand then.
_STARTING_GROWTH: Final = 0.25
_GROWTH: Final = 0.03
_LEAST_GROWTH: Final = 0.005
_STARTING_REACH: Final = 3.0
_REACH: Final = 1.2
# What it loses in a tenth of a second for each target by which too much queues, and at most; in the first
# second it keeps so much of what was good: most disturbances are over by then.
_FALL: Final = 0.04
_MOST_FALL: Final = 0.1
_HOLD: Final = 0.8
_MOMENT_S: Final = 1.0
# Of the last good capacity, where to go on after a disturbance, and how much of the way at a time.
_RESUME: Final = 0.9
_RESUME_STEP: Final = 0.3
# How fast good capacity is doubted while too much queues, per tenth of a second.
_DOUBT: Final = 0.05
# Below this part of the good capacity completions are a standstill, not a speed.
_STANDSTILL: Final = 0.2
# Part of the target below which the limit may grow.
_MEETS: Final = 0.6
# The limit binds when so much of it is asked for.
_BINDS: Final = 0.95
# How fast queueing at rest is believed to have grown, per tenth of a second, and how far: times the target.
_REST_BELIEVE: Final = 0.02
_MOST_REST: Final = 4.0
_STEP_S: Final = 0.1


class Sample(msgspec.Struct, frozen=True):
    """What happened in the last `seconds`, in cost units; `queueing_s` is the mean wait, loop lag included."""

    seconds: float
    completed: float
    offered: float
    queueing_s: float


class Capacity(msgspec.Struct, frozen=True):
    """What the controller knows. `limit` is what may be admitted, in cost units a second."""

    limit: float = START
    good: float = 0.0
    completed: float = 0.0
    queueing_s: float = 0.0
    rest_s: float = 0.0
    """Mean queueing time while little is asked for."""
    has_queued: bool = False
    """Whether it ever met its limit: from then on it grows carefully."""
    over_s: float = 0.0
    """For how long too much has queued."""


def resumed(good: float) -> Capacity:
    """Where a gateway goes on that knew `good` before it died; nonsense counts as nothing."""
    if not math.isfinite(good) or not LEAST <= good <= MOST:
        return Capacity()
    return Capacity(limit=_RESUME * good, good=good, completed=_RESUME * good, has_queued=True)


def follow(capacity: Capacity, sample: Sample, target_s: float = TARGET_S) -> Capacity:
    """The next state, after another sample (of some 0.1 s)."""
    if sample.seconds <= 0:
        return capacity
    steps = min(sample.seconds / _STEP_S, 10.0)
    completed = _averaged(capacity.completed, sample.completed / sample.seconds, sample.seconds / _COMPLETIONS_S)
    queueing_s = _averaged(
        capacity.queueing_s, min(sample.queueing_s, _MOST_QUEUEING * target_s), sample.seconds / _QUEUEING_S
    )
    rest_s = _at_rest(capacity, sample, queueing_s, target_s, steps)
    pressure = queueing_s / (target_s + rest_s)
    is_over = pressure > 1 and not _is_idle(capacity, sample)
    has_queued = capacity.has_queued or is_over
    binds = sample.offered >= _BINDS * capacity.limit * sample.seconds
    if is_over:
        over_s = capacity.over_s + sample.seconds
        good = _doubted(capacity.good, max(completed, sample.completed / sample.seconds), steps)
        least = _HOLD * good if over_s < _MOMENT_S else 0.0
        limit = _fallen(min(capacity.limit, max(completed, good)), least, pressure - 1, steps)
    else:
        over_s = 0.0
        good = max(capacity.good, completed)
        free = (1 - pressure / _MEETS) if binds else 0.0
        limit = _grown(capacity.limit, completed, good, steps, free, is_careful=has_queued)
    return Capacity(min(max(limit, LEAST), MOST), good, completed, queueing_s, rest_s, has_queued, over_s)


def _at_rest(capacity: Capacity, sample: Sample, queueing_s: float, target_s: float, steps: float) -> float:
    # At the very bottom nothing can be due to load either.
    if (_is_idle(capacity, sample) or capacity.limit <= 2 * LEAST) and queueing_s > capacity.rest_s:
        most = min(queueing_s, _MOST_REST * target_s)
        return capacity.rest_s + max(0.0, most - capacity.rest_s) * _REST_BELIEVE * steps
    return min(capacity.rest_s, queueing_s)


def _is_idle(capacity: Capacity, sample: Sample) -> bool:
    """Whether so little is asked for that a lower limit would turn away nobody who makes others wait."""
    return sample.offered < capacity.limit * sample.seconds / 2


def _doubted(good: float, completed: float, steps: float) -> float:
    """Good capacity while too much queues: towards what is completed, unless all stands still."""
    if completed >= good or completed < _STANDSTILL * good:
        return good
    return good + (completed - good) * min(1.0, _DOUBT * steps)


def _fallen(limit: float, least: float, excess: float, steps: float) -> float:
    """The limit while too much queues, by `excess` targets; not below `least` while it may be but a moment."""
    return max(limit * (1 - min(_MOST_FALL, _FALL * excess)) ** steps, min(limit, least))


def _grown(limit: float, completed: float, good: float, steps: float, free: float, *, is_careful: bool) -> float:
    """The limit while nothing queues for too long; `free` is how far it is from that, 1 is all the way."""
    # From where it was: what completes at a low limit says nothing against a higher one.
    back = limit + max(0.0, _RESUME * good - limit) * min(1.0, _RESUME_STEP * steps)
    if free <= 0:
        return back
    growth, reach = (_LEAST_GROWTH + _GROWTH * free, _REACH) if is_careful else (_STARTING_GROWTH, _STARTING_REACH)
    return max(back, min(limit * (1 + growth) ** steps, max(reach * completed, START)))


def _averaged(before: float, sample: float, weight: float) -> float:
    """The exponential average, `weight` being the sample's length in time constants."""
    return before + (sample - before) * (1 - math.exp(-weight))
