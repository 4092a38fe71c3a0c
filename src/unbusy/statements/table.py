"""Reads a statement as CSV: one line a row, in the order they were booked, under these names of columns.

    account     the operator's IBAN at the bank
    currency    ISO 4217
    booked_on   2026-03-10
    amount      12.50 came in, -12.50 went out
    balance     after this line

and, where the bank tells it: `statement` (its number), `reference`, `bank_reference`, `iban` and
`name` of the other side, and `text`. Other columns are passed over, with a warning.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from datetime import date
from io import StringIO

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

_NEEDED = ("account", "currency", "booked_on", "amount", "balance")
_MORE = ("statement", "reference", "bank_reference", "iban", "name", "text")


def read(text: str) -> Iterator[Statement]:
    """The one statement of a file. Raises Invalid with the row that is wrong."""
    reader = csv.DictReader(StringIO(text, newline=""), strict=True)
    try:
        columns = [name.strip() for name in reader.fieldnames or ()]
        reader.fieldnames = columns
        for name in _NEEDED:
            if name not in columns:
                raise Invalid(f"line 1: the column {name!r} is missing", field=name)
        rows: list[Mapping[str, str]] = []
        for row in reader:
            if len(rows) >= MOST_LINES:
                raise Invalid(f"a statement has at most {MOST_LINES} lines", field="amount")
            rows.append({name: row.get(name) or "" for name in (*_NEEDED, *_MORE)})
    except csv.Error as error:
        raise Invalid(f"line {reader.line_num}: this is no CSV: {error}", field="CSV") from None
    if not rows:
        raise Invalid("there is no row in it", field="amount")
    ignored = [f"the column {name!r} was passed over" for name in columns if name not in {*_NEEDED, *_MORE}]
    yield _statement(rows, ignored)


def _statement(rows: list[Mapping[str, str]], warnings: list[str]) -> Statement:
    first, last = rows[0], rows[-1]
    asset = first["currency"].strip()
    for number, row in enumerate(rows, 2):
        for name in ("account", "currency", "statement"):
            if row[name] != first[name]:
                raise Invalid(f"line {number}: {name} is another one than in line 2", field=name)
    lines = [_line(row, asset, f"line {number}") for number, row in enumerate(rows, 2)]
    number = first["statement"].strip()
    return Statement(
        kind=Kind.statement,
        account=compact_account(first["account"]),
        asset=asset,
        name=squeezed(number),
        number=read_number(number),
        page=1,
        opening=read_units(first["balance"], asset, "line 2") - lines[0].amount,
        closing=read_units(last["balance"], asset, f"line {len(rows) + 1}"),
        until=end_of_day(max(line.booked_on for line in lines)),
        lines=[line for line in lines if line.amount],
        warnings=warnings,
    )


def _line(row: Mapping[str, str], asset: str, where: str) -> Line:
    try:
        booked_on = date.fromisoformat(row["booked_on"].strip())
    except ValueError:
        raise Invalid(f"{where}: {row['booked_on'][:40]!r} is no date such as 2026-03-10", field="booked_on") from None
    return Line(
        amount=read_units(row["amount"], asset, where),
        booked_on=booked_on,
        reference=squeezed(row["reference"]),
        bank_reference=squeezed(row["bank_reference"]),
        iban=squeezed(compact_account(row["iban"])),
        name=squeezed(row["name"]),
        text=squeezed(row["text"]),
    )
