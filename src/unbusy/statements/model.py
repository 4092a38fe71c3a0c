"""Statements: data and rules, without a database or a clock."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID, uuid5

import msgspec
from schwifty import IBAN
from schwifty.exceptions import SchwiftyException

from unbusy import money
from unbusy.errors import Invalid
from unbusy.ledger import Transfer

# A year of a small shop, or a day of a large one; about 200 MB in memory.
MOST_LINES = 250_000
_LONGEST_TEXT = 1_000
_LONGEST_NUMBER = 9


class Kind(StrEnum):
    """A statement has balances and is the truth; a notification tells of some of its lines before."""

    statement = "statement"
    notification = "notification"


class Break(StrEnum):
    """What a case is about. The last three are about a transit or a whole statement, the others about a line."""

    unknown_line = "unknown_line"  # nothing of ours
    amount_differs = "amount_differs"  # ours by its reference, and another amount
    duplicate = "duplicate"  # ours, and another line was it already
    returned = "returned"  # ours, and the other way round
    declined_here = "declined_here"  # executed, although we were told it was not
    reversed_here = "reversed_here"  # executed, and undone here before we knew
    not_final_here = "not_final_here"  # executed, and we do not know yet
    missing_line = "missing_line"  # completed here, and no line shows it
    gap = "gap"  # the statement does not follow the one before
    broken_sum = "broken_sum"  # its lines are not what its balance changed by


class Line(NamedTuple):
    """What a bank booked. `amount` is in minor units, above zero when it came in; `reference` is what names
    the payment for us, `bank_reference` what the bank calls it; `iban` and `name` are the other side's."""

    amount: int
    booked_on: date
    reference: str = ""
    bank_reference: str = ""
    iban: str = ""
    name: str = ""
    text: str = ""


class Statement(msgspec.Struct, frozen=True):
    """A statement as it was read. `account` is an IBAN or what the bank writes instead; balances are in minor
    units; `until` is when its period ended; `warnings` say what was passed over."""

    kind: Kind
    account: str
    asset: str
    name: str
    number: int | None
    page: int
    opening: int | None
    closing: int | None
    until: datetime
    lines: Sequence[Line]
    warnings: Sequence[str] = ()

    @property
    def identity(self) -> bytes:
        """What it shares with a mended copy of itself."""
        return hashlib.sha256(f"{self.name}/{self.number}/{self.page}".encode()).digest()

    @property
    def moved(self) -> int:
        """What its lines sum up to."""
        return sum(line.amount for line in self.lines)


class Taken(NamedTuple):
    """The last statement that was taken of an account."""

    place: int
    number: int | None
    page: int
    closing: int
    until: datetime


def read_units(text: str, asset: str, where: str) -> int:
    """A decimal as minor units, with its sign. Raises Invalid that names `where`."""
    scale = money.iso_scales().get(asset)
    if scale is None:
        raise Invalid(f"{where}: there is no currency {asset!r}", field="currency")
    try:
        units = Decimal(text.strip()).scaleb(scale)
        if units != int(units) or abs(units) > money.MAX_AMOUNT:
            raise ValueError
    except (InvalidOperation, ValueError, OverflowError):
        raise Invalid(f"{where}: {text[:40]!r} is no amount of {asset}", field="amount") from None
    return int(units)


def read_number(text: str) -> int | None:
    """A statement's number; None where it has none that one could count on by. Some banks write 0 each day."""
    return int(text) or None if text.isascii() and text.isdigit() and len(text) <= _LONGEST_NUMBER else None


def squeezed(text: str | None) -> str:
    """Text as it is kept: white space in runs of one, nothing that a database cannot hold, not endless."""
    return " ".join((text or "").replace("\0", "").split())[:_LONGEST_TEXT]


def compact_account(text: str) -> str:
    """An account as it is kept: `GB33 BUKB…` and `gb33bukb…` are the same."""
    return re.sub(r"[\s-]", "", text).upper()


