"""The ledger's SQL, all of it but the proofs (`proofs.py`)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

from unbusy.db import Connection, Row, Tx

# ── assets ───────────────────────────────────────────────────────────────────────────────────────


async def scale(tx: Tx, code: str) -> int | None:
    return await tx.fetchval("SELECT scale FROM ledger.assets WHERE code = $1", code)


async def insert_assets(tx: Tx, codes: Sequence[str], scales: Sequence[int]) -> None:
    """Register assets; those that are registered stay as they are."""
    await tx.execute(
        """
        INSERT INTO ledger.assets (code, scale)
        SELECT * FROM unnest($1::text[], $2::integer[]) AS new (code, scale) ORDER BY code
            ON CONFLICT DO NOTHING
        """,
        codes,
        scales,
    )


async def known_assets(tx: Tx, codes: Sequence[str]) -> set[str]:
    return {row[0] for row in await tx.fetch("SELECT code FROM ledger.assets WHERE code = ANY($1)", codes)}


# ── accounts ─────────────────────────────────────────────────────────────────────────────────────


async def insert_accounts(tx: Tx, rows: Sequence[tuple[Any, ...]]) -> None:
    """Open accounts; one that exists, by id or as its owner's, is left alone.

    A row is (id, tenant_id, owner_id, asset, code, floor, ceiling). In one order for everybody,
    so that two who open the same accounts do not wait for each other.
    """
    await tx.execute(
        """
        INSERT INTO ledger.accounts (id, tenant_id, owner_id, asset, code, floor, ceiling)
        SELECT * FROM unnest($1::uuid[], $2::integer[], $3::uuid[], $4::text[], $5::text[], $6::bigint[], $7::bigint[])
            AS new (id, tenant_id, owner_id, asset, code, floor, ceiling)
         ORDER BY tenant_id, owner_id, asset, code, id
            ON CONFLICT DO NOTHING
        """,
        *zip(*rows, strict=True),
    )


async def accounts(tx: Tx, ids: Sequence[UUID]) -> Sequence[Row]:
    return await tx.fetch(
        """
        SELECT id, tenant_id, asset, code, owner_id, floor, ceiling, state,
               debits_posted, credits_posted, debits_pending, credits_pending, running_number
          FROM ledger.accounts WHERE id = ANY($1)
        """,
        ids,
    )


async def accounts_of_owner(tx: Tx, tenant_id: int, owner_id: UUID) -> Sequence[Row]:
    return await tx.fetch(
        """
        SELECT id, tenant_id, asset, code, owner_id, floor, ceiling, state,
               debits_posted, credits_posted, debits_pending, credits_pending, running_number
          FROM ledger.accounts WHERE tenant_id = $1 AND owner_id = $2
         ORDER BY code, asset
        """,
        tenant_id,
        owner_id,
    )


async def owned_accounts(tx: Tx, keys: Sequence[tuple[int, UUID | None, str, str]]) -> list[tuple[int, UUID]]:
    """Which of these (tenant, owner, asset, code) exist: (index in `keys`, account id)."""
    rows = await tx.fetch(
        """
        SELECT k.number - 1, a.id
          FROM unnest($1::integer[], $2::uuid[], $3::text[], $4::text[]) WITH ORDINALITY
               AS k (tenant_id, owner_id, asset, code, number)
          JOIN ledger.accounts a USING (tenant_id, owner_id, asset, code)
        """,
        *zip(*keys, strict=True),
    )
    return [(row[0], row[1]) for row in rows]


async def lock_account(tx: Tx, account_id: UUID) -> None:
    await tx.execute("SELECT FROM ledger.accounts WHERE id = $1 FOR NO KEY UPDATE", account_id)


async def update_state(tx: Tx, account_id: UUID, state: str) -> None:
    await tx.execute("UPDATE ledger.accounts SET state = $2 WHERE id = $1", account_id, state)


async def update_limits(tx: Tx, account_id: UUID, floor: int | None, ceiling: int | None) -> None:
    await tx.execute("UPDATE ledger.accounts SET floor = $2, ceiling = $3 WHERE id = $1", account_id, floor, ceiling)


# ── posting ──────────────────────────────────────────────────────────────────────────────────────


async def lock_accounts(tx: Tx, ids: Sequence[UUID]) -> Sequence[Row]:
    """Lock the accounts of a batch and read what postings need (`books.LockedAccount`)."""
    return await tx.fetch(
        # Lock in id order. Two batches that meet on the same two accounts from opposite sides
        # would otherwise wait for each other for ever. The weaker lock is enough, for ids never
        # change, and lets other tables refer to the account meanwhile. The time comes as a whole
        # number of microseconds: as a datetime, it would cost as much as the other columns.
        """
        SELECT id, tenant_id, asset, state, floor, ceiling,
               debits_posted, credits_posted, debits_pending, credits_pending, running_number,
               (extract(epoch FROM posted_at) * 1000000)::bigint AS posted_at_us
          FROM ledger.accounts WHERE id = ANY($1)
         ORDER BY id FOR NO KEY UPDATE
        """,
        ids,
    )


async def earlier_answers(tx: Tx, ids: Sequence[UUID]) -> Sequence[Row]:
    """What these ids were answered before. Should one have been refused and posted at the same
    instant for different accounts, the posting comes last here and counts."""
    return await tx.fetch(
        """
        SELECT id, kind, tenant_id, debit_id, credit_id, amount AS requested, asset, code, hold_id, expires_at,
               linked, up_to, refusal, 0::bigint AS amount, 0::bigint AS debit_number, 0::bigint AS debit_balance,
               NULL::bigint AS debit_available, 0::bigint AS credit_number, 0::bigint AS credit_balance,
               NULL::bigint AS credit_available, refused_at AS posted_at
          FROM ledger.refusals WHERE id = ANY($1)
         UNION ALL
        SELECT id, kind, tenant_id, debit_id, credit_id, requested, asset, code, hold_id, expires_at,
               linked, up_to, NULL, amount, debit_number, debit_balance,
               debit_available, credit_number, credit_balance,
               credit_available, posted_at
          FROM ledger.transfers WHERE id = ANY($1)
        """,
        ids,
    )


async def accounts_of_holds(tx: Tx, ids: Sequence[UUID]) -> Sequence[Row]:
    """Which accounts these holds are about, which never changes."""
    return await tx.fetch("SELECT debit_id, credit_id FROM ledger.holds WHERE id = ANY($1)", ids)


async def holds(tx: Tx, ids: Sequence[UUID]) -> Sequence[Row]:
    """The holds as they stand (`books.LockedHold`); whoever changes one holds its accounts locked."""
    return await tx.fetch(
        """
        SELECT id, tenant_id, debit_id, credit_id, asset, amount, captured, state, expires_at
          FROM ledger.holds WHERE id = ANY($1)
        """,
        ids,
    )


async def holds_due(tx: Tx, now: datetime, limit: int) -> Sequence[Row]:
    """Open holds whose time has passed, oldest first."""
    return await tx.fetch(
        """
        SELECT id, tenant_id, asset FROM ledger.holds
         WHERE state = 'open' AND expires_at <= $1 ORDER BY expires_at LIMIT $2
        """,
        now,
        limit,
    )


async def write(
    tx: Tx, changes: Sequence[tuple[Any, ...]], transfers: Sequence[tuple[Any, ...]], posted_at: datetime
) -> None:
    """Write a batch: where the accounts stand now, and the transfers that brought them there.

    The rows are those of the types `ledger.account_change` and `ledger.new_transfer`.
    """
    await tx.execute(
        # Arrays of rows, not an array per column: the driver takes a careful look at every
        # element of an array, which twenty columns would pay for twenty times.
        """
        WITH moved AS (
            UPDATE ledger.accounts a
               SET debits_posted = n.debits_posted, credits_posted = n.credits_posted,
                   debits_pending = n.debits_pending, credits_pending = n.credits_pending,
                   running_number = n.running_number, posted_at = $1
              FROM unnest($2::ledger.account_change[]) n
             WHERE a.id = n.id
        )
        INSERT INTO ledger.transfers (
            posted_at, id, debit_number, credit_number, debit_id, credit_id, amount, requested,
            debit_balance, credit_balance, debit_available, credit_available,
            tenant_id, linked, up_to, kind, code, asset, hold_id, expires_at
        )
        SELECT $1, * FROM unnest($3::ledger.new_transfer[])
        """,
        posted_at,
        changes,
        transfers,
    )


async def insert_holds(tx: Tx, rows: Sequence[tuple[Any, ...]]) -> None:
    """A row is a `books.LockedHold` without what is only for the batch."""
    await tx.execute(
        """
        INSERT INTO ledger.holds (id, tenant_id, debit_id, credit_id, asset, amount, captured, state, expires_at)
        SELECT * FROM unnest(
            $1::uuid[], $2::integer[], $3::uuid[], $4::uuid[], $5::text[],
            $6::bigint[], $7::bigint[], $8::text[], $9::timestamptz[]
        )
        """,
        *zip(*rows, strict=True),
    )


async def update_holds(tx: Tx, rows: Sequence[tuple[UUID, str, int]]) -> None:
    """A row is (id, state, captured)."""
    await tx.execute(
        """
        UPDATE ledger.holds h SET state = n.state, captured = n.captured
          FROM unnest($1::uuid[], $2::text[], $3::bigint[]) AS n (id, state, captured)
         WHERE h.id = n.id
        """,
        *zip(*rows, strict=True),
    )


async def insert_refusals(tx: Tx, rows: Sequence[tuple[Any, ...]], refused_at: datetime) -> None:
    await tx.execute(
        """
        INSERT INTO ledger.refusals (
            refused_at, id, refusal, kind, tenant_id, debit_id, credit_id, amount, asset, code,
            hold_id, expires_at, linked, up_to
        )
        SELECT $1, * FROM unnest(
            $2::uuid[], $3::text[], $4::text[], $5::integer[], $6::uuid[], $7::uuid[], $8::bigint[], $9::text[],
            $10::text[], $11::uuid[], $12::timestamptz[], $13::boolean[], $14::boolean[]
        )
        """,
        refused_at,
        *zip(*rows, strict=True),
    )


# ── statements ───────────────────────────────────────────────────────────────────────────────────


async def entries(
    connection: Connection, account_id: UUID, before: int | None, after: int, limit: int
) -> Sequence[Row]:
    """The newest entries with numbers between the two, both excluded: one walk down each index."""
    return await connection.fetch(
        """
        SELECT e.number, e.id AS transfer_id, e.kind, e.code,
               CASE WHEN e.kind IN ('post', 'capture') THEN e.sign * e.amount ELSE 0 END AS amount,
               CASE WHEN e.sign > 0 OR e.kind = 'post' THEN 0
                    WHEN e.kind = 'hold' THEN e.amount ELSE -h.amount END AS held,
               e.balance, e.posted_at AS at, e.counterparty_id
          FROM (
                (SELECT debit_number AS number, -1 AS sign, id, kind, code, amount, hold_id,
                        debit_balance AS balance, posted_at, credit_id AS counterparty_id
                   FROM ledger.transfers
                  WHERE debit_id = $1 AND debit_number < $2 AND debit_number > $3
                  ORDER BY debit_number DESC LIMIT $4)
                 UNION ALL
                (SELECT credit_number, 1, id, kind, code, amount, hold_id,
                        credit_balance, posted_at, debit_id
                   FROM ledger.transfers
                  WHERE credit_id = $1 AND credit_number < $2 AND credit_number > $3
                  ORDER BY credit_number DESC LIMIT $4)
               ) e
          LEFT JOIN ledger.holds h ON h.id = e.hold_id
         ORDER BY e.number DESC LIMIT $4
        """,
        account_id,
        2**63 - 1 if before is None else before,
        after,
        limit,
    )


async def position_at(connection: Connection, account_id: UUID, at: datetime, *, included: bool) -> tuple[int, int]:
    """The account's running number and balance just before a time, or with that moment included.

    (0, 0) before its first transfer.

    The time of an account never runs backwards, so its numbers are searched by halves: forty
    probes of an index find the place among a million million transfers.
    """
    row = await connection.fetchrow(
        """
        WITH RECURSIVE search (low, high, balance) AS (
            SELECT 0::bigint, running_number, 0::bigint FROM ledger.accounts WHERE id = $1
             UNION ALL
            SELECT CASE WHEN side.is_past THEN middle.number ELSE low END,
                   CASE WHEN side.is_past THEN high ELSE middle.number - 1 END,
                   CASE WHEN side.is_past THEN t.balance ELSE search.balance END
              FROM search
             CROSS JOIN LATERAL (SELECT low + (high - low + 1) / 2 AS number) middle
             CROSS JOIN LATERAL (
                SELECT posted_at, debit_balance AS balance FROM ledger.transfers
                 WHERE debit_id = $1 AND debit_number = middle.number
                 UNION ALL
                SELECT posted_at, credit_balance FROM ledger.transfers
                 WHERE credit_id = $1 AND credit_number = middle.number
             ) t
             CROSS JOIN LATERAL (SELECT t.posted_at < $2 OR (t.posted_at = $2 AND $3) AS is_past) side
             WHERE low < high
        )
        SELECT low, balance FROM search ORDER BY high - low LIMIT 1
        """,
        account_id,
        at,
        included,
    )
    return (row[0], row[1]) if row else (0, 0)


# ── proofs ───────────────────────────────────────────────────────────────────────────────────────


async def prepare_to_read_everything(connection: Connection) -> None:
    """For this transaction: plans for whole tables, which our pools do not offer, and room to sort."""
    await connection.execute(
        """
        SET LOCAL enable_seqscan = on;
        SET LOCAL enable_hashjoin = on;
        SET LOCAL enable_mergejoin = on;
        SET LOCAL work_mem = '64MB'
        """
    )


async def prove(connection: Connection, proof: LiteralString, limit: int) -> list[tuple[str, str, str]]:
    """Where a proof of `proofs.py` fails: (rule, subject, what is wrong)."""
    rows = await connection.fetch(
        "SELECT rule, subject::text, detail FROM (" + proof + ") AS broken (rule, subject, detail) LIMIT $1",  # noqa: S608 - a proof is written down literally too
        limit,
    )
    return [(row[0], row[1], row[2]) for row in rows]
