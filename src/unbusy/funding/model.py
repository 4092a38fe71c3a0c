"""What is pulled for a payment: data and rules, without a database or a clock."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from unbusy.ledger import AccountState
from unbusy.reasons import Reason
from unbusy.transits import Status

# From the end of the pull, which comes by the transit's own promise, until its payment is settled: the
# worker may have been away.
_SETTLE = timedelta(minutes=10)


class Funding(msgspec.Struct, frozen=True):
    """`amount` is pulled for a payment as a transit, in minor units; `own` of the wallet's is held for it meanwhile.

    `payout_id` is the payout that gives back what came, when the payment could not be made.
    """

    payment_id: UUID
    tenant_id: int
    person_id: UUID
    transit_id: UUID
    bank_account_id: UUID
    amount: int
    own: int
    payout_id: UUID | None = None
    ended_at: datetime | None = None


def finish_by(resolve_by: datetime) -> datetime:
    """When a payment ends whose pull ends by a time."""
    return resolve_by + _SETTLE


def waits_since(now: datetime) -> datetime:
    """A pull that should have ended before this has kept its payment waiting too long."""
    return now - _SETTLE


def why_not(status: Status, reason: Reason | None) -> Reason | None:
    """Why a payment cannot be made after its pull has come to this; None when the pull is not to blame."""
    return reason if status in {Status.declined, Status.reversed} else None


def payee_refuses(state: str | None) -> Reason | None:
    """Why a payee whose account is in this state (None: without one) cannot be paid."""
    if state == AccountState.closed:
        return Reason.payee_account_closed
    return Reason.payee_account_frozen if state == AccountState.frozen else None


def outcome(paid: str, pulled: Status, payout_id: UUID | None) -> str:
    """Which sentence says where the money is: `paid` is the payment's status."""
    if paid == "pending":
        return "funding_pending"
    if paid == "completed":
        return "funding_completed"
    if payout_id:
        return "funding_given_back"
    return "funding_in_wallet" if pulled is Status.completed else "funding_not_pulled"
