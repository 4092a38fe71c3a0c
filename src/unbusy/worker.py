"""The background worker: small chores, each done again and again.

A chore does a bounded piece of what is due and says how much that was; while it finds its hands
full it goes on at once, else it pauses. Any number of workers may run at the same time, because
every chore takes only rows that nobody else holds. A chore that fails, or a database that is
away, is told once and tried again: the loop itself never ends before it is told to.

An errand is a chore that leads out of the house, to a bank: it has no transaction around it.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import NamedTuple

import structlog
import uvloop

from unbusy import banks, funding, ledger, payments, people, transits
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


class Errand(NamedTuple):
    """Work that leads to somebody else. `do(now)` begins what is due and returns how much that was."""

    name: str
    pause_s: float
    do: Callable[[datetime], Awaitable[int]]


def chores(settings: Settings, clock: Clock) -> list[Chore]:
    """Everything a worker does."""
    drain = payments.Drain(payments.Settlement(ids=Ids(clock), settings=settings), clock=clock, settings=settings)
    settler = funding.Settler(ids=Ids(clock), settings=settings)
    return [
        Chore("settle queued payments", 0.05, drain.settle, _QUEUED_PIECE),
        Chore("settle funded payments", 0.25, settler.settle, _QUEUED_PIECE),
        Chore("expire funded payments", 5, settler.expire, _QUEUED_PIECE),
        Chore("tell how the queue fares", 1, drain.tell),
        Chore("expire holds", 1, ledger.expire_holds),
        Chore("expire requests", 5, payments.expire_requests),
        Chore("give back what no bank has settled", 2, transits.give_back),
        Chore("prune sessions", 60, people.prune),
    ]


def errands(lanes: Sequence[transits.Lane]) -> list[Errand]:
    """Everything a worker does outside."""
    return [
        *(Errand(f"go to {lane.bank}", 0.25, lane.make_a_round) for lane in lanes),
        *(Errand(f"look after {lane.bank}", 1, lane.look_after) for lane in lanes),
    ]


async def work(
    db: Database,
    chores: Sequence[Chore],
    clock: Clock,
    stopping: asyncio.Event,
    *,
    errands: Sequence[Errand] = (),
    piece: int | None = None,
) -> None:
    """Do the chores and errands until `stopping` is set; the pieces under way then are finished."""
    async with asyncio.TaskGroup() as group:
        for chore in chores:
            at_once = piece or chore.piece
            in_house = Errand(chore.name, chore.pause_s, _in_transaction(db, chore, at_once))
            group.create_task(_Round(in_house, clock, at_once).go(stopping))
        for errand in errands:
            group.create_task(_Round(errand, clock, 1).go(stopping))


def _in_transaction(db: Database, chore: Chore, piece: int) -> Callable[[datetime], Awaitable[int]]:
    return lambda now: db.run(lambda tx: chore.do(tx, now, piece))


def run(settings: Settings, url: str, started: Callable[[], None]) -> None:
    """The worker's whole life in a process of its own, ended by SIGTERM or SIGINT."""
    uvloop.run(_run(settings, url, started))


async def _run(settings: Settings, url: str, started: Callable[[], None]) -> None:
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    db = await Database.open(url, size=settings.pool_size, queue=settings.pool_queue)
    clock = SystemClock()
    connected = banks.connect(settings, clock=clock, ids=Ids(clock))
    limits = banks.limits(settings)
    lanes = transits.lanes(db, connected.values(), limits, clock=clock, settings=settings)
    started()
    try:
        await work(db, chores(settings, clock), clock, stopping, errands=errands(lanes))
        await asyncio.gather(*(lane.finish() for lane in lanes))
    finally:
        await asyncio.gather(*(bank.close() for bank in connected.values()))
        await db.close()


class _Round:
    """The loop of one chore or errand; less than `piece` done is followed by a pause."""

    def __init__(self, errand: Errand, clock: Clock, piece: int) -> None:
        self._errand = errand
        self._clock = clock
        self._piece = piece
        self._is_troubled = False

    async def go(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            done = await self._try()
            if done < self._piece:
                await _wait(stopping, self._errand.pause_s)

    async def _try(self) -> int:
        try:
            done = await self._errand.do(self._clock.now())
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
            log.warning(event, chore=self._errand.name, **details)
        self._is_troubled = True

    def _tell_recovery(self) -> None:
        if self._is_troubled:
            log.info("chore_works_again", chore=self._errand.name)
        self._is_troubled = False


async def _wait(stopping: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stopping.wait()
    except TimeoutError:
        return
