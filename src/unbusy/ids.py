"""Identifiers: UUID version 7 inside, a readable prefix at the edges.

Version 7 (RFC 9562) begins with the time, so that rows made together lie together: an index on it
grows at its right end, whatever the table's size. `pay_0193f0…` tells a person what it names.

All ids of ours are made as the database driver makes its own: the same type and value as Python's
UUID, but hashed and encoded in C. A payment's ids are looked up some thirty times on its way.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from uuid import UUID

from asyncpg.pgproto.pgproto import UUID as DriverUUID

from unbusy.clock import Clock

_VERSION_7 = 0x7 << 76
_VARIANT = 0b10 << 62
_RANDOM_BITS = (1 << 62) - 1
# Ids whose chance is drawn from the system at once.
_DRAWN = 512
_HEXADECIMAL = re.compile("[0-9a-f]{32}")


class Ids:
    """Makes ids that sort by the time they were made, strictly so within a process."""

    def __init__(self, clock: Clock, random_bytes: Callable[[int], bytes] = os.urandom) -> None:
        self._clock = clock
        self._random_bytes = random_bytes
        self._last = 0
        self._chances: list[int] = []

    def new(self) -> UUID:
        """A new id. 48 bits of milliseconds, 12 bits that keep the order, 62 bits of chance."""
        # Milliseconds and sub-millisecond order as one number of 60 bits, so that "one more than
        # the last" also carries into the time when a clock stands still or jumps back.
        tick = int(self._clock.timestamp() * 1000) << 12
        self._last = tick = max(tick, self._last + 1)
        if not self._chances:
            drawn = self._random_bytes(8 * _DRAWN)
            self._chances = [int.from_bytes(drawn[i : i + 8], "big") & _RANDOM_BITS for i in range(0, len(drawn), 8)]
        whole = (tick >> 12) << 80 | _VERSION_7 | (tick & 0xFFF) << 64 | _VARIANT | self._chances.pop()
        return DriverUUID(whole.to_bytes(16, "big"))


def show(prefix: str, id: UUID) -> str:
    """The id as people see it: `show("pay", id)` gives `pay_` and 32 hexadecimal digits."""
    return f"{prefix}_{id.hex}"


def read(prefix: str, text: str) -> UUID | None:
    """The id inside `text`, or None when it is not one with this prefix (exactly as shown)."""
    head, _, digits = text.partition("_")
    if head != prefix or not _HEXADECIMAL.fullmatch(digits):
        return None
    return DriverUUID(digits)


def as_ours(id: UUID) -> UUID:
    """An id from somewhere else as we make ours: the same value."""
    return DriverUUID(id.bytes)
