"""Files as real banks send them, each in its own way of bending the standards: read, and to the last cent."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.payments.bank import TENANT, Bank

from unbusy.errors import Invalid
from unbusy.ids import Ids
from unbusy.statements import Statements, files, model
from unbusy.statements.model import Kind, Statement

SAMPLES = Path(__file__).parent / "samples"

# Of each file its statements: account, asset, opening and closing balance in minor units, and how many lines.
# A notification has no balances.
TOLD = {
    "abn-amro.053.001.02.xml": [("NL91ABNA0417164300", "EUR", 1_815, -515, 1)],
    "abn-amro.sta": [("417164300", "EUR", 323_628, 335_919, 4), ("417164300", "EUR", 335_919, 334_970, 1)],
    "asn.sta": [("NL81ASNB9999999999", "EUR", 44_429, 37_929, 1), ("NL81ASNB9999999999", "EUR", 37_929, 37_764, 1)],
    "bil-luxembourg.sta": [("BILLLULLXXX/LU280019400644750000", "EUR", 1_640, 1_140, 1)],
    "citibank.txt": [("123456789", "USD", 1_737_667, 1_772_536, 2)],
    "commercial-bank-kuwait.txt": [("KW81CBKU0000000000001234560101", "KWD", 10_500, 11_755, 1)],
    "commerzbank.sta": [
        ("50880050/0194781300888", "EUR", -4_043_220, -2_049_949, 2),
        ("50880050/0194781300888", "EUR", -2_049_949, -2_049_949, 2),
    ],
    "credit-agricole.053.001.02.xml": [("FR1420041010050500013M02606", "EUR", 100, 600, 2)],
    "deutsche-bank.053.001.08.xml": [("37040044/0532013000", "EUR", 500, 11_111, 1)],
    "ing-nl.sta": [("NL20INGB0001234567EUR", "EUR", 100_000, 101_155, 2)],
    "ing-romania.txt": [("/RO09BCYP0000001234567890", "RON", 100_000, 200_000, 1)],
    "isbank-turkey.txt": [("006700763/93984487", "TRY", 0, 0, 0)],
    "knab.mt940": [("123456789", "EUR", 0, 50_000, 1), ("123456789", "EUR", 305_898, 79_898, 2)],
    "mbank.sta": [("PL61109010140000071219812874", "PLN", 35_036_000, 35_031_000, 2)],
    "mufg-japan.txt": [("0051234567", "JPY", 1_500_000, 1_749_670, 2)],
    "nordea.053.001.02.xml": [
        ("FI2112345600000785", "EUR", 10_000, 9_300, 2),
        ("FI2112345600000785", "SEK", 0, 25_000, 1),
    ],
    "otp-hungary.sta": [("UBRTHUHB/123456789150/HUF", "HUF", 2_517_063_710, 2_722_169_486, 3)],
    "poland.mt940": [
        ("B4E08MS9D00A0009", "PLN", 350_360, 299_653, 3),
        ("B4E08MS9D00A0009", "PLN", 299_653, 297_153, 1),
    ],
    "postfinance.054.001.04.xml": [("CH9300762011623852957", "CHF", None, None, 2)],
    "postfinance.sta": [("123456789", "CHF", 0, 22_920, 2), ("123456789", "CHF", 22_920, 15_940, 2)],
    "rabobank-girotel.swi": [
        ("1291.99.348EUR", "EUR", 47_317, 39_582, 1),
        ("1291.99.348EUR", "EUR", 39_582, 39_582, 0),
        ("1291.99.348EUR", "EUR", 39_582, 55_087, 2),
    ],
    "rabobank.054.001.02.xml": [("NL44RABO0123456789", "EUR", None, None, 1)],
    "rabobank.swi": [
        ("NL44RABO0123456789EUR", "EUR", 100_000, 98_500, 2),
        ("NL44RABO0123456789EUR", "EUR", 98_500, 96_000, 1),
    ],
    "sberbank-hungary.sta": [("1966315302010001", "HUF", 62_731_130, 62_144_930, 2)],
    "sns.sta": [("0123456789", "EUR", 123_456, 121_956, 2), ("0123456789", "EUR", 121_956, 121_956, 0)],
    "sparkasse.053.001.02.xml": [("DE89370400440532013000", "EUR", -30_000, -4_999, 1)],
    "sparkasse.sta": [("37040044/0532013000", "EUR", 104_717, 126_717, 4)],
    "triodos.sta": [("TRIODOSBANK/0390123456", "EUR", 497_509, 425_939, 2)],
    "ubs.053.001.04.xml": [("CH9300762011623852957", "CHF", 7_596_015, 7_944_315, 2)],
    "ubs.054.001.08.xml": [("CH9300762011623852957", "CHF", None, None, 2)],
    "zkb.053.001.08.xml": [
        ("CH9300762011623852957", "CHF", 0, 1_250, 1),
        ("CH9300762011623852957", "CHF", 1_250, 1_000, 1),
    ],
}


def read(file: str) -> list[Statement]:
    return list(files.read(SAMPLES / file, lambda _share: None))


@pytest.mark.parametrize("file", sorted(path.name for path in SAMPLES.iterdir() if path.name != "NOTICE"))
def test_what_banks_send_is_read(file: str) -> None:
    """Every statement with its account, its balances and all its lines, which are what the balance changed by."""
    statements = read(file)
    assert [(one.account, one.asset, one.opening, one.closing, len(one.lines)) for one in statements] == TOLD[file]
    assert not any(model.fault(one, None) for one in statements)


@pytest.mark.parametrize(
    ("file", "name", "text"),
    [
        ("sparkasse.sta", "Stadtwerke Köln GmbH", "Rechnung März für Müller & Söhne"),
        ("sparkasse.053.001.02.xml", "Jürgen Groß", "Miete für März, Straße 7 Überweisungsgutschr."),
        ("ubs.053.001.04.xml", "Käthe Müller", "210000000003139471430009017 Sammelgutschrift QR-Rechnung"),
        ("nordea.053.001.02.xml", "Päivi Mäkelä", ""),
    ],
)
def test_names_and_texts_are_read(file: str, name: str, text: str) -> None:
    """Whatever character set they are in, and whatever it is labelled as."""
    line = read(file)[0].lines[0]
    assert line.name == name
    assert text in line.text


def test_what_undoes_a_booking_names_its_sides_as_the_booking_did() -> None:
    """The money goes back to who had paid it."""
    assert read("zkb.053.001.08.xml")[1].lines[0][:1] == (-250,)
    assert read("zkb.053.001.08.xml")[1].lines[0].iban == "CH5604835012345678009"


@pytest.mark.parametrize(
    ("told", "asset", "iban", "is_ours"),
    [
        ("NL91ABNA0417164300", "EUR", "NL91ABNA0417164300", True),
        ("NL91ABNA0417164300EUR", "EUR", "NL91ABNA0417164300", True),
        ("417164300", "EUR", "NL91ABNA0417164300", True),
        ("41.71.64.300EUR", "EUR", "NL91ABNA0417164300", True),
        ("17164300", "EUR", "NL91ABNA0417164300", False),
        ("37040044/0532013000", "EUR", "DE89370400440532013000", True),
        ("37040044/532013000/EUR", "EUR", "DE89370400440532013000", True),
        ("37040045/0532013000", "EUR", "DE89370400440532013000", False),
        ("COBADEFF/0532013000", "EUR", "DE89370400440532013000", True),
        ("/DE89370400440532013000", "EUR", "DE89370400440532013000", True),
        ("20201555555555", "GBP", "GB33BUKB20201555555555", True),
        ("202015/55555555", "GBP", "GB33BUKB20201555555555", True),
        ("", "EUR", "DE89370400440532013000", False),
        ("EUR", "EUR", "DE89370400440532013000", False),
        ("0", "EUR", "DE89370400440532013000", False),
    ],
)
def test_an_account_is_known_by_its_national_number(told: str, asset: str, iban: str, is_ours: bool) -> None:
    """Whole, with its bank where it is named, and never by a part of it."""
    assert model.is_account(told, asset, iban) is is_ours


async def test_what_banks_send_is_taken_in(bank: Bank) -> None:
    """Into the books, statement after statement of each account: nothing parked but what does not follow."""
    parked: list[str] = []
    for number, (file, statements) in enumerate(TOLD.items()):
        own = model.compact_account(statements[0][0])
        taker = Statements(bank.db, f"bank{number}", own, TENANT, clock=bank.clock, ids=Ids(bank.clock))
        for taking in await taker.take(SAMPLES / file, lambda _what, _share: None):
            if taking.parked:
                parked.append(f"{file}: {taking.parked}")
            elif taking.kind is Kind.statement:
                assert taking.bank is not None
                assert taking.brought_in is not None
                assert taking.bank - taking.brought_in == taking.books
    (only,) = parked
    assert only.startswith("knab.mt940: statement 'B4G30MS9D00A003D': it opens with 3058.98")
    assert await bank.findings() == []


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"PK\x03\x04whatever", "archive"),
        (
            b":20:X\n:25:1\n:28:1\n:60F:C250315EUR0,00\n:61:25XX17C1,00NTRF\n:62F:C250315EUR1,00\n",
            ":61: cannot be read",
        ),
        (b":20:X\n:25:1\n:28:1\n:34F:EURD0,\n:61:2503170317C1,00NTRF\n", "no opening or closing balance"),
        (b":20:X\n:25:1\n:28:1\n:60F:C250315EUR0,00\n:62F:C250315RON1,00\n", "is in EUR, and the account in RON"),
        (b"<Document><BkToCstmrAcctRpt><Rpt><Id>1</Id></Rpt></BkToCstmrAcctRpt></Document>", "neither a camt.053"),
        (b"", "the column 'account' is missing"),
    ],
)
def test_what_is_no_statement_is_refused_with_its_reason(tmp_path: Path, content: bytes, why: str) -> None:
    """Archives, interim reports, broken lines, two currencies."""
    file = tmp_path / "file"
    file.write_bytes(content)
    with pytest.raises(Invalid, match=why):
        list(files.read(file, lambda _share: None))


@given(st.sampled_from(sorted(TOLD)), st.integers(0, 10_000), st.integers(0, 40), st.binary(max_size=12), st.booleans())
def test_what_is_spoilt_on_the_way_is_refused_or_read(
    tmp_path_factory: pytest.TempPathFactory,
    sample: str,
    place: int,
    gone: int,
    instead: bytes,
    is_cut: bool,
) -> None:
    """Bytes that are lost, changed or put in, and files that end too early: never anything but read or refused."""
    content = (SAMPLES / sample).read_bytes()
    at = place % len(content)
    file = tmp_path_factory.getbasetemp() / "spoilt"
    file.write_bytes(content[:at] + instead + (b"" if is_cut else content[at + gone :]))
    with contextlib.suppress(Invalid):
        assert all(one.kind in Kind for one in files.read(file, lambda _share: None))


@pytest.mark.parametrize(
    ("begin", "size", "why"),
    [(b"<Document>", files.MOST_BYTES, "1,000,000,000"), (b":20:X", 100_000_000, "100,000,000")],
)
def test_what_is_too_large_is_refused_unread(tmp_path: Path, begin: bytes, size: int, why: str) -> None:
    """Before a byte of it is in memory."""
    file = tmp_path / "large"
    file.write_bytes(begin)
    os.truncate(file, size + 1)
    with pytest.raises(Invalid, match=why):
        list(files.read(file, lambda _share: None))
