"""The command line. Each command is a few lines: settings, a database, and the room that does it.

A command imports what it needs when it runs, so that `--help` is quick, and so that `up` can say
where metrics are kept before anything that counts is imported.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import cyclopts
from cyclopts import Parameter
from rich.console import Console
from rich.markup import escape

import unbusy
from unbusy import settings as all_settings
from unbusy.errors import SetupError, UnbusyError
from unbusy.settings import Settings

if TYPE_CHECKING:
    from msgspec import Struct

    from unbusy.db.embedded import Server
    from unbusy.findings import Finding

# Where prometheus-client keeps what several processes count; it looks when it is first imported.
_METRICS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"

_FOUND = 1
_WRONG_SETUP = 2
_INTERRUPTED = 130

# There is one until a bank runs its own.
_TENANT = 1
_PASSWORD_BYTES = 12

app = cyclopts.App(name="unbusy", help="A digital-wallet bank that is never busy.", version=unbusy.__version__)
operator = app.command(cyclopts.App(name="operator", help="People who work here."))
bench = app.command(cyclopts.App(name="bench", help="How fast it is on this machine; takes a few minutes."))

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

Figures = TypeVar("Figures")

Data = Annotated[str | None, Parameter(help="Directory of the embedded database.")]
Port = Annotated[int | None, Parameter(help="Port to listen on; 0 takes a free one.")]
Json = Annotated[bool, Parameter(negative="", help="Print the result as JSON.")]
History = Annotated[int, Parameter(help="Measure on top of so many that are stored already.")]


def main() -> None:
    """Run the command that was typed, and end with its code."""
    try:
        app()
    except UnbusyError as error:
        err.print(f"[red]unbusy:[/] {escape(str(error))}", soft_wrap=True)
        sys.exit(_WRONG_SETUP)
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)


@app.command
def up(
    *,
    data: Data = None,
    port: Port = None,
    workers: Annotated[int | None, Parameter(help="How many gateway processes.")] = None,
    demo: Annotated[
        bool, Parameter(negative="", help="Fill an empty wallet with demo data, and have a bank to try out.")
    ] = False,
) -> None:
    """Run everything: the database, gateways and the worker, each started again if it dies.

    Ctrl-C or SIGTERM stops cleanly: gateways finish what is under way, the database ends last.
    """
    settings = all_settings.load(flags={"data": data, "port": port, "workers": workers})
    data_directory = Path(settings.data).expanduser()
    _keep_metrics(data_directory / "metrics")

    from unbusy import gateway, telemetry, worker
    from unbusy.db import migrate
    from unbusy.demo import with_bank
    from unbusy.secret import signing_secret
    from unbusy.supervisor import Child, Supervisor

    telemetry.set_up_logging(settings.log_format)
    with (
        gateway.listen(settings.host, settings.port) as listener,
        _database_of_its_own(settings) as (url, server),
        with_bank(settings, out) if demo else nullcontext((settings, None)) as (settings, bank),
    ):
        # Only now that we hold its lock is the directory ours.
        telemetry.empty_directory(data_directory / "metrics")
        asyncio.run(migrate(url))
        if demo:
            asyncio.run(_seed(settings, url, seed=1))
        secret = signing_secret(settings)
        gateway.rehearse(settings, url, secret)
        gateways = [
            Child(f"gateway {number}", lambda started: gateway.run(settings, url, secret, listener, started))
            for number in range(1, settings.workers + 1)
        ]
        background = Child("worker", lambda started: worker.run(settings, url, started))
        supervisor = Supervisor(gateways=gateways, worker=background, bank=bank, server=server, data=data_directory)
        supervisor.run(lambda: _welcome(gateway.address(listener), is_demo=demo))


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


@app.command(name="sandbox-bank")
def sandbox_bank(
    *, data: Data = None, port: Annotated[int, Parameter(help="Port to listen on; 0 takes a free one.")] = 8090
) -> None:
    """Run a bank to try things out on, with books of its own; `unbusy up --demo` has one already.

    It keeps its keys and `banks.toml` in the folder `sandbox-bank` of the data directory.
    """
    settings = all_settings.load(flags={"data": data})

    from unbusy import gateway
    from unbusy.banks import sandbox

    directory = sandbox.home(settings)
    with gateway.listen("127.0.0.1", port) as listener:
        banks = sandbox.prepare(directory, gateway.address(listener))
        told = f"The sandbox bank is open; UNBUSY_BANKS={banks} lets a wallet know it. [dim]Ctrl-C closes it.[/]"
        sandbox.run(directory, listener, lambda: out.print(told, soft_wrap=True))


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
        _show_json({"clean": not findings, "findings": findings})
    else:
        _show(findings)
    sys.exit(_FOUND if findings else 0)


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
        results = _with_progress(
            lambda tell: asyncio.run(statements.reconcile(settings, url, bank, files, _TENANT, tell))
        )
    _show_json(results) if json else statements.show(out, results)
    sys.exit(statements.status(results))


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
        if not asyncio.run(_seed(settings, url, seed)):
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


@bench.command(name="ledger")
def bench_ledger(*, json: Json = False, history: History = 0) -> None:
    """Transfers a second: in batches, to one hot account, and one by one."""
    from unbusy import bench

    _show_figures(_with_progress(lambda tell: bench.bench_ledger(history, tell)), json=json)


@bench.command(name="payments")
def bench_payments(*, json: Json = False, history: History = 0) -> None:
    """Payments a second over HTTP with 99 of 100 answered within 100 ms, and latency at rest."""
    from unbusy import bench

    _show_figures(_with_progress(lambda tell: bench.bench_payments(history, tell)), json=json)


@app.command
def drill(
    *,
    out: Annotated[Path | None, Parameter(help="Directory for report.json and report.html.")] = None,
    quick: Annotated[
        bool, Parameter(negative="", help="About four minutes, at a low C: ratios are the judges.")
    ] = False,
    phase: Annotated[str | None, Parameter(help="Only this one, after C was measured.")] = None,
    address: Annotated[
        str | None, Parameter(help="A wallet that runs already, on the database of the settings; nothing is killed.")
    ] = None,
    capacity: Annotated[
        float | None, Parameter(help="Take this as C, in payments a second; measured if not given.")
    ] = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Put ten times the load on a wallet, freeze and kill its parts, and compare with what must hold.

    Ends with 1 when a line falls short, with 2 when the drill proves nothing.
    """
    settings = all_settings.load(flags={"data": data})

    from unbusy import drill

    picture = drill.Picture(err)
    with picture.shown():
        result = drill.drill(picture, settings, is_quick=quick, phase=phase, address=address, capacity=capacity)
    if out:
        drill.write_report(result, out)
    if json:
        _show_json(result)
    else:
        drill.show_result(Console(highlight=False), result, out)
    sys.exit(result.status)


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


