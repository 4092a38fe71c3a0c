"""The reckoning finds each way in which our books, the banks' and what callers were told can differ."""

from __future__ import annotations

import math

import pytest

from unbusy.drill import reckoning
from unbusy.drill.reckoning import Told, Transit
from unbusy.drill.sandboxes import Booked

IBAN = "DE89370400440532013000"


def ours(reference: str = "a", **differs: object) -> Transit:
    """A top-up of 70 cents that completed two seconds after it began."""
    usual = Transit(
        id=f"top_{reference}",
        reference=reference,
        key=f"k-{reference}",
        bank="bank-1",
        is_pull=True,
        iban=IBAN,
        amount=70,
        status="completed",
        reason="",
        is_parked=False,
        tries=1,
        created_at=100,
        resolve_by=160,
        ended=(102,),
    )
    return usual._replace(**differs)


def theirs(reference: str = "a", **differs: object) -> Booked:
    """The same as its bank has it."""
    fields = {"is_pull": True, "iban": IBAN, "asset": "EUR", "amount": 70, "status": "ACCC"}
    return Booked(reference, **{**fields, **differs})  # pyright: ignore[reportArgumentType] - as each test says


def told(*booked: Booked, owed: int = 70, times: int = 1) -> dict[str, Told]:
    return {"bank-1": Told(booked, {one.reference: times for one in booked if one.is_executed}, owed)}


ACKNOWLEDGED = {"k-a": "top_a"}
NOT_EXECUTED = theirs(status="RJCT")


def test_one_story() -> None:
    """What everybody tells alike is right, however it ended."""
    assert reckoning.lost(ACKNOWLEDGED, [ours()], told(theirs())) == 0
    assert reckoning.doubled([ours()], told(theirs())) == 0
    assert reckoning.late([ours()]) == 0
    assert reckoning.apart(told(theirs())) == 0
    for status in ("declined", "reversed"):
        assert reckoning.lost(ACKNOWLEDGED, [ours(status=status)], told(NOT_EXECUTED)) == 0
    assert reckoning.lost(ACKNOWLEDGED, [ours(status="reversed", is_parked=True)], told(theirs())) == 0


@pytest.mark.parametrize(
    ("transits", "booked"),
    [
        ([], NOT_EXECUTED),  # acknowledged, and nowhere
        ([ours(id="top_b")], theirs()),  # acknowledged under another id
        ([ours()], NOT_EXECUTED),  # moved here only
        ([ours(bank="bank-2")], NOT_EXECUTED),
        ([ours(status="reversed", is_parked=True)], NOT_EXECUTED),
        ([ours(status="declined")], theirs()),  # moved there only
        ([ours(status="reversed")], theirs()),
        ([ours(status="unknown", ended=())], theirs()),
        ([ours()], theirs(amount=71)),  # moved otherwise
        ([ours()], theirs(is_pull=False)),
        ([ours()], theirs(iban="GB33BUKB20201555555555")),
    ],
)
def test_lost(transits: list[Transit], booked: Booked) -> None:
    """One-sided, or not as told."""
    assert reckoning.lost(ACKNOWLEDGED, transits, told(booked)) >= 1


def test_a_strangers_money_is_lost() -> None:
    """What a bank executed and nobody began."""
    assert reckoning.lost({}, [], told(theirs())) == 1


def test_doubled() -> None:
    """Begun twice under a key, or shown twice in statements."""
    assert reckoning.doubled([ours(), ours("b", key="k-a")], told(theirs())) == 1
    assert reckoning.doubled([ours()], told(theirs(), times=2)) == 1


@pytest.mark.parametrize("ended", [(), (160.5,), (102, 103)])
def test_late(ended: tuple[float, ...]) -> None:
    """Not final, final after the time told, or final twice."""
    assert reckoning.late([ours(ended=ended)]) == 1


def test_apart() -> None:
    """By the cent, at each bank, whatever the sign; payouts count against what a bank owes."""
    assert reckoning.apart(told(theirs(), owed=69)) == 1
    assert reckoning.apart(told(theirs(), theirs("b", is_pull=False, amount=30), owed=40)) == 0
    assert reckoning.apart(told(NOT_EXECUTED, owed=-2) | {"bank-2": Told([], {}, 2)}) == 4


def test_second_by_second() -> None:
    """What began, ended well and ended otherwise; how many were open at which bank, to the end if they never ended."""
    made = [
        ours(),
        ours("b", bank="bank-2", status="declined", reason="bank_unavailable", created_at=101.5, ended=(103.5,)),
        ours("c", status="unknown", created_at=101, ended=()),
    ]
    series = reckoning.series(made)
    assert [(one.wanted, one.completed, one.refused) for one in series] == [(1, 0, 0), (2, 0, 0), (0, 1, 0), (0, 0, 1)]
    assert (series[2].p50_ms, series[3].p99_ms) == (2_000, 2_000)
    assert reckoning.standing(made) == {"bank-1": [1, 2, 1, 1], "bank-2": [0, 1, 1, 0]}
    assert reckoning.outcomes(made) == {"completed": 1, "declined bank_unavailable": 1, "unknown": 1}
    assert (reckoning.series([]), reckoning.standing([])) == ([], {})
    assert math.isinf(made[2].ended_at)
