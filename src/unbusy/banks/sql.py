"""The only SQL about banks: how they fare, and when they may be called next."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from unbusy.banks.health import Condition, Operation
from unbusy.db import Connection, Tx


class Told(NamedTuple):
    """How one operation of a bank fares, as a worker told at `told_at`."""

    bank: str
    operation: Operation
    condition: Condition
    since: datetime
    p50_ms: int | None
    last_good: datetime | None
    told_at: datetime


async def tell(
    tx: Tx, told: Sequence[Told], stale_before: datetime
) -> list[tuple[Operation, Condition | None, Condition]]:
    """Write how the operations of one bank fare; gives those that fare otherwise than before: before, now.

    Where workers disagree the worst is told, until nobody has said so since `stale_before`.
    """
    locked = await tx.fetch(
        "SELECT operation, condition FROM banks.pulses WHERE bank = $1 ORDER BY operation FOR UPDATE", told[0].bank
    )
    before = {row["operation"]: row["condition"] for row in locked}
    rows = await tx.fetch(
        """
        INSERT INTO banks.pulses AS p
        SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::integer[], $6::timestamptz[],
                             $7::timestamptz[]) AS told (bank, operation)
         ORDER BY operation
            ON CONFLICT ON CONSTRAINT pulses_pkey DO UPDATE
           SET condition = excluded.condition,
               since = CASE WHEN p.condition = excluded.condition THEN p.since ELSE excluded.since END,
               p50_ms = coalesce(excluded.p50_ms, p.p50_ms),
               last_good = greatest(excluded.last_good, p.last_good),
               told_at = greatest(excluded.told_at, p.told_at)
         WHERE p.told_at < $8
            OR array_position($9::text[], excluded.condition) >= array_position($9::text[], p.condition)
        RETURNING operation, condition
        """,
        *zip(*told, strict=True),
        stale_before,
        list(Condition),
    )
    return [
        (Operation(operation), Condition(was) if was else None, Condition(condition))
        for operation, condition in (row.values() for row in rows)
        if condition != (was := before.get(operation))
    ]


async def pulses(connection: Connection) -> list[Told]:
    """What was told last, of every operation of every bank."""
    rows = await connection.fetch(
        """
        SELECT bank, operation, condition, since, p50_ms, last_good, told_at FROM banks.pulses
         ORDER BY bank, operation
        """
    )
    return [
        Told(row["bank"], Operation(row["operation"]), Condition(row["condition"]), *list(row.values())[3:])
        for row in rows
    ]


async def free_at(tx: Tx, bank: str, now: datetime) -> datetime:
    """When the next call to a bank may begin. Nobody else calls it until this transaction has ended."""
    await tx.execute("INSERT INTO banks.paces (bank, free_at) VALUES ($1, $2) ON CONFLICT DO NOTHING", bank, now)
    return await tx.fetchval("SELECT free_at FROM banks.paces WHERE bank = $1 FOR UPDATE", bank)


async def set_free_at(tx: Tx, bank: str, free_at: datetime) -> None:
    await tx.execute("UPDATE banks.paces SET free_at = $2 WHERE bank = $1", bank, free_at)
