"""The commands about what banks say: take in a statement, look into cases, close a day."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import cyclopts
from cyclopts import Parameter

from unbusy import settings as all_settings
from unbusy.cli.shell import FOUND, TENANT, Data, Json, app, err, out, show_json, with_progress
from unbusy.errors import SetupError, Unavailable
from unbusy.settings import Settings

if TYPE_CHECKING:
    from uuid import UUID

    from unbusy.clock import Clock
    from unbusy.db import Database
    from unbusy.statements import Closing

Done = TypeVar("Done")

case = app.command(cyclopts.App(name="case", help="Breaks between what banks say and the books."))


@app.command
def reconcile(
    *files: Annotated[Path, Parameter(help="What the bank sent: camt.053, camt.054, MT940 or CSV; oldest first.")],
    bank: Annotated[str, Parameter(help="Its id in the file of banks.")],
    data: Data = None,
    json: Json = False,
) -> None:
    """Take in a bank's statements, explain each line by ours, and say what does not fit.

    Ends with 1 when a break is open, with 2 when a file was refused: then nothing of that file was written.
    """
    settings = all_settings.load(flags={"data": data})

    from unbusy import statements
    from unbusy.db.locate import located

    if not files:
        raise SetupError("name at least one file")
    with located(settings) as url:
        results = with_progress(
            lambda tell: asyncio.run(statements.reconcile(settings, url, bank, files, TENANT, tell))
        )
    show_json(results) if json else statements.show(out, results)
    sys.exit(statements.status(results))


@app.command
def collect(
    *,
    once: Annotated[bool, Parameter(negative="", help="Take what is there, and end.")] = False,
    every_s: Annotated[float, Parameter(help="How often to look, in seconds.")] = 10.0,
    data: Data = None,
) -> None:
    """Take in statements as banks put them into their folders, until it is stopped.

    What was taken is moved to `taken`, what was refused to `refused` with the reason beside it.
    """
    settings = all_settings.load(flags={"data": data})

    from unbusy import statements

    async def work(db: Database, clock: Clock) -> None:
        folders = statements.folders(settings, db, TENANT, clock=clock)
        while True:
            try:
                for folder in folders.values():
                    if results := await folder.empty():
                        statements.show(out, results)
            except Unavailable as error:
                if once:
                    raise
                err.print(f"[yellow]{error}[/]; trying again", soft_wrap=True)
            if once:
                return
            await asyncio.sleep(every_s)

    _with_database(settings, work)


@case.command(name="list")
def list_cases(*, data: Data = None, json: Json = False) -> None:
    """Show what is open at all banks, oldest first. Ends with 1 when there is any."""
    settings = all_settings.load(flags={"data": data})

    from unbusy import statements

    async def work(db: Database, clock: Clock) -> list[statements.OpenCase]:
        async with db.connection() as connection:
            return await statements.open_cases(connection, TENANT, clock.now())

    found = _with_database(settings, work)
    show_json(found) if json else statements.show_cases(out, found)
    sys.exit(FOUND if found else 0)


@case.command(name="close")
def close_case(
    id: Annotated[str, Parameter(help="As `case list` shows it.")],
    *,
    by: Annotated[str, Parameter(help="The operator who decided it, such as @olga.")],
    reason: Annotated[str, Parameter(help="Why, for whoever asks later.")],
    to: Annotated[str | None, Parameter(help="Whose wallet gets what waits in suspense, such as @ming.")] = None,
    data: Data = None,
) -> None:
    """Close a case that no statement will explain. Who did so, when and why stays written."""
    settings = all_settings.load(flags={"data": data})

    async def work(db: Database, clock: Clock) -> Closing:
        from unbusy import statements
        from unbusy.ids import Ids

        operator_id, to_id = await _people(settings, db, clock, by, to)
        new_ids = Ids(clock)
        return await db.run(
            lambda tx: statements.close(tx, new_ids, TENANT, id, by=operator_id, why=reason, to=to_id, now=clock.now())
        )

    from unbusy import money

    done = _with_database(settings, work)
    amount = money.show_amount(abs(done.handed), money.iso_scales()[done.asset])
    moved = f" {amount} {done.asset} went {'to' if done.handed > 0 else 'out of the wallet of'} {to}." if to else ""
    out.print(f"{done.kind} at {done.bank} is closed.{moved}")


@app.command
def close(
    day: Annotated[date, Parameter(help="Such as 2026-03-10, in UTC.")],
    *,
    file: Annotated[Path | None, Parameter(name=["--file"], help="Where to write the signed report.")] = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Close a day: one signed report of all accounts at banks, once their statements are there.

    The same day again gives the same report, byte for byte. What is missing is said, and nothing is closed.
    """
    settings = all_settings.load(flags={"data": data})

    from msgspec import json as documents

    from unbusy import statements
    from unbusy.secret import signing_secret

    async def work(db: Database, clock: Clock) -> statements.Signed:
        seal = statements.Seal(signing_secret(settings))
        return await db.run(lambda tx: statements.close_day(tx, TENANT, day, seal, clock.now()))

    signed = _with_database(settings, work)
    if file:
        file.write_bytes(documents.encode(signed) + b"\n")
    show_json(signed) if json else statements.show_day(out, signed.content)


@app.command
def verify(
    file: Annotated[Path, Parameter(help="What `close` has written.")],
    *,
    key: Annotated[str | None, Parameter(help="Whose it must be; the key of this installation if not given.")] = None,
    data: Data = None,
) -> None:
    """Say whether the report of a closed day is as it was signed. Ends with 1 when it is not."""
    import msgspec
    from rich.markup import escape

    from unbusy import statements
    from unbusy.secret import signing_secret

    if key is None:
        settings = all_settings.load(flags={"data": data})
        key = statements.Seal(signing_secret(settings)).public
    try:
        signed = msgspec.json.decode(file.read_bytes(), type=statements.Signed)
    except (OSError, msgspec.DecodeError) as error:
        raise SetupError(f"{file} is no report: {error}") from None
    if not statements.is_genuine(signed, key):
        err.print(f"[red]{escape(str(file))} is not what {escape(key)} signed.[/]", soft_wrap=True)
        sys.exit(FOUND)
    statements.show_day(out, signed.content)
    out.print(f"[green]Signed by[/] {key}")


def _with_database(settings: Settings, work: Callable[[Database, Clock], Awaitable[Done]]) -> Done:
    """Do something in the wallet's database, and close it."""
    from unbusy.clock import SystemClock
    from unbusy.db import Database
    from unbusy.db.locate import located
    from unbusy.db.migrate import require_current

    async def go(url: str) -> Done:
        await require_current(url)
        db = await Database.open(url, size=1)
        try:
            return await work(db, SystemClock())
        finally:
            await db.close()

    with located(settings) as url:
        return asyncio.run(go(url))


async def _people(settings: Settings, db: Database, clock: Clock, by: str, to: str | None) -> tuple[UUID, UUID | None]:
    """Who decides, who must be an operator, and who gets or gives. Raises SetupError for whom nobody knows."""
    from unbusy.ids import Ids
    from unbusy.people import People
    from unbusy.secret import signing_secret

    people = People(db, db, clock=clock, ids=Ids(clock), settings=settings, secret=signing_secret(settings))
    found = await people.resolve([(TENANT, name) for name in (by, to) if name])
    operator, other = found.get((TENANT, by)), found.get((TENANT, to)) if to else None
    if operator is None or operator.role != "operator":
        raise SetupError(f"{by} is no operator")
    if to and other is None:
        raise SetupError(f"nobody is called {to}")
    return operator.person_id, other.person_id if other else None
