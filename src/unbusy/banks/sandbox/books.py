"""What the sandbox bank keeps: accounts, consents and payments, each change in one transaction.

    pay ──▶ ACCC | RJCT            executed, or not and why
        └─▶ ACSP ──▶ ACCC | RJCT   later, when a fault says so
    withdraw ──▶ CANC              of a reference that never came: it is not executed any more
    reverse ──▶ CANC               and of one that came: what moved is moved back

It survives a kill at any line, and executes a reference once.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from unbusy.banks.sandbox import messages, sql
from unbusy.banks.sandbox.faults import MAGIC_DECLINES, Fault, Kind
from unbusy.banks.sandbox.keys import CLIENT_ACCOUNTS
from unbusy.banks.sandbox.orders import Order, Party, Wrong
from unbusy.banks.sandbox.sql import Account, Consent, Entry, Payment
from unbusy.clock import Clock
from unbusy.ids import Ids

SETTLED, PENDING, REJECTED, CANCELLED, AUTHORISED = "ACCC", "ACSP", "RJCT", "CANC", "AUTH"

# What an account has on it when it is first heard of, in minor units: more than anybody tries out.
_PLENTY = 10**12

# Of ISO 20022, ExternalStatusReason1Code.
_TOO_LITTLE, _NO_REASON = "AM04", "MS03"

# What the books show of a payment.
_TOLD = ("reference", "is_pull", "iban", "asset", "amount", "status", "reason")


class Unknown(Exception):
    """There is no such payment."""


class Opened(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A customer's account as it should be. `balance` is in minor units."""

    iban: str
    asset: str
    name: str
    balance: int = _PLENTY
    is_open: bool = True


