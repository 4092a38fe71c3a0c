"""The only SQL about statements. It reads transits beside its own tables, and writes none of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from unbusy.db import Row, Tx
from unbusy.statements.matching import Ours
from unbusy.statements.model import Line, Taken


async def lock_account(tx: Tx, id: UUID, tenant_id: int, bank: str, asset: str, suspense_id: UUID) -> None:
    """Lock an account, known from now on: statements of it are taken one after the other."""
    await tx.execute(
        """
        INSERT INTO statements.accounts (id, tenant_id, bank, asset, suspense_id) VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT DO NOTHING
        """,
        id,
        tenant_id,
        bank,
        asset,
        suspense_id,
    )
    await tx.execute("SELECT FROM statements.accounts WHERE id = $1 FOR UPDATE", id)


async def read_whole_tables(tx: Tx) -> None:
    """For this transaction: plans for many rows at once, which our pools do not offer, and time to read a file."""
    await tx.execute(
        "SET LOCAL enable_seqscan = on; SET LOCAL enable_hashjoin = on; SET LOCAL plan_cache_mode = force_custom_plan;"
        " SET LOCAL idle_in_transaction_session_timeout = '10min'"
    )


async def is_taken(tx: Tx, account_id: UUID, digest: bytes) -> bool:
    row = await tx.fetchrow(
        "SELECT FROM statements.statements WHERE account_id = $1 AND digest = $2", account_id, digest
    )
    return row is not None


async def number_is_taken(tx: Tx, account_id: UUID, number: int, page: int, year: int) -> bool:
    row = await tx.fetchrow(
        """
        SELECT FROM statements.statements
         WHERE account_id = $1 AND kind = 'statement' AND number = $2 AND page = $3
           AND extract(year FROM until AT TIME ZONE 'UTC') = $4
        """,
        account_id,
        number,
        page,
        year,
    )
    return row is not None


async def last_taken(tx: Tx, account_id: UUID) -> Taken | None:
    row = await tx.fetchrow(
        """
        SELECT place, number, page, closing, until FROM statements.statements
         WHERE account_id = $1 AND kind = 'statement'
         ORDER BY place DESC LIMIT 1
        """,
        account_id,
    )
    return Taken(*row.values()) if row else None


async def insert_statement(tx: Tx, row: Sequence[object]) -> None:
    """A row is (id, tenant, account, kind, name, number, page, opening, closing, until, digest, lines, taken_at)."""
    await tx.execute(
        """
        INSERT INTO statements.statements
               (id, tenant_id, account_id, kind, name, number, page, opening, closing, until, digest, lines, taken_at,
                place)
        SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, coalesce(max(place), 0) + 1
          FROM statements.statements WHERE account_id = $3
        """,
        *row,
    )


async def insert_lines(
    tx: Tx, statement_id: UUID, account_id: UUID, tenant_id: int, lines: Sequence[tuple[int, UUID, Line]]
) -> None:
    """Lines with their positions and ids; nobody has looked at them yet."""
    positions, ids, told = zip(*lines, strict=True)
    await tx.execute(
        """
        INSERT INTO statements.lines
               (statement_id, account_id, tenant_id, state, position, id, amount, booked_on, reference, bank_reference,
                iban, name, text)
        SELECT $1, $2, $3, 'told', * FROM unnest(
            $4::integer[], $5::uuid[], $6::bigint[], $7::date[], $8::text[], $9::text[], $10::text[], $11::text[],
            $12::text[]
        )
        """,
        statement_id,
        account_id,
        tenant_id,
        positions,
        ids,
        *zip(*told, strict=True),
    )


async def open_lines(tx: Tx, account_id: UUID) -> dict[UUID, tuple[Line, str]]:
    """Lines of earlier statements that nothing explains yet, each with its state."""
    rows = await tx.fetch(
        """
        SELECT id, state, amount, booked_on, reference, bank_reference, iban, name, text FROM statements.lines
         WHERE account_id = $1 AND state IN ('booked', 'held')
        """,
        account_id,
    )
    return {row[0]: (Line(*row[2:]), row[1]) for row in rows}


_OURS = """
SELECT t.id, CASE t.direction WHEN 'pull' THEN t.amount ELSE -t.amount END, t.iban, t.updated_at, t.status,
       l.id IS NULL OR s.kind = 'notification'
  FROM transits.transits t
  LEFT JOIN statements.matches m ON m.transit_id = t.id
  LEFT JOIN statements.lines l ON l.id = m.line_id
  LEFT JOIN statements.statements s ON s.id = l.statement_id
