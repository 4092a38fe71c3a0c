"""How much one gateway can do, found by watching it. Pure: (state, sample) to state.

    completed ─▶ limit = completed · (1 + gain · (1 − queueing / target))
                 ▲ only while the limit is what binds, or work queues too long

Overload is told by *queueing time*, as in WeChat's DAGOR (Zhou et al., SoCC 2018): processors may be
idle and answers slow for other reasons, but work that waits 20 ms on average came too fast. Because
the limit is a multiple of what was completed, it grows only while completions follow, it falls as
fast as they do, and it settles where the mean queueing time is the target.

A server that stood still says nothing about how fast it is. The last good capacity is therefore kept
through a freeze and taken up again, at nine tenths, when work flows; one that flows more slowly than
it did lowers it.

Some of the queueing is no sign of anything: where a commit takes 30 ms, work waits for the one before
it at any rate. What is seen while little is asked for is how this machine is *at rest*, and the target
counts from there.
"""

from __future__ import annotations

import math
from typing import Final

import msgspec

TARGET_S: Final = 0.020

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
# How far above the completions the limit may stand: at first, while next to nothing queues, and near the
# target. There it must be little, or the limit swings: target / gain is how many seconds it takes to
# settle, and has to be longer than it takes to measure.
_STARTING_GAIN: Final = 1.0
_FREE_GAIN: Final = 0.15
_GAIN: Final = 0.06
_FREE: Final = 0.05
# What flows off at full speed is not helped by letting less in than this part of it.
_LEAST_PART: Final = 0.7
# The most it falls in a tenth of a second.
_FALL: Final = 0.7
# Of the last good capacity, where to go on after a disturbance, and how much of the way at a time.
_RESUME: Final = 0.9
_RESUME_STEP: Final = 0.3
# How fast good capacity is believed, per tenth of a second, upwards and downwards.
_BELIEVE: Final = 0.1
_DOUBT: Final = 0.2
# Below this part of the good capacity completions are a standstill, not a speed.
_STANDSTILL: Final = 0.2
# Part of the target from which on queueing is a sign of having met the limit.
_MEETS: Final = 0.5
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
    has_queued = capacity.has_queued or pressure > _MEETS
    gain = _GAIN if pressure > _FREE else _FREE_GAIN if has_queued else _STARTING_GAIN
    wanted = max(completed * max(_LEAST_PART, 1 + gain * (1 - pressure)), capacity.limit * _FALL**steps)
    binds = sample.offered >= _BINDS * capacity.limit * sample.seconds
    if pressure > 1:
        # Less than flows off, so that the queue gets shorter; after a freeze that is more than before.
        limit = wanted
        good = _doubted(capacity.good, completed, sample.completed / sample.seconds, steps)
    else:
        limit, good = _grown(capacity, completed, wanted if binds else None, steps, is_careful=has_queued)
    return Capacity(min(max(limit, LEAST), MOST), good, completed, queueing_s, rest_s, has_queued)


def _at_rest(capacity: Capacity, sample: Sample, queueing_s: float, target_s: float, steps: float) -> float:
    # At the very bottom nothing can be due to load either.
    is_idle = sample.offered < capacity.limit * sample.seconds / 2 or capacity.limit <= 2 * LEAST
    if is_idle and queueing_s > capacity.rest_s:
        most = min(queueing_s, _MOST_REST * target_s)
        return capacity.rest_s + max(0.0, most - capacity.rest_s) * _REST_BELIEVE * steps
    return min(capacity.rest_s, queueing_s)


def _doubted(good: float, completed: float, just_completed: float, steps: float) -> float:
    """Good capacity after a sample in which too much queued: lower, unless all stood still or just moves again."""
    if just_completed < _STANDSTILL * good:
        return good
    return good + min(0.0, max(completed, just_completed) - good) * min(1.0, _DOUBT * steps)


def _grown(
    capacity: Capacity, completed: float, wanted: float | None, steps: float, *, is_careful: bool
) -> tuple[float, float]:
    """Limit and good capacity after a sample in which nothing queued; `wanted` when the limit was what bound."""
    limit, good = capacity.limit, capacity.good
    if wanted is not None:
        limit = wanted if is_careful else max(limit, wanted)
        if completed > good:
            good += (completed - good) * min(1.0, _BELIEVE * steps)
    if limit < _RESUME * good:
        # From where it was: what completes at a low limit says nothing against a higher one.
        limit = max(limit, capacity.limit) + (_RESUME * good - capacity.limit) * min(1.0, _RESUME_STEP * steps)
        limit = min(limit, _RESUME * good)
    return limit, good


def _averaged(before: float, sample: float, weight: float) -> float:
    """The exponential average, `weight` being the sample's length in time constants."""
    return before + (sample - before) * (1 - math.exp(-weight))
