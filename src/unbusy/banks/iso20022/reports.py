"""What we understand of a bank's answers (pacs.002): whatever its version, only of what it is certain about."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import NamedTuple

from lxml import etree

from unbusy.banks.iso20022.messages import Element, Money

# An amount stands where the payment had it.
_AMOUNTS = ("{*}OrgnlTxRef/{*}IntrBkSttlmAmt", "{*}OrgnlTxRef/{*}Amt/{*}InstdAmt")
# The bank's own name for a payment.
_NAMES = ("{*}AcctSvcrRef", "{*}ClrSysRef")


class Unfit(Exception):
    """No answer that can be trusted; its text says why."""


class Report(NamedTuple):
    """What became of one payment, in the standard's codes; `money` is None where the bank does not repeat it."""

    status: str
    reason: str
    bank_reference: str
    money: Money | None


def read(body: bytes, reference: str, bic: str) -> Report:
    """What an answer to us, who are `bic`, says of a reference. Raises Unfit."""
    root = _parsed(body)
    # The bank signs for its other clients with the same key.
    if _text(root, "{*}AppHdr/{*}To/{*}FIId/{*}FinInstnId/{*}BICFI")[:8] != bic[:8]:
        raise Unfit("it is to somebody else")
    told = [
        one
        for one in root.iterfind("{*}Document/{*}FIToFIPmtStsRpt/{*}TxInfAndSts")
        if _text(one, "{*}OrgnlEndToEndId") == reference
    ]
    if len(told) != 1:
        raise Unfit(f"it tells of our reference {len(told)} times")
    return _report(told[0])


def is_same(told: Money, meant: Money) -> bool:
    """Whether it is as much of the same currency, however many zeros are written."""
    try:
        return told.currency == meant.currency and Decimal(told.amount) == Decimal(meant.amount)
    except InvalidOperation:
        return False


def _report(told: Element) -> Report:
    money = next((found for path in _AMOUNTS if (found := told.find(path)) is not None), None)
    return Report(
        status=_text(told, "{*}TxSts"),
        reason=_text(told, "{*}StsRsnInf/{*}Rsn/{*}Cd"),
        bank_reference=next(filter(None, (_text(told, path) for path in _NAMES)), ""),
        money=None if money is None else Money((money.text or "").strip(), money.get("Ccy", "")),
    )


def _text(element: Element, path: str) -> str:
    return element.findtext(path, default="").strip()


def _parsed(body: bytes) -> Element:
    """The document, with nothing fetched for it and nothing unfolded in it. Raises Unfit."""
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, dtd_validation=False, huge_tree=False, remove_pis=True
    )
    try:
        root = etree.fromstring(body, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise Unfit(f"it cannot be read: {error}") from None
    # No message needs one, and whoever declares entities means no good.
    if root.getroottree().docinfo.internalDTD is not None:
        raise Unfit("it brings a DTD")
    return root
