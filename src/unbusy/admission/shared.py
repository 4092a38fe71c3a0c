"""What gateways know of each other, and what survives them: one memory-mapped file, without locks.

    file    = region of gateway 0 · region of gateway 1 · …
    region  = header · the lines of every class and place · two generations of used tickets

A region is written by its owner alone and read by all. Whoever reads may see numbers a moment apart;
each is eight aligned bytes and never torn. The kernel keeps the pages of a process that was killed, so
that its successor goes on where it stood.

A region that is missing, of another version, or damaged is begun afresh, and every number is looked
at before it is believed: what is lost is a position, never a limit.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import zlib
from pathlib import Path
from struct import Struct
from typing import Final

from unbusy.admission.classes import CLASSES
from unbusy.errors import SetupError

LANES: Final = 64
PLACES: Final = 64
"""Places of tenants. Tenants whose ids are equal modulo this share one, and are as one to fairness."""

MOST_GATEWAYS: Final = 64

# A gateway writes ten times a second; who has not for longer is dead or hangs.
LIVE_S: Final = 1.0

# What a gateway keeps of a line: a head (see `line`), then of each lane the last place, and the last slot.
HEAD: Final = 8
_CELLS: Final = HEAD + 2 * LANES

# Magic, version, owner, and their checksum; then the good capacity, how many ask a second, and when that was.
_HEADER: Final = Struct("<8sIII")
_GOOD, _ASKED, _AT = 3, 4, 5
_HEADER_BYTES: Final = 64
_MAGIC: Final = b"unbusygt"
_VERSION: Final = 2

# Used tickets: buckets of four numbers. A generation holds a quarter of a million, which is a minute at
# four thousand a second.
WAYS: Final = 4
BUCKETS: Final = 1 << 16
GENERATIONS: Final = 2

_LINES_BYTES: Final = len(CLASSES) * PLACES * _CELLS * 8
_GENERATION_CELLS: Final = 1 + BUCKETS * WAYS
_USED_BYTES: Final = GENERATIONS * _GENERATION_CELLS * 8
_REGION_BYTES: Final = -(-(_HEADER_BYTES + _LINES_BYTES + _USED_BYTES) // mmap.PAGESIZE) * mmap.PAGESIZE


class Region:
    """One gateway's part. Only its owner writes."""

    def __init__(self, memory: memoryview) -> None:
        self._memory = memory
        self._header = memory[:_HEADER_BYTES].cast("d")
        self._lines = memory[_HEADER_BYTES : _HEADER_BYTES + _LINES_BYTES].cast("d")
        used = memory[_HEADER_BYTES + _LINES_BYTES :][:_USED_BYTES].cast("Q")
        self.generations = tuple(used[n * _GENERATION_CELLS :][:_GENERATION_CELLS] for n in range(GENERATIONS))
        """Each: the time it began (seconds since 1970), then the buckets of ticket numbers."""

    def line(self, klass: int, place: int) -> memoryview[float]:
        """What this gateway keeps of a line: `HEAD` numbers, then the last tag and the last slot of each lane."""
        began = (klass * PLACES + place) * _CELLS
        return self._lines[began : began + _CELLS]

    @property
    def good(self) -> float:
        """The last good capacity."""
        return self._header[_GOOD]

    @good.setter
    def good(self, value: float) -> None:
        self._header[_GOOD] = value

    def asked(self, now: float) -> float | None:
        """How many a second ask this gateway; None when it has not said so lately, and is none perhaps."""
        return self._header[_ASKED] if abs(now - self._header[_AT]) <= LIVE_S else None

    def tell_asked(self, asked: float, now: float) -> None:
        self._header[_ASKED], self._header[_AT] = asked, now

    def is_whole(self, owner: int) -> bool:
        """Whether somebody of this version has begun it."""
        return self._memory[: _HEADER.size].tobytes() == _head(owner)

    def begin(self, owner: int) -> None:
        """Make it empty. The header comes last: a half-made region is none."""
        self._memory[:_REGION_BYTES] = bytes(_REGION_BYTES)
        self._memory[: _HEADER.size] = _head(owner)

    def release(self) -> None:
        for view in (self._header, self._lines, *self.generations, self._memory):
            view.release()


class Shared:
    """The file of all gateways, as the one with the number `index` of `gateways` sees it."""

    def __init__(self, path: Path, index: int, gateways: int) -> None:
        """Raises SetupError when the file cannot be made or mapped."""
        assert 0 <= index < gateways <= MOST_GATEWAYS
        try:
            self._map = _mapped(path, gateways * _REGION_BYTES)
        except (OSError, ValueError) as error:
            raise SetupError(f"cannot keep what gateways share in {path}: {error}") from None
        self.index = index
        self._claim: int | None = None
        self._whole = memoryview(self._map)
        self.regions = [Region(self._whole[n * _REGION_BYTES :][:_REGION_BYTES]) for n in range(gateways)]
        self.own = self.regions[index]
        if not self.own.is_whole(index):
            self.own.begin(index)

    @classmethod
    def claim(cls, path: Path, gateways: int) -> Shared:
        """As the first of so many gateways that no living process is. Raises SetupError when all are.

        The claim is the lock of a file beside it, so it ends with the process, however that ends;
        whoever is started in its place goes on where it stood.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        for index in range(gateways):
            descriptor = os.open(path.with_suffix(f".{index}"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
            else:
                shared = cls(path, index, gateways)
                shared._claim = descriptor
                return shared
        raise SetupError(f"{gateways} gateways run with the data directory {path.parent} already")

    def line(self, klass: int, place: int) -> list[memoryview[float]]:
        """What every gateway keeps of a line, in the gateways' order. Whether to believe it is for the reader."""
        return [region.line(klass, place) for region in self.regions]

    def close(self) -> None:
        """Let the file go. Lines that still hold a part of it keep it mapped until they end."""
        for region in self.regions:
            region.release()
        self._whole.release()
        if self._claim is not None:
            os.close(self._claim)


def _head(owner: int) -> bytes:
    checksum = zlib.crc32(_MAGIC + bytes([_VERSION, owner]))
    return _HEADER.pack(_MAGIC, _VERSION, owner, checksum)


def _mapped(path: Path, size: int) -> mmap.mmap:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        # Never shorter: another gateway may have the end of it mapped.
        if os.fstat(descriptor).st_size < size:
            os.ftruncate(descriptor, size)
        return mmap.mmap(descriptor, size)
    finally:
        os.close(descriptor)
