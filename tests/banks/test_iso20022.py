"""Messages of ISO 20022: what leaves fits its schema, and what comes in is believed only as far as it goes."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

import httpx
import pytest
from lxml import etree
from tests.banks.sandbox import ANNA, Sandbox, instruction
from tests.rules import schemas
from xsdata.formats.dataclass.parsers import XmlParser

from unbusy.banks import Direction, ExternalAccount, Result, State, roster
from unbusy.banks.iso20022 import Table, messages, reports
from unbusy.banks.iso20022.messages import Ends, Money
from unbusy.banks.iso20022.reports import Report, Unfit
from unbusy.banks.iso20022.signatures import Signer

ENDS = Ends(ExternalAccount("GB29NWBK60161331926819", "unbusy"), "UNBUGB2LXXX", "SANDGB2LXXX")
AT = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


def parts(message: bytes) -> dict[str, etree._Element]:  # pyright: ignore[reportPrivateUsage] - lxml's own name
    """Header and document, each by the name of its definition."""
    return {str(part.tag)[1:].partition("}")[0].rpartition(":")[2]: part for part in etree.fromstring(message)}


@pytest.mark.parametrize("direction", list(Direction))
def test_another_reader_understands_what_is_sent(direction: Direction) -> None:
    """The classes of the model read header and document, and know every element in them."""
    told = instruction(direction)
    payment = messages.payment(told, ENDS, AT)
    enquiry = messages.enquiry(told.reference, direction, ENDS, AT, "an-id")
    for definition, part in (parts(payment) | parts(enquiry)).items():
        name = definition.replace(".", "_")
        model = import_module(f"pyiso20022.{name[:4]}.{name}")
        root = model.AppHdr if name.startswith("head") else model.Document
        assert XmlParser().from_bytes(etree.tostring(part), root)


@pytest.mark.parametrize(
    "account",
    [
        ExternalAccount(ANNA.iban, "x" * 141),
        ExternalAccount(ANNA.iban, ""),
        ExternalAccount(ANNA.iban, "Anna\x00Berg"),
        ExternalAccount("no IBAN", "Anna Berg"),
    ],
    ids=lambda account: f"{account.iban} {account.name[:9]!r}",
)
async def test_what_breaks_the_schema_is_not_sent(sandbox: Sandbox, account: ExternalAccount) -> None:
    """It is declined for good, and the bank has not heard of it."""
    connector = sandbox.connector("partner")
    told = instruction(Direction.push, account=account)
    assert await connector.send(told) == Result(State.declined, "refused")
    assert told.reference not in {one["reference"] for one in sandbox.books()["payments"]}
    await connector.close()


def answer(about: str = "ours", money: str = '<IntrBkSttlmAmt Ccy="EUR">12.50</IntrBkSttlmAmt>', **other: str) -> bytes:
    """An answer as some bank might write it: of another version, with prefixes and parts that nobody asked for."""
    to = other.get("to", "UNBUGB2L")
    return f"""{other.get("before", "")}
    <BizMsg><h:AppHdr xmlns:h="urn:iso:std:iso:20022:tech:xsd:head.001.001.01">
      <h:To><h:FIId><h:FinInstnId><h:BICFI>{to}</h:BICFI></h:FinInstnId></h:FIId></h:To>
    </h:AppHdr><Document xmlns="urn:iso:std:iso:20022:tech:xsd:pacs.002.001.03"><FIToFIPmtStsRpt>
      <Surprise>nobody knows</Surprise>
      <TxInfAndSts><OrgnlEndToEndId>another</OrgnlEndToEndId><TxSts>RJCT</TxSts></TxInfAndSts>
      <TxInfAndSts>
        <OrgnlEndToEndId> {about} </OrgnlEndToEndId><TxSts>{other.get("status", "ACCC")}</TxSts>
        <AcctSvcrRef>BANK-1</AcctSvcrRef><OrgnlTxRef>{money}</OrgnlTxRef>
      </TxInfAndSts>{other.get("after", "")}
    </FIToFIPmtStsRpt></Document></BizMsg>""".encode()


def test_any_version_is_understood() -> None:
    """What we need must be there; what else is there does not matter."""
    told = reports.read(answer(), "ours", ENDS.bic)
    assert told == Report("ACCC", "", "BANK-1", Money("12.50", "EUR"))
    assert reports.read(answer(money=""), "ours", ENDS.bic).money is None


BOMB = '<!DOCTYPE b [<!ENTITY a "aaaaaaaaaa">' + "".join(
    f'<!ENTITY {name} "{f"&{before};" * 10}">' for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"OK",
        b"<Document/>",
        answer()[:-20],
        answer("another"),
        answer("elsewhere"),
        answer(after="<TxInfAndSts><OrgnlEndToEndId>ours</OrgnlEndToEndId><TxSts>RJCT</TxSts></TxInfAndSts>"),
        answer(to="SMBDGB2L"),
        answer(before=BOMB + "]>", status="&i;"),
        answer(before='<!DOCTYPE b [<!ENTITY f SYSTEM "file:///etc/hostname">]>', status="&f;"),
        answer(before='<!DOCTYPE b SYSTEM "http://127.0.0.1:1/b.dtd">'),
        b"<a>" * 100_000,
        b"\xff\xfe\x00",
    ],
    ids=lambda body: str(body[:20] + body[-10:]),
)
def test_what_is_not_an_answer_is_none(body: bytes) -> None:
    """Nothing, half of it, about others, to others, twice with two outcomes, or a trap: unfit, and at once."""
    began_at = time.monotonic()
    with pytest.raises(Unfit):
        reports.read(body, "ours", ENDS.bic)
    assert time.monotonic() - began_at < 1


@pytest.mark.parametrize(
    ("amount", "currency", "is_same"),
    [
        ("12.50", "EUR", True),
        ("12.5", "EUR", True),
        ("12.51", "EUR", False),
        ("12.50", "USD", False),
        ("", "EUR", False),
        ("NaN", "EUR", False),
        ("a lot", "EUR", False),
    ],
)
def test_other_money_is_no_answer(amount: str, currency: str, is_same: bool) -> None:
    """As much, and of the same: however many zeros are written."""
    assert reports.is_same(Money(amount, currency), Money("12.50", "EUR")) is is_same


class Client:
    """Somebody who writes to the bank by hand, as the client it knows."""

    def __init__(self, sandbox: Sandbox) -> None:
        _, entry, _ = roster.read(Path(sandbox.settings().banks))
        assert isinstance(entry, roster.Entry)
        assert isinstance(entry.table, Table)
        self.url = entry.table.url
        self.signer = Signer(entry.keys)

    def post(self, body: bytes, signature: str | None = None) -> httpx.Response:
        signature = self.signer.sign(body) if signature is None else signature
        return httpx.post(self.url, content=body, headers={"x-jws-signature": signature})


@pytest.mark.parametrize("amount", [1_250, 6601])
def test_the_sandbox_answers_by_the_book(sandbox: Sandbox, amount: int) -> None:
    """What the bank says is signed, and fits the schemas of header and report: a yes, a no, and a never."""
    client = Client(sandbox)
    told = instruction(Direction.push, amount)
    never = messages.enquiry(f"never-{amount}", Direction.pull, ENDS, AT, "an-id")
    for sent in (messages.payment(told, ENDS, AT), never):
        said = client.post(sent)
        assert said.status_code == 200
        assert client.signer.is_banks(said.content, said.headers["x-jws-signature"])
        for definition, part in parts(said.content).items():
            etree.XMLSchema(etree.fromstring(schemas.schema(definition))).assertValid(part)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        (b"12.50", b"-12.50"),
        (b"12.50", b"12.505"),
        (b'"EUR"', b'"XYZ"'),
        (b"GB29NWBK60161331926819", b"GB94BARC10201530093459"),
        (b"UNBUGB2LXXX", b"SMBDGB2LXXX"),
        (b"<NbOfTxs>1<", b"<NbOfTxs>2<"),
        (b"<Nm>Anna Berg</Nm>", b""),
        (b"pacs.008.001.08", b"pacs.008.001.01"),
        (b"<Envelope", b"<!DOCTYPE Envelope [<!ENTITY a 'a'>]><Envelope"),
        (b"</Envelope>", b""),
    ],
    ids=str,
)
def test_the_sandbox_refuses_what_is_wrong(sandbox: Sandbox, right: bytes, wrong: bytes) -> None:
    """A bank that took anything would teach a connector nothing."""
    told = instruction(Direction.push)
    body = messages.payment(told, ENDS, AT)
    spoilt = body.replace(b"<?xml version='1.0' encoding='UTF-8'?>\n", b"").replace(right, wrong)
    assert spoilt != body
    client = Client(sandbox)
    assert client.post(spoilt).status_code == 400
    assert client.post(body, client.signer.sign(spoilt)).status_code == 400
    assert client.post(body, "").status_code == 400
    assert sandbox.executed(told.reference) == 0
