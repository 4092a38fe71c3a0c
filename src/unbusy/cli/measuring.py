"""The commands that measure."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import cyclopts
from cyclopts import Parameter
from rich.console import Console

from unbusy import settings as all_settings
from unbusy.cli.shell import Data, Json, app, err, show_json, with_progress
from unbusy.cli.shell import out as screen

if TYPE_CHECKING:
    from msgspec import Struct

History = Annotated[int, Parameter(help="Measure on top of so many that are stored already.")]

bench = app.command(cyclopts.App(name="bench", help="How fast it is on this machine; takes a few minutes."))


@bench.command(name="ledger")
def bench_ledger(*, json: Json = False, history: History = 0) -> None:
    """Transfers a second: in batches, to one hot account, and one by one."""
    from unbusy import bench

    _show_figures(with_progress(lambda tell: bench.bench_ledger(history, tell)), json=json)


@bench.command(name="payments")
def bench_payments(*, json: Json = False, history: History = 0) -> None:
    """Payments a second over HTTP with 99 of 100 answered within 100 ms, and latency at rest."""
    from unbusy import bench

    _show_figures(with_progress(lambda tell: bench.bench_payments(history, tell)), json=json)


@bench.command(name="banks")
def bench_banks(*, json: Json = False) -> None:
    """Round trips a second, by one worker, to banks that answer each call after 50 ms."""
    from unbusy import bench

    _show_figures(with_progress(bench.bench_banks), json=json)


@app.command
def drill(
    *,
    out: Annotated[Path | None, Parameter(help="Directory for report.json and report.html.")] = None,
    quick: Annotated[
        bool, Parameter(negative="", help="About six minutes, at a low C: ratios are the judges.")
    ] = False,
    phase: Annotated[str | None, Parameter(help="Only this one, after C was measured where it needs it.")] = None,
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
        show_json(result)
    else:
        drill.show_result(Console(highlight=False), result, out)
    sys.exit(result.status)


def _show_figures(figures: Struct, *, json: bool) -> None:
    import msgspec

    if json:
        show_json(figures)
        return
    for name, value in msgspec.structs.asdict(figures).items():
        screen.print(f"{name:<24} [bold]{value:>12,}[/]")
