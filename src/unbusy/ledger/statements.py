"""Statements: what an account did, and what it held at any past time."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from msgspec import Struct, convert

from unbusy.db import Row, Tx
from unbusy.ledger import sql
from unbusy.ledger.transfers import Kind

# A page of a hundred, and one more that tells whether there is a next.
MAX_ENTRIES = 101


class Entry(Struct, frozen=True, kw_only=True):
    """One line of an account's statement.

    `amount` is what it changed the balance by (+ in, − out; 0 for hold, void and expire), `held`
    what it changed the reserved by (+ for a hold, − for its end), `balance` what was posted after it.
    """

    number: int
    transfer_id: UUID
    kind: Kind
    code: str
    amount: int
    held: int
    balance: int
    at: datetime
    counterparty_id: UUID


async def statement(
    tx: Tx,
    account_id: UUID,
    *,
    before: int | None = None,
    limit: int = MAX_ENTRIES,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[Entry]:
    """Entries of the account, newest first: `since` ≤ at < `until`, numbers less than `before`.

    For the next page, `before` is the number of the last entry. `limit` is `MAX_ENTRIES` at most.
    """
    assert 0 < limit <= MAX_ENTRIES
    if until is not None:
        last, _ = await sql.position_at(tx, account_id, until, included=False)
        before = last + 1 if before is None else min(before, last + 1)
    after = 0
    if since is not None:
        after, _ = await sql.position_at(tx, account_id, since, included=False)
    return [_entry(row) for row in await sql.entries(tx, account_id, before, after, limit)]


async def balance_at(tx: Tx, account_id: UUID, at: datetime) -> int:
    """What was posted to the account up to and including `at`; 0 for an unknown one."""
    _, balance = await sql.position_at(tx, account_id, at, included=True)
    return balance


def _entry(row: Row) -> Entry:
    return convert(dict(row.items()), Entry)
