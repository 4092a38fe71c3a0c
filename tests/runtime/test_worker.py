"""The worker: chores go on whatever happens, and end when told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime

import pytest
import structlog.testing

from unbusy.clock import SystemClock
from unbusy.db import Connection, Database
from unbusy.errors import LedgerUnavailable
from unbusy.settings import Settings
from unbusy.worker import Chore, chores, work

Do = Callable[[Connection, datetime, int], Awaitable[int]]


async def run_until(db: Database, to_do: list[Chore], done: asyncio.Event) -> None:
    stopping = asyncio.Event()
    task = asyncio.create_task(work(db, to_do, SystemClock(), stopping, piece=10))
    async with asyncio.timeout(5):
        await done.wait()
    stopping.set()
    async with asyncio.timeout(1):
        await task


async def test_a_chore_with_its_hands_full_goes_on_at_once(db: Database) -> None:
    """A backlog is worked off without pauses; only an empty table is waited for."""
    done = asyncio.Event()
    left = [10, 10, 3]

    async def do(tx: Connection, now: datetime, limit: int) -> int:
        assert now.tzinfo
        if not left:
            done.set()
            return 0
        return min(left.pop(0), limit)

    with pytest.raises(TimeoutError):  # the third piece was not full, so a pause of an hour follows
        async with asyncio.timeout(0.3):
            await run_until(db, [Chore("count", 3600, do)], done)
    assert left == []


async def test_a_chore_that_fails_is_told_once_and_tried_again(db: Database) -> None:
    """One mistake stops neither the chore nor its neighbours, and does not fill the log."""
    done = asyncio.Event()
    calls = {"bad": 0, "away": 0}

    async def bad(tx: Connection, now: datetime, limit: int) -> int:
        calls["bad"] += 1
        raise ValueError("a defect")

    async def away(tx: Connection, now: datetime, limit: int) -> int:
        calls["away"] += 1
        if calls["away"] < 5:
            raise LedgerUnavailable("gone", retry_after=1)
        done.set()
        return 0

    with structlog.testing.capture_logs() as logs:
        await run_until(db, [Chore("bad", 0.01, bad), Chore("away", 0.01, away)], done)
    assert calls["bad"] >= 3
    told = [(line["event"], line["chore"]) for line in logs]
    assert told.count(("chore_failed", "bad")) == 1
    assert told.count(("worker_waits", "away")) == 1
    assert told.count(("chore_works_again", "away")) == 1


async def test_what_is_under_way_is_finished(db: Database) -> None:
    """Told to stop in the middle of a piece, it commits the piece first."""
    begun = asyncio.Event()
    finished: list[int] = []

    async def do(tx: Connection, now: datetime, limit: int) -> int:
        begun.set()
        finished.append(await tx.fetchval("SELECT 1 FROM pg_sleep(0.1)"))
        return 0

    await run_until(db, [Chore("slow", 3600, do)], begun)
    assert finished == [1]


async def test_every_chore_runs_on_a_fresh_database(db: Database) -> None:
    """With nothing due, each finds nothing, with the rights that a worker has; twice at once as well."""
    clock = SystemClock()
    for chore in chores(Settings(), clock):

        async def do(tx: Connection, chore: Chore = chore) -> int:
            return await chore.do(tx, clock.now(), 100)

        assert await asyncio.gather(db.run(do), db.run(do)) == [0, 0], chore.name
