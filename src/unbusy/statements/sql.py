"""The only SQL about statements. It reads transits beside its own tables, and writes none of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from unbusy.db import Connection, Row, Tx
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
    """Lines of earlier statements that nothing explains yet and nobody has closed, each with its state."""
    rows = await tx.fetch(
        """
        SELECT id, state, amount, booked_on, reference, bank_reference, iban, name, text FROM statements.lines
         WHERE account_id = $1 AND state IN ('booked', 'held')
           AND NOT EXISTS (SELECT FROM statements.cases c JOIN statements.closed_by_hand h ON h.case_id = c.id
                            WHERE c.line_id = lines.id)
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
                 LEFT JOIN statements.closed_by_hand h ON h.case_id = c.id
                WHERE c.account_id = $1 AND c.transit_id = t.id AND (c.resolved_at IS NULL OR h.case_id IS NOT NULL)
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


async def open_cases_of(connection: Connection, tenant_id: int) -> Sequence[Row]:
    """Cases of all accounts that are open, oldest first."""
    return await connection.fetch(
        """
        SELECT c.id, c.kind, c.transit_id, c.amount, c.explanation, c.opened_at, c.account_id, a.bank, a.asset
          FROM statements.cases c JOIN statements.accounts a ON a.id = c.account_id
         WHERE c.tenant_id = $1 AND c.resolved_at IS NULL
         ORDER BY c.opened_at, c.id
        """,
        tenant_id,
    )


async def lock_case(tx: Tx, tenant_id: int, id: UUID) -> Row | None:
    """A case, its account locked before it as those lock it who take a statement in. `waiting` is what of it stands
    in suspense: its line, or what was undone here before the bank executed it."""
    await tx.execute(
        """
        SELECT FROM statements.accounts
         WHERE id = (SELECT account_id FROM statements.cases WHERE id = $1 AND tenant_id = $2) FOR UPDATE
        """,
        id,
        tenant_id,
    )
    return await tx.fetchrow(
        """
        SELECT c.id, c.tenant_id, c.kind, c.line_id, c.resolved_at, c.resolution, a.bank, a.asset, a.suspense_id,
               CASE WHEN l.state = 'booked' THEN l.amount
                    ELSE (SELECT coalesce(sum(m.amount), 0)::bigint FROM statements.matches m
                            JOIN transits.transits t ON t.id = m.transit_id AND t.parked_id IS NOT NULL
                           WHERE m.line_id = c.line_id) END AS waiting
          FROM statements.cases c
          JOIN statements.accounts a ON a.id = c.account_id
          LEFT JOIN statements.lines l ON l.id = c.line_id
         WHERE c.id = $1 AND c.tenant_id = $2
        """,
        id,
        tenant_id,
    )


async def close_case(tx: Tx, id: UUID, by: UUID, why: str, handed_id: UUID | None, now: datetime) -> None:
    await tx.execute(
        """
        WITH resolved AS (
            UPDATE statements.cases SET resolved_at = greatest($5, opened_at), resolution = $3
             WHERE id = $1 RETURNING tenant_id
        )
        INSERT INTO statements.closed_by_hand (case_id, tenant_id, operator_id, why, handed_id, closed_at)
        SELECT $1, tenant_id, $2, $3, $4, $5 FROM resolved
        """,
        id,
        by,
        why,
        handed_id,
        now,
    )


async def is_vouched_for(tx: Tx, account_id: UUID, identity: bytes) -> bool:
    """Whether somebody closed the case by hand that a statement leaves a gap."""
    row = await tx.fetchrow(
        """
        SELECT FROM statements.cases c JOIN statements.closed_by_hand h ON h.case_id = c.id
         WHERE c.account_id = $1 AND c.parked = $2 AND c.kind = 'gap'
        """,
        account_id,
        identity,
    )
    return row is not None


async def is_closed(tx: Tx, tenant_id: int, until: datetime) -> bool:
    """Whether the day is closed on which a statement ends, or a later one."""
    row = await tx.fetchrow(
        """
        SELECT FROM statements.closes
         WHERE tenant_id = $1 AND day >= (($2::timestamptz - interval '1 microsecond') AT TIME ZONE 'UTC')::date
        """,
        tenant_id,
        until,
    )
    return row is not None


async def lock_accounts(tx: Tx, tenant_id: int) -> None:
    """Every account of a tenant, so that no statement is taken meanwhile."""
    await tx.execute("SELECT FROM statements.accounts WHERE tenant_id = $1 ORDER BY id FOR UPDATE", tenant_id)


