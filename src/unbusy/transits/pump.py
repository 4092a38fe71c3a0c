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
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import structlog

from unbusy.banks import Connector, Result, State
from unbusy.clock import Clock
from unbusy.db import Database, Tx
from unbusy.errors import Unavailable
from unbusy.settings import Settings
from unbusy.transits import model, service, sql
from unbusy.transits.model import Status, Transit

log = structlog.get_logger(__name__)

# Transits at one bank at once. A bank that hangs ties up these and no others; one that answers each of
# the two calls of a payment in 50 ms could get 640 a second.
_MOST_CALLS = 64
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
        self._answers: list[_Answer] = []
        self._pen = asyncio.Lock()

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
        except Exception:
            # Whatever it is: the row is due again, and the others go on.
            log.exception("transit_failed", transit=transit.reference)
            return
        if result:
            self._answers.append(_Answer(transit, result, may_be_known))
            # While one commit is under way others gather for the next: all want the bank's one account here.
            async with self._pen:
                answers, self._answers = self._answers, []
                await self._write_down(answers)

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

    async def _write_down(self, answers: Sequence[_Answer]) -> None:
        """All in one transaction; each in its own when one of them is not as it should be."""
        try:
            await self._write(answers)
        except Unavailable as error:
            log.warning("bank_answers_not_written", bank=self.bank, count=len(answers), why=str(error))
        except Exception:
            if len(answers) == 1:
                log.exception("transit_failed", transit=answers[0].transit.reference)
            else:
                for answer in answers:
                    await self._write_down([answer])

    async def _write(self, answers: Sequence[_Answer]) -> None:
        if not answers:
            return
        given = {answer.transit.id: answer for answer in answers}

        async def work(tx: Tx) -> list[tuple[Transit, Transit]]:
            now = self._clock.now()
            current = await sql.lock(tx, [(answer.transit.id, answer.transit.tries) for answer in answers])
            return await service.write_down(tx, [(each, given[each.id].after(each, now)) for each in current], now)

        for before, after in await self._db.run(work):
            if after.is_final and not before.is_final:
                service.count(after)
            if after.parked_id:
                log.error("bank_settled_what_was_reversed", transit=after.reference, bank=self.bank)


class _Answer(NamedTuple):
    """What a bank said of a transit that was taken up; whether it might have known it before."""

    transit: Transit
    result: Result
    may_be_known: bool

    def after(self, current: Transit, now: datetime) -> Transit:
        """Where the transit stands with it."""
        if current.status is Status.reversed:
            return model.after_all(current, self.result, now)
        return (model.after_enquiring if self.may_be_known else model.after_sending)(current, self.result, now)


def lanes(db: Database, banks: Iterable[Connector], *, clock: Clock, settings: Settings) -> list[Lane]:
    """One lane to each bank, so that none waits for another."""
    return [Lane(db, bank, clock=clock, call_s=settings.bank_call_s) for bank in banks]
