"""Dividing a capacity, for any demands there can be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from unbusy.admission.shares import divide, reaches, water_level

RATES = some.floats(0, 1e6)
DEMANDS = some.lists(RATES, min_size=1, max_size=20)
FLOORS = some.lists(some.floats(0, 1), min_size=6, max_size=6).map(
    lambda parts: [part / max(1.0, sum(parts)) for part in parts]
)


@given(RATES, DEMANDS)
def test_water_is_all_given_out_and_no_more(capacity: float, demands: list[float]) -> None:
    """Together they get what there is or what they ask for, whichever is less."""
    level = water_level(capacity, demands)
    given_out = sum(min(demand, level) for demand in demands)
    assert given_out == pytest.approx(min(capacity, sum(demands)), abs=1e-3, rel=1e-9)


@given(RATES, DEMANDS)
def test_nobody_is_envied(capacity: float, demands: list[float]) -> None:
    """Whoever gets less than he asked for gets as much as anybody, and at least an equal part."""
    level = water_level(capacity, demands)
    shares = [min(demand, level) for demand in demands]
    for demand, share in zip(demands, shares, strict=True):
        if share < demand:
            assert share == max(shares)
            assert share >= capacity / len(demands) * (1 - 1e-9)


@given(RATES, DEMANDS)
def test_the_most_demanding_may_grow_into_what_is_left(capacity: float, demands: list[float]) -> None:
    """With enough for all, the level is the largest demand and everything that is left over."""
    if sum(demands) < capacity:
        assert water_level(capacity, demands) == pytest.approx(max(demands) + capacity - sum(demands), abs=1e-3)


def test_an_empty_line_may_take_everything() -> None:
    """Where nobody asks yet, whoever comes first finds all there is."""
    assert water_level(100.0, []) == 100.0


@given(RATES, some.lists(RATES, min_size=6, max_size=6), FLOORS)
def test_floors_hold_and_sums_stay(capacity: float, demands: list[float], floors: list[float]) -> None:
    """No class gets more than it asks for or less than its floor, and all together no more than there is."""
    shares = divide(capacity, demands, floors)
    assert sum(shares) <= capacity * (1 + 1e-9) + 1e-6
    for share, demand, floor in zip(shares, demands, floors, strict=True):
        assert min(demand, floor * capacity) <= share <= demand + 1e-6


@given(RATES, some.lists(RATES, min_size=6, max_size=6), FLOORS)
def test_what_is_left_goes_by_order(capacity: float, demands: list[float], floors: list[float]) -> None:
    """When a class is short, those after it have their floors and nothing above."""
    shares = divide(capacity, demands, floors)
    short = next((n for n in range(6) if shares[n] < demands[n] - 1e-6), None)
    if short is not None:
        for n in range(short + 1, 6):
            assert shares[n] <= floors[n] * capacity + 1e-6
        assert sum(shares) == pytest.approx(capacity, abs=1e-3)


@given(some.floats(1, 1e6), some.lists(RATES, min_size=6, max_size=6), FLOORS, some.integers(0, 5))
def test_a_reach_is_what_one_alone_could_get(
    capacity: float, demands: list[float], floors: list[float], place: int
) -> None:
    """It is the share one would have by asking for everything, and never below one's floor or one's share."""
    reach = reaches(capacity, demands, floors)[place]
    greedy = [*demands[:place], 10 * capacity, *demands[place + 1 :]]
    assert reach >= divide(capacity, demands, floors)[place] - 1e-3
    assert reach >= floors[place] * capacity
    assert divide(capacity, greedy, floors)[place] <= reach + 1e-3
