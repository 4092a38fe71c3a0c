"""The commands that run something until they are stopped."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Generator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from unbusy import settings as all_settings
from unbusy.cli.shell import Data, Port, app, out, seeded
from unbusy.errors import SetupError
from unbusy.settings import Settings

if TYPE_CHECKING:
    from unbusy.db.embedded import Server

# Where prometheus-client keeps what several processes count; it looks when it is first imported.
_METRICS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


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
            asyncio.run(seeded(settings, url, seed=1))
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


def _welcome(address: str, *, is_demo: bool = False) -> None:
    out.print(f"\n[bold]unbusy[/] is open at [bold cyan]{address}[/]    [dim]Ctrl-C closes it[/]")
    out.print(
        f"[dim]API reference {address}/reference    health {address}/readyz    metrics {address}/metrics[/]\n",
        soft_wrap=True,
    )
    if is_demo:
        from unbusy.demo import introduce

        introduce(out, address)
