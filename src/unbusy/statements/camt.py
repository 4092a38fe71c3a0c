"""Reads camt.053 and camt.054, ISO 20022's statement and notification, of any version.

Tolerant: what many banks leave out or put elsewhere is looked for in both places, and what is passed
over is said in a warning. Intolerant only of what money depends on: amounts, signs, currencies.
Nothing outside the file is ever read, and nothing inside it is expanded.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Generator, Iterable
from datetime import UTC, date, datetime, timedelta
from io import FileIO
from typing import TypeAlias

from lxml import etree

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

Element: TypeAlias = etree._Element  # pyright: ignore[reportPrivateUsage] - lxml has no other name for it

_ENTRY, _ROOTS = "Ntry", {"Stmt": Kind.statement, "Ntfctn": Kind.notification}
# A page begins and ends in the middle of its statement: with an interim balance, the first and the last one.
_OPENING, _CLOSING, _INTERIM = ("OPBD", "PRCD"), "CLBD", "ITBD"


class _Entries:
    """What was read of a statement's entries so far; `currencies` says where each was met first."""

    def __init__(self) -> None:
        self.count = 0
        self.lines: list[Line] = []
        self.warnings: list[str] = []
        self.currencies: dict[str, str] = {}


def read(file: FileIO, begins_at: int, *, is_latin: bool) -> Generator[Statement]:
    """The statements of a file, in its order, one in memory at a time. Raises Invalid with where it is wrong.

    The document begins at a byte; `is_latin` says that it is Latin-1, whatever it says itself.
    """
    file.seek(begins_at)
    found = False
    try:
        for kind, root, entries in _parts(file, "iso-8859-1" if is_latin else None):
            found = True
            yield _statement(kind, root, entries)
    except etree.XMLSyntaxError as error:
        raise Invalid(f"line {error.lineno}: this is no XML: {error.msg}", field="Document") from None
    if not found:
        raise Invalid("there is neither a camt.053 statement nor a camt.054 notification in it", field="Document")


def _parts(file: FileIO, encoding: str | None) -> Generator[tuple[Kind, Element, _Entries]]:
    """Each statement's element without its entries, which were read and thrown away one by one."""
    entries = _Entries()
    events = etree.iterparse(
        file,
        events=("start", "end"),
        encoding=encoding,
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=False,
    )
    is_checked = False
    for event, element in events:
        if not is_checked and element.getroottree().docinfo.doctype:
            raise Invalid("a statement has no document type: entities in it could be anything", field="DOCTYPE")
        is_checked = True
        if event == "start":
            continue
        name = _name(element)
        if name == _ENTRY:
            _entry(element, entries)
            if (parent := element.getparent()) is not None:
                parent.remove(element)
        elif name in _ROOTS:
            yield _ROOTS[name], element, entries
            entries = _Entries()
            element.clear()