"""


async def ours_named(tx: Tx, tenant_id: int, bank: str, asset: str, ids: Sequence[UUID]) -> list[Ours]:
    """Those of these transits that are of the bank; what a notification's line is, a statement's may be still."""
    rows = await tx.fetch(
        _OURS + " WHERE t.id = ANY($1) AND t.tenant_id = $2 AND t.bank = $3 AND t.asset = $4",
        ids,
        tenant_id,
        bank,
        asset,
    )
    return [Ours(*row.values()) for row in rows]


async def ours_near(tx: Tx, tenant_id: int, bank: str, asset: str, since: datetime, until: datetime) -> list[Ours]:
    """Completed transits of a time that no statement shows."""
    rows = await tx.fetch(
        _OURS
        + """
         WHERE t.tenant_id = $1 AND t.bank = $2 AND t.asset = $3 AND t.status = 'completed'
           AND t.updated_at BETWEEN $4 AND $5 AND (l.id IS NULL OR s.kind = 'notification')
        """,
        tenant_id,
        bank,
        asset,
        since,
        until,
    )
    return [Ours(*row.values()) for row in rows]


async def set_states(tx: Tx, ids: Sequence[UUID], states: Sequence[str]) -> None:
    await tx.execute(
        """
        UPDATE statements.lines l SET state = n.state
          FROM unnest($1::uuid[], $2::text[]) AS n (id, state)
         WHERE l.id = n.id AND l.state <> n.state
        """,
        ids,
        states,
    )


async def insert_matches(tx: Tx, tenant_id: int, now: datetime, rows: Sequence[tuple[Any, ...]]) -> None:
    """A row is (transit, line, amount, by, explanation). A line takes over from a notification's."""
    transits, lines, *more = zip(*rows, strict=True)
    await tx.execute(
        """
        UPDATE statements.lines SET state = 'told'
          FROM statements.matches m
         WHERE m.transit_id = ANY($1) AND m.line_id = lines.id
        """,
        transits,
    )
    await tx.execute(
        """
        INSERT INTO statements.matches AS m (tenant_id, matched_at, transit_id, line_id, amount, by, explanation)
        SELECT $1, $2, * FROM unnest($3::uuid[], $4::uuid[], $5::bigint[], $6::text[], $7::text[])
            ON CONFLICT (transit_id) DO UPDATE
           SET line_id = excluded.line_id, by = excluded.by, explanation = excluded.explanation,
               matched_at = excluded.matched_at
        """,
        tenant_id,
        now,
        transits,
        lines,
        *more,
    )


async def open_cases(tx: Tx, account_id: UUID) -> Sequence[Row]:
    """Cases that are open, oldest first."""
    return await tx.fetch(
        """
        SELECT id, kind, line_id, transit_id, parked, amount, explanation, opened_at FROM statements.cases
         WHERE account_id = $1 AND resolved_at IS NULL
         ORDER BY opened_at, id
        """,
        account_id,
    )


async def insert_cases(
    tx: Tx, account_id: UUID, tenant_id: int, now: datetime, rows: Sequence[tuple[Any, ...]]
) -> None:
    """A row is (id, kind, line, transit, parked, amount, explanation)."""
    await tx.execute(
        """
        INSERT INTO statements.cases
               (account_id, tenant_id, opened_at, id, kind, line_id, transit_id, parked, amount, explanation)
        SELECT $1, $2, $3, * FROM unnest(
            $4::uuid[], $5::text[], $6::uuid[], $7::uuid[], $8::bytea[], $9::bigint[], $10::text[]
        )
        """,
        account_id,
        tenant_id,
        now,
        *zip(*rows, strict=True),
    )


async def resolve_cases(tx: Tx, rows: Sequence[tuple[UUID, str]], now: datetime) -> None:
    """A row is (id, how it was resolved)."""
    await tx.execute(
        """
        UPDATE statements.cases c SET resolved_at = greatest($3, opened_at), resolution = n.resolution
          FROM unnest($1::uuid[], $2::text[]) AS n (id, resolution)
         WHERE c.id = n.id
        """,
        *zip(*rows, strict=True),
        now,
    )


async def missing(
    tx: Tx, account_id: UUID, tenant_id: int, bank: str, asset: str, since: datetime, until: datetime
) -> list[tuple[UUID, int]]:
    """Transits that moved money in a time, and that no line shows and no open case names: id and amount."""
    rows = await tx.fetch(
        """
        SELECT t.id, CASE t.direction WHEN 'pull' THEN t.amount ELSE -t.amount END
          FROM transits.transits t
         WHERE t.tenant_id = $2 AND t.bank = $3 AND t.asset = $4 AND t.updated_at > $5 AND t.updated_at <= $6
           AND (t.status = 'completed' OR t.parked_id IS NOT NULL) AND t.status IN ('completed', 'reversed')
           AND NOT EXISTS (SELECT FROM statements.matches m WHERE m.transit_id = t.id)
           AND NOT EXISTS (
               SELECT FROM statements.cases c
                WHERE c.account_id = $1 AND c.transit_id = t.id AND c.resolved_at IS NULL
                  AND c.kind IN ('missing_line', 'amount_differs')
           )
        """,
        account_id,
        tenant_id,
        bank,
        asset,
        since,
        until,
    )
    return [(row[0], row[1]) for row in rows]


async def account_balance(tx: Tx, account_id: UUID) -> int:
    """What the bank owes by our books, in minor units."""
    return await tx.fetchval("SELECT debits_posted - credits_posted FROM ledger.accounts WHERE id = $1", account_id)


async def told_balances(tx: Tx, account_id: UUID) -> tuple[int, int] | None:
    """What the bank's first statement opened with, and its last one closed with."""
    row = await tx.fetchrow(
        """
        SELECT (array_agg(opening ORDER BY place))[1], (array_agg(closing ORDER BY place DESC))[1]
          FROM statements.statements WHERE account_id = $1 AND kind = 'statement' HAVING count(*) > 0
        """,
        account_id,
    )
    return (row[0], row[1]) if row else None
