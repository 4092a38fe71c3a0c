"""What the wallet shows: payments, wallets, statements, requests, batches, promises.

Fields and words that a newer wallet adds are tolerated: unknown fields are passed over, and a
status or a reason is a plain `str`. Times are aware, amounts are integers of the smallest unit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Generic, TypeVar

import msgspec

from unbusy_client import errors
from unbusy_client.problems import Retry

T = TypeVar("T")

# Statuses that may still change. One that is unknown here may, too, so it is not final.
_FINAL = frozenset({"completed", "declined", "reversed", "cancelled", "expired"})


class Money(msgspec.Struct, frozen=True):
    """Where the money is: `moved`, `held`, `not_moved` (said only when it is certain) or `returned`."""

    state: str
    amount: int
    asset: str
    at: datetime | None = None


class Party(msgspec.Struct, frozen=True):
    """Somebody on one side of a payment."""

    id: str
    handle: str = ""
    name: str = ""


class Receipt(msgspec.Struct, frozen=True):
    """The proof of a completed payment."""

    number: str
    url: str = ""
    at: datetime | None = None


class Funding(msgspec.Struct, frozen=True, kw_only=True):
    """What of a payment comes from a bank account: `amount`, as the top-up that brings it. `payout` gives it back when
    the payment could not be made; `message` says where the money is."""

    bank: str
    bank_account: str
    amount: int
    topup: str
    message: str = ""
    payout: str | None = None


class Payment(msgspec.Struct, frozen=True, kw_only=True):
    """A payment as it was when asked. `balance` is the payer's after it, and only the payer sees it."""

    id: str
    status: str
    money: Money
    payer: Party
    payee: Party
    created_at: datetime
    updated_at: datetime
    retry: Retry = Retry(safe=False)
    message: str = ""
    note: str = ""
    refunded: int = 0
    reason: str | None = None
    matter: str | None = None
    fix: str | None = None
    balance: int | None = None
    receipt: Receipt | None = None
    finish_by: datetime | None = None
    resolve_by: datetime | None = None
    next_check_after: datetime | None = None
    place: int | None = None
    if_missed: str | None = None
    request_id: str | None = None
    funding: Funding | None = None

    @property
    def is_completed(self) -> bool:
        """Whether the money has moved."""
        return self.status == "completed"

    @property
    def is_final(self) -> bool:
        """Whether it will not change any more, but for refunds."""
        return self.status in _FINAL

    def require_completed(self) -> Payment:
        """Itself, if the money has moved. Raises Declined, NeedsAction, Underway or Ended."""
        return _require_completed(self)


class Refund(msgspec.Struct, frozen=True, kw_only=True):
    """All or part of a payment, given back. `balance` is its giver's after it."""

    id: str
    payment_id: str
    status: str
    money: Money
    created_at: datetime
    retry: Retry = Retry(safe=False)
    message: str = ""
    note: str = ""
    reason: str | None = None
    matter: str | None = None
    fix: str | None = None
    balance: int | None = None

    @property
    def is_completed(self) -> bool:
        """Whether the money has moved back."""
        return self.status == "completed"

    def require_completed(self) -> Refund:
        """Itself, if the money has moved back. Raises what `Payment.require_completed` raises."""
        return _require_completed(self)


class BankAccount(msgspec.Struct, frozen=True, kw_only=True):
    """A linked bank account. Until it is verified (`verified_at`) only little may be moved with it in a day."""

    id: str
    bank: str
    iban: str
    holder: str
    created_at: datetime
    verified_at: datetime | None = None


class NameCheck(msgspec.Struct, frozen=True, kw_only=True):
    """What a bank says of a holder's name: `match`, `close_match`, `no_match` or `unchecked`. `holder` is masked."""

    name: str
    message: str = ""
    holder: str | None = None


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """How the verification of a bank account stands: `on_its_way`, `arrived` (tell the amount), `verified`, `failed`,
    `expired` or `tried_out`; None when none was begun."""

    bank_account: BankAccount
    message: str = ""
    status: str | None = None
    tries_left: int | None = None
    expires_at: datetime | None = None


class Transit(msgspec.Struct, frozen=True, kw_only=True):
    """A top-up or a payout as it was when asked. While it is `pending` or `unknown` the money is held, and what became
    of it is certain by `resolve_by`; `balance` is the wallet's after it."""

    id: str
    status: str
    money: Money
    bank: str
    bank_account: str
    created_at: datetime
    updated_at: datetime
    retry: Retry = Retry(safe=False)
    message: str = ""
    reason: str | None = None
    matter: str | None = None
    fix: str | None = None
    balance: int | None = None
    resolve_by: datetime | None = None
    if_unresolved: str | None = None
    next_check_after: datetime | None = None

    @property
    def is_completed(self) -> bool:
        """Whether the money has moved."""
        return self.status == "completed"

    @property
    def is_final(self) -> bool:
        """Whether it will not change any more."""
        return self.status in _FINAL

    def require_completed(self) -> Transit:
        """Itself, if the money has moved. Raises Declined, Underway or Ended."""
        return _require_completed(self)


