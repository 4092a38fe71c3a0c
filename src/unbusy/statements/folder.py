"""A folder into which a bank puts its files, as over SFTP: each is taken once, and moved out of the way.

    folder/FILE ─┬▶ folder/taken/FILE
                 ├▶ folder/refused/FILE, and beside it FILE.reason
                 └▶ stays        parked: tried again once another one was taken

Who writes a file gives it its name when it is whole: what begins with a dot, or ends as unfinished
uploads do, is not looked at. A name says nothing: the same statement under another one is refused, for it
was taken already. So is one that was taken and not yet moved when we died.
"""

from __future__ import annotations

import fcntl
import itertools
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from unbusy.errors import RequestError, SetupError
from unbusy.statements.service import Statements, Taking, Tell

_UNFINISHED = (".tmp", ".part", ".partial", ".filepart", ".crdownload")
_LOCK = ".unbusy.lock"


class FileResult(msgspec.Struct, frozen=True):
    """What came of one file: its statements, or why it was refused and at which field."""

    file: str
    statements: list[Taking]
    refused: str = ""
    field: str = ""

    @property
    def is_parked(self) -> bool:
        """Whether a statement in it waits for another one."""
        return any(one.parked for one in self.statements)


class Folder:
    """One bank's folder, and who takes its statements."""

    def __init__(self, path: Path, statements: Statements) -> None:
        self._path = path
        self._statements = statements
        # As they were when they were parked: one that the bank writes anew is tried at once.
        self._parked: dict[Path, tuple[int, int]] = {}

    async def empty(self) -> list[FileResult]:
        """Take in what is new there, in the order of the names; nothing while another process does so.

        Raises SetupError when the folder cannot be used.
        """
        try:
            with _alone(self._path) as is_ours:
                return await self._empty() if is_ours else []
        except OSError as error:
            raise SetupError(f"the folder {self._path} cannot be used: {error.strerror}") from None

    async def _empty(self) -> list[FileResult]:
        results: list[FileResult] = []
        while new := self._new():
            for file, state in new.items():
                if not file.exists():
                    continue
                result = await take(self._statements, file, lambda _what, _share: None)
                results.append(result)
                if result.is_parked:
                    self._parked[file] = state
                    continue
                self._parked.pop(file, None)
                if result.refused:
                    refused = _move(file, self._path / "refused")
                    refused.with_name(f"{refused.name}.reason").write_text(f"{result.refused}\n", encoding="utf-8")
                else:
                    _move(file, self._path / "taken")
                    # Something may follow now that did not before.
                    self._parked.clear()
        return results

    def _new(self) -> dict[Path, tuple[int, int]]:
        """Whole files that are not parked, each as it is."""
        there = {
            file: (about.st_mtime_ns, about.st_size)
            for file in sorted(self._path.iterdir())
            if file.is_file() and not file.name.startswith(".") and not file.name.lower().endswith(_UNFINISHED)
            for about in [file.stat()]
        }
        return {file: state for file, state in there.items() if self._parked.get(file) != state}


async def take(statements: Statements, file: Path, tell: Tell) -> FileResult:
    """Take in one file; one that is refused is a result too."""
    try:
        return FileResult(str(file), await statements.take(file, tell))
    except RequestError as error:
        return FileResult(str(file), [], str(error), error.field or "")


def _move(file: Path, folder: Path) -> Path:
    """Move a file into a folder, under a name that no other has there; gives that."""
    folder.mkdir(exist_ok=True)
    names = itertools.chain([file.name], (f"{file.name}.{number}" for number in itertools.count(2)))
    target = next(folder / name for name in names if not (folder / name).exists())
    return file.rename(target)


@contextmanager
def _alone(path: Path) -> Generator[bool]:
    """Whether this process has the folder to itself for now. It is made if it is not there."""
    path.mkdir(parents=True, exist_ok=True)
    with (path / _LOCK).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
