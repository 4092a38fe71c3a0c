"""What came of a bank's files, for people to read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from unbusy import banks, money
from unbusy.clock import Clock, SystemClock
from unbusy.db import Database, require_current
from unbusy.errors import SetupError
from unbusy.ids import Ids
from unbusy.settings import Settings
from unbusy.statements.cases import Case, OpenCase
from unbusy.statements.closing import Report
from unbusy.statements.folder import FileResult, Folder, take
from unbusy.statements.service import Statements, Taking

_OPEN, _REFUSED = 1, 2
_MOST_SHOWN = 50
_DAY_S = 86_400


async def reconcile(
    settings: Settings,
    url: str,
    bank: str,
    files: Sequence[Path],
    tenant_id: int,
    tell: Callable[[str, float], None],
) -> list[FileResult]:
    """Take in one file after the other; one that is refused stops no other. Raises SetupError for a bank unknown."""
    account = banks.accounts(settings).get(bank)
    if account is None:
        raise SetupError(f"there is no bank {bank!r} in the file that the setting banks names")
    await require_current(url)
    clock = SystemClock()
    db = await Database.open(url, size=1)
    try:
        statements = Statements(db, bank, account.iban, tenant_id, clock=clock, ids=Ids(clock))
        return [
            await take(statements, file, partial(_tell, tell, file.name, number, len(files)))
            for number, file in enumerate(files)
        ]
    finally:
        await db.close()


def folders(settings: Settings, db: Database, tenant_id: int, *, clock: Clock) -> Mapping[str, Folder]:
    """The folder of each bank that sends files, by the bank's id. Raises SetupError when no bank does."""
    accounts, new_ids = banks.accounts(settings), Ids(clock)
    found = {
        bank: Folder(path, Statements(db, bank, accounts[bank].iban, tenant_id, clock=clock, ids=new_ids))
        for bank, path in banks.folders(settings).items()
    }
    if not found:
        raise SetupError("no bank in the file that the setting banks names has a folder")
    return found


def _tell(tell: Callable[[str, float], None], name: str, number: int, count: int, what: str, share: float) -> None:
    tell(f"{what} {name}", (number + share) / count)


def status(results: Sequence[FileResult]) -> int:
    """How a command ends: 2 when a file was refused, 1 when a break is open, else 0."""
    if any(one.refused for one in results):
        return _REFUSED
    return _OPEN if any(taking.cases for taking in _last(results)) else 0


def show(out: Console, results: Sequence[FileResult]) -> None:
    """A table of what was taken, then what is open of each account."""
    table = Table("statement", "lines", "matched", "to suspense", "held", "resolved", box=None, header_style="dim")
    for result in results:
        for one in result.statements:
            counts = (one.lines, sum(one.matched.values()), one.booked, one.held, one.resolved)
            parked = ("[yellow]parked[/]", *[""] * 4)
            table.add_row(escape(one.name), *(parked if one.parked else (f"{count:,}" for count in counts)))
    if table.row_count:
        out.print(table)
    for result in results:
        for warning in [text for one in result.statements for text in one.warnings][:_MOST_SHOWN]:
            out.print(f"[yellow]warning:[/] {escape(warning)}", soft_wrap=True)
        if result.refused:
            out.print(f"[red]refused:[/] {escape(f'{result.file}: {result.refused}')}", soft_wrap=True)
    for taking in _last(results):
        _show_account(out, taking)


def _last(results: Sequence[FileResult]) -> list[Taking]:
    """How each account stands after the last statement of it."""
    return list({taking.asset: taking for result in results for taking in result.statements}.values())


def _show_account(out: Console, taking: Taking) -> None:
    scale = money.iso_scales()[taking.asset]
    for case in taking.cases[:_MOST_SHOWN]:
        out.print(_shown(case, scale, taking.asset), soft_wrap=True)
    if len(taking.cases) > _MOST_SHOWN:
        out.print(f"… and {len(taking.cases) - _MOST_SHOWN} more; --json shows all")
    if taking.bank is not None and taking.brought_in is not None:
        moved = money.show_amount(taking.bank - taking.brought_in, scale)
        books = money.show_amount(taking.books, scale)
        out.print(f"The bank moved {moved} {taking.asset} since its first statement; the books say {books}.")
    many = f"[red]{len(taking.cases)} open.[/]" if taking.cases else "[green]Every line is explained.[/]"
    out.print(many)


def _shown(case: Case, scale: int, asset: str) -> str:
    age = f"{case.age_s / _DAY_S:.0f} days old" if case.age_s >= _DAY_S else "new"
    amount = money.show_amount(case.amount, scale)
    about = f" {case.about}" if case.about and case.about not in case.explanation else ""
    return f"{case.id} [red]{case.kind}[/] {amount} {asset}, {age}: {escape(case.explanation)}{about}"


def show_cases(out: Console, cases: Sequence[OpenCase]) -> None:
    """Each case on a line, under its bank."""
    for case in cases:
        out.print(f"{case.bank}: {_shown(case, money.iso_scales()[case.asset], case.asset)}", soft_wrap=True)
    out.print(f"[red]{len(cases)} open.[/]" if cases else "[green]No case is open.[/]")


def show_day(out: Console, report: Report) -> None:
    """A closed day as a table, account by account."""
    table = Table("account", "opening", "lines", "explained", "suspense", "held", "closing", "breaks", box=None)
    for one in report.accounts:
        scale = money.iso_scales()[one.asset]
        amounts = (one.explained.amount, one.suspense.amount, one.held.amount, one.closing)
        shown = [money.show_amount(amount, scale) for amount in (one.opening, *amounts)]
        table.add_row(f"{one.bank} {one.asset}", shown[0], f"{one.lines:,}", *shown[1:], str(len(one.breaks)))
    out.print(table)