class BankHealth(msgspec.Struct, frozen=True, kw_only=True):
    """How one thing fares at a bank: `operational`, `degraded`, `maintenance`, `down` or `unknown`."""

    state: str
    message: str = ""
    since: datetime | None = None
    p50_ms: int | None = None
    last_good_at: datetime | None = None


class Bank(msgspec.Struct, frozen=True, kw_only=True):
    """A connected bank, and how it fares just now."""

    id: str
    name: str
    topups: BankHealth
    payouts: BankHealth
    enquiries: BankHealth


class MoneyRequest(msgspec.Struct, frozen=True, kw_only=True):
    """`requester` asks `payer` for money: `open`, `paid`, `declined`, `cancelled` or `expired`."""

    id: str
    status: str
    requester: Party
    payer: Party
    amount: int
    asset: str
    expires_at: datetime
    created_at: datetime
    updated_at: datetime
    note: str = ""
    payment_id: str | None = None


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """What a person holds of one asset. `available` is what can be spent now."""

    asset: str
    posted: int
    held: int = 0
    available: int | None = None
    state: str = "open"
    id: str | None = None


class Wallet(msgspec.Struct, frozen=True):
    """All a person holds, as it was at `as_of`: a few seconds ago, at most, when more was asked than could be read."""

    accounts: Sequence[Account]
    as_of: datetime | None = None

    def account(self, asset: str) -> Account:
        """The account of one asset; an empty one if there is none yet."""
        return next((one for one in self.accounts if one.asset == asset), Account(asset=asset, posted=0, available=0))


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a statement: `amount` is negative when money went out, `balance` is right after."""

    number: int
    kind: str
    code: str
    amount: int
    balance: int
    at: datetime
    transfer_id: str = ""
    payment_id: str | None = None
    counterparty: Party | None = None


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody, as they see themselves."""

    id: str
    name: str
    handle: str
    role: str = "customer"
    email: str | None = None
    phone: str | None = None
    language: str = "en"
    state: str = ""
    created_at: datetime | None = None


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """A session's tokens. Keep it as you keep a password; the client replaces it as it is refreshed."""

    access_token: str
    refresh_token: str
    expires_in: float
    person: Person

    def __repr__(self) -> str:
        return f"Session(of {self.person.handle}, …)"


class NewPayment(msgspec.Struct, frozen=True, kw_only=True):
    """One payment of a batch; `key` is its own idempotency key."""

    key: str
    payee: str
    amount: int
    asset: str
    note: str = ""


class BatchRow(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one payment of a batch, by its line in the file. `status` is the payment's, or `refused`:
    then `reason`, `field` and `detail` say what is wrong with the row, and `key` is None if it could not be read."""

    line: int
    status: str
    key: str | None = None
    payment_id: str | None = None
    reason: str | None = None
    field: str | None = None
    detail: str | None = None


class PaymentBatch(msgspec.Struct, frozen=True, kw_only=True):
    """Many payments taken at once, settled in order by `finish_by`; None when no row was taken.

    `accepted` and `refused` count rows, `payments` those that were accepted by status. While it is `queued`,
    `next_check_after` says when to look again.
    """

    id: str
    status: str
    accepted: int
    refused: int
    payments: Mapping[str, int]
    created_at: datetime
    finish_by: datetime | None = None
    next_check_after: datetime | None = None

    @property
    def is_finished(self) -> bool:
        """Whether each of its payments is final."""
        return self.status == "finished"


class Happened(msgspec.Struct, frozen=True, kw_only=True):
    """An event, or a webhook: what happened, and what it is about as that is now."""

    type: str
    at: datetime | None = None
    id: str = ""
    payment: Payment | None = None
    refund: Refund | None = None
    request: MoneyRequest | None = None
    topup: Transit | None = None
    payout: Transit | None = None
    bank_account: BankAccount | None = None


class Page(msgspec.Struct, Generic[T], frozen=True):
    """One page of a list; `next` is the cursor of the following one."""

    items: Sequence[T]
    next: str | None = None


Promises = Mapping[str, Any]
"""The public count of promises kept and broken, by class and hour, as the wallet says it."""


_Paid = TypeVar("_Paid", "Payment", "Refund", "Transit")


def _require_completed(about: _Paid) -> _Paid:
    if about.is_completed:
        return about
    # A status that is unknown here may still change: what is not known to be over is underway.
    raise _NOT_COMPLETED.get(about.status, errors.Underway)(about)


_NOT_COMPLETED = {
    "declined": errors.Declined,
    "needs_action": errors.NeedsAction,
    "cancelled": errors.Ended,
    "expired": errors.Ended,
    "reversed": errors.Ended,
}
