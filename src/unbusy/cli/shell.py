"""What every command needs: the app they are registered with, their common flags, and how things are shown."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Annotated, TypeVar

import cyclopts
from cyclopts import Parameter
from rich.console import Console

import unbusy
from unbusy.settings import Settings

FOUND = 1
"""How a command ends that looked for what is wrong, and found it."""

TENANT = 1
"""There is one until a bank runs its own."""

app = cyclopts.App(name="unbusy", help="A digital-wallet bank that is never busy.", version=unbusy.__version__)

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

Figures = TypeVar("Figures")

Data = Annotated[str | None, Parameter(help="Directory of the embedded database.")]
Port = Annotated[int | None, Parameter(help="Port to listen on; 0 takes a free one.")]
Json = Annotated[bool, Parameter(negative="", help="Print the result as JSON.")]


def show_json(value: object) -> None:
    """As one line of JSON on standard output, for programs."""
    import msgspec

    sys.stdout.write(msgspec.json.encode(value).decode() + "\n")


def with_progress(measure: Callable[[Callable[[str, float], None]], Figures]) -> Figures:
    """Measure, and show on standard error how far it is."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description:<32}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True) as progress:
        task = progress.add_task("begin", total=1.0)
        return measure(lambda what, share: progress.update(task, description=what, completed=share))


async def seeded(settings: Settings, url: str, seed: int) -> bool:
    """Fill an empty wallet with demo data; false, and nothing done, when somebody lives there."""
    from unbusy import demo
    from unbusy.clock import SystemClock
    from unbusy.db import Database

    db = await Database.open(url, role=None)
    try:
        return await demo.seed(db, settings, SystemClock().now(), seed)
    finally:
        await db.close()
