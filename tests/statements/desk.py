"""Somebody who gets a bank's statements, and a bank that writes them as a test wants."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from tests.payments.bank import TENANT, Bank
from tests.transits.scripted import IBAN, SETTLED, Way

from unbusy.api import Principal
from unbusy.banks import Direction
from unbusy.ids import Ids
from unbusy.statements import Statements, Taking
from unbusy.transits import Transit

OURS = "GB33BUKB20201555555555"
DAY = "2026-03-10"


def entry(
    amount: int,
    reference: str = "",
    *,
    text: str = "",
    iban: str = IBAN,
    day: str = DAY,
    currency: str = "EUR",
    status: str = "BOOK",
) -> str:
    """A line of cents, as camt.053 writes it."""
    side = "Dbtr" if amount > 0 else "Cdtr"
    return (
        f"<Ntry>{_money(amount, currency)}<Sts>{status}</Sts><BookgDt><Dt>{day}</Dt></BookgDt><NtryDtls><TxDtls>"
        f"<Refs><EndToEndId>{reference}</EndToEndId></Refs>"
        f"<RltdPties><{side}Acct><Id><IBAN>{iban}</IBAN></Id></{side}Acct></RltdPties>"
        f"<RmtInf><Ustrd>{escape(text)}</Ustrd></RmtInf></TxDtls></NtryDtls></Ntry>"
    )


def camt(
    entries: Sequence[str],
    opening: int,
    closing: int,
    *,
    number: int = 1,
    account: str = OURS,
    day: str = DAY,
    before: str = "",
    notification: bool = False,
) -> str:
    """A document of one statement."""
    root, body = ("BkToCstmrDbtCdtNtfctn", "Ntfctn") if notification else ("BkToCstmrStmt", "Stmt")
    balances = "" if notification else _balance("OPBD", opening, day) + _balance("CLBD", closing, day)
    return (
        f'{before}<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.02"><{root}><{body}><Id>S{number}</Id>'
        f"<ElctrncSeqNb>{number}</ElctrncSeqNb><CreDtTm>{day}T23:00:00</CreDtTm>"
        f"<Acct><Id><IBAN>{account}</IBAN></Id><Ccy>EUR</Ccy></Acct>{balances}{''.join(entries)}</{body}></{root}></Document>"
    )


def _balance(code: str, cents: int, day: str) -> str:
    return f"<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp>{_money(cents, 'EUR')}<Dt><Dt>{day}</Dt></Dt></Bal>"


def _money(cents: int, currency: str) -> str:
    sign = "DBIT" if cents < 0 else "CRDT"
    return f'<Amt Ccy="{currency}">{abs(cents) / 100:.2f}</Amt><CdtDbtInd>{sign}</CdtDbtInd>'


class Desk:
    """Takes in what it is handed, of the account at one bank."""

    def __init__(self, bank: Bank, directory: Path, id: str = "scripted") -> None:
        self._directory = directory
        self._statements = Statements(bank.db, id, OURS, TENANT, clock=bank.clock, ids=Ids(bank.clock))

    async def take(self, content: str | bytes) -> Taking:
        """The last statement of a file."""
        file = self._directory / "statement"
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return (await self._statements.take(file, lambda _what, _share: None))[-1]


def kinds(taking: Taking) -> list[str]:
    """What is open, in order of its names."""
    return sorted(case.kind for case in taking.cases)


async def settled(way: Way, ming: Principal, direction: Direction, amount: int) -> Transit:
    begun = await way.begin(ming, direction, amount)
    await way.go_on(SETTLED)
    return begun
