"""The only SQL about fundings. It reads the transits that bring the money, and ends their waiting."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import msgspec

from unbusy.db import Connection, Tx
from unbusy.funding.model import Funding


async def insert(tx: Tx, new: Funding) -> None:
    await tx.execute(
        """
        INSERT INTO funding.fundings
               (payment_id, tenant_id, person_id, transit_id, bank_account_id, amount, own, payout_id, ended_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        """,
        *msgspec.structs.astuple(new),
    )


async def take_ended(tx: Tx, limit: int) -> list[UUID]:
    """Lock transits that have ended and that a payment waits for. Those another worker holds are passed over."""
    rows = await tx.fetch(
        """
        SELECT id FROM transits.transits
         WHERE payment_id IS NOT NULL AND status NOT IN ('pending', 'unknown')
         ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED
        """,
        limit,
    )
    return [row["id"] for row in rows]


async def take_overdue(tx: Tx, resolve_before: datetime, limit: int) -> list[UUID]:
    """Lock transits that should have ended before a time and that a payment still waits for; otherwise as above."""
    rows = await tx.fetch(
        """
        SELECT id FROM transits.transits
         WHERE payment_id IS NOT NULL AND resolve_by < $1
         ORDER BY resolve_by LIMIT $2 FOR UPDATE SKIP LOCKED
        """,
        resolve_before,
        limit,
    )
    return [row["id"] for row in rows]


async def of_transits(tx: Tx, transit_ids: Sequence[UUID]) -> list[Funding]:
    rows = await tx.fetch(
        """
        SELECT payment_id, tenant_id, person_id, transit_id, bank_account_id, amount, own, payout_id, ended_at
          FROM funding.fundings WHERE transit_id = ANY($1)
         ORDER BY payment_id
        """,
        transit_ids,
    )
    return [Funding(*row.values()) for row in rows]


async def end(tx: Tx, fundings: Sequence[Funding], now: datetime) -> None:
    """Nothing waits for these any more; each with the payout that gives it back, if there is one."""
    await tx.execute(
        """
        WITH ended AS (
            UPDATE funding.fundings f SET payout_id = e.payout_id, ended_at = $3
              FROM unnest($1::uuid[], $2::uuid[]) AS e (payment_id, payout_id)
             WHERE f.payment_id = e.payment_id
            RETURNING f.transit_id
        )
        UPDATE transits.transits t SET payment_id = NULL FROM ended WHERE t.id = ended.transit_id
        """,
        [each.payment_id for each in fundings],
        [each.payout_id for each in fundings],
        now,
    )


class Seen(NamedTuple):
    """A funding, and how its payment and its pull stand."""

    funding: Funding
    paid: str
    pulled: str
    asset: str
    bank: str


async def see(connection: Connection, payment_ids: Sequence[UUID]) -> list[Seen]:
    rows = await connection.fetch(
        """
        SELECT f.payment_id, f.tenant_id, f.person_id, f.transit_id, f.bank_account_id, f.amount, f.own, f.payout_id,
               f.ended_at, p.status AS paid, t.status AS pulled, t.asset, t.bank
          FROM funding.fundings f
          JOIN payments.payments p ON p.id = f.payment_id
          JOIN transits.transits t ON t.id = f.transit_id
         WHERE f.payment_id = ANY($1)
        """,
        payment_ids,
    )
    return [
        Seen(Funding(*list(row.values())[:9]), row["paid"], row["pulled"], row["asset"], row["bank"]) for row in rows
    ]
