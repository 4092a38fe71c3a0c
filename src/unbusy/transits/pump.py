"""What carries transits to their banks and brings the answers back. For the worker.

    take up, committed ─▶ the bank is told, or asked, outside any transaction ─▶ written down, committed
        ▲                                                                              │
        └──────────────────── due again, sooner or later, until it is final ◀──────────┘

Dying between any two of these leaves a row that is due again when its time with us has passed. Its
`sent_at` says then that the bank may know, and it is asked. Only who took a row up last may write
(`tries`): an answer that comes after that is passed over, for whoever has the row now gets one too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import datetime, timedelta

import structlog

from unbusy.banks import Connector, Result, State
from unbusy.clock import Clock
from unbusy.db import Database, Tx
from unbusy.errors import Unavailable
from unbusy.settings import Settings
from unbusy.transits import model, service, sql
from unbusy.transits.model import Status, Transit

log = structlog.get_logger(__name__)

# Calls to one bank at once. A bank that hangs ties up these and no others; one that answers in 50 ms
# gets 640 a second.
_MOST_CALLS = 32
# From the end of the longest call until somebody else may take the row up: time to write the answer down.
_WRITE_S = 2.0


class Lane:
    """The way to one bank and back, for one worker. A call takes `call_s` seconds at most."""

    def __init__(self, db: Database, bank: Connector, *, clock: Clock, call_s: float) -> None:
        self._db = db
        self._bank = bank
        self._clock = clock
        self._call_s = call_s
        self._lease = timedelta(seconds=call_s + _WRITE_S)
        self._calls: set[asyncio.Task[None]] = set()

    @property
    def bank(self) -> str:
        """The bank's id."""
        return self._bank.bank

    async def go_on(self, now: datetime) -> int:
        """Begin the calls that are due, as many as there is room for; wait for room first. Gives how many."""
        while len(self._calls) >= _MOST_CALLS:
            await asyncio.wait(self._calls, return_when=asyncio.FIRST_COMPLETED)
        room = _MOST_CALLS - len(self._calls)
        taken = await self._db.run(lambda tx: sql.take(tx, self.bank, now, now + self._lease, room))
        for transit, may_be_known in taken:
            call = asyncio.create_task(self._advance(transit, may_be_known=may_be_known))
            self._calls.add(call)
            call.add_done_callback(self._calls.discard)
        return len(taken)

    async def finish(self) -> None:
        """Wait for the calls that are under way."""
        await asyncio.gather(*self._calls)

    async def _advance(self, transit: Transit, *, may_be_known: bool) -> None:
        try:
            result = await self._call(transit, may_be_known=may_be_known)
            if result:
                await self._write_down(transit, result, may_be_known=may_be_known)
        except Unavailable as error:
            log.warning("bank_answer_not_written", transit=transit.reference, why=str(error))
        except Exception:
            # Whatever it is: the row is due again, and the others go on.
            log.exception("transit_failed", transit=transit.reference)

    async def _call(self, transit: Transit, *, may_be_known: bool) -> Result | None:
        """What the bank says. None when this process stood still until the row may be somebody else's."""
        assert transit.due_at is not None
        if self._clock.now() >= transit.due_at:
            return None
        try:
            async with asyncio.timeout(self._call_s):
                if may_be_known:
                    return await self._bank.enquire(transit.reference, transit.direction)
                return await self._bank.send(transit.instruction)
        except TimeoutError:
            return Result(State.unknown)

    async def _write_down(self, transit: Transit, result: Result, *, may_be_known: bool) -> None:
        async def work(tx: Tx) -> Transit | None:
            if (current := await sql.lock(tx, transit.id, transit.tries)) is None:
                return None
            after = _after(current, result, self._clock.now(), may_be_known=may_be_known)
            return await service.write_down(tx, current, after)

        written = await self._db.run(work)
        if written and written.is_final and not transit.is_final:
            service.count(written)
        if written and written.parked_id:
            log.error("bank_settled_what_was_reversed", transit=transit.reference, bank=transit.bank)


def _after(current: Transit, result: Result, now: datetime, *, may_be_known: bool) -> Transit:
    if current.status is Status.reversed:
        return model.after_all(current, result, now)
    return (model.after_enquiring if may_be_known else model.after_sending)(current, result, now)


def lanes(db: Database, banks: Iterable[Connector], *, clock: Clock, settings: Settings) -> list[Lane]:
    """One lane to each bank, so that none waits for another."""
    return [Lane(db, bank, clock=clock, call_s=settings.bank_call_s) for bank in banks]
