"""What an answer of a bank means, as tables."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unbusy.banks import DECLINES, Direction, Result, State
from unbusy.transits import Status, Transit
from unbusy.transits.model import LAST_MOMENT, after_all, after_enquiring, after_sending, run_out

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)

RESULTS = st.one_of(
    st.builds(Result, st.sampled_from([State.settled, State.accepted, State.unknown])),
    st.builds(Result, st.just(State.declined), st.sampled_from(sorted(DECLINES))),
)


def transit(direction: Direction = Direction.push) -> Transit:
    """Taken up at noon, to be known by one o'clock."""
    return Transit(
        id=UUID(int=1),
        tenant_id=1,
        person_id=UUID(int=2),
        direction=direction,
        bank="sandbox",
        bank_account_id=UUID(int=3),
        iban="DE89370400440532013000",
        holder="Ming Li",
        amount=100,
        asset="EUR",
        status=Status.pending,
        reason=None,
        balance_after=None,
        key="k",
        fingerprint=b"",
        tries=1,
        sent_at=NOON,
        accepted_at=None,
        bank_reference="",
        resolve_by=NOON + timedelta(hours=1),
        due_at=NOON,
        parked_id=None,
        created_at=NOON,
        updated_at=NOON,
    )


@given(st.lists(RESULTS, min_size=1, max_size=40), st.sampled_from(Direction))
def test_it_comes_to_an_end(results: list[Result], direction: Direction) -> None:
    """Whatever a bank says, in whatever order: money moves only when it says settled, one that is not final is looked
    after until shortly before `resolve_by`, and then its time has run out."""
    now, current = NOON, transit(direction)
    for result in results:
        told = current.sent_at is None or now == NOON
        current = (after_sending if told else after_enquiring)(current, result, now)
        if current.is_final:
            assert (current.status is Status.completed) == (result.state is State.settled)
            return
        assert current.due_at is not None
        assert now < current.due_at
        if now >= current.resolve_by - timedelta(seconds=30):
            break
        now = current.due_at
        assert now <= current.resolve_by - timedelta(seconds=30)
    ended = run_out(current, current.resolve_by - LAST_MOMENT)
    assert ended.status is (Status.declined if current.sent_at is None else Status.reversed)
    assert (ended.due_at is None) == (current.sent_at is None)


@pytest.mark.parametrize("reason", sorted(DECLINES))
def test_every_decline_is_known(reason: str) -> None:
    """Each of the port's closed list has a reason for the customer; only what says nothing about the
    earlier try leaves it open."""
    said = Result(State.declined, reason)
    asked = after_enquiring(transit(), said, NOON)
    assert asked.status is (Status.unknown if reason == "unavailable" else Status.declined)
    assert after_sending(transit(), said, NOON + timedelta(minutes=1)).reason is not None


def test_asked_less_and_less() -> None:
    """After half as long as it has taken so far: a second at first, five minutes at most."""
    pauses: list[float] = []
    now, current = NOON, transit()
    while now < current.resolve_by:
        current = after_enquiring(current, Result(State.unknown), now)
        assert current.due_at
        pauses.append((current.due_at - now).total_seconds())
        now = current.due_at
    assert pauses[:3] == [1, 1, 1]
    assert max(pauses) == 300
    assert 20 < len(pauses) < 40


def test_what_is_reversed_stays_so() -> None:
    """Asked about for a week, parked when it was settled after all, and then left alone."""
    undone = after_enquiring(transit(), Result(State.unknown), NOON + timedelta(hours=1))
    later = NOON + timedelta(days=1)
    for result in (Result(State.settled), Result(State.accepted), Result(State.declined, "refused")):
        asked = after_all(undone, result, later)
        assert (asked.status, asked.parked_id is not None) == (Status.reversed, result.state is State.settled)
        assert (asked.due_at is None) == (result.state is not State.accepted)
    assert after_all(undone, Result(State.unknown), NOON + timedelta(days=8)).due_at is None