async def account_days(tx: Tx, tenant_id: int, day: date) -> Sequence[Row]:
    """Each account on a day, by bank and asset: its balances, and its lines by what became of them.

    `told` says that a statement of this day or a later one is there. A day without a statement of its own between
    others is one on which nothing moved.
    """
    return await tx.fetch(
        """
        WITH statements AS (
            SELECT *, ((until - interval '1 microsecond') AT TIME ZONE 'UTC')::date AS day
              FROM statements.statements WHERE tenant_id = $1 AND kind = 'statement'
        ), balances AS (
            SELECT account_id, max(day) >= $2 AS told,
                   coalesce((array_agg(closing ORDER BY place DESC) FILTER (WHERE day < $2))[1],
                            (array_agg(opening ORDER BY place))[1]) AS opening,
                   coalesce((array_agg(closing ORDER BY place DESC) FILTER (WHERE day <= $2))[1],
                            (array_agg(opening ORDER BY place))[1]) AS closing
              FROM statements GROUP BY account_id
        ), moved AS (
            SELECT l.account_id, count(*)::integer AS lines,
                   count(*) FILTER (WHERE l.state = 'matched')::integer AS matched_lines,
                   sum(l.amount) FILTER (WHERE l.state = 'matched')::bigint AS matched,
                   count(*) FILTER (WHERE l.state = 'booked')::integer AS suspense_lines,
                   sum(l.amount) FILTER (WHERE l.state = 'booked')::bigint AS suspense,
                   count(*) FILTER (WHERE l.state = 'held')::integer AS held_lines,
                   sum(l.amount) FILTER (WHERE l.state = 'held')::bigint AS held
              FROM statements.lines l JOIN statements s ON s.id = l.statement_id AND s.day = $2
             GROUP BY l.account_id
        )
        SELECT a.id, a.bank, a.asset, coalesce(b.told, false) AS told, b.opening, b.closing,
               coalesce(m.lines, 0) AS lines, coalesce(m.matched_lines, 0) AS matched_lines,
               coalesce(m.matched, 0) AS matched, coalesce(m.suspense_lines, 0) AS suspense_lines,
               coalesce(m.suspense, 0) AS suspense, coalesce(m.held_lines, 0) AS held_lines,
               coalesce(m.held, 0) AS held
          FROM statements.accounts a
          LEFT JOIN balances b ON b.account_id = a.id
          LEFT JOIN moved m ON m.account_id = a.id
         WHERE a.tenant_id = $1
         ORDER BY a.bank, a.asset
        """,
        tenant_id,
        day,
    )


async def never_told(tx: Tx, tenant_id: int, day: date) -> list[tuple[str, str]]:
    """Banks and assets in which something completed until a day, and of which no statement ever came."""
    rows = await tx.fetch(
        """
        SELECT DISTINCT t.bank, t.asset FROM transits.transits t
         WHERE t.tenant_id = $1 AND t.status = 'completed' AND (t.updated_at AT TIME ZONE 'UTC')::date <= $2
           AND NOT EXISTS (SELECT FROM statements.accounts a
                            WHERE (a.tenant_id, a.bank, a.asset) = (t.tenant_id, t.bank, t.asset))
         ORDER BY 1, 2
        """,
        tenant_id,
        day,
    )
    return [(row[0], row[1]) for row in rows]


async def parked(tx: Tx, tenant_id: int) -> list[tuple[str, str]]:
    """Banks with statements that wait, and why they do."""
    rows = await tx.fetch(
        """
        SELECT a.bank, c.explanation FROM statements.cases c JOIN statements.accounts a ON a.id = c.account_id
         WHERE c.tenant_id = $1 AND c.parked IS NOT NULL AND c.resolved_at IS NULL
         ORDER BY a.bank, c.opened_at, c.id
        """,
        tenant_id,
    )
    return [(row[0], row[1]) for row in rows]


async def closed_day(tx: Tx, tenant_id: int, day: date) -> tuple[str, bytes] | None:
    """The report of a closed day, and its signature."""
    row = await tx.fetchrow(
        "SELECT report, signature FROM statements.closes WHERE tenant_id = $1 AND day = $2", tenant_id, day
    )
    return (row[0], row[1]) if row else None


async def insert_close(tx: Tx, tenant_id: int, day: date, report: str, signature: bytes, now: datetime) -> None:
    await tx.execute(
        "INSERT INTO statements.closes (tenant_id, day, report, signature, closed_at) VALUES ($1, $2, $3, $4, $5)",
        tenant_id,
        day,
        report,
        signature,
        now,
    )


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
