"""The only SQL about promises. What a batch of payments needs is one statement each."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from unbusy.db import Connection, Row, Tx
from unbusy.promises.model import Ended, Hour, Outcome, Overdue, Promise, Queue, Tally


async def store(tx: Tx, name: str, new: Sequence[tuple[UUID, int, Promise]]) -> None:
    """Write what was promised: payment, tenant and promise of each."""
    await tx.execute(
        """
        INSERT INTO promises.promises
               (payment_id, tenant_id, class, ahead, made_at, expected_at, likely_by, promised_by, finish_by)
        SELECT payment_id, tenant_id, $1, ahead, made_at, expected_at, likely_by, finish_by, finish_by
          FROM unnest($2::promises.new_promise[])
        """,
        name,
        [(payment_id, tenant_id, *msgspec.structs.astuple(promise)) for payment_id, tenant_id, promise in new],
    )


async def end(tx: Tx, ended: Sequence[tuple[UUID, bool]], now: datetime) -> list[Ended]:
    """Write what became of promises (payment, and whether it was missed altogether): kept is what was
    done by the first `finish_by`."""
    rows = await tx.fetch(
        """
        UPDATE promises.promises p
           SET ended_at = $3, outcome = CASE WHEN d.is_missed OR $3 > p.promised_by THEN 'broken' ELSE 'kept' END
          FROM unnest($1::uuid[], $2::boolean[]) AS d (payment_id, is_missed)
         WHERE p.payment_id = d.payment_id AND p.ended_at IS NULL
        RETURNING p.ahead, p.made_at, p.expected_at, p.likely_by, p.was_overdue, p.outcome
        """,
        [payment_id for payment_id, _ in ended],
        [is_missed for _, is_missed in ended],
        now,
    )
    return [Ended(row[0], row[1], row[2], row[3], row[4], Outcome(row[5]), now) for row in rows]


async def withdraw(tx: Tx, payment_id: UUID, now: datetime) -> None:
    await tx.execute(
        """
        UPDATE promises.promises SET ended_at = $2, outcome = 'withdrawn'
         WHERE payment_id = $1 AND ended_at IS NULL
        """,
        payment_id,
        now,
    )


async def count(tx: Tx, name: str, begins_at: datetime, tally: Tally) -> None:
    """Add what ended to its hour."""
    await tx.execute(
        """
        INSERT INTO promises.hours AS h (class, begins_at, kept, broken, likely_kept, likely_missed, sharpness)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
            ON CONFLICT (class, begins_at) DO UPDATE
           SET kept = h.kept + excluded.kept,
               broken = h.broken + excluded.broken,
               likely_kept = h.likely_kept + excluded.likely_kept,
               likely_missed = h.likely_missed + excluded.likely_missed,
               sharpness = ARRAY(
                   SELECT was + more
                     FROM unnest(h.sharpness, excluded.sharpness) WITH ORDINALITY AS s (was, more, place)
                    ORDER BY place
               )
        """,
        name,
        begins_at,
        tally.kept,
        tally.broken,
        tally.likely_kept,
        tally.likely_missed,
        tally.sharpness,
    )


async def hours(connection: Connection, since: datetime) -> list[Hour]:
    """Every class's hours since then, newest first."""
    rows = await connection.fetch(
        """
        SELECT h.class, h.begins_at, h.kept, h.broken, h.likely_kept, h.likely_missed, h.sharpness
          FROM promises.queues q
          JOIN promises.hours h ON h.class = q.class AND h.begins_at >= $1
         ORDER BY h.class, h.begins_at DESC
        """,
        since,
    )
    return [Hour(*row.values()) for row in rows]


async def settled_since(connection: Connection, name: str, since: datetime) -> int:
    """How many promises have ended in the hours since then."""
    return await connection.fetchval(
        "SELECT coalesce(sum(kept + broken), 0)::bigint FROM promises.hours WHERE class = $1 AND begins_at >= $2",
        name,
        since,
    )


# ── the queue ────────────────────────────────────────────────────────────────────────────────────


async def look(connection: Connection, name: str, most: int) -> tuple[Queue | None, int]:
    """What is known of a queue, None when nobody has drained it yet; how many are in it, up to `most`."""
    row = await connection.fetchrow(
        """
        SELECT learnt, heard_at,
               (SELECT count(*) FROM (
                   SELECT FROM promises.promises p WHERE p.class = q.class AND p.ended_at IS NULL LIMIT $2
               ) AS open)
          FROM promises.queues q WHERE class = $1
        """,
        name,
        most,
    )
    assert row is not None, "a queue has its row from the migration"
    return _queue(row), row[2]


