"""Runs what a page tells its reader to type.

A page is one story, told to one shell: what a block sets, the next one may use. In a `console`
block a line that begins with `$ ` is typed (`> ` continues it), and the lines below, if any, are
what it should print: `…` stands for anything, and white space does not count. A `python` block is
run by itself. A block that cannot be run says why in the line above: `<!-- not run: … -->`.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.rules.documents import Block, Document

# Where the pages say that the wallet is.
ADDRESS = "http://127.0.0.1:8080"
_LONGEST_STORY_S = 120
_NOT_RUN = re.compile(r"^<!-- not run: \S.{7,} -->$")
# Between what one command prints and what the next one does.
_MARK = "\x1e"


@dataclass(frozen=True)
class Step:
    """Something that is typed, and what it should print (nothing: whatever it prints is right)."""

    line: int
    typed: str
    expected: str


def steps(document: Document) -> list[Step]:
    """Everything that the page tells its reader to run, in order."""
    runnable = [block for block in document.blocks if not _NOT_RUN.match(block.before)]
    return [step for block in runnable for step in _READERS.get(block.language, _nothing)(block)]


def run(story: list[Step], *, address: str, directory: Path, environment: Mapping[str, str]) -> list[str]:
    """Type the steps into one shell in `directory`; what went differently than the page says."""
    script = "\n".join(f"printf '{_MARK}'\n{step.typed}" for step in story).replace(ADDRESS, address)
    shell = subprocess.run(
        ["bash", "-eu", "-c", script],
        cwd=directory,
        env=_environment(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=_LONGEST_STORY_S,
        text=True,
        check=False,
    )
    printed = shell.stdout.split(_MARK)[1:]
    wrong = [_difference(step, text) for step, text in zip(story, printed, strict=False) if not _is_as_said(step, text)]
    if shell.returncode:
        wrong.append(f"line {story[len(printed) - 1].line}: ended with code {shell.returncode}\n{printed[-1]}")
    return wrong


def _console(block: Block) -> list[Step]:
    found: list[Step] = []
    for number, line in enumerate(block.text.splitlines(), block.line + 1):
        if line.startswith("$ "):
            found.append(Step(number, line[2:], ""))
        elif found and line.startswith("> "):
            found[-1] = Step(found[-1].line, f"{found[-1].typed}\n{line[2:]}", "")
        elif found:
            found[-1] = Step(found[-1].line, found[-1].typed, f"{found[-1].expected}{line}\n")
    return found


def _python(block: Block) -> list[Step]:
    return [Step(block.line, f"python - <<'END_OF_BLOCK'\n{block.text}END_OF_BLOCK", "")]


def _nothing(_block: Block) -> list[Step]:
    return []


_READERS = {"console": _console, "python": _python}


def _environment(more: Mapping[str, str]) -> dict[str, str]:
    """Ours without settings of an unbusy that may run beside, and with this project's commands first."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("UNBUSY_")}
    return kept | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"} | dict(more)


def _is_as_said(step: Step, printed: str) -> bool:
    pattern = ".*".join(re.escape(part) for part in _squeezed(step.expected).split("…"))
    return not step.expected.strip() or re.fullmatch(pattern, _squeezed(printed), re.DOTALL) is not None


def _squeezed(text: str) -> str:
    return re.sub(r"\s", "", text)


def _difference(step: Step, printed: str) -> str:
    return f"line {step.line}: {step.typed}\nshould print\n{step.expected}\nbut printed\n{printed}"
