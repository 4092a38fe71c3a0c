"""The verbs of a case: look at those that are open, and close one by hand."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec

from unbusy import ids, ledger, money
from unbusy.db import Connection, Row, Tx
from unbusy.errors import Invalid, NotFound
from unbusy.ids import Ids
from unbusy.ledger import NewAccount, Refused
from unbusy.statements import model, sql
from unbusy.statements.model import Break

PREFIX = "cas"


class Case(msgspec.Struct, frozen=True):
    """A break that is open: `amount` in minor units, `age_s` since it was found, `about` our reference, if any."""

    id: str
    kind: Break
    amount: int
    about: str
    explanation: str
    age_s: float


class OpenCase(Case, frozen=True):
    """A case, and at which account."""

    bank: str
    asset: str


class Closing(msgspec.Struct, frozen=True):
    """A case as it was closed: `handed` is what went from suspense to a wallet with it, in minor units; below zero
    it went the other way."""

    id: str
    kind: Break
    bank: str
    asset: str
    handed: int


def shown(row: Row, now: datetime) -> dict[str, object]:
    """The fields of a case that is open."""
    return {
        "id": ids.show(PREFIX, row["id"]),
        "kind": Break(row["kind"]),
        "amount": row["amount"],
        "about": row["transit_id"].hex if row["transit_id"] else "",
        "explanation": row["explanation"],
        "age_s": max((now - row["opened_at"]).total_seconds(), 0.0),
    }


async def open_cases(connection: Connection, tenant_id: int, now: datetime) -> list[OpenCase]:
    """All that are open, oldest first."""
    rows = await sql.open_cases_of(connection, tenant_id)
    return [msgspec.convert(shown(row, now) | {"bank": row["bank"], "asset": row["asset"]}, OpenCase) for row in rows]


async def close(
    tx: Tx,
    new_ids: Ids,
    tenant_id: int,
    shown_id: str,
    *,
    by: UUID,
    why: str,
    to: UUID | None,
    now: datetime,
) -> Closing:
    """Close a case by hand: an operator says why, and it stays written who did so and when.

    What waits in suspense for it stays there, or goes to the wallet of a person (`to`); what the bank took goes
    back to suspense out of that wallet. Raises NotFound, and Invalid where there is nothing to be decided.
    """
    id = ids.read(PREFIX, shown_id)
    case = await sql.lock_case(tx, tenant_id, id) if id else None
    if case is None:
        raise NotFound("there is no such case")
    if case["resolved_at"]:
        raise Invalid(f"it is resolved already: {case['resolution']}", field="id")
    if case["kind"] == Break.not_final_here:
        raise Invalid("its money waits until ours is final, and then it ends by itself", field="id")
    waiting = case["waiting"]
    if to and not waiting:
        raise Invalid("no money waits in suspense for it", field="to")
    handed_id = await _hand(tx, new_ids, case, to, now) if to else None
    await sql.close_case(tx, case["id"], by, why, handed_id, now)
    return Closing(shown_id, Break(case["kind"]), case["bank"], case["asset"], waiting if to else 0)


async def _hand(tx: Tx, new_ids: Ids, case: Row, to: UUID, now: datetime) -> UUID:
    """Move what waits in suspense to a wallet, or out of it what the bank took. Gives the transfer."""
    wallet = NewAccount(
        id=new_ids.new(), tenant_id=case["tenant_id"], asset=case["asset"], code="wallet", owner_id=to, floor=0
    )
    (opened,) = await ledger.open_accounts(tx, [wallet])
    transfer = model.handing(
        case["id"], case["tenant_id"], case["asset"], case["waiting"], case["suspense_id"], opened.id
    )
    (outcome,) = await ledger.post(tx, [transfer], now)
    if isinstance(outcome, Refused):
        amount = money.show_amount(abs(case["waiting"]), money.iso_scales()[case["asset"]])
        raise Invalid(f"{amount} {case['asset']} cannot be moved: {outcome.refusal}", field="to")
    return transfer.id