def _keep_metrics(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
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
    # Every process of ours with its pools, and room for commands and people beside them.
    gateways = settings.workers * (settings.pool_size + settings.read_pool_size)
    connections = gateways + settings.pool_size + 50
    server = Server.start(Path(settings.data), options={"max_connections": str(connections)})
    try:
        yield server.url(), server
    finally:
        server.stop()


async def _check(url: str) -> list[Finding]:
    import asyncpg

    from unbusy import ledger, payments, people, statements, transits
    from unbusy.db.migrate import require_current

    await require_current(url)
    connection = await asyncpg.connect(url, server_settings={"application_name": "unbusy-check"})
    try:
        rooms = (ledger, people, payments, transits, statements)
        return [finding for room in rooms for finding in await room.check(connection)]
    finally:
        await connection.close()


def _show(findings: list[Finding]) -> None:
    """One block for each: what rule, where, and what is wrong. Ids are long, so no table."""
    for one in findings:
        out.print(f"[bold red]{one.room}: {one.rule}[/] at [bold]{escape(one.subject)}[/]", soft_wrap=True)
        out.print(f"  {escape(one.detail)}\n", soft_wrap=True)
    out.print(f"[red]{len(findings)} findings.[/]" if findings else "[green]The books are right.[/]")


def _show_json(value: object) -> None:
    import msgspec

    sys.stdout.write(msgspec.json.encode(value).decode() + "\n")


async def _seed(settings: Settings, url: str, seed: int) -> bool:
    from unbusy import demo
    from unbusy.clock import SystemClock
    from unbusy.db import Database

    db = await Database.open(url, role=None)
    try:
        return await demo.seed(db, settings, SystemClock().now(), seed)
    finally:
        await db.close()


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
        found = await people.resolve([(_TENANT, handle)])
        if not found:
            raise SetupError(f"nobody is called {handle}")
        (owner,) = found.values()

        async def work(tx: Tx) -> str:
            scale = await ledger.scale_of(tx, asset)
            if scale is None:
                raise SetupError(f"there is no asset {asset}")
            units = money.read_amount(amount, scale)
            (posted,) = await wallets.credit(tx, ids, _TENANT, [(owner.person_id, units)], asset, clock.now())
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
        return "@" + (await people.add_operator(_TENANT, new)).handle
    finally:
        await db.close()


def _with_progress(measure: Callable[[Callable[[str, float], None]], Figures]) -> Figures:
    """Measure, and show on standard error how far it is."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description:<32}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True) as progress:
        task = progress.add_task("begin", total=1.0)
        return measure(lambda what, share: progress.update(task, description=what, completed=share))


def _show_figures(figures: Struct, *, json: bool) -> None:
    import msgspec

    if json:
        _show_json(figures)
        return
    for name, value in msgspec.structs.asdict(figures).items():
        out.print(f"{name:<24} [bold]{value:>12,}[/]")


def _welcome(address: str, *, is_demo: bool = False) -> None:
    out.print(f"\n[bold]unbusy[/] is open at [bold cyan]{address}[/]    [dim]Ctrl-C closes it[/]")
    out.print(
        f"[dim]API reference {address}/reference    health {address}/readyz    metrics {address}/metrics[/]\n",
        soft_wrap=True,
    )
    if is_demo:
        from unbusy.demo import introduce

        introduce(out, address)


if __name__ == "__main__":
    main()
