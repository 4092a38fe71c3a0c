"""Passwords: argon2, away from the event loop, and only so many at once."""

from __future__ import annotations

import asyncio
import os

import pytest
from tests.people.world import CHEAP, PASSWORD

from unbusy.errors import DeadlineUnreachable
from unbusy.people import hash_password
from unbusy.people.passwords import RECOMMENDED, Passwords


async def test_the_right_password_and_no_other() -> None:
    """Whatever signs it has; a changed hash matches nothing and is no error."""
    passwords = Passwords(CHEAP)
    kept = await passwords.hash(PASSWORD)
    assert await passwords.verify(kept, PASSWORD)
    assert not await passwords.verify(kept, PASSWORD + "!")
    assert not await passwords.verify(kept, "half \ud800 of a pair")
    assert not await passwords.verify("not a hash", PASSWORD)
    assert await passwords.hash(PASSWORD) != kept
    assert await passwords.verify(hash_password(PASSWORD, CHEAP), PASSWORD)


def test_a_hash_has_the_recommended_cost() -> None:
    """argon2id, 19 MiB, two passes, one lane: written into the hash itself."""
    assert hash_password(PASSWORD).startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert tuple(RECOMMENDED) == (19_456, 2, 1)


async def test_nobodys_password_costs_the_same() -> None:
    """The hash of nobody has the form and the parameters of a real one, and no password."""
    passwords = Passwords(CHEAP)
    nobodys = passwords._nobodys  # pyright: ignore[reportPrivateUsage] - what it looks like is the point
    real = hash_password(PASSWORD, CHEAP)
    assert nobodys.split("$")[:4] == real.split("$")[:4]
    assert [len(piece) for piece in nobodys.split("$")] == [len(piece) for piece in real.split("$")]
    assert not await passwords.verify(None, PASSWORD)


async def test_the_line_is_short() -> None:
    """Past it the answer is "no" at once, and there is room again when somebody leaves, however they leave."""
    passwords = Passwords(CHEAP)
    most = 64 + max(1, (os.cpu_count() or 1) // 2)
    inside, leave = asyncio.Semaphore(0), asyncio.Event()

    async def stand() -> None:
        with passwords.place():
            inside.release()
            await leave.wait()

    waiting = [asyncio.create_task(stand()) for _ in range(most)]
    for _ in waiting:
        await inside.acquire()
    with pytest.raises(DeadlineUnreachable), passwords.place():
        pass
    waiting[0].cancel()
    await asyncio.gather(waiting[0], return_exceptions=True)
    with passwords.place():
        leave.set()
    await asyncio.gather(*waiting[1:])


async def test_the_event_loop_goes_on_meanwhile() -> None:
    """A hash of the real cost does not hold up the others."""
    hashing = asyncio.create_task(Passwords().hash(PASSWORD))
    turns = 0
    while not hashing.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns > 100
