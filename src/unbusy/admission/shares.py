"""Dividing what there is. Pure functions; amounts are rates of whatever one divides.

Max-min fairness, or "water-filling" (Bertsekas and Gallager, *Data Networks*, 6.5.2): everybody's
glass is filled from the same level upwards until it is full or the jug is empty. Nobody can get
more without somebody getting less who has no more already.
"""

from __future__ import annotations

from collections.abc import Sequence


def water_level(capacity: float, demands: Sequence[float]) -> float:
    """How high the water stands: with `min(demand, level)` for each, all of `capacity` is given out.

    When there is enough for everybody, the level is the largest demand and what is left over: what
    the most demanding one could grow to.
    """
    left = capacity
    glasses = len(demands)
    level = capacity
    for demand in sorted(demands):
        level = left / glasses
        if demand >= level:
            return level
        left -= demand
        glasses -= 1
    return max(level, 0.0)


def divide(capacity: float, demands: Sequence[float], floors: Sequence[float]) -> list[float]:
    """Each class's rate, in the classes' order. `floors` are parts of the capacity and sum to 1 at most.

    Everybody gets its floor as far as it asks for it. What floors leave goes to those who ask for
    more, the first in the order first.
    """
    shares = [min(demand, floor * capacity) for demand, floor in zip(demands, floors, strict=True)]
    left = max(0.0, capacity - sum(shares))
    for place, demand in enumerate(demands):
        more = min(left, demand - shares[place])
        shares[place] += more
        left -= more
    return shares


def reaches(capacity: float, demands: Sequence[float], floors: Sequence[float]) -> list[float]:
    """What each class would get if it alone asked for everything, in the classes' order.

    It is at least its floor and its share. A class that gets all it asks for may go so far at once,
    before what there is has been divided anew.
    """
    shares = divide(capacity, demands, floors)
    sure = [min(demand, floor * capacity) for demand, floor in zip(demands, floors, strict=True)]
    # Those before it have taken theirs, those after it have only their floors for sure.
    return [
        max(floor * capacity, capacity - sum(shares[:place]) - sum(sure[place + 1 :]))
        for place, floor in enumerate(floors)
    ]
