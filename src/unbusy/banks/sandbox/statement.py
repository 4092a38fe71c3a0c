"""The sandbox bank's statements of its client's accounts: a day, as camt.053, MT940 or CSV.

    format    camt.053, mt940 or csv
    day       2026-03-10, in UTC
    asset     EUR if not given
    account   the client's IBAN; the first of its accounts if not given

Days are numbered in their year, so that one follows the other, also the empty ones.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from io import StringIO
from typing import NamedTuple
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from iso4217 import Currency

from unbusy.banks.sandbox.keys import CLIENT_ACCOUNTS
from unbusy.banks.sandbox.orders import Wrong
from unbusy.banks.sandbox.sql import Entry

CONTENT = {"camt.053": "application/xml", "mt940": "text/plain; charset=utf-8", "csv": "text/csv; charset=utf-8"}

_NAMESPACE = "urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"
_COLUMNS = ("account", "currency", "statement", "booked_on", "amount", "balance", "reference", "bank_reference")


class Asked(NamedTuple):
    """Which statement is wanted."""

    format: str
    day: date
    asset: str
    account: str

    @classmethod
    def read(cls, query: str) -> Asked:
        """Raises Wrong."""
        given = {name: values[-1] for name, values in parse_qs(query).items()}
        try:
            day = date.fromisoformat(given.get("day", ""))
            account = given.get("account", CLIENT_ACCOUNTS[0])
            asked = cls(given.get("format", ""), day, given.get("asset", "EUR"), account)
            Currency(asked.asset)
        except ValueError as error:
            raise Wrong(str(error)) from None
        if asked.format not in CONTENT:
            raise Wrong(f"format must be one of {', '.join(CONTENT)}")
        if asked.account not in CLIENT_ACCOUNTS:
            raise Wrong(f"account must be one of {', '.join(CLIENT_ACCOUNTS)}")
        return asked

    @property
    def begin(self) -> float:
        """The day's first moment."""
        return datetime.combine(self.day, time.min, UTC).timestamp()

    @property
    def end(self) -> float:
        """The next day's first moment."""
        return self.begin + timedelta(days=1).total_seconds()

    @property
    def number(self) -> int:
        """The day's in its year."""
        return self.day.timetuple().tm_yday

    def decimal(self, units: int, point: str = ".") -> str:
        """An amount of the asset without its sign."""
        places = Currency(self.asset).exponent or 0
        digits = str(abs(units)).rjust(places + 1, "0")
        return f"{digits[:-places]}{point}{digits[-places:]}" if places else f"{digits}{point.strip('.')}"


def write(asked: Asked, brought_in: int, entries: Sequence[Entry]) -> bytes:
    """The statement that is asked for; `brought_in` is the balance before it, in minor units."""
    writers = {"camt.053": _camt, "mt940": _mt940, "csv": _csv}
    return writers[asked.format](asked, brought_in, entries)


def _camt(asked: Asked, brought_in: int, entries: Sequence[Entry]) -> bytes:
    day = asked.day.isoformat()

    def money(units: int) -> str:
        sign = "DBIT" if units < 0 else "CRDT"
        return f'<Amt Ccy="{asked.asset}">{asked.decimal(units)}</Amt><CdtDbtInd>{sign}</CdtDbtInd>'

    def balance(code: str, units: int) -> str:
        kind = f"<Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp>"
        return f"<Bal>{kind}{money(units)}<Dt><Dt>{day}</Dt></Dt></Bal>"

    def entry(one: Entry) -> str:
        side = "Dbtr" if one.amount > 0 else "Cdtr"
        party = f"<{side}><Pty><Nm>{escape(one.name)}</Nm></Pty></{side}>"
        account = f"<{side}Acct><Id><IBAN>{escape(one.iban)}</IBAN></Id></{side}Acct>"
        refs = f"<Refs><EndToEndId>{one.reference}</EndToEndId></Refs>"
        details = f"<NtryDtls><TxDtls>{refs}<RltdPties>{party}{account}</RltdPties></TxDtls></NtryDtls>"
        status = f"<Sts><Cd>BOOK</Cd></Sts><BookgDt><Dt>{day}</Dt></BookgDt><AcctSvcrRef>{one.id}</AcctSvcrRef>"
        return f"<Ntry>{money(one.amount)}{status}{details}</Ntry>"

    closing = entries[-1].balance if entries else brought_in
    parts = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<Document xmlns="{_NAMESPACE}"><BkToCstmrStmt>',
        f"<GrpHdr><MsgId>S{day}</MsgId><CreDtTm>{day}T23:59:59Z</CreDtTm></GrpHdr>",
        f"<Stmt><Id>{asked.asset}-{day}</Id><ElctrncSeqNb>{asked.number}</ElctrncSeqNb>",
        f"<Acct><Id><IBAN>{asked.account}</IBAN></Id><Ccy>{asked.asset}</Ccy></Acct>",
        balance("OPBD", brought_in),
        balance("CLBD", closing),
        *map(entry, entries),
        "</Stmt></BkToCstmrStmt></Document>",
    ]
    return "".join(f"{part}\n" for part in parts).encode()


def _mt940(asked: Asked, brought_in: int, entries: Sequence[Entry]) -> bytes:
    day = asked.day.strftime("%y%m%d")

    def mark(units: int) -> str:
        return "D" if units < 0 else "C"

    def balance(tag: str, units: int) -> str:
        return f":{tag}:{mark(units)}{day}{asked.asset}{asked.decimal(units, ',')}"

    lines = [
        f":20:{asked.asset}{day}",
        f":25:{asked.account}",
        f":28C:{asked.number}/1",
        balance("60F", brought_in),
    ]
    for one in entries:
        lines.append(f":61:{day}{day[2:]}{mark(one.amount)}{asked.decimal(one.amount, ',')}NTRFNONREF//{one.id[:16]}")
        lines.append(f":86:{one.reference} {one.iban}")
    lines.append(balance("62F", entries[-1].balance if entries else brought_in))
    return "".join(f"{line}\r\n" for line in [*lines, "-"]).encode()


def _csv(asked: Asked, brought_in: int, entries: Sequence[Entry]) -> bytes:
    del brought_in
    text = StringIO(newline="")
    rows = csv.writer(text)
    rows.writerow([*_COLUMNS, "iban", "name"])
    for one in entries:
        amounts = [f"{'-' if units < 0 else ''}{asked.decimal(units)}" for units in (one.amount, one.balance)]
        about = (one.reference, one.id, one.iban, one.name)
        rows.writerow([asked.account, asked.asset, asked.number, asked.day, *amounts, *about])
    return text.getvalue().encode()
