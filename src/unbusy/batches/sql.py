"""The only SQL about batches. Reads what became of a row from its payment, which is the truth about it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from unbusy.batches.model import Bad, Batch, Reported
from unbusy.db import Connection, Row, Tx


async def batch_of_key(connection: Connection, payer_id: UUID, key: str) -> Batch | None:
    row = await connection.fetchrow("SELECT * FROM batches.batches WHERE payer_id = $1 AND key = $2", payer_id, key)
    return _batch(row) if row else None


async def find_batch(connection: Connection, payer_id: UUID, batch_id: UUID) -> Batch | None:
    row = await connection.fetchrow("SELECT * FROM batches.batches WHERE id = $1 AND payer_id = $2", batch_id, payer_id)
    return _batch(row) if row else None


async def store(tx: Tx, batch: Batch) -> None:
    await tx.execute(
        """
        INSERT INTO batches.batches
               (id, tenant_id, payer_id, key, fingerprint, accepted, refused, finish_by, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        """,
        *msgspec.structs.astuple(batch),
    )


async def store_taken(tx: Tx, batch: Batch, rows: Sequence[tuple[int, str, UUID]]) -> None:
    """Write the rows that were taken: line, key and payment of each."""
    await tx.execute(
        """
        INSERT INTO batches.rows (batch_id, tenant_id, line, key, payment_id)
        SELECT $1, $2, line, key, payment_id
          FROM unnest($3::integer[], $4::text[], $5::uuid[]) AS r (line, key, payment_id)
        """,
        batch.id,
        batch.tenant_id,
        [row[0] for row in rows],
        [row[1] for row in rows],
        [row[2] for row in rows],
    )


async def store_refused(tx: Tx, batch: Batch, rows: Sequence[Bad]) -> None:
    """Write the rows that were not taken, and why."""
    await tx.execute(
        """
        INSERT INTO batches.rows (batch_id, tenant_id, line, key, reason, field, detail)
        SELECT $1, $2, line, key, reason, field, detail
          FROM unnest($3::integer[], $4::text[], $5::text[], $6::text[], $7::text[])
               AS r (line, key, reason, field, detail)
        """,
        batch.id,
        batch.tenant_id,
        [row.line for row in rows],
        [row.key for row in rows],
        [row.reason for row in rows],
        [row.field for row in rows],
        [row.detail for row in rows],
    )


async def count(connection: Connection, batch_id: UUID) -> tuple[dict[str, int], datetime | None]:
    """How many of a batch's payments have which status; the latest time any of them was promised."""
    rows = await connection.fetch(
        """
        SELECT p.status, count(*), max(p.finish_by)
          FROM batches.rows r JOIN payments.payments p ON p.id = r.payment_id
         WHERE r.batch_id = $1
         GROUP BY p.status
         ORDER BY p.status
        """,
        batch_id,
    )
    return {row[0]: row[1] for row in rows}, max((row[2] for row in rows if row[2]), default=None)


async def report(connection: Connection, batch_id: UUID, after: int, limit: int) -> list[Reported]:
    """The rows of a batch behind a line, in the file's order."""
    rows = await connection.fetch(
        """
        SELECT r.line, r.key, r.payment_id, p.status, coalesce(r.reason, p.reason) AS reason, r.field, r.detail
          FROM batches.rows r LEFT JOIN payments.payments p ON p.id = r.payment_id
         WHERE r.batch_id = $1 AND r.line > $2
         ORDER BY r.line
         LIMIT $3
        """,
        batch_id,
        after,
        limit,
    )
    return [Reported(*row.values()) for row in rows]


def _batch(row: Row) -> Batch:
    return Batch(**dict(row.items()))
