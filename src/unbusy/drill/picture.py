"""The drill as it happens: a live picture in a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from unbusy.drill.lines import Line, Phase
from unbusy.drill.run import Result
from unbusy.load import Moment

# In plain lines, every so many moments of half a second.
_PLAIN_EVERY = 10
_MOST_KINDS = 4
_WIDTH = 44


class Picture:
    """Shows a drill on a console. Used as a context around it."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, refresh_per_second=4, transient=True) if console.is_terminal else None
        self._phase, self._share, self._capacity = "", 0.0, 0.0
        self._moments = 0

    def shown(self) -> AbstractContextManager[object]:
        """While this is open, the picture moves."""
        return self._live or nullcontext()

    def begins(self, phase: str, share: float) -> None:
        """A phase begins."""
        self._phase, self._share, self._moments = phase, share, 0
        if not self._live:
            self._console.print(f"{phase} …")

    def moment(self, moment: Moment) -> None:
        """Draw it."""
        self._moments += 1
        if self._live:
            self._live.update(self._drawn(moment))
        elif self._moments % _PLAIN_EVERY == 0:
            self._console.print(
                f"  {moment.at_s:5.1f} s  " + "  ".join(f"{name} {value}" for name, value in _told(moment)),
                soft_wrap=True,
            )

    def ended(self, phase: Phase, capacity: float) -> None:
        """Leave a line about it behind."""
        self._capacity = capacity
        values = "  ".join(f"{name} [bold]{value:.4g}[/]" for name, value in phase.values.items() if value is not None)
        mark = "[yellow]void[/]" if phase.void else "[dim]done[/]"
        self._console.print(f"{mark} [bold]{phase.name:<14}[/] {values}", soft_wrap=True)

    def _drawn(self, moment: Moment) -> Group:
        table = Table.grid(padding=(0, 2))
        for name, value in _told(moment):
            table.add_row(Text(name, style="dim"), Text(value, style="bold"))
        head = f"[bold cyan]{self._phase}[/]  {max(0.0, moment.at_s):.0f} s"
        if self._capacity:
            head += f"  [dim]C = {self._capacity:.0f}/s[/]"
        return Group(Text.from_markup(head), table, ProgressBar(total=1, completed=self._share, width=_WIDTH))


def _show_lines(console: Console, lines: Iterable[Line]) -> None:
    """The table of what must hold, with what came out."""
    table = Table("#", "measure", "value", "must", "aim", "", box=None, header_style="dim", pad_edge=False)
    for line in lines:
        mark = {True: "[green]holds[/]", False: "[red]falls short[/]", None: "[dim]–[/]"}[line.ok]
        aim = f"[green]{line.aim}[/]" if line.aim_reached else line.aim
        table.add_row(str(line.line), escape(line.measure), f"[bold]{line.shown}[/]", line.must, aim, mark)
    console.print(table)


def show_result(console: Console, result: Result, directory: Path | None) -> None:
    """What came of a drill, and where its report is."""
    _show_lines(console, result.lines)
    for reason in result.void:
        console.print(f"[yellow]void:[/] {escape(reason)}", soft_wrap=True)
    for name, why in result.skipped.items():
        console.print(f"[dim]skipped: {name}, {why}[/]", soft_wrap=True)
    capacity = f"C = [bold]{result.capacity:,.0f}[/] payments a second; " if result.capacity else ""
    console.print(f"{capacity}{result.took_s:.0f} s")
    if directory:
        console.print(f"The report is in {directory / 'report.html'}", soft_wrap=True)


def _told(moment: Moment) -> list[tuple[str, str]]:
    """Rates are per second: a moment is half of one."""
    refused = sorted(
        ((count, word) for word, count in moment.outcomes.items() if word not in ("completed", "200")), reverse=True
    )[:_MOST_KINDS]
    return [
        ("offered", f"{moment.wanted * 2:,}/s"),
        ("completed", f"{moment.completed * 2:,}/s"),
        ("waiting here", f"{moment.waiting:,}"),
        ("p50, p99", f"{moment.p50_ms:.1f}, {moment.p99_ms:.1f} ms"),
        *((word, f"{count * 2:,}/s") for count, word in refused),
    ]
