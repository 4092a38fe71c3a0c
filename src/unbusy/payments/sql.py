"""The only SQL about payments. Every statement is bound to its owner or made for a whole batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

import msgspec

from unbusy.db import Connection, Row, Tx
from unbusy.payments.model import (
    Event,
    Limits,
    MoneyRequest,
    Order,
    Payment,
    Place,
    Profile,
    Refund,
    RequestStatus,
    Status,
    Told,
)
from unbusy.reasons import Reason

# Behind everything there is. A statement that asked whether there is a bound at all could not
# use the index for it.
_LAST_ID = UUID(int=(1 << 128) - 1)
_NEWEST = 2**63 - 1

_FIELDS = Payment.__struct_fields__

# ── profiles ─────────────────────────────────────────────────────────────────────────────────────


async def recall(tx: Tx, orders: Sequence[Order]) -> Sequence[Row]:
    """What is known about orders: what their payers have spent, the tenant's own limits, and the
    payment that was made before under the same key. One row each, in any order; `earlier` and
    `profile` read it. Who has not paid yet has no profile."""
    return await tx.fetch(
        """
        SELECT w.number - 1, p.day, p.spent_this_day, p.month, p.spent_this_month,
               l.per_payment, l.per_day, l.per_month, e.*
          FROM unnest($1::uuid[], $2::text[], $3::integer[], $4::text[]) WITH ORDINALITY
               AS w (payer_id, asset, tenant_id, key, number)
          LEFT JOIN payments.profiles p ON p.person_id = w.payer_id AND p.asset = w.asset
          LEFT JOIN payments.limits l ON l.tenant_id = w.tenant_id AND l.asset = w.asset
          LEFT JOIN payments.payments e ON e.payer_id = w.payer_id AND e.key = w.key
        """,
        *zip(*[(order.payer_id, order.asset, order.tenant_id, order.key) for order in orders], strict=True),
    )


def earlier(row: Row) -> Payment | None:
    """The earlier payment in a row of `recall`."""
    return None if row[8] is None else payment(dict(zip(_FIELDS, row[8:], strict=False)))


def profile(row: Row, order: Order, default: Limits, today: date) -> Profile:
    """The payer's profile in a row of `recall`, as it is today."""
    return Profile(
        person_id=order.payer_id,
        asset=order.asset,
        tenant_id=order.tenant_id,
        day=row[1] or today,
        spent_this_day=row[2] or 0,
        month=row[3] or today.replace(day=1),
        spent_this_month=row[4] or 0,
        limits=default if row[5] is None else Limits(row[5], row[6], row[7]),
        is_new=row[1] is None,
    )


async def add_profiles(tx: Tx, new: Sequence[Profile]) -> None:
    """Begin to count for payers who pay in an asset for the first time."""
    await tx.execute(
        """
        INSERT INTO payments.profiles
               (person_id, asset, tenant_id, day, spent_this_day, month, spent_this_month)
        SELECT person_id, asset, tenant_id, day, 0, month, 0
          FROM unnest($1::uuid[], $2::text[], $3::integer[], $4::date[], $5::date[])
               AS new (person_id, asset, tenant_id, day, month)
         ORDER BY person_id, asset
            ON CONFLICT DO NOTHING
        """,
        *zip(*[(each.person_id, each.asset, each.tenant_id, each.day, each.month) for each in new], strict=True),
    )


# ── payments ─────────────────────────────────────────────────────────────────────────────────────


async def payments_of_keys(connection: Connection, keys: Sequence[tuple[UUID, str]]) -> dict[tuple[UUID, str], Payment]:
    """Earlier answers to these keys: (payer, idempotency key) to payment."""
    rows = await connection.fetch(
        """
        SELECT p.* FROM payments.payments p
          JOIN unnest($1::uuid[], $2::text[]) AS wanted (payer_id, key) USING (payer_id, key)
        """,
        [key[0] for key in keys],
        [key[1] for key in keys],
    )
    return {(found.payer_id, found.key): found for found in map(payment, rows)}


