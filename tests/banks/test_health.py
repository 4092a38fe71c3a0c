"""How a bank's health is judged, on a clock that a test moves."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unbusy.banks.health import Condition, Health, Operation, Outcome, least_share

MOST = 32
PULL, ENQUIRE = Operation.send_pull, Operation.enquire


class Simulated:
    """A worker and a bank: so many sends a second, an enquiry every two, while there is room for them."""

    def __init__(self, seed: int = 1) -> None:
        self.health = Health(MOST)
        self.now = 100.0
        self.sent = 0
        self._chance = random.Random(seed)
        self._tick = itertools.count()

    def go(
        self, seconds: float, *, sends_per_s: int = 10, failing: float = 0, how: Outcome = Outcome.failed
    ) -> Iterator[Condition]:
        """Time passes, and this share of calls fails; gives the condition of pulls ten times a second."""
        for _ in range(round(seconds * 10)):
            tick = next(self._tick)
            for _ in range(
                min(self.health.room(PULL, self.now), (tick + 1) * sends_per_s // 10 - tick * sends_per_s // 10)
            ):
                self.sent += 1
                self._call(PULL, failing, how)
            if tick % 20 == 0:
                self._call(ENQUIRE, failing, how)
            self.now += 0.1
            yield self.health.pulse(PULL, self.now).condition

    def _call(self, operation: Operation, failing: float, how: Outcome) -> None:
        call = self.health.begin(operation, self.now)
        outcome = how if self._chance.random() < failing else Outcome.good
        self.health.end(call, self.now + 0.05, outcome)


def seconds_until(condition: Condition, shown: Iterator[Condition]) -> float:
    """After how many seconds it is shown, and to the end from then on."""
    seen = list(shown)
    for number in range(len(seen)):
        if all(each is condition for each in seen[number:]):
            return number / 10
    return float("inf")


def seconds_until_trouble(shown: Iterator[Condition]) -> float:
    return next((number / 10 for number, each in enumerate(shown) if each is not Condition.operational), float("inf"))


def test_wilsons_bound() -> None:
    """Known values (Wilson 1927; Brown, Cai and DasGupta 2001): one of one proves a fifth, ten of ten 72 %."""
    assert least_share(0, 0) == least_share(0, 10) == 0
    assert least_share(1, 1) == pytest.approx(0.2065, abs=1e-4)
    assert least_share(10, 10) == pytest.approx(0.7225, abs=1e-4)
    assert least_share(15, 50) == pytest.approx(0.1910, abs=1e-4)


@given(of=st.integers(1, 10_000), data=st.data())
def test_what_a_bound_is(of: int, data: st.DataObject) -> None:
    """Never above what was seen; higher with more failures, and nearer with more calls of the same share."""
    hits = data.draw(st.integers(0, of))
    bound = least_share(hits, of)
    assert 0 <= bound <= hits / of
    assert least_share(hits, of + 1) <= bound + 1e-12
    assert least_share(hits + 1, of + 1) >= bound - 1e-12
    assert least_share(2 * hits, 2 * of) >= bound - 1e-12


@pytest.mark.parametrize(("sends_per_s", "failing"), [(0, 1.0), (1, 1.0), (10, 0.7), (50, 0.7)])
@settings(max_examples=10, deadline=None)
@given(before_s=st.floats(0, 40), for_s=st.floats(12, 60), seed=st.integers(0, 1_000))
def test_a_fault_shows_and_its_end_too(
    sends_per_s: int, failing: float, before_s: float, for_s: float, seed: int
) -> None:
    """Within ten seconds, and thirty, with much to do for the bank or nothing."""
    world = Simulated(seed)
    assert set(world.go(before_s, sends_per_s=sends_per_s)) <= {Condition.operational}
    assert seconds_until_trouble(world.go(for_s, sends_per_s=sends_per_s, failing=failing)) <= 10
    assert seconds_until(Condition.operational, world.go(40, sends_per_s=sends_per_s)) <= 30


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1_000), declining=st.floats(0, 1))
def test_what_is_no_fault(seed: int, declining: float) -> None:
    """A bank that declines for reasons of the business does its work, whatever the share."""
    world = Simulated(seed)
    assert set(world.go(30, failing=declining, how=Outcome.declined)) == {Condition.operational}


def test_one_failure_among_many_is_none() -> None:
    """Two of a hundred prove nothing; nor is it a count of three."""
    health = Health(MOST)
    for number in range(100):
        health.end(health.begin(PULL, 1), 1, Outcome.failed if number % 50 == 0 else Outcome.good)
    assert health.pulse(PULL, 1).condition is Condition.operational
    few = Health(MOST)
    for _ in range(3):
        few.end(few.begin(PULL, 1), 1, Outcome.failed)
    assert few.pulse(PULL, 1).condition is Condition.degraded
    few.end(few.begin(PULL, 1), 1, Outcome.failed)
    assert few.pulse(PULL, 1).condition is Condition.down


def test_what_hangs_is_seen_before_it_ends() -> None:
    """A call that is not answered within a second counts, long before anybody gives it up."""
    health = Health(MOST)
    for _ in range(4):
        health.begin(PULL, 10)
    assert health.pulse(PULL, 10.5).condition is Condition.operational
    assert health.pulse(PULL, 11.5).condition is Condition.degraded


def test_slow_is_degraded() -> None:
    """And never down: what is answered late is answered. The median tells how late."""
    health = Health(MOST)
    for _ in range(20):
        health.end(health.begin(PULL, 10), 12, Outcome.good)
    pulse = health.pulse(PULL, 12)
    assert (pulse.condition, pulse.p50_s, pulse.last_good) == (Condition.degraded, 2, 12)


def test_maintenance_is_called_so() -> None:
    """A bank that says it is closed is believed at once, and nothing is sent to it."""
    world = Simulated()
    assert list(world.go(5, failing=1, how=Outcome.maintenance))[-1] is Condition.maintenance
    assert world.health.room(PULL, world.now) == 0


def test_one_operation_down() -> None:
    """Others go on; nothing is risked on the one before its pause is over, and then one call at a time."""
    health = Health(MOST)
    for _ in range(8):
        health.end(health.begin(PULL, 10), 10, Outcome.failed)
    assert health.is_closed(PULL, 10)
    assert health.room(Operation.send_push, 10) == MOST
    assert health.room(PULL, 60) == 0, "nobody has asked the bank since"
    health.end(health.begin(ENQUIRE, 60), 60, Outcome.good)
    assert health.room(PULL, 60) == 1
    trial = health.begin(PULL, 60)
    assert health.room(PULL, 60.5) == 0
    health.end(trial, 60.6, Outcome.failed)
    assert health.is_closed(PULL, 60.6)
    assert health.pulse(PULL, 60.6).condition is Condition.down
    health.end(health.begin(ENQUIRE, 64), 64, Outcome.good)
    assert health.is_closed(PULL, 65)
    rooms = [health.room(PULL, 65.7 + second) for second in range(6)]
    assert rooms == [1, 2, 4, 8, 16, 32]
    assert health.is_open(PULL, 72)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1_000))
def test_a_bad_bank_is_open_again(seed: int) -> None:
    """One that was down, and now fails every fifth call, is called again: bad is not down."""
    world = Simulated(seed)
    assert Condition.down in set(world.go(20, failing=1))
    before = world.sent
    list(world.go(60, failing=0.2))
    assert world.sent - before > 300


def test_reopening_waits_for_an_answer() -> None:
    """While the first call hangs no second one follows it."""
    health = Health(MOST)
    for _ in range(8):
        health.end(health.begin(PULL, 10), 10, Outcome.failed)
    health.end(health.begin(ENQUIRE, 20), 20, Outcome.good)
    assert health.room(PULL, 20) == 1
    trial = health.begin(PULL, 20)
    assert [health.room(PULL, second) for second in (21.5, 23, 26)] == [0, 0, 0]
    health.end(trial, 26, Outcome.good)
    assert health.room(PULL, 26) == 1


def test_enquiries_go_on() -> None:
    """A bank that is down is asked less, and never not at all: what is unknown must come to its end."""
    health = Health(MOST)
    for _ in range(8):
        health.end(health.begin(ENQUIRE, 10), 10, Outcome.failed)
    assert health.room(ENQUIRE, 10) == 8
    assert health.room(PULL, 10) == 0, "of what nobody has tried is known what enquiries tell"


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1_000))
def test_money_is_not_risked_on_a_bank_that_is_down(seed: int) -> None:
    """In a minute's outage with a thousand transits waiting, as few are sent as one needs to know it."""
    world = Simulated(seed)
    list(world.go(5, sends_per_s=2))
    before = world.sent
    list(world.go(60, sends_per_s=20, failing=1))
    assert world.sent - before <= 30