def _name(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _statement(kind: Kind, root: Element, entries: _Entries) -> Statement:
    asset = _text(root, "Acct/Ccy") or _attribute(root, "Bal/Amt") or next(iter(entries.currencies), "")
    opening, closing, closes_on = _balances(root, asset)
    for currency, where in entries.currencies.items():
        if currency != asset:
            raise Invalid(f"{where} is in {currency}, and the account in {asset}", field="Ntry/Amt")
    number = _text(root, "LglSeqNb") or _text(root, "ElctrncSeqNb")
    page = _text(root, "StmtPgntn/PgNb")
    return Statement(
        kind=kind,
        account=compact_account(_text(root, "Acct/Id/IBAN") or _text(root, "Acct/Id/Othr/Id")),
        asset=asset,
        name=squeezed(_text(root, "Id")),
        number=read_number(number),
        page=read_number(page) or 1,
        opening=opening,
        closing=closing,
        until=_until(root, closes_on, entries.lines),
        lines=entries.lines,
        warnings=entries.warnings,
    )


def _balances(root: Element, asset: str) -> tuple[int | None, int | None, date | None]:
    """The balance of the beginning, of the end, and the day of the end; None where it is not told."""
    found: dict[str, list[tuple[int, date | None]]] = defaultdict(list)
    for balance in root.findall("{*}Bal"):
        code = _text(balance, "Tp/CdOrPrtry/Cd")
        if code not in {*_OPENING, _CLOSING, _INTERIM}:
            continue
        where = f"balance {code} (line {balance.sourceline})"
        if (currency := _attribute(balance, "Amt")) != asset:
            raise Invalid(f"{where} is in {currency or 'no currency'}, and the account in {asset}", field="Bal/Amt")
        found[code].append((_signed(balance, asset, where), _day(balance, "Dt", where)))
    begins, _ = next((found[code][0] for code in (*_OPENING, _INTERIM) if code in found), (None, None))
    ends, ends_on = next((found[code][-1] for code in (_CLOSING, _INTERIM) if code in found), (None, None))
    return begins, ends, ends_on


def _until(root: Element, closes_on: date | None, lines: Iterable[Line]) -> datetime:
    """When the period ended: as it says, else the end of the day of its closing balance, else of its last line."""
    if told := _text(root, "FrToDt/ToDtTm"):
        return _time(told, "FrToDt/ToDtTm")
    day = closes_on or max((line.booked_on for line in lines), default=None)
    if day is None:
        return _time(_text(root, "CreDtTm"), "CreDtTm")
    return end_of_day(day)


def _entry(entry: Element, entries: _Entries) -> None:
    entries.count += 1
    where = f"entry {entries.count} (line {entry.sourceline})"
    if len(entries.lines) >= MOST_LINES:
        raise Invalid(f"a statement has at most {MOST_LINES} lines", field=_ENTRY)
    status = _text(entry, "Sts/Cd") or _text(entry, "Sts")
    if status not in {"BOOK", ""}:
        entries.warnings.append(f"{where} is {status}, not booked, and was passed over")
        return
    currency = _attribute(entry, "Amt")
    entries.currencies.setdefault(currency, where)
    amount = _signed(entry, currency, where)
    if amount == 0:
        entries.warnings.append(f"{where} moves nothing, and was passed over")
        return
    booked_on = _day(entry, "BookgDt", where) or _day(entry, "ValDt", where)
    if booked_on is None:
        raise Invalid(f"{where} has neither a booking nor a value date", field="BookgDt")
    bank_reference = squeezed(_text(entry, "AcctSvcrRef") or _text(entry, "NtryRef"))
    details = entry.findall("{*}NtryDtls/{*}TxDtls")
    extra = _text(entry, "AddtlNtryInf")
    is_undone = _text(entry, "RvslInd") in {"true", "1"}
    parts = _amounts(details, currency, where)
    if len(parts) > 1 and sum(parts) == abs(amount) and all(parts):
        # One booking of many payments: each is a line of its own.
        for detail, part in zip(details, parts, strict=True):
            own = squeezed(_text(detail, "Refs/AcctSvcrRef")) or bank_reference
            signed = part if amount > 0 else -part
            entries.lines.append(_line([detail], signed, booked_on, own, extra, is_undone=is_undone))
    else:
        entries.lines.append(_line(details, amount, booked_on, bank_reference, extra, is_undone=is_undone))


def _amounts(details: list[Element], currency: str, where: str) -> list[int]:
    """What each payment of an entry is, without a sign; empty where one does not say."""
    paths = ("Amt", "AmtDtls/TxAmt/Amt")
    told = [next((path for path in paths if _attribute(detail, path) == currency), None) for detail in details]
    return [
        read_units(_text(detail, path), currency, where)
        for detail, path in zip(details, told, strict=True)
        if path and all(told)
    ]


def _line(
    details: list[Element], amount: int, booked_on: date, bank_reference: str, extra: str, *, is_undone: bool
) -> Line:
    # What undoes a booking names the sides as the booking did.
    side, account = ("Dbtr", "DbtrAcct") if (amount > 0) is not is_undone else ("Cdtr", "CdtrAcct")
    references, texts = list[str](), list[str]()
    iban = name = ""
    for detail in details:
        references.extend(_text(detail, f"Refs/{tag}") for tag in ("EndToEndId", "InstrId", "TxId", "PmtInfId"))
        texts.extend(text.text or "" for text in detail.findall("{*}RmtInf/{*}Ustrd"))
        texts.append(_text(detail, "RmtInf/Strd/CdtrRefInf/Ref"))
        texts.append(_text(detail, "AddtlTxInf"))
        iban = iban or _text(detail, f"RltdPties/{account}/Id/IBAN")
        # Since version 8 a party stands inside a choice.
        name = name or _text(detail, f"RltdPties/{side}/Nm") or _text(detail, f"RltdPties/{side}/Pty/Nm")
    return Line(
        amount=amount,
        booked_on=booked_on,
        reference=squeezed(" ".join(dict.fromkeys(one for one in references if one and one != "NOTPROVIDED"))),
        bank_reference=bank_reference,
        iban=squeezed(compact_account(iban)),
        name=squeezed(name),
        text=squeezed(" ".join([*texts, extra])),
    )


def _signed(element: Element, asset: str, where: str) -> int:
    units = read_units(_text(element, "Amt"), asset, where)
    sign = _text(element, "CdtDbtInd")
    if not units and not sign:
        return 0
    if sign not in {"CRDT", "DBIT"} or units < 0:
        raise Invalid(f"{where}: its direction must be CRDT or DBIT, and its amount without a sign", field="CdtDbtInd")
    return units if sign == "CRDT" else -units


def _text(element: Element, path: str) -> str:
    return (element.findtext("/".join(f"{{*}}{part}" for part in path.split("/"))) or "").strip()


def _attribute(element: Element, path: str) -> str:
    found = element.find("/".join(f"{{*}}{part}" for part in path.split("/")))
    return "" if found is None else (found.get("Ccy") or "")


def _day(element: Element, path: str, where: str) -> date | None:
    told = _text(element, f"{path}/Dt") or _text(element, f"{path}/DtTm")
    if not told:
        return None
    try:
        return date.fromisoformat(told[:10])
    except ValueError:
        raise Invalid(f"{where}: {told[:40]!r} is no date", field=path) from None


def _time(text: str, path: str) -> datetime:
    # A day may end at 24:00 in XML Schema, and may not in Python.
    ends_day = "T24:00:00" in text
    try:
        told = datetime.fromisoformat(text.replace("T24:", "T00:") if ends_day else text)
        told += timedelta(days=1) if ends_day else timedelta()
    except (ValueError, OverflowError):
        raise Invalid(f"{text[:40]!r} is no time", field=path) from None
    return told if told.tzinfo else told.replace(tzinfo=UTC)
