"""What the drill looks up in the database behind the wallet's back: the other side of its own log."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from unbusy.db import Connection, Row


async def payments_under(connection: Connection, prefix: str) -> Sequence[Row]:
    return await connection.fetch(
        """
        SELECT id, payer_id, payee_id, amount, key, status, created_at, completed_at, finish_by
          FROM payments.payments
         WHERE starts_with(key, $1)
        """,
        prefix,
    )


async def queued_under(connection: Connection, prefix: str) -> int:
    found: int = await connection.fetchval(
        "SELECT count(*) FROM payments.payments WHERE status = 'queued' AND starts_with(key, $1)", prefix
    )
    return found


async def transits_under(connection: Connection, prefix: str) -> Sequence[Row]:
    """Top-ups and payouts, each with the moments at which it was told to be final."""
    return await connection.fetch(
        """
        SELECT t.id, t.key, t.bank, t.direction = 'pull' AS is_pull, t.iban, t.amount, t.status,
               coalesce(t.reason, '') AS reason, t.parked_id IS NOT NULL AS is_parked, t.tries,
               extract(epoch FROM t.created_at)::float8 AS created_at,
               extract(epoch FROM t.resolve_by)::float8 AS resolve_by,
               ARRAY(SELECT extract(epoch FROM e.at)::float8 FROM payments.events e
                      WHERE e.person_id = t.person_id AND e.subject_id = t.id
                        AND split_part(e.kind, '.', 2) IN ('completed', 'declined', 'reversed')
                      ORDER BY e.at) AS ended
          FROM transits.transits t
         WHERE starts_with(t.key, $1)
        """,
        prefix,
    )


async def open_transits_under(connection: Connection, prefix: str) -> int:
    found: int = await connection.fetchval(
        "SELECT count(*) FROM transits.transits WHERE status IN ('pending', 'unknown') AND starts_with(key, $1)", prefix
    )
    return found


async def uncased_lines(connection: Connection) -> int:
    """Lines of banks' statements that nothing explains and no open case is about."""
    found: int = await connection.fetchval(
        """
        SELECT count(*) FROM statements.lines l
         WHERE l.state <> 'matched'
           AND NOT EXISTS (SELECT FROM statements.cases c WHERE c.line_id = l.id AND c.resolved_at IS NULL)
        """
    )
    return found


async def owed_by(connection: Connection, accounts: Sequence[UUID]) -> dict[UUID, int]:
    """What the banks that these accounts stand for owe us, in minor units."""
    rows = await connection.fetch(
        "SELECT id, debits_posted - credits_posted AS owed FROM ledger.accounts WHERE id = ANY($1)", accounts
    )
    return {row["id"]: row["owed"] for row in rows}


async def total_of_wallets(connection: Connection) -> int:
    found: int = await connection.fetchval(
        "SELECT coalesce(sum(credits_posted - debits_posted), 0)::bigint FROM ledger.accounts WHERE code = 'wallet'"
    )
    return found