def is_account(told: str, asset: str, iban: str) -> bool:
    """Whether an account as a bank writes it is the one of this IBAN: `37040044/0532013000`, `1291.99.348EUR`.

    Either the IBAN itself, or the national number that it contains; before it the bank's code, name or BIC,
    after it the currency, if any.
    """
    parts = [part for part in told.replace(".", "").split("/") if part not in {"", asset}]
    if not parts:
        return False
    *before, number = parts
    number = number.removesuffix(asset)
    if iban in {told, number}:
        return True
    try:
        ours = IBAN(iban)
    except SchwiftyException:
        return False
    banks = {ours.bank_code, ours.branch_code, ours.bank_code + ours.branch_code}
    numbers = {ours.account_code, ours.branch_code + ours.account_code, str(ours.bban)}
    is_ours = number.lstrip("0") in {one.lstrip("0") for one in numbers}
    return is_ours and all(part in banks or not part.isdigit() for part in before)


def end_of_day(day: date) -> datetime:
    """Its last moment."""
    return datetime.combine(day, time.max, UTC)


def fault(statement: Statement, last: Taken | None, *, is_vouched_for: bool = False) -> tuple[Break, str] | None:
    """Why a statement cannot be taken now, if so: its sum is broken, or it does not follow the last one.

    Somebody who has closed that case by hand vouches for its number: some banks count by the days of the year,
    holidays too. For its balances nobody can.
    """
    if statement.kind is Kind.notification:
        return None
    if statement.opening is None or statement.closing is None:
        return Break.broken_sum, "it does not say its opening and closing balance"
    if (sum := statement.opening + statement.moved) != statement.closing:
        told = (_shown(statement, amount) for amount in (statement.opening, statement.moved, sum, statement.closing))
        return Break.broken_sum, "opening {} and lines {} make {}, and the closing balance is {}".format(*told)
    return _gap(statement, statement.opening, last, is_vouched_for=is_vouched_for) if last else None


def _gap(statement: Statement, opening: int, last: Taken, *, is_vouched_for: bool) -> tuple[Break, str] | None:
    if not is_vouched_for and not _follows(statement, last):
        return Break.gap, f"it is number {statement.number}, and the last one taken is {last.number}"
    if opening != last.closing:
        told = (_shown(statement, amount) for amount in (opening, last.closing))
        return Break.gap, "it opens with {}, and the last one taken closed with {}".format(*told)
    return None


def _follows(statement: Statement, last: Taken) -> bool:
    """By its number; a year begins with 1 again. Without numbers the balances must do."""
    if statement.number is None or last.number is None:
        return True
    here, before = (statement.number, statement.page), (last.number, last.page)
    starts_again = statement.number == 1 and statement.until.year > last.until.year
    return here in {(before[0], before[1] + 1), (before[0] + 1, statement.page)} or starts_again


def _shown(statement: Statement, amount: int) -> str:
    return money.show_amount(amount, money.iso_scales()[statement.asset])


def booking(
    line_id: UUID, tenant_id: int, asset: str, amount: int, nostro: UUID, suspense: UUID, *, undone: bool
) -> Transfer:
    """Follows the bank in the books for a line nobody can explain, against suspense; or takes that back."""
    debit_id, credit_id = (nostro, suspense) if (amount > 0) is not undone else (suspense, nostro)
    return Transfer(
        id=uuid5(line_id, "explained" if undone else "booked"),
        tenant_id=tenant_id,
        debit_id=debit_id,
        credit_id=credit_id,
        amount=abs(amount),
        asset=asset,
        code="bank_line_explained" if undone else "bank_line",
    )


def handing(case_id: UUID, tenant_id: int, asset: str, amount: int, suspense: UUID, wallet: UUID) -> Transfer:
    """Hands what waits in suspense for a case to a wallet; below zero, takes out of it what the bank took."""
    debit_id, credit_id = (suspense, wallet) if amount > 0 else (wallet, suspense)
    return Transfer(
        id=uuid5(case_id, "handed"),
        tenant_id=tenant_id,
        debit_id=debit_id,
        credit_id=credit_id,
        amount=abs(amount),
        asset=asset,
        code="case_closed",
    )
