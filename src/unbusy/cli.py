"""The command line. Each command is a few lines: settings, a database, and the room that does it.

A command imports what it needs when it runs, so that `--help` is quick, and so that `up` can say
where metrics are kept before anything that counts is imported.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import cyclopts
from cyclopts import Parameter
from rich.console import Console

import unbusy
from unbusy import settings as all_settings
from unbusy.errors import SetupError, UnbusyError
from unbusy.settings import Settings

if TYPE_CHECKING:
    from unbusy.db.embedded import Server
    from unbusy.findings import Finding

# Where prometheus-client keeps what several processes count; it looks when it is first imported.
_METRICS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"

_FOUND = 1
_WRONG_SETUP = 2
_INTERRUPTED = 130

app = cyclopts.App(name="unbusy", help="A digital-wallet bank that is never busy.", version=unbusy.__version__)
operator = cyclopts.App(name="operator", help="People who work here.")
app.command(operator)

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

Data = Annotated[str | None, Parameter(help="Directory of the embedded database.")]
Port = Annotated[int | None, Parameter(help="Port to listen on; 0 takes a free one.")]


def main() -> None:
    """Run the command that was typed, and end with its code."""
    try:
        app()
    except UnbusyError as error:
        err.print(f"[red]unbusy:[/] {error}", soft_wrap=True, markup=True)
        sys.exit(_WRONG_SETUP)
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)


@app.command
def up(
    *,
    data: Data = None,
    port: Port = None,
    workers: Annotated[int | None, Parameter(help="How many gateway processes.")] = None,
) -> None:
    """Run everything: the database, gateways and the worker, each started again if it dies.

    Ctrl-C or SIGTERM stops cleanly: gateways finish what is under way, the database ends last.
    """
    settings = all_settings.load(flags={"data": data, "port": port, "workers": workers})
    _keep_metrics(Path(settings.data).expanduser() / "metrics")

    from unbusy import gateway, telemetry, worker
    from unbusy.db import migrate
    from unbusy.secret import signing_secret
    from unbusy.supervisor import Child, Supervisor

    telemetry.set_up_logging(settings.log_format)
    with gateway.listen(settings.host, settings.port) as listener, _database_of_its_own(settings) as (url, server):
        asyncio.run(migrate(url))
        secret = signing_secret(settings)
        gateways = [
            Child(f"gateway {number}", lambda started: gateway.run(settings, url, secret, listener, started))
            for number in range(1, settings.workers + 1)
        ]
        background = Child("worker", lambda started: worker.run(settings, url, started))
        data_directory = Path(settings.data).expanduser()
        supervisor = Supervisor(gateways=gateways, worker=background, server=server, data=data_directory)
        supervisor.run(lambda: _welcome(gateway.address(listener)))


@app.command
def serve(*, data: Data = None, port: Port = None) -> None:
    """Run one gateway on a database that runs already: UNBUSY_DATABASE_URL, or `unbusy up` on the same data."""
    settings = all_settings.load(flags={"data": data, "port": port})

    from unbusy import gateway, telemetry
    from unbusy.db.locate import located
    from unbusy.db.migrate import require_current
    from unbusy.secret import signing_secret

    telemetry.set_up_logging(settings.log_format)
    with gateway.listen(settings.host, settings.port) as listener, located(settings) as url:
        asyncio.run(require_current(url))
        gateway.run(settings, url, signing_secret(settings), listener, lambda: _welcome(gateway.address(listener)))


@app.command
def work(*, data: Data = None) -> None:
    """Run one worker on a database that runs already."""
    settings = all_settings.load(flags={"data": data})

    from unbusy import telemetry, worker
    from unbusy.db.locate import located
    from unbusy.db.migrate import require_current

    telemetry.set_up_logging(settings.log_format)
    with located(settings) as url:
        asyncio.run(require_current(url))
        worker.run(settings, url, lambda: out.print("The worker works. [dim]Ctrl-C stops it.[/]"))


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
def check(
    *, data: Data = None, json: Annotated[bool, Parameter(negative="", help="Print the findings as JSON.")] = False
) -> None:
    """Prove the books. Reads only; may run at any time, also while payments are made."""
    settings = all_settings.load(flags={"data": data})

    from unbusy.db.locate import located

    with located(settings) as url:
        findings = asyncio.run(_check(url))
    _show_json(findings) if json else _show(findings)
    sys.exit(_FOUND if findings else 0)


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


def _keep_metrics(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for left_over in directory.glob("*.db"):
            left_over.unlink()
    except OSError as error:
        raise SetupError(f"cannot write in {directory}: {error.strerror}") from None
    os.environ[_METRICS_VARIABLE] = str(directory)


@contextmanager
def _database_of_its_own(settings: Settings) -> Generator[tuple[str, Server | None]]:
    """The database that `up` keeps: its own embedded server, or the one at the setting's URL."""
    from unbusy.db.embedded import Server

    if settings.database_url:
        yield settings.database_url, None
        return
    # Every process of ours with its pool, and room for commands and people beside them.
    connections = (settings.workers + 1) * settings.pool_size + 50
    server = Server.start(Path(settings.data), options={"max_connections": str(connections)})
    try:
        yield server.url(), server
    finally:
        server.stop()


async def _check(url: str) -> list[Finding]:
    import asyncpg

    from unbusy import ledger, payments, people
    from unbusy.db.migrate import require_current

    await require_current(url)
    connection = await asyncpg.connect(url, server_settings={"application_name": "unbusy-check"})
    try:
        return [finding for room in (ledger, people, payments) for finding in await room.check(connection)]
    finally:
        await connection.close()


def _show(findings: list[Finding]) -> None:
    from rich.table import Table

    if not findings:
        out.print("[green]The books are right.[/]")
        return
    table = Table("room", "rule", "subject", "what is wrong", title=f"{len(findings)} findings", title_style="bold red")
    for finding in findings:
        table.add_row(finding.room, finding.rule, finding.subject, finding.detail)
    out.print(table)


def _show_json(findings: list[Finding]) -> None:
    import msgspec

    sys.stdout.write(msgspec.json.encode({"clean": not findings, "findings": findings}).decode() + "\n")


def _welcome(address: str) -> None:
    out.print(f"\n[bold]unbusy[/] is open at [bold cyan]{address}[/]   [dim]Ctrl-C closes it[/]\n")


if __name__ == "__main__":
    main()
