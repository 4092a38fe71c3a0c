"""Passwords: argon2id, on few threads, with a short line before them.

A hash costs 19 MiB and some tens of milliseconds on purpose. Without a bound on how many are under
way, a crowd at the door would take all memory and every core from the payments of those inside.
"""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import NamedTuple, TypeVar

import argon2
from argon2.exceptions import Argon2Error, InvalidHashError

from unbusy.errors import DeadlineUnreachable

Result = TypeVar("Result")

_SALT_BYTES = 16
_HASH_BYTES = 32
# A line of 64 before one thread is some two seconds, as long as anybody waits at a door.
_LONGEST_LINE = 64


class Cost(NamedTuple):
    """What one hash costs."""

    memory_kib: int
    passes: int
    lanes: int


# OWASP's password storage cheat sheet, 2024: argon2id with 19 MiB, two passes, one lane.
RECOMMENDED = Cost(memory_kib=19_456, passes=2, lanes=1)


class Passwords:
    """Hashes and verifies away from the event loop."""

    def __init__(self, cost: Cost = RECOMMENDED, *, random_bytes: Callable[[int], bytes] = os.urandom) -> None:
        self._hasher = _hasher(cost)
        self._nobodys = _hash_of_nobody(cost, random_bytes)
        # Half of the cores, so that the other half goes on with payments.
        threads = max(1, (os.cpu_count() or 1) // 2)
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="passwords")
        self._free = threads + _LONGEST_LINE

    @contextmanager
    def place(self) -> Generator[None]:
        """A place in the line, held around `hash` or `verify` and what belongs to it.

        Taken first, so that whoever finds the line full has cost nothing and is counted nowhere.
        Raises DeadlineUnreachable.
        """
        if not self._free:
            raise DeadlineUnreachable("too many are signing in at this moment", retry_after=2)
        self._free -= 1
        try:
            yield
        finally:
            self._free += 1

    async def hash(self, password: str) -> str:
        """The hash to keep, with its salt and cost written into it."""
        return await self._away(lambda: self._hasher.hash(_encoded(password)))

    async def verify(self, kept: str | None, password: str) -> bool:
        """Whether the password is the one of this hash. None is nobody's: as much work, then False."""
        return await self._away(lambda: _matches(self._hasher, kept or self._nobodys, password))

    def close(self) -> None:
        """Start nothing any more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _away(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


def hash_password(password: str, cost: Cost = RECOMMENDED) -> str:
    """The hash to keep, made here and now; for commands, which have no line."""
    return _hasher(cost).hash(_encoded(password))


def _hasher(cost: Cost) -> argon2.PasswordHasher:
    return argon2.PasswordHasher(
        time_cost=cost.passes,
        memory_cost=cost.memory_kib,
        parallelism=cost.lanes,
        hash_len=_HASH_BYTES,
        salt_len=_SALT_BYTES,
    )


def _hash_of_nobody(cost: Cost, random_bytes: Callable[[int], bytes]) -> str:
    """A hash of the usual cost that no password has, because its digest is chance."""
    salt, digest = (base64.b64encode(random_bytes(n)).decode().rstrip("=") for n in (_SALT_BYTES, _HASH_BYTES))
    return f"$argon2id$v=19$m={cost.memory_kib},t={cost.passes},p={cost.lanes}${salt}${digest}"


def _matches(hasher: argon2.PasswordHasher, kept: str, password: str) -> bool:
    try:
        return hasher.verify(kept, _encoded(password))
    except (Argon2Error, InvalidHashError):
        return False


def _encoded(password: str) -> bytes:
    # What JSON lets through and UTF-8 does not (half a surrogate pair) matches nothing, and must
    # not be an error either.
    return password.encode("utf-8", "surrogatepass")
