"""The controller of capacity, on a simulated clock, against a server that is one queue."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from unbusy.admission import Capacity, Sample, follow
from unbusy.admission.capacity import LEAST, MOST, START, TARGET_S, resumed

Of = Callable[[float], float]
STEP_S = 0.1
FAST = 1_000.0


def run(offered: Of, speed: Of, seconds: float, begin: Capacity | None = None) -> list[tuple[float, float, Capacity]]:
    """At each step: rate of completions, queueing time, and what the controller knows afterwards."""
    capacity, queue, chance, past = begin or Capacity(), 0.0, random.Random(1), list[tuple[float, float, Capacity]]()
    oldest = 0.0
    for step in range(round(seconds / STEP_S)):
        now = step * STEP_S
        asked = max(0.0, chance.gauss(1, 0.05)) * offered(now) * STEP_S
        queue += min(asked, capacity.limit * STEP_S)
        done = min(queue, speed(now) * STEP_S)
        queue -= done
        oldest = oldest + STEP_S if queue and not done else 0.0
        queueing = max(oldest, queue / speed(now) if speed(now) else 0.0)
        capacity = follow(capacity, Sample(STEP_S, done, asked, queueing))
        past.append((done / STEP_S, queueing, capacity))
    return past


def mean(past: list[tuple[float, float, Capacity]], since: float, until: float, which: int = 0) -> float:
    """The mean of completions (0) or queueing (1) in this time."""
    part = [float(one[which]) for one in past[round(since / STEP_S) : round(until / STEP_S)]]  # type: ignore[arg-type] - not the third
    return sum(part) / len(part)


@pytest.mark.parametrize("speed", [100.0, 1_000.0, 5_000.0])
def test_it_finds_what_the_server_can_do(speed: float) -> None:
    """From its default it comes near within five seconds, whether the server is slower or many times faster."""
    past = run(lambda _: 10 * speed, lambda _: speed, 20)
    assert mean(past, 5, 20) >= 0.97 * speed
    assert mean(past, 5, 20, 1) <= 2 * TARGET_S


def test_a_burst_does_not_outlast_itself() -> None:
    """A second at twenty times the load queues little, and costs nothing afterwards."""
    past = run(lambda t: 20_000 if 10 <= t < 11 else 900, lambda _: FAST, 20, resumed(FAST))
    assert mean(past, 10, 11) >= 0.85 * FAST
    assert mean(past, 12, 20, 1) <= TARGET_S
    assert mean(past, 12, 20) == pytest.approx(900, rel=0.03)


def test_a_ramp_is_followed() -> None:
    """While the load grows, what is asked for is done, up to what can be done."""
    past = run(lambda t: 100 * t, lambda _: FAST, 30)
    for second in range(1, 9):
        assert mean(past, second, second + 1) >= 0.9 * 100 * (second + 0.5)
    assert mean(past, 15, 30) >= 0.97 * FAST


def test_a_freeze_is_not_mistaken_for_slowness() -> None:
    """Ten seconds of nothing close the gate; two seconds after them nine tenths are let in again."""
    past = run(lambda _: 10_000, lambda t: 0 if 10 <= t < 20 else FAST, 30)
    assert past[round(13 / STEP_S)][2].limit <= 2 * LEAST
    assert mean(past, 20, 22) >= 0.7 * FAST
    assert mean(past, 22, 30) >= 0.95 * FAST


def test_a_slow_server_is_believed() -> None:
    """At half speed the limit falls to half within two seconds and stays, without swinging back and forth."""
    past = run(lambda _: 10_000, lambda t: FAST / 2 if t >= 10 else FAST, 30)
    assert mean(past, 12, 30) >= 0.95 * FAST / 2
    assert mean(past, 13, 30, 1) <= 2 * TARGET_S


def test_it_does_not_grow_when_nobody_asks() -> None:
    """A limit that binds nobody is no news about the server."""
    begin = resumed(FAST)
    assert run(lambda _: 300, lambda _: FAST, 60, begin)[-1][2].limit <= begin.limit


def test_it_does_not_grow_without_completions() -> None:
    """When what is let in is not completed, the limit falls to what is."""
    past = run(lambda _: 10_000, lambda _: 200, 20, resumed(FAST))
    assert past[-1][2].limit <= 1.2 * 200


def test_queueing_at_rest_is_not_overload() -> None:
    """Where work waits 30 ms for the commit before it even at rest, the gate is not closed for that."""
    capacity = resumed(FAST)
    for _ in range(600):
        capacity = follow(capacity, Sample(STEP_S, 20.0, 20.0, 0.030))
    for _ in range(100):
        capacity = follow(capacity, Sample(STEP_S, 90.0, 200.0, 0.030))
    assert capacity.limit >= 0.85 * FAST


@pytest.mark.parametrize("good", [float("nan"), float("inf"), -1.0, 0.0, 1e300])
def test_nonsense_is_not_resumed(good: float) -> None:
    """A damaged memory of the capacity gives the default, never no limit."""
    assert resumed(good).limit == START


def test_it_is_bounded_on_both_sides() -> None:
    """Whatever is measured, some are let in and never all."""
    down = up = resumed(FAST)
    for _ in range(200):
        down = follow(down, Sample(STEP_S, 0.0, 1e9, 100.0))
        up = follow(up, Sample(STEP_S, 1e9, 1e9, 0.0))
    assert down.limit == LEAST
    assert up.limit == MOST
    assert follow(up, Sample(0.0, 0.0, 0.0, 0.0)) == up
