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
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import structlog

from unbusy.banks import Connector, Direction, Operation, Pace, Result, State, Watch
from unbusy.clock import Clock
from unbusy.db import Database, Tx
from unbusy.errors import Unavailable
from unbusy.settings import Settings
from unbusy.transits import model, service, sql
from unbusy.transits.model import Status, Transit
from unbusy.transits.together import Together

log = structlog.get_logger(__name__)

# Transits at one bank at once. A bank that hangs ties up these and no others; one that answers each of
# the two calls of a payment in 50 ms could get 320 a second. What has its answer, and waits to be written down,
# is not at the bank any more.
_MOST_CALLS = 32
# From one round to the next while there is something to do: what is at the bank takes longer by far.
_ROUND_S = 0.02
# From the end of the longest call until somebody else may take the row up: time to write the answer down.
_WRITE_S = 2.0
# Answers of one transaction.
_MOST_WRITTEN = 200

_SENDING = {Direction.pull: Operation.send_pull, Direction.push: Operation.send_push}
_UNTOLD = Result(State.declined, "unavailable")


class _Turn(NamedTuple):
    """A transit that was taken up, and in how many seconds the bank may be called about it.

    `is_given_up`: the bank is down, and it has waited long enough.
    """

    transit: Transit
    may_be_known: bool
    wait_s: float = 0.0
    is_given_up: bool = False


class Lane:
    """The way to one bank and back, for one worker. A call takes `call_s` seconds at most, and all workers
    together make no more than `calls_per_s`.

    What is new waits while the bank is down, and is declined when it has waited too long.
    """

    def __init__(
        self, db: Database, bank: Connector, *, clock: Clock, call_s: float, calls_per_s: float | None = None
    ) -> None:
        self._db = db
        self._bank = bank
        self._clock = clock
        self._pace = Pace(bank.bank, calls_per_s)
        self._watch = Watch(db, bank, self._pace, clock=clock, call_s=call_s, most=_MOST_CALLS)
        self._lease = timedelta(seconds=call_s + self._pace.longest_wait_s + _WRITE_S)
        self._under_way: set[asyncio.Task[None]] = set()
        self._at_bank = 0
        # While one commit is under way others gather for the next: all want the bank's one account here.
        self._written = Together(self._write, most=_MOST_WRITTEN)

    @property
    def bank(self) -> str:
        """The bank's id."""
        return self._bank.bank

    async def make_a_round(self, now: datetime) -> int:
        """Go on, then wait a moment for more while there is any: what is taken up together shares a commit.
        Gives how many are at the bank or on their way back."""
        await self.go_on(now)
        if self._under_way:
            await asyncio.sleep(_ROUND_S)
        return len(self._under_way)

    async def go_on(self, now: datetime) -> int:
        """Begin the calls that are due, as many as there is room for; wait for room first. Gives how many."""
        while self._at_bank >= _MOST_CALLS:
            await asyncio.wait(self._under_way, return_when=asyncio.FIRST_COMPLETED)
        turns = await self._db.run(lambda tx: self._take(tx, now))
        for turn in turns:
            self._at_bank += 1
            call = asyncio.create_task(self._advance(turn))
            self._under_way.add(call)
            call.add_done_callback(self._under_way.discard)
        return len(turns)

    async def look_after(self, now: datetime) -> int:
        """See how the bank fares, and tell. Gives 0: it never pays to do it again at once."""
        await self._watch.look(now)
        return 0

    async def finish(self) -> None:
        """Wait for the calls that are under way."""
        await asyncio.gather(*self._under_way, self._watch.finish())

    async def _take(self, tx: Tx, now: datetime) -> list[_Turn]:
        """What may be called about now, and what has waited too long for that."""
        room, until = _MOST_CALLS - self._at_bank, now + self._lease
        turns = await self._give_up(tx, now, room)
        times = await self._pace.times(tx, now, room - len(turns))
        called: list[tuple[Transit, bool]] = []
        for operations, most in self._open():
            limit = min(most, len(times) - len(called))
            called += await sql.take(tx, self.bank, operations, now, until, limit) if limit > 0 else []
        await self._pace.spend(tx, now, times[: len(called)])
        return turns + [_Turn(*each, wait_s) for each, wait_s in zip(called, times, strict=False)]

    async def _give_up(self, tx: Tx, now: datetime, room: int) -> list[_Turn]:
        closed = [operation for operation in _SENDING.values() if self._watch.is_closed(operation)]
        if not closed:
            return []
        oldest = now - model.PATIENCE
        taken = await sql.take(tx, self.bank, closed, now, now + self._lease, room, made_before=oldest)
        return [_Turn(*each, is_given_up=True) for each in taken]

    def _open(self) -> list[tuple[list[Operation], int]]:
        """Which operations may go on, and with how many calls. Those that are held back stand first, for they
        are few; those that are well are one, for what is longest due comes first."""
        held_back = [operation for operation in Operation if not self._watch.is_open(operation)]
        well = [operation for operation in Operation if operation not in held_back]
        return [*(([each], self._watch.room(each)) for each in held_back), (well, _MOST_CALLS)]

    async def _advance(self, turn: _Turn) -> None:
        try:
            try:
                result = _UNTOLD if turn.is_given_up else await self._call(turn)
            finally:
                self._at_bank -= 1
            if result:
                await self._written.join(_Answer(turn.transit, result, turn.may_be_known))
        except Unavailable as error:
            log.warning("bank_answer_not_written", bank=self.bank, why=str(error))
        except Exception:
            # Whatever it is: the row is due again, and the others go on.
            log.exception("transit_failed", transit=turn.transit.reference)

    async def _call(self, turn: _Turn) -> Result | None:
        """What the bank says. None when this process stood still until the row may be somebody else's."""
        transit = turn.transit
        assert transit.due_at is not None
        await asyncio.sleep(turn.wait_s)
        if self._clock.now() >= transit.due_at:
            return None
        if turn.may_be_known:
            asked = self._bank.enquire(transit.reference, transit.direction)
            return await self._watch.call(Operation.enquire, asked)
        return await self._watch.call(_SENDING[transit.direction], self._bank.send(transit.instruction))

    async def _write(self, answers: Sequence[_Answer]) -> Sequence[None]:
        """All in one transaction."""
        # One that was taken up twice may have two answers here, of which only that of the last try counts.
        given = {(answer.transit.id, answer.transit.tries): answer for answer in answers}

        async def work(tx: Tx) -> list[tuple[Transit, Transit]]:
            now = self._clock.now()
            current = await sql.lock(tx, list(given))
            steps = [(each, given[each.id, each.tries].after(each, now)) for each in current]
            return await service.write_down(tx, steps, now)

        for before, after in await self._db.run(work):
            if after.is_final and not before.is_final:
                service.count(after)
            if after.parked_id:
                log.error("bank_settled_what_was_reversed", transit=after.reference, bank=self.bank)
        return [None] * len(answers)


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


def lanes(
    db: Database, banks: Iterable[Connector], limits: Mapping[str, float], *, clock: Clock, settings: Settings
) -> list[Lane]:
    """One lane to each bank, so that none waits for another. `limits` are calls a second, by the bank's id."""
    call_s = settings.bank_call_s
    return [Lane(db, bank, clock=clock, call_s=call_s, calls_per_s=limits.get(bank.bank)) for bank in banks]
