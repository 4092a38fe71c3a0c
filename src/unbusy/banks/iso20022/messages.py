"""What we write to a bank: messages of ISO 20022, checked against their schemas."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import NamedTuple, TypeAlias

from lxml import etree

from unbusy import money
from unbusy.banks.port import Direction, ExternalAccount, Instruction

Element: TypeAlias = etree._Element  # pyright: ignore[reportPrivateUsage] - lxml gives it no public name

_HEADER = "head.001.001.02"
_PAYMENTS = {Direction.push: "pacs.008.001.08", Direction.pull: "pacs.003.001.08"}
_ENQUIRY = "pacs.028.001.03"
SENT = (_HEADER, *_PAYMENTS.values(), _ENQUIRY)

_ENVELOPE = "urn:swift:xsd:envelope"
# The bank finds the customer's bank by the IBAN, as in SEPA.
_ANY_AGENT = {"FinInstnId": {"Othr": {"Id": "NOTPROVIDED"}}}


class Ends(NamedTuple):
    """Between whom messages go: our own account at the bank, and both sides' BICs."""

    ours: ExternalAccount
    bic: str
    bank_bic: str


class Money(NamedTuple):
    """An amount as messages write it: `12.50`, `EUR`."""

    amount: str
    currency: str


_Fields: TypeAlias = Mapping[str, "str | Money | _Fields"]


def amount(instruction: Instruction) -> Money:
    """What is to be moved."""
    return Money(money.show_amount(instruction.amount, money.iso_scales()[instruction.asset]), instruction.asset)


def payment(instruction: Instruction, ends: Ends, at: datetime) -> bytes:
    """The message that moves the money. Raises ValueError with what its schema says against it."""
    reference = instruction.reference
    settled = {"SttlmMtd": "INDA", "SttlmAcct": _account(ends.ours)}
    head = {"MsgId": reference, "CreDtTm": _time(at), "NbOfTxs": "1", "SttlmInf": settled}
    moved: _Fields = {
        "PmtId": {"InstrId": reference, "EndToEndId": reference, "TxId": reference},
        "IntrBkSttlmAmt": amount(instruction),
        "IntrBkSttlmDt": at.date().isoformat(),
        "ChrgBr": "SLEV",
    }
    if instruction.direction is Direction.push:
        told: _Fields = {"FIToFICstmrCdtTrf": {"GrpHdr": head, "CdtTrfTxInf": {**moved, **_push(instruction, ends)}}}
    else:
        told = {"FIToFICstmrDrctDbt": {"GrpHdr": head, "DrctDbtTxInf": {**moved, **_pull(instruction, ends)}}}
    return _message(_PAYMENTS[instruction.direction], told, ends, at, reference)


def enquiry(reference: str, direction: Direction, ends: Ends, at: datetime, id: str) -> bytes:
    """The message that asks what became of a payment; `id` is its own. Raises as `payment` does."""
    asked = {
        "StsReqId": id,
        "OrgnlGrpInf": {"OrgnlMsgId": reference, "OrgnlMsgNmId": _PAYMENTS[direction]},
        "OrgnlInstrId": reference,
        "OrgnlEndToEndId": reference,
        "OrgnlTxId": reference,
    }
    head = {"MsgId": id, "CreDtTm": _time(at)}
    return _message(_ENQUIRY, {"FIToFIPmtStsReq": {"GrpHdr": head, "TxInf": asked}}, ends, at, id)


def _push(instruction: Instruction, ends: Ends) -> _Fields:
    return {
        "Dbtr": {"Nm": ends.ours.name},
        "DbtrAcct": _account(ends.ours),
        "DbtrAgt": _agent(ends.bank_bic),
        "CdtrAgt": _ANY_AGENT,
        "Cdtr": {"Nm": instruction.account.name},
        "CdtrAcct": _account(instruction.account),
    }


def _pull(instruction: Instruction, ends: Ends) -> _Fields:
    return {
        "DrctDbtTx": {"MndtRltdInf": {"MndtId": _mandate(instruction.account, ends.ours)}},
        "Cdtr": {"Nm": ends.ours.name},
        "CdtrAcct": _account(ends.ours),
        "CdtrAgt": _agent(ends.bank_bic),
        "Dbtr": {"Nm": instruction.account.name},
        "DbtrAcct": _account(instruction.account),
        "DbtrAgt": _ANY_AGENT,
    }


def _mandate(debtor: ExternalAccount, creditor: ExternalAccount) -> str:
    """The customer's permission to draw on one account: all pulls from it share one."""
    return sha256(f"{debtor.iban} {creditor.iban}".encode()).hexdigest()[:32]


def _account(account: ExternalAccount) -> _Fields:
    return {"Id": {"IBAN": account.iban}}


def _agent(bic: str) -> _Fields:
    return {"FinInstnId": {"BICFI": bic}}


def _time(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds")


def _message(definition: str, told: _Fields, ends: Ends, at: datetime, id: str) -> bytes:
    """A document and its header, each fit for its schema."""
    header = {
        "Fr": {"FIId": _agent(ends.bic)},
        "To": {"FIId": _agent(ends.bank_bic)},
        "BizMsgIdr": id,
        "MsgDefIdr": definition,
        "CreDt": _time(at),
    }
    envelope = etree.Element(f"{{{_ENVELOPE}}}Envelope", nsmap={None: _ENVELOPE})
    _add(envelope, "AppHdr", _HEADER, header)
    _add(envelope, "Document", definition, told)
    return etree.tostring(envelope, xml_declaration=True, encoding="UTF-8")


def _add(envelope: Element, name: str, definition: str, fields: _Fields) -> None:
    namespace = f"urn:iso:std:iso:20022:tech:xsd:{definition}"
    element = etree.SubElement(envelope, f"{{{namespace}}}{name}", nsmap={None: namespace})
    _fill(element, namespace, fields)
    schema = _schema(definition)
    if not schema.validate(element):
        raise ValueError(str(schema.error_log.last_error))


def _fill(element: Element, namespace: str, fields: _Fields) -> None:
    for name, value in fields.items():
        child = etree.SubElement(element, f"{{{namespace}}}{name}")
        match value:
            case str():
                child.text = value
            case Money():
                child.text = value.amount
                child.set("Ccy", value.currency)
            case _:
                _fill(child, namespace, value)


@cache
def _schema(definition: str) -> etree.XMLSchema:
    return etree.XMLSchema(
        etree.fromstring((files("unbusy.banks.iso20022") / f"schemas/{definition}.xsd").read_bytes())
    )
