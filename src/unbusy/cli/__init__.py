"""The command line. Each command is a few lines: settings, a database, and the room that does it.

A command imports what it needs when it runs, so that `--help` is quick, and so that `up` can say
where metrics are kept before anything that counts is imported.
"""

from __future__ import annotations

import sys

from rich.markup import escape

from unbusy.cli import keeping, measuring, reconciling, running
from unbusy.cli.shell import app, err
from unbusy.errors import UnbusyError

__all__ = ["app", "keeping", "main", "measuring", "reconciling", "running"]

_WRONG_SETUP = 2
_INTERRUPTED = 130


def main() -> None:
    """Run the command that was typed, and end with its code."""
    try:
        app()
    except UnbusyError as error:
        err.print(f"[red]unbusy:[/] {escape(str(error))}", soft_wrap=True)
        sys.exit(_WRONG_SETUP)
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
