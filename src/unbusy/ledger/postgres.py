"""The engine *postgres*: a batch of transfers inside the caller's own database transaction.

    lock the accounts once, in id order
      ─▶ earlier answers to these ids, and the holds (read after the lock, so nothing is missed)
      ─▶ apply the transfers in order, in memory (`books.py`)
      ─▶ write them as sets

Three statements for a batch of plain transfers, whatever its size; two when the caller locks the
accounts itself and knows the ids to be new, as payments do.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid5

from unbusy.db import Row, Tx
from unbusy.ledger import sql
from unbusy.ledger.books import Answer, Books, LockedAccount, LockedHold
from unbusy.ledger.transfers import MAX_BATCH, Kind, Outcome, Position, Posted, Refusal, Refused, Transfer

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# Accounts that nobody else can change now, by their ids as whole numbers.
Locked = dict[int, LockedAccount]


async def post(tx: Tx, transfers: Sequence[Transfer], at: datetime) -> list[Outcome]:
    """Apply the transfers in order; one outcome each, in the same order.

    At most `MAX_BATCH` at once. `at` is raised to the newest time among the accounts involved,
    so that the time of an account never runs backwards. Outside its own transaction nothing
    is done: whoever calls may undo it all, or do it again.
    """
    return await _post(tx, transfers, at, may_expire=False)


async def lock(tx: Tx, account_ids: Collection[UUID]) -> Locked:
    """Lock these accounts until the transaction ends, for `post_new`; unknown ones are passed over.

    What the caller reads afterwards about their owners stays true, as long as whoever changes it
    locks the account first too.
    """
    rows = await sql.lock_accounts(tx, list(account_ids))
    return {row[0].int: LockedAccount(*row.values()) for row in rows}


async def post_new(tx: Tx, locked: Locked, transfers: Sequence[Transfer], at: datetime) -> list[Outcome]:
    """As `post`, for posts that the caller knows to be new, between accounts it has locked.

    Nothing is read any more, so one statement does it. Should an id have been used before, the
    database refuses the whole batch (`UniqueViolationError`) and nothing of it is done.
    """
    assert len(transfers) <= MAX_BATCH
    assert all(transfer.hold_id is None for transfer in transfers)
    return await _apply(tx, Books(locked, {}, {}, max(at, _newest(locked.values()))), transfers) if transfers else []


async def expire_holds(tx: Tx, now: datetime, limit: int = 500) -> int:
    """Release holds whose time has passed, oldest first; how many.

    Many workers may call it at once: each hold is released once, by whoever comes first.
    """
    assert 0 < limit <= MAX_BATCH
    # The id follows from the hold's, so that whoever comes second posts nothing twice.
    ends = [
        Transfer(
            id=uuid5(row["id"], "expire"),
            kind=Kind.expire,
            tenant_id=row["tenant_id"],
            amount=0,
            asset=row["asset"],
            code="expire",
            hold_id=row["id"],
        )
        for row in await sql.holds_due(tx, now, limit)
    ]
    outcomes = await _post(tx, ends, now, may_expire=True)
    return sum(isinstance(outcome, Posted) and not outcome.replayed for outcome in outcomes)


async def _post(tx: Tx, transfers: Sequence[Transfer], at: datetime, *, may_expire: bool) -> list[Outcome]:
    assert len(transfers) <= MAX_BATCH
    if not transfers:
        return []
    hold_ids = [transfer.hold_id for transfer in transfers if transfer.hold_id is not None]
    accounts = await _lock(tx, transfers, hold_ids)
    answers = await _earlier_answers(tx, transfers)
    holds = await _holds(tx, hold_ids) if hold_ids else {}
    at = max(at, _newest(accounts.values()))
    return await _apply(tx, Books(accounts, holds, answers, at, may_expire=may_expire), transfers)


async def _apply(tx: Tx, books: Books, transfers: Sequence[Transfer]) -> list[Outcome]:
    outcomes = books.apply(transfers)
    await _write(tx, books)
    return outcomes


async def _lock(tx: Tx, transfers: Sequence[Transfer], hold_ids: Sequence[UUID]) -> Locked:
    ids: dict[int, UUID] = {}
    for transfer in transfers:
        if (debit_id := transfer.debit_id) is not None:
            ids[debit_id.int] = debit_id
        if (credit_id := transfer.credit_id) is not None:
            ids[credit_id.int] = credit_id
    if hold_ids:
        for row in await sql.accounts_of_holds(tx, hold_ids):
            ids |= {id.int: id for id in row.values()}
    return await lock(tx, ids.values())


def _newest(accounts: Collection[LockedAccount]) -> datetime:
    """The time of the newest transfer of any of them."""
    microseconds = max((account.posted_at_us or 0 for account in accounts), default=0)
    return _EPOCH + timedelta(microseconds=microseconds)


async def _earlier_answers(tx: Tx, transfers: Sequence[Transfer]) -> dict[int, Answer]:
    rows = await sql.earlier_answers(tx, [transfer.id for transfer in transfers])
    return {row["id"].int: (_transfer(row), _outcome(row)) for row in rows}


async def _holds(tx: Tx, hold_ids: Sequence[UUID]) -> dict[int, LockedHold]:
    return {row["id"].int: LockedHold(*row.values()) for row in await sql.holds(tx, hold_ids)}


def _transfer(row: Row) -> Transfer:
    """The request as it came the first time."""
    return Transfer(
        id=row["id"],
        kind=Kind(row["kind"]),
        tenant_id=row["tenant_id"],
        debit_id=row["debit_id"],
        credit_id=row["credit_id"],
        amount=row["requested"],
        asset=row["asset"],
        code=row["code"],
        hold_id=row["hold_id"],
        expires_at=row["expires_at"],
        linked=row["linked"],
        up_to=row["up_to"],
    )


def _outcome(row: Row) -> Outcome:
    if row["refusal"] is not None:
        return Refused(row["id"], Refusal(row["refusal"]), replayed=True)
    return Posted(
        row["id"],
        row["amount"],
        Position(row["debit_id"], row["debit_number"], row["debit_balance"], row["debit_available"]),
        Position(row["credit_id"], row["credit_number"], row["credit_balance"], row["credit_available"]),
        row["posted_at"],
        replayed=True,
    )


async def _write(tx: Tx, books: Books) -> None:
    if books.rows:
        changed = [
            (a.id, a.debits_posted, a.credits_posted, a.debits_pending, a.credits_pending, a.running_number)
            for a in books.accounts.values()
            if a.is_changed
        ]
        await sql.write(tx, changed, books.rows, books.at)
    if books.holds:
        await _write_holds(tx, books.holds.values())
    if books.refused:
        await sql.insert_refusals(tx, [_refusal_row(*refused) for refused in books.refused], books.at)


async def _write_holds(tx: Tx, holds: Collection[LockedHold]) -> None:
    new = [
        (h.id, h.tenant_id, h.debit_id, h.credit_id, h.asset, h.amount, h.captured, h.state, h.expires_at)
        for h in holds
        if h.is_new
    ]
    ended = [(h.id, h.state, h.captured) for h in holds if h.is_changed and not h.is_new]
    if new:
        await sql.insert_holds(tx, new)
    if ended:
        await sql.update_holds(tx, ended)


def _refusal_row(transfer: Transfer, refusal: Refusal) -> tuple[object, ...]:
    t = transfer
    return (
        t.id, refusal, t.kind, t.tenant_id, t.debit_id, t.credit_id, t.amount, t.asset, t.code,
        t.hold_id, t.expires_at, t.linked, t.up_to,
    )  # fmt: skip
