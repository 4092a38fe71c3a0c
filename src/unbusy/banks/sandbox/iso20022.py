"""What is sent to the sandbox bank and what it answers, in messages of ISO 20022."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import NamedTuple, TypeAlias

from lxml import etree

from unbusy.banks.sandbox.faults import Operation
from unbusy.banks.sandbox.keys import BANK_BIC, CLIENT_BIC
from unbusy.banks.sandbox.orders import Order, Party, Wrong, units
from unbusy.banks.sandbox.sql import Payment

Element: TypeAlias = etree._Element  # pyright: ignore[reportPrivateUsage] - lxml gives it no public name

PATH = "/iso20022"

_URN = "urn:iso:std:iso:20022:tech:xsd:"
_NAMES = {
    "h": f"{_URN}head.001.001.02",
    "push": f"{_URN}pacs.008.001.08",
    "pull": f"{_URN}pacs.003.001.08",
    "ask": f"{_URN}pacs.028.001.03",
}
_PUSH, _PULL = "push:Document/push:FIToFICstmrCdtTrf", "pull:Document/pull:FIToFICstmrDrctDbt"
_ENQUIRY = "ask:Document/ask:FIToFIPmtStsReq/ask:TxInf"
_REFERENCE = re.compile(r"[A-Za-z0-9-]{1,35}")
_AMOUNT = re.compile(r"[0-9]{1,13}(\.[0-9]{1,5})?")

_REPORT = """\
<?xml version="1.0" encoding="UTF-8"?>
<e:Envelope xmlns:e="urn:swift:xsd:envelope">
<h:AppHdr xmlns:h="urn:iso:std:iso:20022:tech:xsd:head.001.001.02">
<h:Fr><h:FIId><h:FinInstnId><h:BICFI>{bank}</h:BICFI></h:FinInstnId></h:FIId></h:Fr>
<h:To><h:FIId><h:FinInstnId><h:BICFI>{client}</h:BICFI></h:FinInstnId></h:FIId></h:To>
<h:BizMsgIdr>{id}</h:BizMsgIdr><h:MsgDefIdr>pacs.002.001.10</h:MsgDefIdr><h:CreDt>{at}</h:CreDt>
</h:AppHdr>
<p:Document xmlns:p="urn:iso:std:iso:20022:tech:xsd:pacs.002.001.10"><p:FIToFIPmtStsRpt>
<p:GrpHdr><p:MsgId>{id}</p:MsgId><p:CreDtTm>{at}</p:CreDtTm></p:GrpHdr>
<p:TxInfAndSts>
<p:OrgnlInstrId>{reference}</p:OrgnlInstrId>
<p:OrgnlEndToEndId>{reference}</p:OrgnlEndToEndId>
<p:TxSts>{status}</p:TxSts>{reason}
<p:AcctSvcrRef>{id}</p:AcctSvcrRef>{money}
</p:TxInfAndSts></p:FIToFIPmtStsRpt></p:Document></e:Envelope>
"""
_REASON = "<p:StsRsnInf><p:Rsn><p:Cd>{code}</p:Cd></p:Rsn></p:StsRsnInf>"
_MONEY = '<p:OrgnlTxRef><p:IntrBkSttlmAmt Ccy="{currency}">{amount}</p:IntrBkSttlmAmt></p:OrgnlTxRef>'


class Enquiry(NamedTuple):
    """What became of this reference?"""

    reference: str
    is_pull: bool


def operation(body: bytes) -> Operation:
    """Which of the bank's operations a message is for."""
    return Operation.enquire if b"FIToFIPmtStsReq" in body else Operation.send


def amount_in(body: bytes) -> int | None:
    """The amount that a message is about, in minor units; None where it has none that can be read."""
    try:
        told = read(body)
    except Wrong:
        return None
    return told.amount if isinstance(told, Order) else None


def read(body: bytes) -> Order | Enquiry:
    """What a message asks for. Raises Wrong."""
    root = _parsed(body)
    if _of(root, "h:AppHdr/h:Fr/h:FIId/h:FinInstnId/h:BICFI") != CLIENT_BIC:
        raise Wrong("this is not the client's BIC")
    if (push := root.find(_PUSH, _NAMES)) is not None:
        return _order(push, "push", "CdtTrfTxInf", ours="Dbtr", customer="Cdtr")
    if (pull := root.find(_PULL, _NAMES)) is not None:
        return _order(pull, "pull", "DrctDbtTxInf", ours="Cdtr", customer="Dbtr")
    if (asked := root.find(_ENQUIRY, _NAMES)) is not None:
        is_pull = _of(asked, "ask:OrgnlGrpInf/ask:OrgnlMsgNmId").startswith("pacs.003")
        return Enquiry(_reference(_of(asked, "ask:OrgnlEndToEndId")), is_pull)
    raise Wrong("it is no message that this bank knows")


def report(payment: Payment, at: datetime) -> bytes:
    """What became of a payment. Of one that never came there is no amount to tell."""
    is_rejected = payment.status == "RJCT"
    return _REPORT.format(
        bank=BANK_BIC,
        client=CLIENT_BIC,
        id=payment.id,
        at=at.isoformat(timespec="seconds"),
        reference=payment.reference,
        status=payment.status,
        reason=_REASON.format(code=payment.reason) if is_rejected else "",
        money=_MONEY.format(**json.loads(payment.data)) if payment.asset else "",
    ).encode()


def _order(told: Element, x: str, movement: str, *, ours: str, customer: str) -> Order:
    """`x` is the prefix of the message's names, `ours` and `customer` are what it calls the two sides."""
    movements = told.findall(f"{x}:{movement}", _NAMES)
    if len(movements) != 1 or _of(told, f"{x}:GrpHdr/{x}:NbOfTxs") != "1":
        raise Wrong("this bank takes one payment a message")
    (moved,) = movements
    amount = _of(moved, f"{x}:IntrBkSttlmAmt")
    if not _AMOUNT.fullmatch(amount):
        raise Wrong("this is no amount")
    currency = "".join(moved.xpath(f"string({x}:IntrBkSttlmAmt/@Ccy)", namespaces=_NAMES))
    mandate = _of(moved, f"{x}:DrctDbtTx/{x}:MndtRltdInf/{x}:MndtId") if x == "pull" else ""
    parties = _party(moved, x, ours), _party(moved, x, customer)
    return Order(
        reference=_reference(_of(moved, f"{x}:PmtId/{x}:EndToEndId")),
        is_pull=x == "pull",
        agreed=None,
        ours=parties[0],
        customer=parties[1],
        amount=units(amount, currency),
        asset=currency,
        data={"amount": amount, "currency": currency, "mandate": mandate, "parties": [list(one) for one in parties]},
    )


def _party(moved: Element, x: str, side: str) -> Party:
    iban = _of(moved, f"{x}:{side}Acct/{x}:Id/{x}:IBAN")
    return Party(iban, _of(moved, f"{x}:{side}/{x}:Nm"))


def _reference(text: str) -> str:
    if not _REFERENCE.fullmatch(text):
        raise Wrong("EndToEndId has other signs than letters, digits and dashes")
    return text


def _parsed(body: bytes) -> Element:
    """The document. Raises Wrong, above all for one that wants anything unfolded."""
    try:
        root = etree.fromstring(body, etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False))
    except (etree.XMLSyntaxError, ValueError) as error:
        raise Wrong(str(error)) from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise Wrong("no message needs a DTD")
    return root


def _of(element: Element, path: str) -> str:
    text = element.findtext(path, default="", namespaces=_NAMES).strip()
    if not text:
        raise Wrong(f"{path.rpartition(':')[2]} is missing")
    return text
