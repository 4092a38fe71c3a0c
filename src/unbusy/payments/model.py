"""Payments, refunds and requests for money: data and rules, without a database or a clock."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

import msgspec

from unbusy.ledger import Outcome, Refusal, Refused, Transfer
from unbusy.money import MAX_AMOUNT
from unbusy.promises import Promise
from unbusy.reasons import Reason


class Status(StrEnum):
    """Where a payment stands. `queued` and `pending` are not final."""

    completed = "completed"
    declined = "declined"
    queued = "queued"
    pending = "pending"
    cancelled = "cancelled"
    expired = "expired"


class RequestStatus(StrEnum):
    """Where a request for money stands. `open` is the only one that is not final."""

    open = "open"
    paid = "paid"
    declined = "declined"
    cancelled = "cancelled"
    expired = "expired"


class Order(msgspec.Struct, frozen=True, gc=False):
    """A payment somebody wants, checked as far as that is possible without the database.

    `id` becomes the payment's. `amount` is in minor units of `asset`. `fingerprint` tells another
    body under the same `key`. There is a `promise` when the payer chose not to wait.
    """

    id: UUID
    tenant_id: int
    payer_id: UUID
    payee_id: UUID
    amount: int
    asset: str
    note: str
    key: str
    fingerprint: bytes
    request_id: UUID | None = None
    promise: Promise | None = None

    @property
    def finish_by(self) -> datetime | None:
        return self.promise.finish_by if self.promise else None


class Payment(msgspec.Struct, frozen=True, gc=False):
    """A payment as it is now. `balance_after` is the payer's, in minor units, once it moved."""

    id: UUID
    tenant_id: int
    payer_id: UUID
    payee_id: UUID
    amount: int
    asset: str
    note: str
    status: Status
    reason: Reason | None
    request_id: UUID | None
    refunded: int
    balance_after: int | None
    finish_by: datetime | None
    key: str
    fingerprint: bytes
    created_at: datetime
    updated_at: datetime
    completed_at: datetime | None

    @property
    def is_final(self) -> bool:
        return self.status not in {Status.queued, Status.pending}

    def is_visible_to(self, person_id: UUID) -> bool:
        """Its payer sees it always, its payee once it has completed."""
        return person_id == self.payer_id or (person_id == self.payee_id and self.status is Status.completed)

    def is_due_by(self, now: datetime) -> bool:
        """Whether the promise of one that is not final can still be kept."""
        return self.finish_by is not None and now < self.finish_by

    def order(self) -> Order:
        """What was asked for, to be done at once."""
        return Order(
            id=self.id,
            tenant_id=self.tenant_id,
            payer_id=self.payer_id,
            payee_id=self.payee_id,
            amount=self.amount,
            asset=self.asset,
            note=self.note,
            key=self.key,
            fingerprint=self.fingerprint,
            request_id=self.request_id,
        )

    @property
    def refundable(self) -> int:
        """What can still be given back, in minor units."""
        return self.amount - self.refunded if self.status is Status.completed else 0


class Refund(msgspec.Struct, frozen=True):
    """All or part of a payment, given back by its payee. `balance_after` is the payee's."""

    id: UUID
    tenant_id: int
    payment_id: UUID
    payee_id: UUID
    amount: int
    asset: str
    note: str
    status: Status
    reason: Reason | None
    balance_after: int | None
    key: str
    fingerprint: bytes
    created_at: datetime


class MoneyRequest(msgspec.Struct, frozen=True):
    """`requester_id` asks `payer_id` for `amount` minor units of `asset`."""

    id: UUID
    tenant_id: int
    requester_id: UUID
    payer_id: UUID
    amount: int
    asset: str
    note: str
    status: RequestStatus
    payment_id: UUID | None
    key: str
    fingerprint: bytes
    expires_at: datetime
    created_at: datetime
    updated_at: datetime

    def is_open_at(self, now: datetime) -> bool:
        return self.status is RequestStatus.open and now < self.expires_at


# Where a payment or an event lies in a person's stream: the transaction that wrote it, and a number
# within that.
Place = tuple[int, int]


class Event(msgspec.Struct, frozen=True):
    """Something changed for a person: `kind` is such as `payment.completed`, `subject_id` of what.

    The pair (`xid`, `number`) places it in the person's stream.
    """

    xid: int
    number: int
    kind: str
    subject_id: UUID
    at: datetime

    @property
    def room(self) -> str:
        """What it is about: what stands before the dot of its kind."""
        return self.kind.partition(".")[0]


class Told(NamedTuple):
    """An event of another room: `subject_id` is one of what stands before the dot of its `kind`."""

    person_id: UUID
    tenant_id: int
    kind: str
    subject_id: UUID
    at: datetime


