"""What a refresh token may do, as a table."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from tests.people.world import person

from unbusy.people.sessions import GRACE, Session, Step, step

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)

OPEN = Session(
    id=UUID(int=9),
    generation=3,
    last_used_at=NOON,
    expires_at=NOON + timedelta(days=30),
    is_revoked=False,
    person=person(1),
)


@pytest.mark.parametrize(
    ("generation", "seconds", "answer"),
    [
        (3, 0, Step.rotate),
        (3, 86_400, Step.rotate),
        (2, 0, Step.repeat),
        (2, GRACE.total_seconds(), Step.repeat),
        (2, GRACE.total_seconds() + 0.001, Step.revoke),
        (1, 0, Step.revoke),
        (0, 86_400, Step.revoke),
        (4, 0, Step.rotate),
        (3, 30 * 86_400, Step.refuse),
        (0, 30 * 86_400, Step.refuse),
    ],
)
def test_old_tokens_give_a_theft_away(generation: int, seconds: float, answer: Step) -> None:
    """The token in force rotates; the one before it is repeated for ten seconds; an older one ends the session.

    One that the database has not yet heard of is genuine, and one of an expired session is nothing.
    """
    assert step(OPEN, generation, NOON + timedelta(seconds=seconds)) == answer


@pytest.mark.parametrize("generation", [0, 2, 3, 4])
def test_ended_sessions_and_closed_people_get_nothing(generation: int) -> None:
    """Whatever token is shown: there is nothing left to rotate or to end."""
    revoked = Session(OPEN.id, 3, NOON, OPEN.expires_at, is_revoked=True, person=person(1))
    closed = Session(OPEN.id, 3, NOON, OPEN.expires_at, is_revoked=False, person=person(1, state="closed"))
    assert step(revoked, generation, NOON) == step(closed, generation, NOON) == Step.refuse