async def store(tx: Tx, payments: Sequence[Payment], profiles: Sequence[Profile]) -> None:
    """Write a batch: its payments and what its payers have spent. A payment is its own event
    (`events_after`), but for one that is queued or pending, whose status will change."""
    await tx.execute(
        # Arrays of rows, not an array per column: the driver looks at every element of an array,
        # which twenty columns would pay for twenty times. A payment's fields stand in the type's order.
        """
        WITH new AS (
            SELECT * FROM unnest($1::payments.new_payment[])
        ), stored AS (
            INSERT INTO payments.payments
                   (id, tenant_id, payer_id, payee_id, amount, asset, note, status, reason, request_id, refunded,
                    balance_after, finish_by, key, fingerprint, created_at, updated_at, completed_at)
            SELECT * FROM new
        ), spent AS (
            UPDATE payments.profiles p
               SET day = s.day, spent_this_day = s.spent_this_day,
                   month = s.month, spent_this_month = s.spent_this_month
              FROM unnest($2::payments.spending[]) s
             WHERE p.person_id = s.person_id AND p.asset = s.asset
        )
        INSERT INTO payments.events (person_id, tenant_id, kind, subject_id, at)
        SELECT payer_id, tenant_id, 'payment.' || status, id, updated_at FROM new WHERE status IN ('queued', 'pending')
        """,
        [msgspec.structs.astuple(payment) for payment in payments],
        [_spending(profile) for profile in profiles],
    )


async def finish(tx: Tx, payments: Sequence[Payment], profiles: Sequence[Profile]) -> None:
    """Write what became of payments that had been queued; otherwise as `store`."""
    await tx.execute(
        """
        WITH done AS (
            SELECT * FROM unnest($1::payments.new_payment[])
        ), changed AS (
            UPDATE payments.payments p
               SET status = d.status, reason = d.reason, balance_after = d.balance_after,
                   updated_at = d.updated_at, completed_at = d.completed_at
              FROM done d
             WHERE p.id = d.id
            RETURNING p.*
        ), spent AS (
            UPDATE payments.profiles p
               SET day = s.day, spent_this_day = s.spent_this_day,
                   month = s.month, spent_this_month = s.spent_this_month
              FROM unnest($2::payments.spending[]) s
             WHERE p.person_id = s.person_id AND p.asset = s.asset
        )
        INSERT INTO payments.events (person_id, tenant_id, kind, subject_id, at)
        SELECT payer_id, tenant_id, 'payment.' || status, id, updated_at FROM changed
         UNION ALL
        SELECT payee_id, tenant_id, 'payment.completed', id, updated_at FROM changed
         WHERE status = 'completed'
        """,
        [msgspec.structs.astuple(payment) for payment in payments],
        [_spending(profile) for profile in profiles],
    )


async def lock_payment(tx: Tx, tenant_id: int, payment_id: UUID) -> Payment | None:
    row = await tx.fetchrow(
        "SELECT * FROM payments.payments WHERE id = $1 AND tenant_id = $2 FOR UPDATE", payment_id, tenant_id
    )
    return payment(row) if row else None


async def take_queued(tx: Tx, limit: int) -> list[Payment]:
    """The queued payments that are next, oldest first; those another worker holds are passed over."""
    rows = await tx.fetch(
        "SELECT * FROM payments.payments WHERE status = 'queued' ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED", limit
    )
    return [payment(row) for row in rows]


async def move_finish_by(tx: Tx, moved: Sequence[tuple[UUID, datetime]], now: datetime) -> None:
    """Give queued payments another promised time, and tell their payers. What is being settled just
    now is passed over: it has no use for it."""
    await tx.execute(
        """
        WITH changed AS (
            UPDATE payments.payments p SET finish_by = m.finish_by, updated_at = $3
              FROM unnest($1::uuid[], $2::timestamptz[]) AS m (id, finish_by)
             WHERE p.id = m.id AND p.id IN (SELECT id FROM payments.payments WHERE id = ANY($1)
                                               AND status = 'queued' FOR UPDATE SKIP LOCKED)
            RETURNING p.*
        )
        INSERT INTO payments.events (person_id, tenant_id, kind, subject_id, at)
        SELECT payer_id, tenant_id, 'payment.queued', id, updated_at FROM changed
        """,
        *zip(*moved, strict=True),
        now,
    )


