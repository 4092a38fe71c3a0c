"""The daily close: a day of all accounts at banks in one signed report, once its statements are there.

    statements of the day are missing or parked ─▶ refused, with what is missing
    all are there                               ─▶ a report, signed and kept; the same bytes whenever it is asked for

The report is JSON with its names in order, amounts in minor units. Under it is an Ed25519 signature (RFC 8032)
with a key of the installation's own, so that nobody else can write such a report.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from datetime import date, datetime

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from unbusy import ids
from unbusy.db import Tx
from unbusy.errors import Invalid
from unbusy.secret import derive_key
from unbusy.statements import sql
from unbusy.statements.cases import PREFIX


class Part(msgspec.Struct, frozen=True):
    """So many lines, and their sum."""

    lines: int
    amount: int


class OpenBreak(msgspec.Struct, frozen=True):
    """A case that was open when the day was closed."""

    id: str
    kind: str
    amount: int
    opened_at: datetime


class AccountDay(msgspec.Struct, frozen=True):
    """One account on a day: `opening + explained + suspense + held == closing`. `explained` are lines that are ours,
    `suspense` those nobody could explain, `held` those that wait for what is not final here."""

    bank: str
    asset: str
    opening: int
    lines: int
    explained: Part
    suspense: Part
    held: Part
    closing: int
    breaks: list[OpenBreak]


class Report(msgspec.Struct, frozen=True):
    """A closed day."""

    tenant: int
    day: date
    accounts: list[AccountDay]


class Signed(msgspec.Struct, frozen=True):
    """A report as it is handed on: the bytes that were signed, and by which key (both in base64url)."""

    report: msgspec.Raw
    key: str
    signature: str

    @property
    def content(self) -> Report:
        return msgspec.json.decode(self.report, type=Report)


class Seal:
    """The installation's key for its reports."""

    def __init__(self, secret: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(derive_key(secret, "daily close"))

    @property
    def public(self) -> str:
        """The public half, in base64url."""
        return urlsafe_b64encode(self._key.public_key().public_bytes_raw()).decode()

    def sign(self, content: bytes) -> bytes:
        """64 bytes."""
        return self._key.sign(content)


async def close_day(tx: Tx, tenant_id: int, day: date, seal: Seal, now: datetime) -> Signed:
    """Close a day; one that is closed gives the same report again.

    Raises Invalid with everything that is missing: a statement that reaches over the day, one that is parked,
    the day itself.
    """
    await sql.lock_accounts(tx, tenant_id)
    if kept := await sql.closed_day(tx, tenant_id, day):
        return _signed(kept[0].encode(), kept[1], seal)
    accounts = await sql.account_days(tx, tenant_id, day)
    if wrong := await _missing(tx, tenant_id, day, accounts, now):
        raise Invalid("; ".join(wrong), field="day")
    breaks = await sql.open_cases_of(tx, tenant_id)
    days = [
        AccountDay(
            bank=row["bank"],
            asset=row["asset"],
            opening=row["opening"],
            lines=row["lines"],
            explained=Part(row["matched_lines"], row["matched"]),
            suspense=Part(row["suspense_lines"], row["suspense"]),
            held=Part(row["held_lines"], row["held"]),
            closing=row["closing"],
            breaks=[
                OpenBreak(ids.show(PREFIX, one["id"]), one["kind"], one["amount"], one["opened_at"])
                for one in breaks
                if one["account_id"] == row["id"]
            ],
        )
        for row in accounts
    ]
    content = msgspec.json.encode(Report(tenant_id, day, days), order="deterministic")
    signature = seal.sign(content)
    await sql.insert_close(tx, tenant_id, day, content.decode(), signature, now)
    return _signed(content, signature, seal)


def is_genuine(signed: Signed, key: str) -> bool:
    """Whether the holder of this public key signed exactly this report."""
    try:
        public = Ed25519PublicKey.from_public_bytes(urlsafe_b64decode(key))
        public.verify(urlsafe_b64decode(signed.signature), bytes(signed.report))
    except (InvalidSignature, ValueError):
        return False
    return True


def _signed(content: bytes, signature: bytes, seal: Seal) -> Signed:
    return Signed(msgspec.Raw(content), seal.public, urlsafe_b64encode(signature).decode())


async def _missing(tx: Tx, tenant_id: int, day: date, accounts: Sequence[sql.Row], now: datetime) -> list[str]:
    """Why a day cannot be closed."""
    wrong = [f"{day} is not over"] if now.date() <= day else []
    wrong += [
        f"no statement of {one['bank']} in {one['asset']} reaches over {day}" for one in accounts if not one["told"]
    ]
    wrong += [
        f"no statement of {bank} in {asset} was ever taken" for bank, asset in await sql.never_told(tx, tenant_id, day)
    ]
    wrong += [f"at {bank}: {why}" for bank, why in await sql.parked(tx, tenant_id)]
    return wrong or ([] if accounts else ["no bank has sent a statement yet"])
