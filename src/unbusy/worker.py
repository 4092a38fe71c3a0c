"""The background worker: small chores, each done again and again.

A chore does a bounded piece of what is due and says how much that was; while it finds its hands
full it goes on at once, else it pauses. Any number of workers may run at the same time, because
every chore takes only rows that nobody else holds. A chore that fails, or a database that is
away, is told once and tried again: the loop itself never ends before it is told to.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import NamedTuple

import structlog
import uvloop

from unbusy import ledger, payments, people
from unbusy.clock import Clock, SystemClock
from unbusy.db import Database, Tx
from unbusy.errors import Unavailable
from unbusy.ids import Ids
from unbusy.settings import Settings

log = structlog.get_logger(__name__)

# Rows of one piece of work: a transaction of some ten milliseconds, which nobody waits for.
_PIECE = 500
# Of queued payments: their payers and payees are locked meanwhile, and others may want to pay them.
_QUEUED_PIECE = 200


class Chore(NamedTuple):
    """One kind of work. `do(tx, now, limit)` does at most `limit` pieces and returns how many it did."""

    name: str
    pause_s: float
    do: Callable[[Tx, datetime, int], Awaitable[int]]
    piece: int = _PIECE


def chores(settings: Settings, clock: Clock) -> list[Chore]:
    """Everything a worker does."""
    drain = payments.Drain(payments.Settlement(ids=Ids(clock), settings=settings), clock=clock, settings=settings)
    return [
        Chore("settle queued payments", 0.05, drain.settle, _QUEUED_PIECE),
        Chore("tell how the queue fares", 1, drain.tell),
        Chore("expire holds", 1, ledger.expire_holds),
        Chore("expire requests", 5, payments.expire_requests),
        Chore("prune sessions", 60, people.prune),
    ]


async def work(
    db: Database, chores: Sequence[Chore], clock: Clock, stopping: asyncio.Event, *, piece: int | None = None
) -> None:
    """Do the chores until `stopping` is set; what is under way then is finished."""
    async with asyncio.TaskGroup() as group:
        for chore in chores:
            group.create_task(_Round(db, chore, clock, piece or chore.piece).go(stopping))


def run(settings: Settings, url: str, started: Callable[[], None]) -> None:
    """The worker's whole life in a process of its own, ended by SIGTERM or SIGINT."""
    uvloop.run(_run(settings, url, started))


async def _run(settings: Settings, url: str, started: Callable[[], None]) -> None:
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    db = await Database.open(url, size=settings.pool_size, queue=settings.pool_queue)
    started()
    try:
        clock = SystemClock()
        await work(db, chores(settings, clock), clock, stopping)
    finally:
        await db.close()


class _Round:
    """One chore's loop."""

    def __init__(self, db: Database, chore: Chore, clock: Clock, piece: int) -> None:
        self._db = db
        self._chore = chore
        self._clock = clock
        self._piece = piece
        self._is_troubled = False

    async def go(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            done = await self._try()
            if done < self._piece:
                await _wait(stopping, self._chore.pause_s)

    async def _try(self) -> int:
        try:
            done = await self._db.run(lambda tx: self._chore.do(tx, self._clock.now(), self._piece))
        except Unavailable as error:
            self._tell_once("worker_waits", why=str(error))
        except Exception:  # noqa: BLE001 - whatever it is, the other chores and the next try go on
            self._tell_once("chore_failed", exc_info=True)
        else:
            self._tell_recovery()
            return done
        return 0

    def _tell_once(self, event: str, **details: object) -> None:
        if not self._is_troubled:
            log.warning(event, chore=self._chore.name, **details)
        self._is_troubled = True

    def _tell_recovery(self) -> None:
        if self._is_troubled:
            log.info("chore_works_again", chore=self._chore.name)
        self._is_troubled = False


async def _wait(stopping: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stopping.wait()
    except TimeoutError:
        return