class Limits(NamedTuple):
    """The most one person may pay, or move to or from a bank, in minor units of one asset."""

    per_payment: int
    per_day: int
    per_month: int

    @classmethod
    def of_whole_units(cls, per_payment: int, per_day: int, per_month: int, scale: int) -> Limits:
        """Limits given in whole units, for an asset of that scale."""
        unit = 10**scale
        return cls(*(min(whole * unit, MAX_AMOUNT) for whole in (per_payment, per_day, per_month)))

    def refuses(self, amount: int, this_day: int, this_month: int) -> Reason | None:
        """The limit that `amount` more than so much would break, the narrowest first."""
        if amount > self.per_payment:
            return Reason.limit_per_payment
        if this_day + amount > self.per_day:
            return Reason.limit_per_day
        if this_month + amount > self.per_month:
            return Reason.limit_per_month
        return None


class Profile(msgspec.Struct, gc=False):
    """What a payer has paid in one asset so far; moves forward with each payment of a batch."""

    person_id: UUID
    asset: str
    tenant_id: int
    day: date
    spent_this_day: int
    month: date
    spent_this_month: int
    limits: Limits
    # Nothing has been counted for this payer yet, and nothing is stored.
    is_new: bool = False

    def turn_to(self, today: date) -> None:
        """Begin anew when the day or the month is over. A clock that jumped back changes nothing."""
        if today > self.day:
            self.day, self.spent_this_day = today, 0
        if (month := today.replace(day=1)) > self.month:
            self.month, self.spent_this_month = month, 0

    def refuses(self, amount: int) -> Reason | None:
        """The limit that `amount` more would break, the narrowest first."""
        return self.limits.refuses(amount, self.spent_this_day, self.spent_this_month)

    def spend(self, amount: int) -> None:
        """Count a payment, or take it back with a negative amount."""
        self.spent_this_day += amount
        self.spent_this_month += amount


# How a payment names what the ledger refused: the debit is the payer's wallet, the credit the
# payee's. What is not here cannot happen to a transfer between two wallets that was made by us.
_REASON_OF_REFUSAL = {
    Refusal.debit_account_closed: Reason.payer_account_closed,
    Refusal.debit_account_frozen: Reason.payer_account_frozen,
    Refusal.credit_account_closed: Reason.payee_account_closed,
    Refusal.credit_account_frozen: Reason.payee_account_frozen,
    Refusal.insufficient_funds: Reason.insufficient_funds,
    Refusal.ceiling_exceeded: Reason.payee_balance_limit,
    Refusal.counter_would_overflow: Reason.payee_balance_limit,
}


def reason_of(refusal: Refusal) -> Reason:
    """The reason a person is given for what the ledger refused."""
    return _REASON_OF_REFUSAL[refusal]


def payment(order: Order, status: Status, now: datetime, *, reason: Reason | None = None) -> Payment:
    """The payment an order becomes when no money moves."""
    return Payment(
        id=order.id,
        tenant_id=order.tenant_id,
        payer_id=order.payer_id,
        payee_id=order.payee_id,
        amount=order.amount,
        asset=order.asset,
        note=order.note,
        status=status,
        reason=reason,
        request_id=order.request_id,
        refunded=0,
        balance_after=None,
        finish_by=order.finish_by,
        key=order.key,
        fingerprint=order.fingerprint,
        created_at=now,
        updated_at=now,
        completed_at=None,
    )


def settled(order: Order, outcome: Outcome | None, now: datetime) -> Payment:
    """The payment an order becomes by what the ledger answered; None stands for no wallet at all."""
    if outcome is None:
        return payment(order, Status.declined, now, reason=Reason.insufficient_funds)
    if isinstance(outcome, Refused):
        return payment(order, Status.declined, now, reason=reason_of(outcome.refusal))
    return Payment(
        id=order.id,
        tenant_id=order.tenant_id,
        payer_id=order.payer_id,
        payee_id=order.payee_id,
        amount=order.amount,
        asset=order.asset,
        note=order.note,
        status=Status.completed,
        reason=None,
        request_id=order.request_id,
        refunded=0,
        balance_after=outcome.debit.balance,
        finish_by=None,
        key=order.key,
        fingerprint=order.fingerprint,
        created_at=now,
        updated_at=outcome.at,
        completed_at=outcome.at,
    )


def transfer(order: Order, debit_id: UUID, credit_id: UUID) -> Transfer:
    """The transfer that makes an order true."""
    return Transfer(
        id=order.id,
        tenant_id=order.tenant_id,
        debit_id=debit_id,
        credit_id=credit_id,
        amount=order.amount,
        asset=order.asset,
        code="payment",
    )


def refund_transfer(refund: Refund, debit_id: UUID, credit_id: UUID) -> Transfer:
    """The transfer that makes a refund true: the debit is the payee's wallet."""
    return Transfer(
        id=refund.id,
        tenant_id=refund.tenant_id,
        debit_id=debit_id,
        credit_id=credit_id,
        amount=refund.amount,
        asset=refund.asset,
        code="refund",
    )
