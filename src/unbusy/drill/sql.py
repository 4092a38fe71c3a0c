"""What the drill looks up in the database behind the wallet's back: the other side of its own log."""

from __future__ import annotations

from collections.abc import Sequence

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


async def total_of_wallets(connection: Connection) -> int:
    found: int = await connection.fetchval(
        "SELECT coalesce(sum(credits_posted - debits_posted), 0)::bigint FROM ledger.accounts WHERE code = 'wallet'"
    )
    return found