async def lock_queue(tx: Tx, name: str) -> Queue | None:
    row = await tx.fetchrow("SELECT learnt, heard_at FROM promises.queues WHERE class = $1 FOR UPDATE", name)
    assert row is not None, "a queue has its row from the migration"
    return _queue(row)


async def tell(tx: Tx, name: str, queue: Queue, most: int) -> int:
    """Write what is known of a queue now; gives how many are in it, up to `most`."""
    return await tx.fetchval(
        """
        UPDATE promises.queues q
           SET learnt = $2, heard_at = $3, backlog = (
                   SELECT count(*) FROM (
                       SELECT FROM promises.promises p WHERE p.class = q.class AND p.ended_at IS NULL LIMIT $4
                   ) AS open)
         WHERE class = $1
        RETURNING backlog
        """,
        name,
        msgspec.json.encode(msgspec.structs.replace(queue, heard_at=None)).decode(),
        queue.heard_at,
        most,
    )


async def standings(connection: Connection, name: str, payment_ids: Sequence[UUID], most: int) -> Sequence[Row]:
    """How these promises stand, each with its place if that is among the first `most`."""
    return await connection.fetch(
        """
        WITH line AS (
            SELECT payment_id, row_number() OVER (ORDER BY payment_id) AS place FROM promises.promises
             WHERE class = $1 AND ended_at IS NULL AND payment_id <= $2
             ORDER BY payment_id
             LIMIT $4
        )
        SELECT p.payment_id, line.place, p.ahead, p.made_at, p.expected_at, p.likely_by, p.revised_at, p.ended_at
          FROM promises.promises p
          LEFT JOIN line USING (payment_id)
         WHERE p.payment_id = ANY($3)
        """,
        name,
        max(payment_ids),
        payment_ids,
        most,
    )


# ── what is late ─────────────────────────────────────────────────────────────────────────────────


async def take_overdue(tx: Tx, name: str, now: datetime, limit: int) -> list[Overdue]:
    """Of the first in line, those whose likely time has passed; what another worker settles is passed over."""
    rows = await tx.fetch(
        """
        WITH line AS (
            SELECT payment_id, row_number() OVER (ORDER BY payment_id) - 1 AS ahead FROM promises.promises
             WHERE class = $1 AND ended_at IS NULL
             ORDER BY payment_id
             LIMIT $3
        )
        SELECT p.payment_id, line.ahead, p.made_at, p.expected_at, p.promised_by, p.finish_by, p.was_overdue
          FROM line JOIN promises.promises p USING (payment_id)
         WHERE p.likely_by < $2 AND p.ended_at IS NULL
         ORDER BY p.payment_id
           FOR UPDATE OF p SKIP LOCKED
        """,
        name,
        now,
        limit,
    )
    return [Overdue(*row.values()) for row in rows]


async def revise(tx: Tx, revisions: Sequence[tuple[UUID, Promise]], now: datetime) -> None:
    """Write what is promised instead, and keep what had been promised until now."""
    await tx.execute(
        """
        WITH new AS (
            SELECT * FROM unnest($1::uuid[], $2::timestamptz[], $3::timestamptz[], $4::timestamptz[])
                   AS n (payment_id, expected_at, likely_by, finish_by)
        ), kept AS (
            INSERT INTO promises.revisions (payment_id, revised_at, tenant_id, expected_at, likely_by, finish_by)
            SELECT p.payment_id, $5, p.tenant_id, p.expected_at, p.likely_by, p.finish_by
              FROM new JOIN promises.promises p USING (payment_id)
        )
        UPDATE promises.promises p
           SET expected_at = n.expected_at, likely_by = n.likely_by, finish_by = n.finish_by,
               was_overdue = true, revised_at = $5
          FROM new n
         WHERE p.payment_id = n.payment_id
        """,
        [payment_id for payment_id, _ in revisions],
        [promise.expected_at for _, promise in revisions],
        [promise.likely_by for _, promise in revisions],
        [promise.finish_by for _, promise in revisions],
        now,
    )


def _queue(row: Row) -> Queue | None:
    if row["learnt"] is None:
        return None
    return msgspec.structs.replace(msgspec.json.decode(row["learnt"], type=Queue), heard_at=row["heard_at"])
