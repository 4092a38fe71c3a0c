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
_QUEUEING_S: Final = 0.3
# How far above the completions the limit may stand while nothing queues: at first, and later.
_STARTING_GAIN: Final = 1.0
_GAIN: Final = 0.15
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
# The limit binds when so much of it is asked for.
_BINDS: Final = 0.95
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
    completed = _averaged(capacity.completed, sample.completed / sample.seconds, sample.seconds / _COMPLETIONS_S)
    queueing_s = _averaged(capacity.queueing_s, sample.queueing_s, sample.seconds / _QUEUEING_S)
    steps = min(sample.seconds / _STEP_S, 10.0)
    has_queued = capacity.has_queued or queueing_s > target_s / 2
    binds = sample.offered >= _BINDS * capacity.limit * sample.seconds
    limit, good = capacity.limit, capacity.good
    wanted = completed * (1 + (_GAIN if has_queued else _STARTING_GAIN) * (1 - queueing_s / target_s))
    if queueing_s > target_s:
        limit = max(min(limit, wanted), limit * _FALL**steps)
        if _STANDSTILL * good < completed < good:
            good += (completed - good) * min(1.0, _DOUBT * steps)
    else:
        if binds and (has_queued or wanted > limit):
            limit = max(wanted, limit * _FALL**steps)
        if limit < _RESUME * good:
            limit += (_RESUME * good - limit) * min(1.0, _RESUME_STEP * steps)
        if binds and completed > good:
            good += (completed - good) * min(1.0, _BELIEVE * steps)
    return Capacity(min(max(limit, LEAST), MOST), good, completed, queueing_s, has_queued)


def _averaged(before: float, sample: float, weight: float) -> float:
    """The exponential average, `weight` being the sample's length in time constants."""
    return before + (sample - before) * (1 - math.exp(-weight))
