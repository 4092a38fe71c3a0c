"""Sessions: what a refresh token may do. Pure.

    open ─▶ ended        signed out, somebody used an old refresh token, the person was closed
         └▶ expired      not used for `session_days`

Every refresh makes the session's next *generation*; its refresh token is the only one that is good
from then on. An older one in anybody's hands means that two parties hold the session, and nobody
can tell which is the thief: the session ends for both. One case is innocent and common, the answer
that was lost on a bad network: for ten seconds the token just used up is answered with its very
successor again. A thief who is that quick gains nothing lasting, because the two then hold the same
token, and the second to use it later gives the theft away.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

import msgspec

from unbusy.people.model import Person

# How long a client may take to notice that the answer to its refresh was lost.
GRACE = timedelta(seconds=10)

# Sessions one person may have open; the one unused for longest makes room for another.
MOST_SESSIONS = 100


class Session(msgspec.Struct, frozen=True):
    """A session as the database has it, and whose it is."""

    id: UUID
    generation: int
    last_used_at: datetime
    expires_at: datetime
    is_revoked: bool
    person: Person


class Step(StrEnum):
    """What is done about a refresh token."""

    rotate = "rotate"
    repeat = "repeat"
    refuse = "refuse"
    revoke = "revoke"


def step(session: Session, generation: int, now: datetime) -> Step:
    """What to do when the genuine token of this generation of the session is presented."""
    if session.is_revoked or session.expires_at <= now or session.person.state != "open":
        return Step.refuse
    # A later one than the database knows is genuine too: a standby took over that had not yet
    # heard of the last refresh.
    if generation >= session.generation:
        return Step.rotate
    if generation == session.generation - 1 and now - session.last_used_at <= GRACE:
        return Step.repeat
    return Step.revoke
