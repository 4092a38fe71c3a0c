"""The only SQL about verifications of bank accounts."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec

from unbusy.db import Connection, Tx
from unbusy.verification.model import Verification


async def lock_person(tx: Tx, person_id: UUID) -> None:
    """What the same person begins meanwhile waits until the transaction ends, so that it is counted."""
    await tx.execute("SELECT pg_advisory_xact_lock(hashtextextended('verification/' || $1::uuid::text, 0))", person_id)


async def names_asked(tx: Tx, person_id: UUID, since: datetime) -> list[datetime]:
    """When the person asked for names since a time, oldest first."""
    rows = await tx.fetch(
        """
        SELECT created_at FROM verification.names WHERE person_id = $1 AND created_at > $2 ORDER BY created_at
        """,
        person_id,
        since,
    )
    return [row["created_at"] for row in rows]


async def insert_name(tx: Tx, id: UUID, tenant_id: int, person_id: UUID, bank: str, now: datetime) -> None:
    await tx.execute(
        "INSERT INTO verification.names (id, tenant_id, person_id, bank, created_at) VALUES ($1, $2, $3, $4, $5)",
        id,
        tenant_id,
        person_id,
        bank,
        now,
    )


async def begun(tx: Tx, person_id: UUID, since: datetime) -> list[datetime]:
    """When the person began verifications since a time, oldest first."""
    rows = await tx.fetch(
        """
        SELECT created_at FROM verification.verifications
         WHERE person_id = $1 AND created_at > $2 ORDER BY created_at
        """,
        person_id,
        since,
    )
    return [row["created_at"] for row in rows]


async def insert(tx: Tx, new: Verification) -> None:
    await tx.execute(
        """
        INSERT INTO verification.verifications
               (id, tenant_id, person_id, bank_account_id, transit_id, wrong, expires_at, ended_at, is_right,
                created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
        """,
        *msgspec.structs.astuple(new),
    )


async def newest(connection: Connection, bank_account_id: UUID) -> Verification | None:
    row = await connection.fetchrow(
        """
        SELECT id, tenant_id, person_id, bank_account_id, transit_id, wrong, expires_at, ended_at, is_right, created_at
          FROM verification.verifications WHERE bank_account_id = $1
         ORDER BY id DESC LIMIT 1
        """,
        bank_account_id,
    )
    return Verification(*row.values()) if row else None


async def update(tx: Tx, verification: Verification) -> None:
    """Write how it stands now."""
    await tx.execute(
        "UPDATE verification.verifications SET wrong = $2, ended_at = $3, is_right = $4 WHERE id = $1",
        verification.id,
        verification.wrong,
        verification.ended_at,
        verification.is_right,
    )
