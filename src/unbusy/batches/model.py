"""What is in a file of payments: rows that can be taken, and rows that cannot, each with its line.

Three forms, one result: JSON, JSON lines, and CSV with a header. Every row is read by itself, so that
one that is wrong hides no other. A file that is wrong as a whole raises Invalid.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Annotated, Any, NamedTuple
from uuid import UUID

import msgspec
from msgspec import Meta

from unbusy import payments
from unbusy.api import KEY_PATTERN, fingerprint, wrong_field
from unbusy.errors import Invalid
from unbusy.reasons import Reason

MOST_ROWS = 8_000
# What is looked up one by one. Nobody pays in more kinds of money at once.
_MOST_ASSETS = 50

_COLUMNS = ("key", "payee", "amount", "asset", "note")
_MAY_BE_LEFT_OUT = "note"
_WHOLE_NUMBER = re.compile("[0-9]{1,19}")
_LONGEST_DETAIL = 200


class NewRow(payments.NewPayment, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One payment of a batch, with an idempotency key of its own."""

    key: Annotated[str, Meta(min_length=1, max_length=64, pattern=KEY_PATTERN)]

    def fingerprint(self) -> bytes:
        """The same as when the payment is made alone: so a row and a single payment know each other."""
        alone = payments.NewPayment(payee=self.payee, amount=self.amount, asset=self.asset, note=self.note)
        return fingerprint("POST /v1/payments", alone)


class NewBatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Payments to be made, as JSON."""

    payments: list[msgspec.Raw]
    take_good_rows: bool = False


class Good(NamedTuple):
    """A row that can be taken, as far as one can tell from the file. Lines are counted from 1."""

    line: int
    row: NewRow


class Bad(NamedTuple):
    """A row that cannot be taken, and why. `key` is None when it could not be read."""

    line: int
    key: str | None
    reason: Reason
    field: str
    detail: str

    @property
    def where(self) -> str:
        return f"line {self.line}: {self.field}"


class Upload(NamedTuple):
    """A file, read."""

    good: Sequence[Good]
    bad: Sequence[Bad]

    def fingerprint(self, *, take_good_rows: bool) -> bytes:
        """What the batch's key stands for."""
        return fingerprint("POST /v1/payment-batches", _Content(list(self.good), list(self.bad), take_good_rows))


class Batch(msgspec.Struct, frozen=True):
    """A batch that was taken. `finish_by` is None when no row of it was."""

    id: UUID
    tenant_id: int
    payer_id: UUID
    key: str
    fingerprint: bytes
    accepted: int
    refused: int
    finish_by: datetime | None
    created_at: datetime


class Reported(NamedTuple):
    """A row and what became of it: `status` is its payment's, None when it was refused."""

    line: int
    key: str | None
    payment_id: UUID | None
    status: str | None
    reason: str | None
    field: str | None
    detail: str | None


class _Content(msgspec.Struct, frozen=True):
    good: list[Good]
    bad: list[Bad]
    take_good_rows: bool


def read_json(rows: Sequence[msgspec.Raw]) -> Upload:
    """The rows of a JSON array; the first is line 1."""
    return _upload((line, _decoded(line, bytes(row))) for line, row in enumerate(rows, 1))


def read_lines(body: bytes) -> Upload:
    """JSON lines: one object per line, empty lines do not matter."""
    lines = enumerate(body.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1)
    return _upload((number, _decoded(number, line)) for number, line in lines if line.strip())


def read_csv(body: bytes) -> Upload:
    """CSV (RFC 4180) in UTF-8, with the header `key,payee,amount,asset,note` in any order; `note` may be left out."""
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = body.count(b"\n", 0, error.start) + 1
        raise Invalid(f"line {line} is not in UTF-8", field="body") from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        columns = _header(next(reader, list[str]()))
        return _upload((reader.line_num, _converted(reader.line_num, columns, cells)) for cells in reader if cells)
    except csv.Error as error:
        raise Invalid(f"line {reader.line_num} is not CSV: {error}", field="body") from None


def _upload(rows: Iterable[tuple[int, NewRow | Bad]]) -> Upload:
    good: list[Good] = []
    bad: list[Bad] = []
    lines: dict[str, int] = {}
    for line, row in rows:
        if len(good) + len(bad) >= MOST_ROWS:
            raise Invalid(f"a batch has {MOST_ROWS} payments at most", field="body")
        if isinstance(row, Bad):
            bad.append(row)
        elif (first := lines.setdefault(row.key, line)) != line:
            bad.append(Bad(line, row.key, Reason.key_reused, "key", f"line {first} has the same key"))
        else:
            good.append(Good(line, row))
    if not good and not bad:
        raise Invalid("there is no payment in it", field="body")
    if len({each.row.asset for each in good}) > _MOST_ASSETS:
        raise Invalid(f"a batch has {_MOST_ASSETS} assets at most", field="body")
    return Upload(good, bad)


_decode = msgspec.json.Decoder(NewRow).decode


def _decoded(line: int, row: bytes) -> NewRow | Bad:
    try:
        return _decode(row)
    except msgspec.ValidationError as error:
        return _bad(line, error)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Bad(line, None, Reason.invalid, "row", "this is not a JSON object in UTF-8")


def _header(columns: Sequence[str]) -> Sequence[str]:
    unknown = [column for column in columns if column not in _COLUMNS]
    missing = [column for column in _COLUMNS if column not in columns and column != _MAY_BE_LEFT_OUT]
    if unknown or missing or len(set(columns)) < len(columns):
        raise Invalid(f"line 1 must name the columns, each once: {','.join(_COLUMNS)}", field="body")
    return columns


def _converted(line: int, columns: Sequence[str], cells: Sequence[str]) -> NewRow | Bad:
    if len(cells) != len(columns):
        return Bad(line, None, Reason.invalid, "row", f"{len(cells)} cells in place of {len(columns)}")
    fields: dict[str, Any] = dict(zip(columns, cells, strict=True))
    if _WHOLE_NUMBER.fullmatch(fields["amount"]):
        fields["amount"] = int(fields["amount"])
    try:
        return msgspec.convert(fields, NewRow)
    except msgspec.ValidationError as error:
        return _bad(line, error)


def _bad(line: int, error: msgspec.ValidationError) -> Bad:
    wrong = wrong_field(str(error))
    field = wrong.field if wrong.field != "body" else "row"
    return Bad(line, None, Reason.invalid, field or "row", wrong.detail[:_LONGEST_DETAIL])
