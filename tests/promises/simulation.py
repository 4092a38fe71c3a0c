"""A queue that is only thought: arrivals, a worker that drains it in batches, and gateways that promise.

What the real one does is done here too, on a clock that costs nothing: gateways know the backlog as
it was a moment ago, the worker tells of its queue once a second, an overdue promise counts at once.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from statistics import median

from unbusy.promises import model
from unbusy.promises.model import Backlog, Measured, Promise, Queue, Terms

BEGIN = datetime(2026, 3, 10, 12, tzinfo=UTC)
PIECE = 200
# From which size a piece tells how fast the queue drains.
MEASURED_FROM = 50
PAUSE_S = 0.05
TERMS = Terms(longest_s=60, floor_per_s=200)


@dataclass
class Made:
    """One promise, and what became of it."""

    at: float
    promise: Promise
    done: float = 0.0
    was_overdue: bool = False

    @property
    def wait(self) -> float:
        return self.done - self.at

    @property
    def expected(self) -> float:
        assert self.promise.expected_at
        return (self.promise.expected_at - self.promise.made_at).total_seconds()

    @property
    def likely(self) -> float:
        assert self.promise.likely_by
        return (self.promise.likely_by - self.promise.made_at).total_seconds()

    @property
    def finish(self) -> float:
        return (self.promise.finish_by - self.promise.made_at).total_seconds()


@dataclass
class Simulation:
    """`rate(t)` arrivals a second, drained at `drain(t)` a second; 0 while the worker is away."""

    rate: Callable[[float], float]
    drain: Callable[[float], float]
    terms: Terms = TERMS
    seed: int = 1
    made: list[Made] = field(default_factory=list[Made])
    refused: int = 0
    in_hand: int = 0
    in_hand_until: float = 0

    def run(self, seconds: float) -> Simulation:
        """Everything that happens in so many seconds, and what is still queued then."""
        chance = random.Random(self.seed)
        queue = Queue(drain_per_s=self.terms.floor_per_s)
        waiting: deque[Made] = deque()
        told = Told()
        backlog = Backlog(0, at(0))
        arrival, free, tick, count = 0.0, 0.0, 0.0, 0.0
        while arrival < seconds or waiting:
            now = min(arrival if arrival < seconds else tick, free, tick, count)
            if now == count:
                # What is being settled is still queued for everybody else.
                in_hand = self.in_hand if now < self.in_hand_until else 0
                backlog, count = Backlog(len(waiting) + in_hand, at(now)), now + 1
            elif now == tick:
                queue, tick = self._tell(queue, waiting, now, told), now + 1
                told = told if told.is_kept else Told()
            elif now == free:
                free = self._settle(waiting, now, told, chance)
            else:
                arrival = self._arrive(queue, backlog, waiting, now, chance)
        return self

    def _arrive(self, queue: Queue, backlog: Backlog, waiting: deque[Made], now: float, chance: random.Random) -> float:
        rate = self.rate(now)
        if not rate:
            return now + 0.01
        if backlog.most >= self.terms.most:
            self.refused += 1
        else:
            most = backlog.most
            made = Made(now, model.promise(queue, backlog.join(queue, at(now)), most, at(now), self.terms))
            waiting.append(made)
            self.made.append(made)
        return now + chance.expovariate(rate)

    def _settle(self, waiting: deque[Made], now: float, told: Told, chance: random.Random) -> float:
        pace = self.drain(now)
        if not pace or not waiting:
            return now + PAUSE_S
        taken = [waiting.popleft() for _ in range(min(PIECE, len(waiting)))]
        took = (0.004 + len(taken) / pace) * chance.uniform(0.8, 1.2)
        for made in taken:
            made.done = now + took
            told.settle(made)
        told.drained(len(taken), took)
        self.in_hand, self.in_hand_until = len(taken), now + took
        return now + took + (0 if len(taken) == PIECE else PAUSE_S)

    def _tell(self, queue: Queue, waiting: deque[Made], now: float, told: Told) -> Queue:
        told.is_kept = not self.drain(now)
        if told.is_kept:  # the worker is away
            return queue
        for made in waiting:
            if made.promise.likely_by and not made.was_overdue and made.at + made.likely < now:
                made.was_overdue = True
                told.outcomes.append((made.expected, now - made.at, True))
        return model.learned(queue, told.measured, told.outcomes, at(now))

    # What the drill asks, of the promises with times.

    @property
    def timed(self) -> list[Made]:
        return [made for made in self.made if made.promise.likely_by]

    @property
    def coverage(self) -> float:
        return sum(made.wait <= made.likely for made in self.timed) / len(self.timed)

    @property
    def finish_kept(self) -> float:
        return sum(made.wait <= made.finish for made in self.made) / len(self.made)

    @property
    def sharpness(self) -> float:
        return median(made.likely / made.wait for made in self.timed)


class Told:
    """What the worker has to tell since it last did."""

    def __init__(self) -> None:
        self.pieces: list[tuple[int, float]] = []
        self.rests, self.rested_s = 0, 0.0
        self.outcomes: list[tuple[float, float, bool]] = []
        self.is_kept = False

    def drained(self, settled: int, took: float) -> None:
        self.pieces.append((settled, took))

    def settle(self, made: Made) -> None:
        if made.promise.ahead == 0:
            self.rests += 1
            self.rested_s += made.wait
        if made.promise.likely_by and not made.was_overdue:
            self.outcomes.append((made.expected, made.wait, made.wait > made.likely))

    @property
    def measured(self) -> Measured:
        large = [piece for piece in self.pieces if piece[0] >= MEASURED_FROM]
        return Measured(
            sum(settled for settled, _ in self.pieces),
            sum(took for _, took in self.pieces),
            sum(settled for settled, _ in large),
            sum(took for _, took in large),
            self.rests,
            self.rested_s,
        )


def at(seconds: float) -> datetime:
    return BEGIN + timedelta(seconds=seconds)
