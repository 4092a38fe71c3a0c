"""Files of payments, read: three forms, one result, and every bad row by its line."""

from __future__ import annotations

import contextlib
import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unbusy.batches import MOST_ROWS, model
from unbusy.errors import Invalid
from unbusy.reasons import Reason

GOOD = {"key": "a", "payee": "@mei", "amount": 1250, "asset": "EUR", "note": "五月工资"}
HEADER = b"key,payee,amount,asset,note\n"


def raws(*rows: object) -> list[msgspec.Raw]:
    return [msgspec.Raw(json.dumps(row).encode()) for row in rows]


def lines(*rows: object) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def wheres(upload: model.Upload) -> list[str]:
    return [bad.where for bad in upload.bad]


def test_three_forms_of_the_same() -> None:
    """JSON, JSON lines and CSV say the same; lines are those of the file."""
    csv = "\ufeff" + HEADER.decode() + 'a,@mei,1250,EUR,"五月工资"\r\n'
    uploads = [model.read_json(raws(GOOD)), model.read_lines(lines(GOOD)), model.read_csv(csv.encode())]
    assert len({each.row for upload in uploads for each in upload.good}) == 1
    assert [upload.good[0].line for upload in uploads] == [1, 1, 2]
    assert not any(upload.bad for upload in uploads)


def test_a_row_is_the_payment_it_would_be_alone() -> None:
    """Its key stands for the same request, so that one is the replay of the other."""
    row = model.read_json(raws(GOOD)).good[0].row
    other = model.read_json(raws(GOOD | {"amount": 1})).good[0].row
    assert row.fingerprint() != other.fingerprint()
    assert row.fingerprint() == model.read_csv(HEADER + "b,@mei,1250,EUR,五月工资".encode()).good[0].row.fingerprint()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"amount": 12.5}, "amount"),
        ({"amount": "1250"}, "amount"),
        ({"amount": 0}, "amount"),
        ({"amount": 2**63}, "amount"),
        ({"asset": "eur"}, "asset"),
        ({"note": "two\nlines"}, "note"),
        ({"note": "x" * 141}, "note"),
        ({"key": ""}, "key"),
        ({"key": "k" * 65}, "key"),
        ({"key": " k"}, "key"),
        ({"payee": None}, "payee"),
        ({"more": 1}, "more"),
    ],
)
def test_a_bad_row_names_its_field(change: dict[str, object], field: str) -> None:
    """And hides no other: the rows around it are read."""
    around = [GOOD | {"key": "before"}, GOOD | change, GOOD | {"key": "after"}]
    for upload, first in ((model.read_json(raws(*around)), 1), (model.read_lines(lines(*around)), 1)):
        assert [each.row.key for each in upload.good] == ["before", "after"]
        assert wheres(upload) == [f"line {first + 1}: {field}"]
        assert upload.bad[0].reason is Reason.invalid


def test_missing_fields() -> None:
    """What is not there is named, too."""
    for name in ("key", "payee", "amount", "asset"):
        assert wheres(model.read_json(raws({k: v for k, v in GOOD.items() if k != name}))) == [f"line 1: {name}"]


@pytest.mark.parametrize("amount", ["12.50", "1e3", "", "-1", " 1", "１", "0x10", "99999999999999999999"])
def test_amounts_in_csv_are_digits(amount: str) -> None:
    """Nothing else is guessed at."""
    upload = model.read_csv(HEADER + f"a,@mei,{amount},EUR,".encode())
    assert wheres(upload) == ["line 2: amount"]


@pytest.mark.parametrize(
    "header", ["key,payee,amount", "key,payee,amount,asset,note,note", "Key,payee,amount,asset", ""]
)
def test_a_header_is_strict(header: str) -> None:
    """Every column once, by its name; `note` may be left out, the order is free."""
    with pytest.raises(Invalid, match=r"line 1|no payment"):
        model.read_csv(f"{header}\na,@mei,1,EUR\n".encode())
    assert model.read_csv(b"asset,key,amount,payee\nEUR,a,1,@mei\n").good[0].row.amount == 1


def test_a_line_is_where_its_row_ends() -> None:
    """Also behind a quoted cell of several lines, empty lines and rows of another width."""
    body = HEADER + b'a,@mei,1,EUR,"two\nlines"\n\nb,@mei,1\nc,@mei,1,EUR,\n'
    upload = model.read_csv(body)
    assert wheres(upload) == ["line 3: note", "line 5: row"]
    assert [(good.line, good.row.key) for good in upload.good] == [(6, "c")]


def test_a_key_twice() -> None:
    """The first row with it is good, each further one is not, and says which one has it."""
    upload = model.read_json(raws(GOOD, GOOD | {"amount": 2}, GOOD))
    assert [(bad.line, bad.reason, bad.field) for bad in upload.bad] == [(n, Reason.key_reused, "key") for n in (2, 3)]
    assert "line 1" in upload.bad[0].detail


@pytest.mark.parametrize(
    "body",
    [b"\xff" + HEADER, HEADER + b'a,"@mei', HEADER + b"a,@mei,1,EUR,\xe4\n", HEADER, b"", HEADER + b'"a"b,@mei,1,EUR,'],
)
def test_what_is_no_file_of_payments(body: bytes) -> None:
    """It is refused as a whole, with the line where one is wrong."""
    with pytest.raises(Invalid):
        model.read_csv(body)


def test_no_more_than_a_batch() -> None:
    """8,000 rows, not one more; and something."""
    rows = [GOOD | {"key": f"k{n}"} for n in range(MOST_ROWS)]
    assert len(model.read_lines(lines(*rows)).good) == MOST_ROWS
    for wrong in (lines(*rows, GOOD), b"", b"\n\n"):
        with pytest.raises(Invalid):
            model.read_lines(wrong)
    with pytest.raises(Invalid, match="assets"):
        model.read_lines(lines(*(GOOD | {"key": f"k{n}", "asset": f"A{n:02}"} for n in range(51))))


@given(st.binary(max_size=300))
def test_whatever_is_sent(body: bytes) -> None:
    """It is read, or refused in words; nothing else happens."""
    for read, sent in ((model.read_lines, body), (model.read_csv, body), (model.read_csv, HEADER + body)):
        with contextlib.suppress(Invalid):
            upload = read(sent)
            assert upload.good or upload.bad