async def lock_pending(tx: Tx, payment_ids: Sequence[UUID]) -> list[Payment]:
    """Those of these payments that are pending, oldest first."""
    rows = await tx.fetch(
        "SELECT * FROM payments.payments WHERE id = ANY($1) AND status = 'pending' ORDER BY id FOR UPDATE", payment_ids
    )
    return [payment(row) for row in rows]


async def find_payment(connection: Connection, person_id: UUID, payment_id: UUID) -> Payment | None:
    """A payment this person made, or received once it had completed."""
    row = await connection.fetchrow(
        """
        SELECT * FROM payments.payments
         WHERE id = $1 AND (payer_id = $2 OR (payee_id = $2 AND status = 'completed'))
        """,
        payment_id,
        person_id,
    )
    return payment(row) if row else None


async def find_payments(connection: Connection, payment_ids: Sequence[UUID]) -> list[Payment]:
    rows = await connection.fetch("SELECT * FROM payments.payments WHERE id = ANY($1)", payment_ids)
    return [payment(row) for row in rows]


async def list_payments(
    connection: Connection, person_id: UUID, before: Place | None, limit: int
) -> list[tuple[Payment, Place]]:
    """A person's payments, newest first: those made, and those received once completed."""
    rows = await connection.fetch(
        """
        (SELECT * FROM payments.payments
          WHERE payer_id = $1 AND (xid, number) < ($2, $3) ORDER BY xid DESC, number DESC LIMIT $4)
         UNION ALL
        (SELECT * FROM payments.payments
          WHERE payee_id = $1 AND status = 'completed' AND (xid, number) < ($2, $3)
          ORDER BY xid DESC, number DESC LIMIT $4)
         ORDER BY xid DESC, number DESC
         LIMIT $4
        """,
        person_id,
        *(before or (_NEWEST, 0)),
        limit,
    )
    return [(payment(row), (row["xid"], row["number"])) for row in rows]


async def add_refunded(tx: Tx, payment_id: UUID, amount: int, now: datetime) -> None:
    await tx.execute(
        "UPDATE payments.payments SET refunded = refunded + $2, updated_at = $3 WHERE id = $1", payment_id, amount, now
    )


def payment(row: Row | Mapping[str, Any]) -> Payment:
    """A row of the table, or as much of one as there is in a `Payment`."""
    fields = {name: row[name] for name in _FIELDS}
    fields["status"] = Status(fields["status"])
    fields["reason"] = Reason(fields["reason"]) if fields["reason"] else None
    return Payment(**fields)


def _spending(of: Profile) -> tuple[object, ...]:
    """The fields of `payments.spending`, in its order."""
    return of.person_id, of.asset, of.day, of.spent_this_day, of.month, of.spent_this_month


# ── refunds ──────────────────────────────────────────────────────────────────────────────────────


async def refund_of_key(tx: Tx, payee_id: UUID, key: str) -> Refund | None:
    row = await tx.fetchrow("SELECT * FROM payments.refunds WHERE payee_id = $1 AND key = $2", payee_id, key)
    return refund(row) if row else None


async def store_refund(tx: Tx, new: Refund, payer_id: UUID) -> None:
    """Write a refund and tell its payee, and its payer too when money came back."""
    await tx.execute(
        """
        WITH stored AS (
            INSERT INTO payments.refunds
                   (id, tenant_id, payment_id, payee_id, amount, asset, note, status, reason, balance_after, key,
                    fingerprint, created_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
            RETURNING *
        )
        INSERT INTO payments.events (person_id, tenant_id, kind, subject_id, at)
        SELECT payee_id, tenant_id, 'refund.' || status, id, created_at FROM stored
         UNION ALL
        SELECT $14, tenant_id, 'refund.completed', id, created_at FROM stored WHERE status = 'completed'
        """,
        *msgspec.structs.astuple(new),
        payer_id,
    )


