"""What one worker knows of a bank's health, from the calls it makes, and tells everybody.

When nobody has called for a while the bank is asked about a reference that was never sent: that moves no
money, whatever becomes of it, and tells that the bank is there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from datetime import datetime, timedelta

import structlog

from unbusy import telemetry
from unbusy.banks import sql
from unbusy.banks.health import Condition, Health, Operation, Outcome
from unbusy.banks.pace import Pace
from unbusy.banks.port import Connector, Direction, Result, State
from unbusy.banks.sql import Told
from unbusy.clock import Clock
from unbusy.db import Database

log = structlog.get_logger(__name__)

# Never sent. The bank learns once that it never will be.
NEVER_SENT = "unbusy-never-sent"
# Seconds between two such questions: five of them are in the window by which a bank is judged.
_ASK_EVERY_S = 2.0
# A bank that wants to be left alone is, for so long: an end of its trouble must show within thirty seconds.
_LONGEST_REST_S = 10.0
# Hanging questions say no more when there are many of them.
_MOST_QUESTIONS = 4
# A better view than another worker's is told when that one has been silent for so long.
_STALE_S = 3.0

_LEVELS = {condition: level for level, condition in enumerate(Condition)}


class Watch:
    """Watches one bank for one worker. A call takes `call_s` seconds at most; `most` of them go on at once."""

    def __init__(self, db: Database, bank: Connector, pace: Pace, *, clock: Clock, call_s: float, most: int) -> None:
        self._db = db
        self._bank = bank
        self._pace = pace
        self._clock = clock
        self._call_s = call_s
        self._health = Health(most)
        self._asked_at = -_ASK_EVERY_S
        self._rests_until = 0.0
        self._questions: set[asyncio.Task[None]] = set()

    def room(self, operation: Operation) -> int:
        """How many more calls of an operation may begin now."""
        return self._health.room(operation, self._clock.monotonic())

    def is_open(self, operation: Operation) -> bool:
        """Whether nothing is held back of it."""
        return self._health.is_open(operation, self._clock.monotonic())

    def is_closed(self, operation: Operation) -> bool:
        """Whether all is held back of it, because the bank is down."""
        return self._health.is_closed(operation, self._clock.monotonic())

    async def call(self, operation: Operation, answer: Awaitable[Result]) -> Result:
        """What the bank answers, `unknown` when it takes too long."""
        begun = self._health.begin(operation, self._clock.monotonic())
        outcome = Outcome.failed
        try:
            async with asyncio.timeout(self._call_s):
                result = await answer
            outcome = _outcome(operation, result)
            self._rest(result)
            return result
        except TimeoutError:
            return Result(State.unknown)
        finally:
            now = self._clock.monotonic()
            self._health.end(begun, now, outcome)
            if operation is Operation.enquire:
                self._asked_at = max(self._asked_at, begun.began)
            telemetry.count_bank_call(self._bank.bank, operation, outcome, now - begun.began)

    async def look(self, now: datetime) -> None:
        """Ask the bank something when nobody has for a while, and tell how it fares."""
        moment = self._clock.monotonic()
        is_due = moment >= max(self._asked_at + _ASK_EVERY_S, self._rests_until)
        if is_due and len(self._questions) < _MOST_QUESTIONS and (times := await self._claim(now)):
            self._asked_at = moment
            question = asyncio.create_task(self._ask(times[0]))
            self._questions.add(question)
            question.add_done_callback(self._questions.discard)
        await self._tell(now)

    async def finish(self) -> None:
        """Wait for the questions that are under way."""
        await asyncio.gather(*self._questions)

    def _rest(self, result: Result) -> None:
        if result.retry_after:
            self._rests_until = self._clock.monotonic() + min(result.retry_after, _LONGEST_REST_S)

    async def _claim(self, now: datetime) -> Sequence[float]:
        """In how many seconds the bank may be asked; nothing when its limit leaves no room."""
        async with self._db.transaction() as tx:
            times = await self._pace.times(tx, now, 1)
            await self._pace.spend(tx, now, times)
        return times

    async def _ask(self, wait_s: float) -> None:
        await asyncio.sleep(wait_s)
        await self.call(Operation.enquire, self._bank.enquire(NEVER_SENT, Direction.push))

    async def _tell(self, now: datetime) -> None:
        told = [self._told(operation, now) for operation in Operation]
        for each in told:
            telemetry.BANK_STATE.labels(each.bank, each.operation).set(_LEVELS[each.condition])
        stale_before = now - timedelta(seconds=_STALE_S)
        for operation, before, after in await self._db.run(lambda tx: sql.tell(tx, told, stale_before)):
            details = {"bank": self._bank.bank, "operation": operation, "before": before, "after": after}
            if after is not Condition.operational:
                log.warning("bank.degraded", **details)
            elif before:
                log.info("bank.recovered", **details)

    def _told(self, operation: Operation, now: datetime) -> Told:
        moment = self._clock.monotonic()
        pulse = self._health.pulse(operation, moment)
        last_good = None if pulse.last_good is None else now - timedelta(seconds=moment - pulse.last_good)
        p50_ms = None if pulse.p50_s is None else round(pulse.p50_s * 1_000)
        return Told(self._bank.bank, operation, pulse.condition, now, p50_ms, last_good, now)


def _outcome(operation: Operation, result: Result) -> Outcome:
    if result.state is State.unknown or result.reason == "unavailable":
        return Outcome.maintenance if result.is_maintenance else Outcome.failed
    if result.state is State.declined and operation is not Operation.enquire:
        return Outcome.declined
    return Outcome.good  # an enquiry that was answered, whatever the answer
