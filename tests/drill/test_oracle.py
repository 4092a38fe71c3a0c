"""The oracle finds what is missing and what is there twice."""

from __future__ import annotations

from tests.drill.made import DONE, LOST, NEVER, log

from unbusy.drill import oracle
from unbusy.drill.oracle import Stored, Verdict
from unbusy.load import Load, Stream


def stored(id: str, key: str) -> Stored:
    return Stored(id, key, "completed", 7, 0, 1, None)


def test_all_is_well() -> None:
    """Every acknowledged key is there once, with the id that was told; what was not acknowledged may be there, too."""
    found = [stored("pay_a", "k-1"), stored("pay_b", "k-2")]
    assert oracle.verdict({"k-1": "pay_a"}, 0, found) == Verdict(lost=0, doubled=0)


def test_what_is_missing_is_lost() -> None:
    """Not there, or there under another id: both are lost."""
    told = {"k-1": "pay_a", "k-2": "pay_b"}
    assert oracle.verdict(told, 0, [stored("pay_other", "k-1")]) == Verdict(lost=2, doubled=0)


def test_what_is_there_twice_is_doubled() -> None:
    """One key, two payments; or one key that was told two ids."""
    found = [stored("pay_a", "k-1"), stored("pay_b", "k-1")]
    assert oracle.verdict({"k-1": "pay_a"}, 0, found) == Verdict(lost=0, doubled=1)
    assert oracle.verdict({"k-1": "pay_a"}, 1, found[:1]) == Verdict(lost=0, doubled=1)


def test_only_what_nobody_answered_is_asked_again() -> None:
    """Under its own key, with its own body; what was answered after all is not an open question."""
    made = log(
        [
            (0, 1, NEVER, LOST, NEVER, NEVER),
            (1, 1, 1.1, DONE, NEVER, NEVER),
            (2, 1, NEVER, LOST, NEVER, NEVER),
            (2, 2, 2.1, DONE, NEVER, 2),
        ],
        wants=[(0, 1), (0, 1), (0, 1)],
    )
    made.payments = {1: "pay_b", 2: "pay_c"}
    assert oracle.unresolved(made) == [0]
    first = Stream("payments", 1, 0, 1, [b"head "], [b" tail"], [(0, 0)])
    stream = oracle.again(Load("made", "", 1, [first], 1, 1), made, [0], 10)
    head, tail = stream.pairs[0]
    assert stream.heads[head] + stream.tails[tail] == b"head made-0 tail"
    assert not stream.has_key
