"""Reads a file that a bank sent, whatever it is of what banks send."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator
from io import FileIO
from pathlib import Path

from unbusy.errors import Invalid
from unbusy.statements import camt, mt940, table
from unbusy.statements.model import Statement

# Ten times a statement of a hundred thousand lines.
MOST_BYTES = 1_000_000_000
# The other two are read whole.
_MOST_BYTES_OF_TEXT = 100_000_000
_ENOUGH_TO_TELL = 4_096
_PIECE = 1 << 20
_BLANK = b" \t\r\n"


class _Read(FileIO):
    """A file that tells which share of it was read."""

    def __init__(self, path: Path, tell: Callable[[float], None]) -> None:
        super().__init__(path)
        self._size = max(path.stat().st_size, 1)
        self._told = tell

    def read(self, size: int | None = -1, /) -> bytes:
        content = super().read(-1 if size is None else size)
        self._told(self.tell() / self._size)
        return content


def read(path: Path, tell: Callable[[float], None]) -> Iterator[Statement]:
    """The statements of a file: camt.053, camt.054, MT940 or CSV, told by how it begins. Raises Invalid.

    `tell` is told which share of the file was read.
    """
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise Invalid(f"a file has at most {MOST_BYTES:,} bytes, and this has {size:,}", field="file")
        with _Read(path, tell) as file:
            yield from _statements(file, size)
    except OSError as error:
        raise Invalid(f"it cannot be read: {error.strerror}", field="file") from None


def _statements(file: FileIO, size: int) -> Iterator[Statement]:
    begin = file.read(_ENOUGH_TO_TELL)
    if begin.startswith(b"PK"):
        raise Invalid("this is an archive: unpack it, and give what is in it", field="file")
    # UTF-16 has a nought beside each sign.
    if begin.replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe" + _BLANK).startswith(b"<"):
        # A line that is left blank before the beginning is not allowed, and seen.
        blank = len(begin) - len(begin.lstrip(_BLANK))
        yield from camt.read(file, blank, is_latin=_is_mislabelled(file, begin))
        return
    file.seek(0)
    if size > _MOST_BYTES_OF_TEXT:
        raise Invalid(f"such a file has at most {_MOST_BYTES_OF_TEXT:,} bytes, and this has {size:,}", field="file")
    text = _decoded(file.read())
    yield from mt940.read(text) if ":20:" in text[:_ENOUGH_TO_TELL] else table.read(text)


def _is_mislabelled(file: FileIO, begin: bytes) -> bool:
    """Whether a document that claims to be UTF-8, or claims nothing, is not: old systems write Latin-1."""
    declared = begin.partition(b"?>")[0].lower() if b"?>" in begin else b""
    if b"\0" in begin or (b"encoding" in declared and b"utf-8" not in declared):
        return False
    decoder = codecs.getincrementaldecoder("utf-8")()
    file.seek(0)
    try:
        while piece := file.read(_PIECE):
            decoder.decode(piece)
    except UnicodeDecodeError:
        return True
    return False


def _decoded(content: bytes) -> str:
    """As Unicode; else as Latin-1, which old systems write and which nothing is wrong in."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")
