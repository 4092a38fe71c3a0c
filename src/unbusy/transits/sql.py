"""The only SQL about transits and bank accounts. What a person asks for is bound to that person."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from unbusy.banks import Direction, Operation
from unbusy.db import Connection, Row, Tx
from unbusy.payments import Limits
from unbusy.reasons import Reason
from unbusy.transits.model import Allowance, BankAccount, Purse, Status, Transit

_LAST_ID = UUID(int=(1 << 128) - 1)

# ── bank accounts ────────────────────────────────────────────────────────────────────────────────


async def add_bank_account(tx: Tx, new: BankAccount) -> BankAccount:
    """Link an account; the one that is linked already when there is one."""
    await tx.execute(
        """
        INSERT INTO transits.bank_accounts (id, tenant_id, person_id, bank, iban, holder, created_at, verified_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
            ON CONFLICT (person_id, bank, iban) WHERE removed_at IS NULL DO NOTHING
        """,
        *msgspec.structs.astuple(new),
    )
    row = await tx.fetchrow(
        """
        SELECT id, tenant_id, person_id, bank, iban, holder, created_at, verified_at FROM transits.bank_accounts
         WHERE person_id = $1 AND bank = $2 AND iban = $3 AND removed_at IS NULL
        """,
        new.person_id,
        new.bank,
        new.iban,
    )
    return BankAccount(*row.values()) if row else new


async def linked(connection: Connection, wanted: Sequence[tuple[UUID, UUID]]) -> dict[tuple[UUID, UUID], BankAccount]:
    """Those of these that are linked: by person and id."""
    rows = await connection.fetch(
        """
        SELECT b.id, b.tenant_id, b.person_id, b.bank, b.iban, b.holder, b.created_at, b.verified_at
          FROM transits.bank_accounts b
          JOIN unnest($1::uuid[], $2::uuid[]) AS wanted (person_id, id) USING (person_id, id)
         WHERE b.removed_at IS NULL
        """,
        *zip(*wanted, strict=True),
    )
    return {(row["person_id"], row["id"]): BankAccount(*row.values()) for row in rows}


async def list_bank_accounts(connection: Connection, person_id: UUID) -> list[BankAccount]:
    rows = await connection.fetch(
        """
        SELECT id, tenant_id, person_id, bank, iban, holder, created_at, verified_at FROM transits.bank_accounts
         WHERE person_id = $1 AND removed_at IS NULL
         ORDER BY id DESC
         LIMIT 100
        """,
        person_id,
    )
    return [BankAccount(*row.values()) for row in rows]


async def remove_bank_account(tx: Tx, person_id: UUID, id: UUID, now: datetime) -> BankAccount | None:
    """The account, when it was linked until now."""
    row = await tx.fetchrow(
        """
        UPDATE transits.bank_accounts SET removed_at = greatest($3, created_at)
         WHERE id = $1 AND person_id = $2 AND removed_at IS NULL
        RETURNING id, tenant_id, person_id, bank, iban, holder, created_at, verified_at
        """,
        id,
        person_id,
        now,
    )
    return BankAccount(*row.values()) if row else None


async def find_bank_accounts(connection: Connection, person_id: UUID, ids: Sequence[UUID]) -> list[BankAccount]:
    """Those of these that are or were the person's."""
    rows = await connection.fetch(
        """
        SELECT id, tenant_id, person_id, bank, iban, holder, created_at, verified_at FROM transits.bank_accounts
         WHERE person_id = $1 AND id = ANY($2)
        """,
        person_id,
        ids,
    )
    return [BankAccount(*row.values()) for row in rows]


async def verify_bank_account(tx: Tx, id: UUID, now: datetime) -> BankAccount:
    """The account, verified from now on if it was not before."""
    row = await tx.fetchrow(
        """
        UPDATE transits.bank_accounts SET verified_at = coalesce(verified_at, greatest($2, created_at))
         WHERE id = $1
        RETURNING id, tenant_id, person_id, bank, iban, holder, created_at, verified_at
        """,
        id,
        now,
    )
    assert row
    return BankAccount(*row.values())


# ── transits ─────────────────────────────────────────────────────────────────────────────────────


async def transits_of_keys(tx: Tx, keys: Sequence[tuple[UUID, str]]) -> dict[tuple[UUID, str], Transit]:
    """What stands under these idempotency keys already: by person and key."""
    rows = await tx.fetch(
        """
        SELECT t.* FROM transits.transits t
          JOIN unnest($1::uuid[], $2::text[]) AS wanted (person_id, key) USING (person_id, key)
        """,
        *zip(*keys, strict=True),
    )
    return {(row["person_id"], row["key"]): _transit(row) for row in rows}


async def allowances(
    tx: Tx, purses: Mapping[Purse, tuple[Limits, int]], day: datetime, month: datetime
) -> dict[Purse, Allowance]:
    """What limits people, the tenant's own limits before those that are given; and how much each moved that way
    since the beginnings of a day and a month: what was declined or reversed does not count. Beside the limits is
    given how much may move a day with bank accounts that nobody has verified."""
    wanted = list(purses)
    rows = await tx.fetch(
        """
        SELECT w.number - 1, moved.this_day, moved.this_month, moved.unverified, l.per_transit, l.per_day, l.per_month
          FROM unnest($1::integer[], $2::uuid[], $3::text[], $4::text[]) WITH ORDINALITY
               AS w (tenant_id, person_id, direction, asset, number)
         CROSS JOIN LATERAL (
                SELECT coalesce(sum(t.amount) FILTER (WHERE t.created_at >= $5), 0)::bigint AS this_day,
                       coalesce(sum(t.amount), 0)::bigint AS this_month,
                       coalesce(sum(t.amount) FILTER (WHERE t.created_at >= $5 AND b.verified_at IS NULL), 0)::bigint
                       AS unverified
                  FROM transits.transits t
                  JOIN transits.bank_accounts b ON b.id = t.bank_account_id
                 WHERE t.person_id = w.person_id AND t.direction = w.direction AND t.asset = w.asset
                   AND t.created_at >= $6 AND t.status NOT IN ('declined', 'reversed') AND NOT t.is_verification
               ) moved
          LEFT JOIN transits.limits l
                 ON l.tenant_id = w.tenant_id AND l.direction = w.direction AND l.asset = w.asset
        """,
        *zip(*wanted, strict=True),
        day,
        month,
    )
    found: dict[Purse, Allowance] = {}
    for row in rows:
        number: int = row[0]
        purse = wanted[number]
        limits, unverified_per_day = purses[purse]
        if row[4] is not None:
            limits = Limits(*row[4:])
        found[purse] = Allowance(limits, unverified_per_day, *row[1:4])
    return found


async def unverified(tx: Tx, bank_account_ids: Sequence[UUID]) -> set[UUID]:
    """Those of these that nobody has verified."""
    rows = await tx.fetch(
        "SELECT id FROM transits.bank_accounts WHERE id = ANY($1) AND verified_at IS NULL", bank_account_ids
    )
    return {row[0] for row in rows}


async def insert(tx: Tx, new: Sequence[Transit]) -> None:
    await tx.execute(
        """
        INSERT INTO transits.transits
               (id, tenant_id, person_id, direction, bank, bank_account_id, iban, holder, amount, asset, status, reason,
                balance_after, key, fingerprint, tries, sent_at, accepted_at, bank_reference, resolve_by, due_at,
                parked_id, created_at, updated_at, payment_id, is_verification)
        SELECT * FROM unnest(
            $1::uuid[], $2::integer[], $3::uuid[], $4::text[], $5::text[], $6::uuid[], $7::text[], $8::text[],
            $9::bigint[], $10::text[], $11::text[], $12::text[], $13::bigint[], $14::text[], $15::bytea[],
            $16::integer[], $17::timestamptz[], $18::timestamptz[], $19::text[], $20::timestamptz[],
            $21::timestamptz[], $22::uuid[], $23::timestamptz[], $24::timestamptz[], $25::uuid[], $26::boolean[]
        )
        """,
        *zip(*map(msgspec.structs.astuple, new), strict=True),
    )


async def find(connection: Connection, person_id: UUID, direction: Direction, id: UUID) -> Transit | None:
    row = await connection.fetchrow(
        """
        SELECT * FROM transits.transits
         WHERE id = $1 AND person_id = $2 AND direction = $3 AND NOT is_verification
        """,
        id,
        person_id,
        direction,
    )
    return _transit(row) if row else None


async def list_transits(
    connection: Connection, person_id: UUID, direction: Direction, before: UUID | None, limit: int
) -> list[Transit]:
    """A person's top-ups or payouts, newest first."""
    rows = await connection.fetch(
        """
        SELECT * FROM transits.transits
         WHERE person_id = $1 AND direction = $2 AND id < $3 AND NOT is_verification
         ORDER BY id DESC
         LIMIT $4
        """,
        person_id,
        direction,
        before or _LAST_ID,
        limit,
    )
    return [_transit(row) for row in rows]


async def find_all(connection: Connection, person_id: UUID, ids: Sequence[UUID]) -> list[Transit]:
    rows = await connection.fetch(
        "SELECT * FROM transits.transits WHERE person_id = $1 AND id = ANY($2)", person_id, ids
    )
    return [_transit(row) for row in rows]


async def read_all(connection: Connection, ids: Sequence[UUID]) -> list[Transit]:
    """These transits, whosever they are."""
    return [_transit(row) for row in await connection.fetch("SELECT * FROM transits.transits WHERE id = ANY($1)", ids)]


async def take(
    tx: Tx,
    bank: str,
    operations: Collection[Operation],
    now: datetime,
    until: datetime,
    limit: int,
    *,
    made_before: datetime | None = None,
) -> list[tuple[Transit, bool]]:
    """Take up what is due at a bank, longest due first, until a time at which others may take it up.

    Only what one of the operations is next for: what the bank may know is enquired about. Each with
    whether it may know of it from an earlier try. What was new may be known from now on.
    """
    rows = await tx.fetch(
        """
        WITH taken AS (
            SELECT id, sent_at FROM transits.transits
             WHERE bank = $1 AND due_at <= $2 AND created_at <= $6
               AND CASE WHEN sent_at IS NULL THEN 'send_' || direction ELSE 'enquire' END = ANY($5)
             ORDER BY due_at
             LIMIT $4
               FOR UPDATE SKIP LOCKED
        )
        UPDATE transits.transits t
           SET due_at = $3, tries = t.tries + 1, sent_at = coalesce(t.sent_at, $2)
          FROM taken
         WHERE t.id = taken.id
        RETURNING t.*, taken.sent_at IS NOT NULL AS may_be_known
        """,
        bank,
        now,
        until,
        limit,
        list(operations),
        made_before or until,
    )
    return [(_transit(row), row["may_be_known"]) for row in rows]


async def lock(tx: Tx, taken: Sequence[tuple[UUID, int]]) -> list[Transit]:
    """These transits, locked, but for those that somebody took up after this try."""
    rows = await tx.fetch(
        """
        SELECT t.* FROM transits.transits t
          JOIN unnest($1::uuid[], $2::integer[]) AS taken (id, tries) USING (id, tries)
         ORDER BY t.id
           FOR UPDATE OF t
        """,
        [id for id, _ in taken],
        [tries for _, tries in taken],
    )
    return [_transit(row) for row in rows]


async def lock_reversed(tx: Tx, ids: Sequence[UUID]) -> list[Transit]:
    """Those of these that are reversed and not parked, locked."""
    rows = await tx.fetch(
        """
        SELECT * FROM transits.transits
         WHERE id = ANY($1) AND status = 'reversed' AND parked_id IS NULL
         ORDER BY id FOR UPDATE
        """,
        ids,
    )
    return [_transit(row) for row in rows]


async def take_late(tx: Tx, resolve_by: datetime, limit: int) -> list[Transit]:
    """Take up what is not final and should be by then; whoever had it before may not write any more.

    Of a frozen wallet nothing: its bank may have settled, and is asked before anything is undone.
    """
    rows = await tx.fetch(
        """
        WITH late AS (
            SELECT t.id FROM transits.transits t
             WHERE t.due_at IS NOT NULL AND t.status IN ('pending', 'unknown') AND t.resolve_by <= $1
               AND NOT EXISTS (
                   SELECT FROM ledger.accounts w
                    WHERE (w.tenant_id, w.owner_id, w.asset, w.code) = (t.tenant_id, t.person_id, t.asset, 'wallet')
                      AND w.state = 'frozen'
               )
             ORDER BY t.id
             LIMIT $2
               FOR UPDATE OF t SKIP LOCKED
        )
        UPDATE transits.transits t SET tries = t.tries + 1 FROM late WHERE t.id = late.id RETURNING t.*
        """,
        resolve_by,
        limit,
    )
    return [_transit(row) for row in rows]


async def update(tx: Tx, transits: Sequence[Transit]) -> None:
    """Write where transits stand now."""
    await tx.execute(
        """
        UPDATE transits.transits t
           SET status = n.status, reason = n.reason, balance_after = n.balance_after, sent_at = n.sent_at,
               accepted_at = n.accepted_at, bank_reference = n.bank_reference, due_at = n.due_at,
               parked_id = n.parked_id, updated_at = n.updated_at
          FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[], $5::timestamptz[], $6::timestamptz[],
                      $7::text[], $8::timestamptz[], $9::uuid[], $10::timestamptz[])
               AS n (id, status, reason, balance_after, sent_at, accepted_at, bank_reference, due_at, parked_id,
                     updated_at)
         WHERE t.id = n.id
        """,
        [each.id for each in transits],
        [each.status for each in transits],
        [each.reason for each in transits],
        [each.balance_after for each in transits],
        [each.sent_at for each in transits],
        [each.accepted_at for each in transits],
        [each.bank_reference for each in transits],
        [each.due_at for each in transits],
        [each.parked_id for each in transits],
        [each.updated_at for each in transits],
    )


def _transit(row: Row) -> Transit:
    fields: dict[str, Any] = {name: row[name] for name in Transit.__struct_fields__}
    fields["direction"] = Direction(fields["direction"])
    fields["status"] = Status(fields["status"])
    fields["reason"] = Reason(fields["reason"]) if fields["reason"] else None
    return Transit(**fields)
