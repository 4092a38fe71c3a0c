"""The verbs of a transit: begin, look, wait; and what the worker writes down when a bank has answered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from msgspec.structs import replace

from unbusy import ledger, money, payments, telemetry
from unbusy.api import Hub, Principal
from unbusy.banks import Direction, Result, State
from unbusy.clock import Clock, Deadline
from unbusy.db import Connection, Database, Tx
from unbusy.errors import Invalid, LedgerUnavailable, NotFound, RequestError
from unbusy.ids import Ids
from unbusy.ledger import Outcome, Refused
from unbusy.settings import Settings
from unbusy.transits import model, sql
from unbusy.transits.model import Order, Status, Transit
from unbusy.transits.recording import Answer, Recorder
from unbusy.transits.together import Together

# Transits of one transaction: their wallets are locked meanwhile, for some ten milliseconds.
_MOST_AT_ONCE = 200


class Transits:
    """Top-ups and payouts as one gateway begins and shows them."""

    def __init__(
        self,
        db: Database,
        reads: Database,
        hub: Hub,
        *,
        clock: Clock,
        ids: Ids,
        settings: Settings,
        moved: Callable[[Iterable[UUID]], None],
    ) -> None:
        """`moved` is told, after each commit and before each answer, in whose wallet something was held."""
        self._db = db
        self._reads = reads
        self._hub = hub
        self._clock = clock
        self._ids = ids
        self._moved = moved
        self._recorder = Recorder(ids=ids, settings=settings)
        self._recording = Together(self._record, most=_MOST_AT_ONCE)

    async def begin(
        self,
        person: Principal,
        direction: Direction,
        bank_account_id: UUID,
        amount: int,
        asset: str,
        *,
        key: str,
        fingerprint: bytes,
        deadline: Deadline,
    ) -> tuple[Transit, bool]:
        """Record `amount` minor units as on their way from a linked bank account, or to it, and hold them.

        Gives the transit and whether it had been begun before under this key. It is declined, as a
        value, when it is over a limit or the wallet cannot hold it. Raises NotFound for an account that is not linked,
        Invalid for an asset that no bank moves, KeyReused, and LedgerUnavailable when it may have been begun all
        the same: then only the same key is safe.
        """
        if asset not in money.iso_scales():
            raise Invalid(f"banks do not move {asset}", field="asset")
        order = Order(self._ids.new(), person.person_id, direction, bank_account_id, amount, asset, key, fingerprint)
        try:
            async with asyncio.timeout(deadline.remaining()):
                answer = await self._recording.join(order)
        except TimeoutError:
            raise LedgerUnavailable(
                "the books did not answer in time; ask again with the same key", retry_after=2
            ) from None
        finally:  # what failed may have been committed all the same
            self._moved((person.person_id,))
        if isinstance(answer, RequestError):
            raise answer
        transit, replayed = answer
        if not replayed:
            count(transit)
        return transit, replayed

    async def find(self, person: Principal, direction: Direction, id: UUID) -> Transit:
        """One of the person's own. Raises NotFound."""
        async with self._reads.connection() as connection:
            transit = await sql.find(connection, person.person_id, direction, id)
        if transit is None:
            raise NotFound(f"there is no such {model.NAMES[direction]}")
        return transit

    async def list(self, person: Principal, direction: Direction, before: UUID | None, limit: int) -> list[Transit]:
        """The person's top-ups or payouts, newest first, at most `limit`, older than `before`."""
        async with self._reads.connection() as connection:
            return await sql.list_transits(connection, person.person_id, direction, before, limit)

    async def wait(self, person: Principal, direction: Direction, id: UUID, seconds: float) -> Transit:
        """The transit once it is final, or as it is when that takes longer than `seconds`."""
        transit = await self.find(person, direction, id)
        if seconds <= 0 or transit.is_final:
            return transit
        give_up_at = self._clock.monotonic() + seconds
        with self._hub.subscribe(person.person_id) as news:
            while not transit.is_final and not news.is_closed:
                if not await news.wait(give_up_at - self._clock.monotonic()):
                    break
                transit = await self.find(person, direction, id)
        if transit.is_final:
            self._moved((person.person_id,))
        return transit

    async def told_of(self, connection: Connection, person: Principal, ids: Sequence[UUID]) -> list[Transit]:
        """What events of the person are about. What they then see in their wallet is read anew."""
        self._moved((person.person_id,))
        return await sql.find_all(connection, person.person_id, ids)

    async def _record(self, orders: Sequence[Order]) -> list[Answer]:
        return await self._db.run(lambda tx: self._recorder.record(tx, orders, self._clock.now()))


