"""The commands that do something with what a wallet keeps, and end."""

from __future__ import annotations

import asyncio
import secrets
import sys
from typing import TYPE_CHECKING, Annotated

import cyclopts
from cyclopts import Parameter
from rich.markup import escape

from unbusy import settings as all_settings
from unbusy.cli.shell import FOUND, TENANT, Data, Json, app, out, seeded, show_json
from unbusy.errors import SetupError
from unbusy.settings import Settings

if TYPE_CHECKING:
    from unbusy.findings import Finding

_PASSWORD_BYTES = 12

operator = app.command(cyclopts.App(name="operator", help="People who work here."))


@app.command
def migrate(*, data: Data = None) -> None:
    """Bring the database up to date. Safe to run from many places at once."""
    settings = all_settings.load(flags={"data": data})

    from unbusy.db import migrate
    from unbusy.db.locate import located

    with located(settings, may_make=True) as url:
        applied = asyncio.run(migrate(url))
    for name in applied:
        out.print(f"applied {name}")
    if not applied:
        out.print("The database is up to date.")


@app.command
def check(*, data: Data = None, json: Json = False) -> None:
    """Prove the books. Reads only; may run at any time, also while payments are made."""
    settings = all_settings.load(flags={"data": data})

    from unbusy.db.locate import located

    with located(settings) as url:
        findings = asyncio.run(_check(url))
    if json:
        show_json({"clean": not findings, "findings": findings})
    else:
        _show(findings)
    sys.exit(FOUND if findings else 0)


@app.command
def demo(
    *, data: Data = None, seed: Annotated[int, Parameter(help="The same seed makes the same people and history.")] = 1
) -> None:
    """Fill an empty wallet with customers, merchants and a month of history."""
    settings = all_settings.load(flags={"data": data})

    from unbusy.db import migrate
    from unbusy.db.locate import located
    from unbusy.demo import introduce

    with located(settings, may_make=True) as url:
        asyncio.run(migrate(url))
        if not asyncio.run(seeded(settings, url, seed)):
            raise SetupError("somebody lives here already; demo data goes only into an empty wallet")
    introduce(out, f"http://{settings.host}:{settings.port}")


@app.command
def credit(
    handle: Annotated[str, Parameter(help="Whose wallet, such as @ming.")],
    amount: Annotated[str, Parameter(help="How much, such as 12.50.")],
    asset: Annotated[str | None, Parameter(help="Of what; the usual asset if not given.")] = None,
    *,
    data: Data = None,
) -> None:
    """Put money from the reserve into a wallet: for trying out, and for corrections."""
    settings = all_settings.load(flags={"data": data})

    from unbusy.db.locate import located

    with located(settings) as url:
        balance = asyncio.run(_credit(settings, url, handle, amount, asset or settings.default_asset))
    out.print(f"{handle} now has {balance}.")


@app.command
def config() -> None:
    """Show the settings in force; secrets only as given or not."""
    from rich.table import Table

    settings = all_settings.load()
    table = Table("setting", "value", "meaning", box=None, header_style="dim")
    for one in all_settings.settings():
        value = getattr(settings, one.name)
        shown = ("(given)" if value else "") if one.is_secret else str(value)
        table.add_row(one.name, shown, one.meaning.replace("`", ""), style=None if value == one.default else "bold")
    out.print(table)


@operator.command
def add(email: str, *, name: str, handle: str | None = None, data: Data = None) -> None:
    """Add an operator, and print the password that was made for them, this once."""
    settings = all_settings.load(flags={"data": data})

    from unbusy.db.locate import located
    from unbusy.secret import signing_secret

    password = secrets.token_urlsafe(_PASSWORD_BYTES)
    with located(settings) as url:
        added = asyncio.run(_add_operator(url, settings, signing_secret(settings), (email, name, handle, password)))
    out.print(f"[bold]{escape(added)}[/] signs in as {escape(email)} with password [bold]{password}[/]")


async def _check(url: str) -> list[Finding]:
    import asyncpg

    from unbusy import funding, ledger, payments, people, statements, transits, verification
    from unbusy.db.migrate import require_current

    await require_current(url)
    connection = await asyncpg.connect(url, server_settings={"application_name": "unbusy-check"})
    try:
        rooms = (ledger, people, payments, transits, funding, verification, statements)
        return [finding for room in rooms for finding in await room.check(connection)]
    finally:
        await connection.close()


def _show(findings: list[Finding]) -> None:
    """One block for each: what rule, where, and what is wrong. Ids are long, so no table."""
    for one in findings:
        out.print(f"[bold red]{one.room}: {one.rule}[/] at [bold]{escape(one.subject)}[/]", soft_wrap=True)
        out.print(f"  {escape(one.detail)}\n", soft_wrap=True)
    out.print(f"[red]{len(findings)} findings.[/]" if findings else "[green]The books are right.[/]")


async def _credit(settings: Settings, url: str, handle: str, amount: str, asset: str) -> str:
    """Do it, and give the new balance, as shown to people."""
    from unbusy import ledger, money, wallets
    from unbusy.clock import SystemClock
    from unbusy.db import Database, Tx
    from unbusy.db.migrate import require_current
    from unbusy.ids import Ids
    from unbusy.people import People
    from unbusy.secret import signing_secret

    await require_current(url)
    clock = SystemClock()
    ids = Ids(clock)
    db = await Database.open(url)
    try:
        people = People(db, db, clock=clock, ids=ids, settings=settings, secret=signing_secret(settings))
        found = await people.resolve([(TENANT, handle)])
        if not found:
            raise SetupError(f"nobody is called {handle}")
        (owner,) = found.values()

        async def work(tx: Tx) -> str:
            scale = await ledger.scale_of(tx, asset)
            if scale is None:
                raise SetupError(f"there is no asset {asset}")
            units = money.read_amount(amount, scale)
            (posted,) = await wallets.credit(tx, ids, TENANT, [(owner.person_id, units)], asset, clock.now())
            return f"{money.show_amount(posted.credit.balance, scale)} {asset}"

        return await db.run(work)
    except ValueError as error:
        raise SetupError(str(error)) from None
    finally:
        await db.close()


async def _add_operator(url: str, settings: Settings, secret: bytes, about: tuple[str, str, str | None, str]) -> str:
    """Add them, and give the handle they have."""
    from unbusy.clock import SystemClock
    from unbusy.db import Database
    from unbusy.db.migrate import require_current
    from unbusy.ids import Ids
    from unbusy.people import NewPerson, People

    await require_current(url)
    email, name, handle, password = about
    clock = SystemClock()
    db = await Database.open(url)
    try:
        people = People(db, db, clock=clock, ids=Ids(clock), settings=settings, secret=secret)
        new = NewPerson(name=name, password=password, handle=handle, email=email)
        return "@" + (await people.add_operator(TENANT, new)).handle
    finally:
        await db.close()
