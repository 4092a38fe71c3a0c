"""The promise engine, on queues that are only thought: what the drill asks of the real one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import pytest
from tests.promises.simulation import BEGIN, TERMS, Simulation, at

from unbusy.promises import model
from unbusy.promises.model import Backlog, Ended, Measured, Outcome, Overdue, Queue

Load = Callable[[float], float]

# Arrivals a second, and how many of them a second are drained.
QUEUES: dict[str, tuple[Load, Load]] = {
    "at rest": (lambda _: 2, lambda _: 900),
    "steady": (lambda _: 300, lambda _: 600),
    "nearly full": (lambda _: 480, lambda _: 500),
    "bursts": (lambda t: 3000 if t % 30 < 1 else 50, lambda _: 500),
    "the pace halves and doubles": (lambda t: 3000 if t % 40 < 2 else 100, lambda t: 400 if t // 15 % 2 else 800),
    "overload and another pace": (lambda t: 900 if t % 60 < 20 else 100, lambda t: 400 if t // 13 % 2 else 800),
    "a worker away": (lambda _: 300, lambda t: 0 if 60 <= t < 72 else 900),
    "a rising crowd": (lambda t: 100 + 8 * t if t < 60 else 50, lambda _: 450),
}


@pytest.mark.parametrize("name", QUEUES)
def test_promises_are_kept(name: str) -> None:
    """Nine likely times in ten, nearly every finish_by, and none so wide that it says nothing."""
    lived = Simulation(*QUEUES[name]).run(300)
    assert 0.88 <= lived.coverage <= 0.97
    assert lived.finish_kept >= 0.995
    assert lived.sharpness <= 2.5
    assert not lived.refused


def test_no_more_is_promised_than_the_floor_drains() -> None:
    """Under any load: the backlog stays within the floor times the longest promise, and what is
    promised is kept, even at the floor itself."""
    lived = Simulation(lambda _: 1000, lambda _: TERMS.floor_per_s * 1.05).run(120)
    assert lived.refused
    assert lived.finish_kept >= 0.995


def test_without_learning_they_would_be_broken() -> None:
    """A wait of exactly what is expected is kept by about half: the stretch is what makes it nine in ten."""
    lived = Simulation(*QUEUES["steady"]).run(120)
    expected = sum(made.wait <= made.expected for made in lived.timed) / len(lived.timed)
    assert expected < 0.8 < lived.coverage


class TestOnePromise:
    """What is said to one who has so many before them."""

    queue = Queue(drain_per_s=100, rest_s=0.1, heard_at=BEGIN)

    def test_in_order(self) -> None:
        """Half by then, nine in ten by then, all by then; further back is later."""
        made = [model.promise(self.queue, ahead, ahead, BEGIN, TERMS) for ahead in (0, 1_000, 11_999)]
        for promise in made:
            assert promise.expected_at
            assert promise.likely_by
            assert BEGIN < promise.expected_at < promise.likely_by
            assert promise.finish_by <= at(TERMS.longest_s)
        assert [promise.finish_by for promise in made] == [at(model.SHORTEST_S), at(model.SHORTEST_S), at(60)]
        assert made[1].expected_at == at(10.1)

    def test_nobody_drains_it(self) -> None:
        """Then no time is told but finish_by, from the moment that nothing was heard for five seconds."""
        for seconds, is_paused in ((5, False), (5.1, True)):
            promise = model.promise(self.queue, 0, 0, at(seconds), TERMS)
            assert (promise.expected_at is None) == (promise.likely_by is None) == is_paused
            assert promise.finish_by == at(seconds + model.SHORTEST_S)
        assert Queue(drain_per_s=100).is_paused_at(BEGIN)

    def test_who_was_drained_is_not_before_anybody(self) -> None:
        """Between two counts those who come are added, and those who went are not there any more."""
        backlog = Backlog(200, BEGIN)
        assert backlog.join(self.queue, BEGIN) == 200
        assert backlog.join(self.queue, at(1), many=50) == 101
        assert backlog.join(self.queue, at(1)) == 151
        assert backlog.join(self.queue, at(4)) == 0
        assert backlog.most == 253


class TestLate:
    """What is revised, and what never is."""

    queue = Queue(drain_per_s=10, rest_s=0.1, heard_at=BEGIN)

    def late(self, ahead: int, finish_s: float, promised_s: float | None = None) -> Overdue:
        promised_by = at(finish_s if promised_s is None else promised_s)
        return Overdue(UUID(int=1), ahead, at(-20), at(-10), promised_by, at(finish_s), was_overdue=False)

    def test_in_time_all_the_same(self) -> None:
        """Its likely time moves, finish_by does not."""
        revised = model.revised(self.queue, self.late(50, 20), BEGIN, TERMS)
        assert revised.likely_by
        assert revised.likely_by > at(5)
        assert revised.finish_by == at(20)

    def test_not_in_time(self) -> None:
        """finish_by moves before it is missed, by no more than the longest promise, and only once."""
        moved = model.revised(self.queue, self.late(300, 20), BEGIN, TERMS)
        assert at(30) < moved.finish_by <= at(TERMS.longest_s)
        assert model.revised(self.queue, self.late(300, 20, promised_s=10), BEGIN, TERMS).finish_by == at(20)

    def test_over(self) -> None:
        """Once finish_by has passed nothing moves it: its payer may have acted on it."""
        assert model.revised(self.queue, self.late(300, -1), BEGIN, TERMS).finish_by == at(-1)


class TestLearning:
    """What a measurement changes, and what it does not."""

    def test_the_drain(self) -> None:
        """Large batches show how fast it is; small ones only how fast at the least."""
        queue = Queue(drain_per_s=100)
        fast = model.learned(queue, Measured(0, 0, 5_000, 10), [], BEGIN)
        assert 490 < fast.drain_per_s <= 500
        assert model.learned(fast, Measured(10, 1), [], BEGIN).drain_per_s == fast.drain_per_s
        assert model.learned(queue, Measured(400, 2), [], BEGIN).drain_per_s == 200

    def test_broken_ones_widen_and_kept_ones_narrow(self) -> None:
        """Long waits teach nothing about short ones."""
        queue = Queue(drain_per_s=100)
        worse = model.learned(queue, Measured(), [(10.0, 40.0, True)] * 50, BEGIN)
        better = model.learned(queue, Measured(), [(10.0, 11.0, False)] * 50, BEGIN)
        assert worse.likely_s(10) > 40
        assert 11 < better.likely_s(10) < 20
        assert worse.likely_s(0.5) == better.likely_s(0.5) == queue.likely_s(0.5)

    def test_what_became_of_them(self) -> None:
        """Kept by finish_by is one thing, by the likely time another; what was overdue was counted before."""

        def ended(took: float, likely: float | None, *, was_overdue: bool = False, kept: bool = True) -> Ended:
            likely_by = None if likely is None else at(likely)
            outcome = Outcome.kept if kept else Outcome.broken
            return Ended(0, BEGIN, likely_by and at(1), likely_by, was_overdue, outcome, at(took))

        promises = [ended(1, 2), ended(3, 2), ended(9, 20, was_overdue=True), ended(5, None), ended(90, 2, kept=False)]
        tally = model.tally(promises)
        assert (tally.kept, tally.broken, tally.likely_kept, tally.likely_missed) == (4, 1, 1, 3)
        assert sum(tally.sharpness) == 4
        assert [promise.lesson is None for promise in promises] == [False, False, True, True, False]

    @pytest.mark.parametrize("ratio", [0.0, 0.01, 1.0, 1.5, 40.0, 1e9])
    def test_buckets(self, ratio: float) -> None:
        """Every ratio has its bucket, and comes back out of it within a tenth."""
        counts = [0] * 72
        counts[model.bucket(ratio)] = 1
        assert 0.9 * min(max(ratio, 0.05), 40) <= model.quantile(counts, 0.5) <= 1.1 * max(ratio, 0.05) + 0.1


def test_ended_times_are_never_negative() -> None:
    """Clocks of two machines differ: what seems to have taken less than nothing took a moment."""
    ended = Ended(0, BEGIN, None, None, False, Outcome.kept, BEGIN - timedelta(seconds=1))
    assert ended.took_s > 0