async def write_down(tx: Tx, steps: Sequence[tuple[Transit, Transit]], now: datetime) -> list[tuple[Transit, Transit]]:
    """Write where transits stand now, and do in the ledger what follows from it: each as it was and as it is to
    be. Gives how each was and stands then."""
    ended = [after for before, after in steps if after.is_final and not before.is_final]
    outcomes = await ledger.post(tx, [model.end_of_hold(after) for after in ended], now)
    standing = {after.id: _after_hold(after, outcome) for after, outcome in zip(ended, outcomes, strict=True)}
    await _keep(tx, standing, outcomes, now)
    await _park(tx, [after for _, after in steps if after.parked_id], now)
    written = [(before, standing.get(after.id, after)) for before, after in steps]
    await sql.update(tx, [after for _, after in written])
    await payments.tell(
        tx, [told for before, after in written if after.status is not before.status for told in after.events]
    )
    return written


async def _keep(tx: Tx, standing: Mapping[UUID, Transit], outcomes: Sequence[Outcome], now: datetime) -> None:
    """Hold for the payment that waits for it what has come in, before anybody else can spend it."""
    kept = [
        model.kept(after, outcome.credit.account_id, after.amount, model.PULLED)
        for after, outcome in zip(standing.values(), outcomes, strict=True)
        if after.payment_id and after.status is Status.completed and isinstance(outcome, ledger.Posted)
    ]
    for outcome in await ledger.post(tx, kept, now):
        assert not isinstance(outcome, Refused), outcome


async def _park(tx: Tx, settled: Sequence[Transit], now: datetime) -> None:
    for each in settled:
        await ledger.open_accounts(tx, [model.suspense(each.tenant_id, each.asset)])
    for outcome in await ledger.post(tx, [model.parking(each) for each in settled], now):
        assert not isinstance(outcome, Refused), outcome


async def park(tx: Tx, ids: Sequence[UUID], now: datetime) -> None:
    """Follow a bank that shows in its statement what was reversed here; what was parked already stays so."""
    settled = Result(State.settled)
    reversed = await sql.lock_reversed(tx, ids)
    await write_down(tx, [(transit, model.after_all(transit, settled, now)) for transit in reversed], now)


async def give_back(tx: Tx, now: datetime, limit: int) -> int:
    """Undo what is not final and has run out of time, whether or not its bank can be asked; at most `limit`,
    and gives how many."""
    late = await sql.take_late(tx, now + model.LAST_MOMENT, limit)
    for _, after in await write_down(tx, [(transit, model.run_out(transit, now)) for transit in late], now):
        count(after)
    return len(late)


async def read_all(connection: Connection, ids: Sequence[UUID]) -> list[Transit]:
    """These transits, for a room above that began them."""
    return await sql.read_all(connection, ids)


def _after_hold(after: Transit, outcome: Outcome) -> Transit:
    if isinstance(outcome, Refused):
        assert outcome.refusal in _FROZEN, outcome
        return model.waiting_for_the_wallet(after, after.updated_at)
    if after.status is not Status.completed:
        return after
    wallet = outcome.credit if after.direction is Direction.pull else outcome.debit
    return replace(after, balance_after=wallet.balance)


# A wallet cannot be closed while something is held for it, and what is held can always be given back.
_FROZEN = {ledger.Refusal.debit_account_frozen, ledger.Refusal.credit_account_frozen}


def count(transit: Transit) -> None:
    """Count a transit that was begun, or has come to its end."""
    telemetry.count_payments([(f"{model.NAMES[transit.direction]}_{transit.status}", transit.reason)])
