"""The books of the sandbox bank, in a file of SQLite."""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

SCHEMA = """
CREATE TABLE IF NOT EXISTS accounts (
    iban    TEXT NOT NULL,
    asset   TEXT NOT NULL,
    name    TEXT NOT NULL,
    balance INTEGER NOT NULL CONSTRAINT nobody_is_overdrawn CHECK (balance >= 0),
    is_open INTEGER NOT NULL,
    PRIMARY KEY (iban, asset)
) STRICT;

CREATE TABLE IF NOT EXISTS consents (
    id    TEXT NOT NULL PRIMARY KEY,
    key   TEXT NOT NULL CONSTRAINT a_key_makes_one_consent UNIQUE,
    scope TEXT NOT NULL,
    data  TEXT NOT NULL
) STRICT;

CREATE TABLE IF NOT EXISTS payments (
    reference TEXT NOT NULL CONSTRAINT a_reference_is_executed_once PRIMARY KEY,
    id        TEXT NOT NULL,
    is_pull   INTEGER NOT NULL,
    ours      TEXT NOT NULL,
    iban      TEXT NOT NULL,
    asset     TEXT NOT NULL,
    amount    INTEGER NOT NULL,
    status    TEXT NOT NULL,
    reason    TEXT NOT NULL,
    data      TEXT NOT NULL,
    due_at    REAL,
    CONSTRAINT only_what_is_pending_is_due CHECK ((due_at IS NULL) = (status != 'ACSP'))
) STRICT;

CREATE TABLE IF NOT EXISTS entries (
    number    INTEGER NOT NULL PRIMARY KEY,
    asset     TEXT NOT NULL,
    reference TEXT NOT NULL,
    amount    INTEGER NOT NULL,
    balance   INTEGER NOT NULL,
    booked_at REAL NOT NULL
) STRICT;

CREATE INDEX IF NOT EXISTS pending ON payments (due_at) WHERE due_at IS NOT NULL;
"""


class Account(NamedTuple):
    iban: str
    asset: str
    name: str
    balance: int
    is_open: int


class Consent(NamedTuple):
    id: str
    scope: str
    data: str


class Payment(NamedTuple):
    reference: str
    id: str
    is_pull: int
    ours: str
    iban: str
    asset: str
    amount: int
    status: str
    reason: str
    data: str
    due_at: float | None


class Entry(NamedTuple):
    """One line of an account of the client's: `amount` above zero came in, `balance` is after it."""

    number: int
    asset: str
    reference: str
    amount: int
    balance: int
    booked_at: float
    id: str
    iban: str
    name: str


def account(db: sqlite3.Connection, iban: str, asset: str) -> Account | None:
    query = "SELECT iban, asset, name, balance, is_open FROM accounts WHERE iban = ? AND asset = ?"
    row = db.execute(query, (iban, asset)).fetchone()
    return Account(*row) if row else None


def accounts(db: sqlite3.Connection) -> list[Account]:
    query = "SELECT iban, asset, name, balance, is_open FROM accounts ORDER BY iban, asset"
    return [Account(*row) for row in db.execute(query)]


def put_account(db: sqlite3.Connection, account: Account) -> None:
    db.execute("INSERT OR REPLACE INTO accounts (iban, asset, name, balance, is_open) VALUES (?, ?, ?, ?, ?)", account)


def move(db: sqlite3.Connection, iban: str, asset: str, amount: int) -> None:
    db.execute("UPDATE accounts SET balance = balance + ? WHERE iban = ? AND asset = ?", (amount, iban, asset))


def holder(db: sqlite3.Connection, iban: str) -> str | None:
    row = db.execute("SELECT name FROM accounts WHERE iban = ? ORDER BY asset LIMIT 1", (iban,)).fetchone()
    return row[0] if row else None


def consent_of_key(db: sqlite3.Connection, key: str) -> Consent | None:
    row = db.execute("SELECT id, scope, data FROM consents WHERE key = ?", (key,)).fetchone()
    return Consent(*row) if row else None


def consent(db: sqlite3.Connection, id: str) -> Consent | None:
    row = db.execute("SELECT id, scope, data FROM consents WHERE id = ?", (id,)).fetchone()
    return Consent(*row) if row else None


def add_consent(db: sqlite3.Connection, key: str, consent: Consent) -> None:
    db.execute("INSERT INTO consents (key, id, scope, data) VALUES (?, ?, ?, ?)", (key, *consent))


_PAYMENTS = """
SELECT reference, id, is_pull, ours, iban, asset, amount, status, reason, data, due_at FROM payments
"""


def payment(db: sqlite3.Connection, reference: str) -> Payment | None:
    row = db.execute(f"{_PAYMENTS} WHERE reference = ?", (reference,)).fetchone()
    return Payment(*row) if row else None


def payments(db: sqlite3.Connection) -> list[Payment]:
    return [Payment(*row) for row in db.execute(f"{_PAYMENTS} ORDER BY rowid")]


def due(db: sqlite3.Connection, now: float) -> list[Payment]:
    return [Payment(*row) for row in db.execute(f"{_PAYMENTS} WHERE due_at <= ? ORDER BY due_at", (now,))]


def add_payment(db: sqlite3.Connection, payment: Payment) -> None:
    db.execute(
        "INSERT INTO payments (reference, id, is_pull, ours, iban, asset, amount, status, reason, data, due_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        payment,
    )


def finish(db: sqlite3.Connection, reference: str, status: str, reason: str) -> None:
    db.execute(
        "UPDATE payments SET status = ?, reason = ?, due_at = NULL WHERE reference = ?", (status, reason, reference)
    )


def add_entry(db: sqlite3.Connection, reference: str, account: Account, amount: int, booked_at: float) -> None:
    db.execute(
        "INSERT INTO entries (asset, reference, amount, balance, booked_at) VALUES (?, ?, ?, ?, ?)",
        (account.asset, reference, amount, account.balance, booked_at),
    )


def entries(db: sqlite3.Connection, ours: str, asset: str, since: float, until: float) -> list[Entry]:
    query = """
    SELECT e.number, e.asset, e.reference, e.amount, e.balance, e.booked_at, p.id, p.iban, a.name
      FROM entries e
      JOIN payments p ON p.reference = e.reference
      JOIN accounts a ON a.iban = p.iban AND a.asset = e.asset
     WHERE p.ours = ? AND e.asset = ? AND e.booked_at >= ? AND e.booked_at < ?
     ORDER BY e.number
    """
    return [Entry(*row) for row in db.execute(query, (ours, asset, since, until))]


def last_balance(db: sqlite3.Connection, ours: str, asset: str, before: float) -> int | None:
    query = """
    SELECT e.balance FROM entries e JOIN payments p ON p.reference = e.reference
     WHERE p.ours = ? AND e.asset = ? AND e.booked_at < ? ORDER BY e.number DESC LIMIT 1
    """
    row = db.execute(query, (ours, asset, before)).fetchone()
    return row[0] if row else None
