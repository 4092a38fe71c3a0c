"""Verifications of bank accounts: data and rules, without a database or a clock."""

from __future__ import annotations

import hmac
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

import msgspec

from unbusy.transits import Status, Transit

# In minor units, from 1: so little that the house can give it away.
MOST_AMOUNT = 99
MOST_WRONG = 3
# Statements on paper come once a week or so.
LIFE = timedelta(days=10)
# What the house gives away to one person, and how often one may guess.
MOST_BEGUN, BEGUN_WITHIN = 3, timedelta(days=30)
# Whoever types a name wrong asks again; who wants to know others' names asks more often.
MOST_NAMES, NAMES_WITHIN = 20, timedelta(days=1)

_BYTES = 8


class Stand(StrEnum):
    """How a verification stands. `on_its_way` and `arrived` are not final."""

    on_its_way = "on_its_way"
    arrived = "arrived"
    verified = "verified"
    failed = "failed"
    expired = "expired"
    tried_out = "tried_out"


class Verification(msgspec.Struct, frozen=True):
    """A tiny amount on its way to a bank account, for its owner to tell. `wrong` is how often another was told."""

    id: UUID
    tenant_id: int
    person_id: UUID
    bank_account_id: UUID
    transit_id: UUID
    wrong: int
    expires_at: datetime
    ended_at: datetime | None
    is_right: bool
    created_at: datetime

    @property
    def tries_left(self) -> int:
        return MOST_WRONG - self.wrong

    def stand(self, transit: Transit, now: datetime) -> Stand:
        """How it stands, by the transit that brings the amount."""
        if self.is_right:
            return Stand.verified
        if self.wrong >= MOST_WRONG:
            return Stand.tried_out
        if transit.status in {Status.declined, Status.reversed}:
            return Stand.failed
        if now >= self.expires_at:
            return Stand.expired
        return Stand.arrived if transit.status is Status.completed else Stand.on_its_way


def is_same(told: int, sent: int) -> bool:
    """Whether it is the amount, in a time that tells nothing of it."""
    return hmac.compare_digest(told.to_bytes(_BYTES, "big"), sent.to_bytes(_BYTES, "big"))
