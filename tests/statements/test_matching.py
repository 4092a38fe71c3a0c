"""Matching by itself: whatever the order, the same; and nothing twice."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from unbusy.statements.matching import Ours, match
from unbusy.statements.model import Line

_NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
_IDS = [UUID(int=0x0195_0000_0000_7000_8000_0000_0000_0000 | n * 0x1234_5678_9ABC) for n in range(1, 9)]

ours = st.lists(
    st.builds(
        Ours,
        id=st.sampled_from(_IDS),
        amount=st.sampled_from([100, 200, 300, -100]),
        iban=st.sampled_from(["A", "B"]),
        at=st.sampled_from([_NOON, _NOON - timedelta(days=2)]),
        status=st.sampled_from(["completed", "completed", "pending", "declined", "reversed"]),
        is_free=st.booleans(),
    ),
    unique_by=lambda one: one.id,
)
lines = st.lists(
    st.builds(
        Line,
        amount=st.sampled_from([100, 200, 300, -100]),
        booked_on=st.sampled_from([date(2026, 3, 10), date(2026, 3, 11)]),
        reference=st.one_of(
            st.just(""),
            st.sampled_from(_IDS).map(lambda one: one.hex),
            st.sampled_from(_IDS).map(lambda one: one.hex[:30]),
            st.lists(st.sampled_from(_IDS), min_size=2, max_size=2).map(lambda ids: " ".join(id.hex for id in ids)),
        ),
        iban=st.sampled_from(["A", "B", ""]),
    ),
    max_size=8,
)


@given(ours, lines, st.randoms(use_true_random=False))
def test_the_order_does_not_matter(ours: list[Ours], lines: list[Line], chance: random.Random) -> None:
    """Whatever comes first, each line is explained by the same; lines that are alike may stand for each other."""

    def judged(known: list[Ours], told: list[Line]) -> list[tuple[object, ...]]:
        by_id = {UUID(int=number): line for number, line in enumerate(told, 1)}
        verdicts = match(by_id, known)
        return sorted(
            (by_id[one.line_id], sorted(ours.id for ours in one.ours), one.by, str(one.case)) for one in verdicts
        )

    shuffled, mixed = list(lines), list(ours)
    chance.shuffle(shuffled)
    chance.shuffle(mixed)
    assert judged(ours, lines) == judged(mixed, shuffled)


@given(ours, lines)
def test_nothing_is_matched_twice(ours: list[Ours], lines: list[Line]) -> None:
    """Each of ours is one line at most, was free and has moved; a line is as much as what it is; each has a verdict."""
    by_id = {UUID(int=number): line for number, line in enumerate(lines, 1)}
    verdicts = match(by_id, ours)
    matched = [one for verdict in verdicts for one in verdict.ours]
    assert len({one.id for one in matched}) == len(matched)
    assert all(one.is_free and one.status in {"completed", "reversed"} for one in matched)
    assert all(sum(one.amount for one in each.ours) == by_id[each.line_id].amount for each in verdicts if each.ours)
    assert sorted(each.line_id for each in verdicts) == sorted(by_id)
    assert all(each.case or each.ours for each in verdicts)