async def list_refunds(connection: Connection, payment_id: UUID) -> list[Refund]:
    """The newest hundred refunds of a payment, newest first."""
    rows = await connection.fetch(
        "SELECT * FROM payments.refunds WHERE payment_id = $1 ORDER BY id DESC LIMIT 100", payment_id
    )
    return [refund(row) for row in rows]


async def find_refunds(connection: Connection, refund_ids: Sequence[UUID]) -> list[Refund]:
    rows = await connection.fetch("SELECT * FROM payments.refunds WHERE id = ANY($1)", refund_ids)
    return [refund(row) for row in rows]


def refund(row: Row) -> Refund:
    fields = dict(row.items())
    fields["status"] = Status(fields["status"])
    fields["reason"] = Reason(fields["reason"]) if fields["reason"] else None
    return Refund(**fields)


# ── requests for money ───────────────────────────────────────────────────────────────────────────


async def request_of_key(tx: Tx, requester_id: UUID, key: str) -> MoneyRequest | None:
    row = await tx.fetchrow("SELECT * FROM payments.requests WHERE requester_id = $1 AND key = $2", requester_id, key)
    return request(row) if row else None


async def store_request(tx: Tx, new: MoneyRequest) -> None:
    """Write a request for money and tell both sides."""
    await tx.execute(
        """
        WITH stored AS (
            INSERT INTO payments.requests
                   (id, tenant_id, requester_id, payer_id, amount, asset, note, status, payment_id, key, fingerprint,
                    expires_at, created_at, updated_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
            RETURNING *
        )
        INSERT INTO payments.events (person_id, tenant_id, kind, subject_id, at)
        SELECT person_id, tenant_id, 'request.' || status, id, updated_at
          FROM stored, unnest(ARRAY[requester_id, payer_id]) AS person_id
        """,
        *msgspec.structs.astuple(new),
    )


async def lock_requests(tx: Tx, request_ids: Sequence[UUID]) -> dict[UUID, MoneyRequest]:
    rows = await tx.fetch(
        "SELECT * FROM payments.requests WHERE id = ANY($1) ORDER BY id FOR UPDATE", sorted(set(request_ids))
    )
    return {found.id: found for found in map(request, rows)}


async def find_request(connection: Connection, person_id: UUID, request_id: UUID) -> MoneyRequest | None:
    """A request this person made or was asked with."""
    row = await connection.fetchrow(
        "SELECT * FROM payments.requests WHERE id = $1 AND $2 IN (requester_id, payer_id)", request_id, person_id
    )
    return request(row) if row else None


async def find_requests(connection: Connection, request_ids: Sequence[UUID]) -> list[MoneyRequest]:
    rows = await connection.fetch("SELECT * FROM payments.requests WHERE id = ANY($1)", request_ids)
    return [request(row) for row in rows]


async def list_requests(connection: Connection, person_id: UUID, before: UUID | None, limit: int) -> list[MoneyRequest]:
    """A person's requests, made and received, newest first."""
    rows = await connection.fetch(
        """
        (SELECT * FROM payments.requests WHERE requester_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3)
         UNION ALL
        (SELECT * FROM payments.requests WHERE payer_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3)
         ORDER BY id DESC
         LIMIT $3
        """,
        person_id,
        before or _LAST_ID,
        limit,
    )
    return [request(row) for row in rows]


async def pay_requests(tx: Tx, paid: Sequence[Payment]) -> None:
    """Mark the requests that these completed payments answer as paid, and tell both sides."""
    await tx.execute(
        """
        WITH changed AS (
            UPDATE payments.requests r SET status = 'paid', payment_id = p.id, updated_at = p.at
              FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[]) AS p (request_id, id, at)
             WHERE r.id = p.request_id
            RETURNING r.*
        )
        INSERT INTO payments.events (person_id, tenant_id, kind, subject_id, at)
        SELECT person_id, tenant_id, 'request.paid', id, updated_at
          FROM changed, unnest(ARRAY[requester_id, payer_id]) AS person_id
        """,
        *zip(*[(payment.request_id, payment.id, payment.updated_at) for payment in paid], strict=True),
    )