class Books:
    """The bank's memory, in one file."""

    def __init__(self, path: Path, *, clock: Clock, ids: Ids) -> None:
        # Each statement that is not in a `with` is a transaction of its own.
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")
        # What was committed outlives the process, however that dies; a real bank would outlive the machine too.
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.executescript(sql.SCHEMA)
        self._clock = clock
        self._ids = ids

    def close(self) -> None:
        """Give the file back."""
        self._db.close()

    def open_account(self, opened: Opened) -> None:
        """Let an account be as told from now on."""
        sql.put_account(self._db, Account(opened.iban, opened.asset, opened.name, opened.balance, int(opened.is_open)))

    def holder(self, account: Party) -> str:
        """Whose an account is. One that nobody has heard of is whose it is said to be."""
        return sql.holder(self._db, account.iban) or account.name

    def entries(self, ours: str, asset: str, since: float, until: float) -> tuple[int, list[Entry]]:
        """What was booked on an account of the client's in a time, and its balance before it."""
        self._settle_due()
        found = sql.entries(self._db, ours, asset, since, until)
        before = found[0].balance - found[0].amount if found else sql.last_balance(self._db, ours, asset, until)
        return (_PLENTY if before is None else before), found

    def statement(self) -> dict[str, list[dict[str, Any]]]:
        """What everybody has, and every payment that was ever asked for in its order; after what has fallen due."""
        self._settle_due()
        payments = [payment._asdict() for payment in sql.payments(self._db)]
        return {
            "accounts": [account._asdict() for account in sql.accounts(self._db)],
            "payments": [{name: payment[name] for name in _TOLD} for payment in payments],
        }

    def consent(self, key: str, asked: messages.Consent) -> dict[str, Any]:
        """Authorise it at once. The same key again is the same consent; raises Wrong when it asks for another."""
        known = sql.consent_of_key(self._db, key)
        if known is None:
            known = Consent(self._ids.new().hex, asked.scope, msgspec.json.encode(asked.data).decode())
            sql.add_consent(self._db, key, known)
        if known.scope != asked.scope:
            raise Wrong("this idempotency key stands for another consent")
        return msgspec.json.decode(known.data, type=dict[str, Any]) | {"ConsentId": known.id, "Status": AUTHORISED}

    def pay(self, order: Order, fault: Fault | None) -> Payment:
        """Execute it, once. Raises Wrong for another payment under its reference, and without consent."""
        self._settle_due()
        with self._transaction():
            known = sql.payment(self._db, order.reference)
            if known is None:
                known = self._decided(order, fault)
                sql.add_payment(self._db, known)
                if known.status == SETTLED:
                    self._move(known)
            elif known.status != CANCELLED and msgspec.json.decode(known.data) != order.data:
                raise Wrong("this reference stands for another payment")
        return known

    def find(self, reference: str, *, is_pull: bool) -> Payment:
        """What became of a reference. Raises Unknown."""
        self._settle_due()
        known = sql.payment(self._db, reference)
        if known is None or known.is_pull != is_pull:
            raise Unknown
        return known

    def withdraw(self, reference: str, *, is_pull: bool) -> Payment:
        """Never execute a reference that has not come yet; one that has stays as it is."""
        self._settle_due()
        with self._transaction():
            known = sql.payment(self._db, reference)
            if known is None:
                known = self._withdrawn(reference, is_pull)
                sql.add_payment(self._db, known)
        return known

    def reverse(self, reference: str, *, is_pull: bool) -> bool:
        """Let nothing have come of a reference, whatever did before. False when what moved cannot be had back."""
        known = self.withdraw(reference, is_pull=is_pull)
        with self._transaction():
            if known.status == SETTLED:
                back = known._replace(is_pull=not known.is_pull)
                if self._shortage(back):
                    return False
                self._move(back)
            sql.finish(self._db, reference, CANCELLED, "")
        return True

    def _withdrawn(self, reference: str, is_pull: bool) -> Payment:
        return Payment(
            reference=reference,
            id=self._ids.new().hex,
            is_pull=is_pull,
            ours="",
            iban="",
            asset="",
            amount=0,
            status=CANCELLED,
            reason="",
            data="{}",
            due_at=None,
        )

    def _decided(self, order: Order, fault: Fault | None) -> Payment:
        if order.agreed:
            consent = sql.consent(self._db, order.agreed.consent_id)
            if consent is None or consent.scope != order.agreed.scope:
                raise Wrong("there is no consent to this")
        if order.ours.iban not in CLIENT_ACCOUNTS:
            raise Wrong("this is not the client's account")
        status, due_at = SETTLED, None
        if reason := self._why_not(order):
            status = REJECTED
        elif fault and fault.kind in {Kind.pending, Kind.pending_declined}:
            # The reason stands here until it is due, and is told only then.
            status, due_at = PENDING, self._clock.timestamp() + fault.seconds
            reason = _NO_REASON if fault.kind is Kind.pending_declined else ""
        return Payment(
            reference=order.reference,
            id=self._ids.new().hex,
            is_pull=order.is_pull,
            ours=order.ours.iban,
            iban=order.customer.iban,
            asset=order.asset,
            amount=order.amount,
            status=status,
            reason=reason,
            data=msgspec.json.encode(order.data).decode(),
            due_at=due_at,
        )

    def _why_not(self, order: Order) -> str:
        """The reason of ISO 20022 for which it is not executed, empty for none."""
        customer = self._account(order.customer, order.asset)
        ours = self._account(order.ours, order.asset)
        if magic := MAGIC_DECLINES.get(order.amount):
            return magic
        if not customer.is_open:
            return "AC04"
        if customer.name.casefold() != order.customer.name.casefold():
            return "BE01"
        return _TOO_LITTLE if (customer if order.is_pull else ours).balance < order.amount else ""

    def _account(self, party: Party, asset: str) -> Account:
        """The account, as if it had always been there."""
        known = sql.account(self._db, party.iban, asset)
        if known is None:
            known = Account(party.iban, asset, party.name, _PLENTY, is_open=1)
            sql.put_account(self._db, known)
        return known

    def _settle_due(self) -> None:
        now = self._clock.timestamp()
        if not sql.due(self._db, now):
            return
        with self._transaction():
            for payment in sql.due(self._db, now):
                reason = payment.reason or self._shortage(payment)
                sql.finish(self._db, payment.reference, REJECTED if reason else SETTLED, reason)
                if not reason:
                    self._move(payment)

    def _shortage(self, payment: Payment) -> str:
        payer = sql.account(self._db, payment.iban if payment.is_pull else payment.ours, payment.asset)
        return "" if payer and payer.balance >= payment.amount else _TOO_LITTLE

    def _move(self, payment: Payment) -> None:
        to_us = payment.amount if payment.is_pull else -payment.amount
        sql.move(self._db, payment.iban, payment.asset, -to_us)
        sql.move(self._db, payment.ours, payment.asset, to_us)
        ours = sql.account(self._db, payment.ours, payment.asset)
        assert ours
        sql.add_entry(self._db, payment.reference, ours, to_us, self._clock.timestamp())

    @contextmanager
    def _transaction(self) -> Generator[None]:
        """All of what is done inside, or nothing; nobody else writes meanwhile."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")
