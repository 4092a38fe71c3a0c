"""The gate in front of a server as real ones are: it works in batches, and stands still about once a second."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.admission.world import Load, Stalls, World, crowd, gate_at

from unbusy.admission import Capacity, Sample, follow
from unbusy.admission.capacity import TARGET_S

# Twice what a gateway begins with. A batch takes 5 ms and 0.8 ms for each in it: 1,000 a second in batches of 25 ms.
C = 1_000.0
_SPEED = 1_250.0
_BATCH_COST = 0.005 * _SPEED
_JUMP_AT = 1.0
_STEP_S = 0.001
CUSTOMERS = crowd(5_000)


@pytest.mark.parametrize("returns", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("seed", [1, 2])
def test_a_jump_from_a_cold_start(seed: int, returns: float, tmp_path: Path) -> None:
    """From nothing known and little asked to ten times the load: four seconds later the server does all it can."""
    stalls = Stalls(seed, 16)
    load = Load(lambda t: 0.3 * C if t < _JUMP_AT else 10 * C, CUSTOMERS, returns=returns)
    simulated = World(
        [gate_at(tmp_path)], lambda t: 0.0 if stalls.stands(t) else _SPEED, [load], batch_cost=_BATCH_COST
    )
    simulated.run(14)
    for begin in range(5, 10):
        assert simulated.goodput(begin, begin + 5) >= 0.85 * C * stalls.moves(begin, begin + 5) / 5
    assert simulated.queueing(4, 14) <= 0.060


def run(stalls: Stalls, item_s: float, seconds: float) -> list[tuple[float, float, float]]:
    """The controller alone, from a cold start at ten times the load, before a server with batches of 5 ms and
    `item_s` for each in it. What was done, what it had waited in all, and the limit, at each tenth of a second."""
    capacity, waiting, batch, left_s = Capacity(), list[tuple[float, float]](), list[tuple[float, float]](), 0.0
    past, done, waited, offered = list[tuple[float, float, float]](), 0.0, 0.0, 0.0
    for step in range(1, round(seconds / _STEP_S) + 1):
        now = step * _STEP_S
        offered += 10 / item_s * _STEP_S
        waiting.append((now, capacity.limit * _STEP_S))
        left_s -= 0.0 if stalls.stands(now) else _STEP_S
        if left_s <= 0:
            # What is done was begun when the batch before it was.
            done += sum(amount for _, amount in batch)
            waited += sum(amount * wait for wait, amount in batch)
            batch = [(now - came_at, amount) for came_at, amount in waiting]
            waiting.clear()
            left_s = 0.005 + item_s * sum(amount for _, amount in batch)
        if step % 100 == 0:
            mean, oldest = waited / done if done else 0.0, now - waiting[0][0] if waiting else 0.0
            queueing = oldest if oldest > mean + TARGET_S else mean
            capacity = follow(capacity, Sample(0.1, done, offered, queueing))
            past.append((done, waited, capacity.limit))
            done = waited = offered = 0.0
    return past


@pytest.mark.parametrize("item_s", [0.0002, 0.002])
@pytest.mark.parametrize("seed", range(1, 6))
def test_a_minute_of_stalls_wears_nothing_down(seed: int, item_s: float) -> None:
    """From four seconds after a cold start on, in every five, and at the end as at the beginning: all it can."""
    stalls = Stalls(seed, 61)
    past = run(stalls, item_s, 60)
    can = 0.8 / item_s
    goodput = [
        sum(done for done, _, _ in past[10 * begin : 10 * begin + 50]) / (can * stalls.moves(begin, begin + 5))
        for begin in range(4, 56)
    ]
    assert min(goodput) >= 0.85
    assert sum(goodput[-20:]) >= 0.97 * sum(goodput[:20])
    assert sum(waited for _, waited, _ in past[40:]) <= 0.060 * sum(done for done, _, _ in past[40:])


@pytest.mark.parametrize("item_s", [0.0002, 0.0004])
def test_without_stalls_it_is_at_full_speed_within_three_seconds(item_s: float) -> None:
    """From a cold start to eight times as much, and from then on as much as in batches of the target."""
    past = run(Stalls(0, 0), item_s, 20)
    can = 0.8 / item_s
    assert sum(done for done, _, _ in past[30:40]) >= 0.95 * can
    assert sum(done for done, _, _ in past[30:]) >= 0.97 * can * 17
    assert sum(waited for _, waited, _ in past[30:]) <= 2 * TARGET_S * sum(done for done, _, _ in past[30:])