async def close_requests(tx: Tx, request_ids: Sequence[UUID], status: RequestStatus, now: datetime) -> None:
    """End open requests without a payment, and tell both sides."""
    await tx.execute(
        """
        WITH changed AS (
            UPDATE payments.requests r SET status = $2, updated_at = $3
             WHERE r.id = ANY($1)
            RETURNING r.*
        )
        INSERT INTO payments.events (person_id, tenant_id, kind, subject_id, at)
        SELECT person_id, tenant_id, 'request.' || status, id, updated_at
          FROM changed, unnest(ARRAY[requester_id, payer_id]) AS person_id
        """,
        request_ids,
        status,
        now,
    )


async def take_requests_to_expire(tx: Tx, now: datetime, limit: int) -> list[UUID]:
    rows = await tx.fetch(
        """
        SELECT id FROM payments.requests
         WHERE status = 'open' AND expires_at <= $1
         ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED
        """,
        now,
        limit,
    )
    return [row["id"] for row in rows]


def request(row: Row) -> MoneyRequest:
    fields = dict(row.items())
    fields["status"] = RequestStatus(fields["status"])
    return MoneyRequest(**fields)


# ── events ───────────────────────────────────────────────────────────────────────────────────────


async def horizon(connection: Connection) -> int:
    """The oldest transaction that may still be writing: all events below it are there to be seen."""
    return await connection.fetchval("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint")


async def events_after(connection: Connection, person_id: UUID, after: Place, limit: int) -> list[Event]:
    """A person's events behind a place in the stream, oldest first, as far as they are final."""
    rows = await connection.fetch(
        """
        (SELECT xid, number, kind, subject_id, at FROM payments.events
          WHERE person_id = $1 AND (xid, number) > ($2, $3)
            AND xid < pg_snapshot_xmin(pg_current_snapshot())::text::bigint
          ORDER BY xid, number LIMIT $4)
         UNION ALL
        (SELECT xid, number, 'payment.' || status, id, coalesce(completed_at, created_at) FROM payments.payments
          WHERE payer_id = $1 AND (xid, number) > ($2, $3) AND finish_by IS NULL
            AND xid < pg_snapshot_xmin(pg_current_snapshot())::text::bigint
          ORDER BY xid, number LIMIT $4)
         UNION ALL
        (SELECT xid, number, 'payment.completed', id, completed_at FROM payments.payments
          WHERE payee_id = $1 AND status = 'completed' AND (xid, number) > ($2, $3) AND finish_by IS NULL
            AND xid < pg_snapshot_xmin(pg_current_snapshot())::text::bigint
          ORDER BY xid, number LIMIT $4)
         ORDER BY xid, number LIMIT $4
        """,
        person_id,
        *after,
        limit,
    )
    return [Event(*row.values()) for row in rows]


async def tell(tx: Tx, told: Sequence[Told]) -> None:
    """Write events of other rooms, in the transactions that make them true."""
    await tx.execute(
        """
        INSERT INTO payments.events (person_id, tenant_id, kind, subject_id, at)
        SELECT * FROM unnest($1::uuid[], $2::integer[], $3::text[], $4::uuid[], $5::timestamptz[])
        """,
        *zip(*told, strict=True),
    )


async def people_with_events(connection: Connection, since: int, until: int) -> list[UUID]:
    """Whom something happened to in transactions from `since` up to, not including, `until`."""
    rows = await connection.fetch(
        """
        SELECT person_id FROM payments.events WHERE xid >= $1 AND xid < $2
         UNION
        SELECT payer_id FROM payments.payments WHERE xid >= $1 AND xid < $2 AND finish_by IS NULL
         UNION
        SELECT payee_id FROM payments.payments
         WHERE xid >= $1 AND xid < $2 AND finish_by IS NULL AND status = 'completed'
        """,
        since,
        until,
    )
    return [row["person_id"] for row in rows]
