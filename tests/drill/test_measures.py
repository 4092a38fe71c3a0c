"""What is read out of a log, on logs whose answer is known."""

from __future__ import annotations

import math

import pytest
from tests.drill.made import DONE, IN_LINE, LOST, NEVER, done, log

from unbusy.drill import measures
from unbusy.load import Outcome, percentile


def test_percentile() -> None:
    """The value below which the share lies; of nothing, zero."""
    assert percentile(range(100), 0.99) == 99
    assert percentile([3.0, 1.0, 2.0], 0.5) == 2
    assert percentile([], 0.5) == 0


def test_jain() -> None:
    """One when all have the same, one in n when one has everything, nothing when nobody has anything."""
    assert measures.jain([5, 5, 5, 5]) == pytest.approx(1)
    assert measures.jain([8, 0, 0, 0]) == pytest.approx(0.25)
    assert measures.jain([0, 0]) is None


def test_spearman() -> None:
    """One for the same order, minus one for the opposite, whatever the distances; ties share a rank."""
    assert measures.spearman([1, 2, 3, 4], [10, 20, 25, 1000]) == pytest.approx(1)
    assert measures.spearman([1, 2, 3, 4], [9, 7, 5, 3]) == pytest.approx(-1)
    assert measures.spearman([1, 2, 2, 3], [1, 2, 2, 3]) == pytest.approx(1)
    assert measures.spearman([1, 2, 3, 4, 5], [2, 1, 4, 3, 5]) == pytest.approx(0.8)
    assert measures.spearman([1], [1]) is None


def test_goodput_counts_when_money_moved() -> None:
    """Each window counts what was completed within it, wherever it was asked for; refusals do not count."""
    made = log([done(0, 0.1), done(1, 0.2, took=5), (2, 0.3, 0.31, IN_LINE, 4, NEVER), done(3, 6)])
    assert measures.goodput(made, 0, 10, 5) == [1 / 5, 2 / 5]


def test_unanswered_and_bare_and_reasoned() -> None:
    """What never came, what came and said nothing, and what said why and when."""
    rows = [
        done(0, 1),
        (1, 1, NEVER, LOST, NEVER, NEVER),
        (2, 1, 1.1, Outcome(500, "internal", has_wait=False), NEVER, NEVER),
        (3, 1, 1.1, Outcome(503, "", has_wait=True), NEVER, NEVER),
        (4, 1, 1.1, Outcome(503, "in_line", has_wait=False), NEVER, NEVER),
        (5, 1, 1.1, IN_LINE, 3, NEVER),
    ]
    made = log(rows)
    assert measures.unanswered(made) == pytest.approx(1 / 6)
    assert measures.bare(made) == 2
    assert measures.reasoned(made) == pytest.approx(1 / 3)
    assert measures.reasoned(log([done(0, 1)])) == 1


def test_punctual() -> None:
    """Served within a second of the slot; told to come later still is not served; slots too near the end
    do not count."""
    rows = [
        (0, 2.0, 2.5, DONE, NEVER, 2.0),
        (1, 2.0, 3.5, DONE, NEVER, 2.0),
        (2, 2.0, 2.1, IN_LINE, 5, 2.0),
        (3, 2.0, NEVER, LOST, NEVER, 2.0),
        (4, 2.0, 2.1, Outcome(400, "invalid", has_wait=False), NEVER, 2.0),
        (5, 9.5, 9.9, DONE, NEVER, 9.5),
    ]
    assert measures.punctual(log(rows), 10) == pytest.approx(1 / 5)
    assert measures.punctual(log([done(0, 1)]), 10) is None


def test_order_kept() -> None:
    """Who asked first is served first, counted from the first asking and not from the ticket's return."""
    rows = [(want, 5.0 + want, 5.1 + want, DONE, NEVER, 5.0 + want) for want in range(10)]
    wants = [(0, want / 10) for want in range(10)]
    assert measures.order_kept(log(rows, wants=wants, seconds=20)) == pytest.approx(1)
    assert measures.order_kept(log(rows, wants=wants[::-1], seconds=20)) == pytest.approx(-1)


def test_waited_counts_from_the_first_asking() -> None:
    """Whoever stood in line waited since the first request; whoever got nothing waits for ever."""
    wants = [(1, 1.0)]
    served = [(0, 1.0, 1.01, IN_LINE, 3, NEVER), (0, 3.0, 3.2, DONE, NEVER, 3.0)]
    assert measures.waited_ms(log(served, wants=wants), 0, 10, "others") == pytest.approx(2_200)
    assert measures.waited_ms(log(served[:1], wants=wants), 0, 10, "others") == math.inf
    assert measures.waited_ms(log(served, wants=wants), 0, 10, "payments") is None


def test_recovery() -> None:
    """The moment from which for two seconds everybody is served in time; a refusal later in them does not pass."""
    early = [(want, 2 + want / 50, 2.01 + want / 50, IN_LINE, 60, NEVER) for want in range(50)]
    late = [done(want, 2 + want / 50) for want in range(50, 400)]
    assert measures.recovery_s(log([*early, *late]), 2) == 1
    slow = [done(want, 2 + want / 50, took=0.5) for want in range(50, 400)]
    assert measures.recovery_s(log([*early, *slow]), 2) == math.inf
    assert measures.recovery_s(log([]), 2) == math.inf


def test_series() -> None:
    """Second by second: wanted and refused by when they asked, completed by when they were told."""
    made = log([done(0, 0.5, took=1), (1, 0.6, 0.7, IN_LINE, 9, NEVER), (2, 1.5, NEVER, LOST, NEVER, NEVER)], seconds=2)
    first, second = measures.series(made)
    assert (first.wanted, first.completed, first.refused, first.unanswered) == (2, 0, 1, 0)
    assert (second.wanted, second.completed, second.refused, second.unanswered) == (1, 1, 0, 1)
    assert second.p99_ms == pytest.approx(1_000)
