"""Pages made from the code are what the code makes."""

from __future__ import annotations

from tests.rules.generated import left_over, pages
from tests.rules.source import ROOT


def test_generated_pages_are_up_to_date() -> None:
    """The schema, the API's description, settings, metrics, commands and reasons are as `make docs` makes them."""
    made = pages()
    stale = [path for path, text in made.items() if not _is_same(path, text)] + left_over(made)
    assert not stale, "run make docs: " + ", ".join(stale)


def _is_same(path: str, text: str) -> bool:
    file = ROOT / path
    return file.exists() and file.read_text(encoding="utf-8") == text
