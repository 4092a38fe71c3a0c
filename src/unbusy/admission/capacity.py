"""How much one gateway can do, found by watching it. Pure: (state, sample) to state.

    limit
      │ ╲               nothing queues: more than is good, by a third, and the more the longer it is calm
      │   ╲
      │     ──•─        as much queues as may: what is good
      │          ╲
      │             ╲   too much queues: so much less that it is gone in `_DRAIN_S`
      └───────┴───────────▶ queueing time
            target

Overload is told by *queueing time*, as in WeChat's DAGOR (Zhou et al., SoCC 2018): processors may be
idle and answers slow for other reasons, but work that waits 25 ms on average came too fast. (There it
is 20 ms; here work is gathered into batches, and waits for the one before it in any case.) The limit is
set as routers set rates in RCP (Dukkipati, 2007): from what gets through and what queues now, and
from nothing else. A limit that is cut again and again goes on falling while the queue drains already;
this one is back the moment the queue is.

*Good* is what the gateway completes when it has enough to do, averaged over most of a second. Completing more
always proves more; completing less proves less only while too much queues, for otherwise less was
asked for. A machine that stands still for a moment (a slow disk, a neighbour), as most do every few
seconds, thus loses only that moment. One that stands still while its gate is closed is frozen, which
says nothing about how fast it is.

Some of the queueing is no sign of anything: where a commit takes 30 ms, work waits for the one before
it at any rate. What is seen while little is asked for is how this machine is *at rest*, and the target
counts from there.
"""

from __future__ import annotations

import math
from typing import Final

import msgspec

TARGET_S: Final = 0.025

# Cost units a second. Enough to learn from, when everything seems to stand still.
LEAST: Final = 20.0
# Where a gateway begins that knows nothing of its machine: two small processors do several times as much.
START: Final = 500.0
# Never reached by one process; it bounds what a damaged memory may claim.
MOST: Final = 1_000_000.0

# What queues too much is to be gone after about this time: long against a tenth of a second, after which
# a sample is seen, and against the queue itself, for who leaves it tells how long it was when he came.
_DRAIN_S: Final = 0.4
# Over which good capacity is learned: a stall and what makes up for it, and many batches.
_LEARN_S: Final = 0.8
# By which part of what is good more may come in when nothing queues, and by how much more for every second
# that it has been calm: near the limit a small wave is enough to meet it, far below many times as much is to come.
_GROWTH: Final = 0.3
_CALM_GROWTH: Final = 1.0
_MOST_CALM_S: Final = 1.5
# It is calm while less than this part queues of what may; what queues more undoes so many times its length.
_CALM: Final = 0.5
_UNDOES: Final = 3.0
# Below this part of the good capacity completions are a standstill, not a speed.
_STANDSTILL: Final = 0.2
# The limit binds when so much of it is asked for, and little is asked for when less than so much.
_BINDS: Final = 0.95
_IDLE: Final = 0.5
# Over which queueing at rest is learned, and how much is believed at most: times the target.
_REST_S: Final = 5.0
_MOST_REST: Final = 4.0
_LONGEST_SAMPLE_S: Final = 1.0


class Sample(msgspec.Struct, frozen=True):
    """What happened in the last `seconds`, in cost units; `queueing_s` is the mean wait, loop lag included."""

    seconds: float
    completed: float
    offered: float
    queueing_s: float


class Capacity(msgspec.Struct, frozen=True):
    """What the controller knows. `limit` is what may be admitted, in cost units a second."""

    limit: float = START
    good: float = START
    """What is completed a second when there is enough to do; at first, what is hoped for."""
    rest_s: float = 0.0
    """Mean queueing time while little is asked for."""
    calm_s: float = 0.0
    """For how long next to nothing has queued though all of the limit was asked for."""


def resumed(good: float) -> Capacity:
    """Where a gateway goes on that knew `good` before it died; nonsense counts as nothing."""
    if not math.isfinite(good) or not LEAST <= good <= MOST:
        return Capacity()
    return Capacity(limit=good, good=good)


def follow(capacity: Capacity, sample: Sample, target_s: float = TARGET_S) -> Capacity:
    """The next state, after another sample (of some 0.1 s)."""
    if sample.seconds <= 0:
        return capacity
    seconds = min(sample.seconds, _LONGEST_SAMPLE_S)
    rest_s = _at_rest(capacity, sample, target_s, seconds)
    may_queue_s = target_s + rest_s
    excess_s = sample.queueing_s - may_queue_s
    is_over = excess_s > 0 and not _is_idle(capacity, sample)
    binds = sample.offered >= _BINDS * capacity.limit * sample.seconds
    calm_s = _calmed(capacity.calm_s, sample.queueing_s / may_queue_s, seconds, binds=binds)
    good = _learned(capacity, sample.completed / sample.seconds, seconds, is_over=is_over)
    if is_over:
        limit = good * (1 - excess_s / _DRAIN_S)
    else:
        limit = good * (1 - (_GROWTH + _CALM_GROWTH * calm_s) * excess_s / may_queue_s)
        if not binds:
            # That so little queues is no news about more than was asked for, and old news does not keep.
            limit = max(good, min(limit, _averaged(capacity.limit, good, seconds / _LEARN_S)))
    return Capacity(min(max(limit, LEAST), MOST), min(max(good, LEAST), MOST), rest_s, calm_s)


def _at_rest(capacity: Capacity, sample: Sample, target_s: float, seconds: float) -> float:
    """Queueing at rest: what is seen when little is asked for, and not more than is seen when much is."""
    if _is_idle(capacity, sample) or (sample.completed > 0 and sample.queueing_s < capacity.rest_s):
        return _averaged(capacity.rest_s, min(sample.queueing_s, _MOST_REST * target_s), seconds / _REST_S)
    return capacity.rest_s


def _is_idle(capacity: Capacity, sample: Sample) -> bool:
    """Whether so little is asked for that a lower limit would turn away nobody who makes others wait.

    Where nothing is completed, the queueing is that of nobody, or of a server that is frozen.
    """
    return sample.completed > 0 and sample.offered < _IDLE * capacity.limit * sample.seconds


def _calmed(calm_s: float, pressure: float, seconds: float, *, binds: bool) -> float:
    if pressure > _CALM:
        return max(0.0, calm_s - _UNDOES * seconds)
    return min(calm_s + seconds, _MOST_CALM_S) if binds else calm_s


def _learned(capacity: Capacity, completed: float, seconds: float, *, is_over: bool) -> float:
    """Good capacity after so much was completed a second, while too much queued or not."""
    is_frozen = capacity.limit <= LEAST and completed < _STANDSTILL * capacity.good
    if completed > capacity.good or (is_over and not is_frozen):
        return _averaged(capacity.good, completed, seconds / _LEARN_S)
    return capacity.good


def _averaged(before: float, sample: float, weight: float) -> float:
    """The exponential average, `weight` being the sample's length in time constants."""
    return before + (sample - before) * (1 - math.exp(-weight))
