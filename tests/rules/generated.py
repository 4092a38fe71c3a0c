"""Pages that are made from the code. `make docs` writes them, a test compares them.

python -m tests.rules.generated
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Never

from prometheus_client import REGISTRY
from tests.rules import schemas
from tests.rules.source import ROOT

from unbusy import api, app, cli, settings
from unbusy.clock import SystemClock
from unbusy.db import schema
from unbusy.errors import Unauthenticated
from unbusy.settings import Settings

REFERENCE = "docs/reference"


def pages() -> dict[str, str]:
    """Every page: its path from the root, and what should stand there."""
    makers: dict[str, Callable[[], str]] = {
        "src/unbusy/db/schema.sql": schema.fresh_page,
        f"{REFERENCE}/settings.md": settings.reference,
        f"{REFERENCE}/openapi.json": openapi,
        f"{REFERENCE}/metrics.md": metrics,
        f"{REFERENCE}/cli.md": commands,
        **schemas.pages(),
    }
    reasons = {f"{REFERENCE}/reasons/{name}": text for name, text in api.reasons_markdown().items()}
    return {path: make() for path, make in makers.items()} | reasons


class _Nobody:
    """Stands where the description needs somebody who knows tokens; it never asks."""

    def authenticate(self, token: str) -> Never:
        raise Unauthenticated(f"nobody knows {len(token)} characters")

    def recognise(self, token: str) -> None:
        """Nobody is known."""


def openapi() -> str:
    """The description of the HTTP API."""
    application = api.create(
        app.HANDLERS, authenticator=_Nobody(), hub=api.Hub(), settings=Settings(), clock=SystemClock()
    )
    return api.schema_json(application.litestar).decode()


def metrics() -> str:
    """What `/metrics` tells, without what the Python process itself adds."""
    rows = [
        f"| `{metric.name}` | {metric.type} | {metric.documentation} |"
        for metric in sorted(REGISTRY.collect(), key=lambda metric: metric.name)
        if metric.name.startswith("unbusy_")
    ]
    head = (
        "# Metrics",
        "",
        "Made from the code by `make docs`. `GET /metrics` gives them in Prometheus' text format, for all gateways",
        "of one `unbusy up` together. A counter's name ends in `_total` there.",
        "",
        "| name | type | what it tells |",
        "| --- | --- | --- |",
    )
    return "\n".join([*head, *rows, ""])


def commands() -> str:
    """Every command with its flags."""
    # What was typed to get here is no part of the page, though the help would make it one.
    typed, sys.argv = sys.argv, ["unbusy"]
    try:
        text = cli.app.generate_docs(output_format="markdown", include_hidden=False)
    finally:
        sys.argv = typed
    head = "# Commands\n\nMade from `src/unbusy/cli/` by `make docs`.\n"
    return text.replace("# unbusy\n", head, 1).rstrip() + "\n"


def main() -> None:
    """Write what differs, and remove pages of reasons that are gone."""
    made = pages()
    for path, text in made.items():
        file = ROOT / path
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
            sys.stdout.write(f"wrote {path}\n")
    for path in left_over(made):
        (ROOT / path).unlink()
        sys.stdout.write(f"removed {path}\n")


def left_over(made: dict[str, str]) -> list[str]:
    """Pages of reasons that no longer exist."""
    return [
        path
        for file in sorted((ROOT / REFERENCE / "reasons").glob("*.md"))
        if (path := str(file.relative_to(ROOT))) not in made
    ]


if __name__ == "__main__":
    main()
