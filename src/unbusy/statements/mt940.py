"""Reads MT940, SWIFT's statement, by the library `mt-940`.

Banks write it each in their own way: with SWIFT's blocks around it or without, with references longer
than the standard allows, with their accounts' national numbers, pages of one statement in a row.
"""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Generator
from datetime import date
from typing import Any, ClassVar

import mt940
from mt940 import tags
from mt940.models import Transaction, Transactions

from unbusy.errors import Invalid
from unbusy.statements.model import (
    MOST_LINES,
    Kind,
    Line,
    Statement,
    compact_account,
    end_of_day,
    read_number,
    read_units,
    squeezed,
)

# It writes down each pattern that did not fit; what we refuse says why by itself.
logging.getLogger("mt940").setLevel(logging.CRITICAL)


class _Line(tags.Statement):
    """`:61:` with references as long as banks make them: some put an IBAN there."""

    pattern: ClassVar[str] = tags.Statement.pattern.replace(r"[^\n]){0,16}", r"[^\n]){0,34}").replace(
        ".{0,23}", r"[^\n]*"
    )


_OUR_TAGS: dict[int | str, tags.Tag] = {_Line.id: _Line()}

_BEGIN = re.compile(r"^:20:", re.MULTILINE)
_IBAN = re.compile(r"\b[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}\b")


def read(text: str) -> Generator[Statement]:
    """The statements of a file, in its order. Raises Invalid with which of them is wrong."""
    begins = [found.start() for found in _BEGIN.finditer(text)]
    if not begins:
        raise Invalid("no line in it begins a statement", field=":20:")
    for number, (begin, end) in enumerate(zip(begins, [*begins[1:], len(text)], strict=True), 1):
        where = f"statement {number} (line {text.count(chr(10), 0, begin) + 1})"
        yield _statement(_parsed(text[begin:end], where), where)


def _parsed(text: str, where: str) -> Transactions:
    if text.count("\n:61:") > MOST_LINES:
        raise Invalid(f"{where}: a statement has at most {MOST_LINES} lines", field=":61:")
    try:
        with warnings.catch_warnings(action="ignore"):
            return mt940.parse(text, tags=_OUR_TAGS, options=mt940.Options.all())
    except (RuntimeError, ValueError, ArithmeticError, KeyError, TypeError, AttributeError) as error:
        raise Invalid(f"{where}: this is no MT940: {_why(error)}", field="MT940") from None


def _why(error: Exception) -> str:
    """What it says; where a field does not fit its pattern, that field."""
    match error.args:
        case (_, tags.Tag() as tag, value):
            return f":{tag.id}: cannot be read: {str(value)[:80]!r}"
        case _:
            return str(error)[:200]


def _statement(told: Transactions, where: str) -> Statement:
    head: dict[str, Any] = told.data
    opening = head.get("final_opening_balance") or head.get("intermediate_opening_balance")
    closing = head.get("final_closing_balance") or head.get("intermediate_closing_balance")
    if opening is None or closing is None:
        raise Invalid(f"{where} has no opening or closing balance", field=":60F:" if opening is None else ":62F:")
    asset = closing.amount.currency
    account = str(head.get("account_identification", ""))
    lines = [_line(one, asset, f"{where}, line {number}") for number, one in enumerate(told.transactions, 1)]
    return Statement(
        kind=Kind.statement,
        account=compact_account(account),
        asset=asset,
        name=squeezed(str(head.get("transaction_reference", ""))),
        number=read_number(str(head.get("statement_number") or "")),
        page=read_number(str(head.get("sequence_number") or "")) or 1,
        opening=_units(opening, asset, f"{where}, opening balance"),
        closing=_units(closing, asset, f"{where}, closing balance"),
        until=end_of_day(_date(closing.date)),
        lines=[line for line in lines if line.amount],
        warnings=[
            f"{where}, line {n} moves nothing, and was passed over"
            for n, line in enumerate(lines, 1)
            if not line.amount
        ],
    )


def _units(balance: Any, asset: str, where: str) -> int:
    if balance.amount.currency != asset:
        raise Invalid(f"{where} is in {balance.amount.currency}, and the account in {asset}", field=":60F:")
    return read_units(str(balance.amount.amount), asset, where)


def _line(one: Transaction, asset: str, where: str) -> Line:
    told: dict[str, Any] = {name: value for name, value in one.data.items() if value}
    if "amount" not in told or not isinstance(told.get("entry_date") or told.get("date"), date):
        raise Invalid(f"{where} has no amount or no date", field=":61:")
    text = " ".join(str(told[name]) for name in ("transaction_details", "purpose", "extra_details") if name in told)
    iban = _IBAN.search(str(told.get("applicant_iban") or "") or text)
    return Line(
        amount=read_units(str(told["amount"].amount), asset, where),
        booked_on=_date(told.get("entry_date") or told["date"]),
        reference=squeezed(
            " ".join(str(told[name]) for name in ("end_to_end_reference", "customer_reference") if name in told)
        ),
        bank_reference=squeezed(str(told.get("bank_reference", ""))),
        iban=iban[0] if iban else "",
        name=squeezed(str(told.get("applicant_name", ""))),
        # A bank breaks a text into lines of 65 signs wherever they end: so it is kept as it was, and once in one piece.
        text=squeezed(f"{text} {''.join(text.split())}"),
    )


def _date(told: date) -> date:
    """The library's dates are of a class of its own."""
    return date(told.year, told.month, told.day)
