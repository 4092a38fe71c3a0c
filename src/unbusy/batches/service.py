"""The verbs of a batch: take a file, tell what became of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from unbusy import payments
from unbusy.api import Principal
from unbusy.batches import sql
from unbusy.batches.model import Bad, Batch, Good, Reported, Upload
from unbusy.clock import Clock, Deadline
from unbusy.db import Database, Tx
from unbusy.errors import Invalid, InvalidRows, KeyReused, NotFound
from unbusy.ids import Ids
from unbusy.payments import Order, Payment, Payments, Status
from unbusy.people import People
from unbusy.reasons import Reason

# Rows between two looks at who else waits for this process.
_PIECE = 1_000


class Standing(NamedTuple):
    """How a batch stands: its payments by status, and by when the last of them is done."""

    statuses: dict[str, int]
    finish_by: datetime | None

    @property
    def is_final(self) -> bool:
        return Status.queued not in self.statuses


class Batches:
    """Batches as one gateway takes them."""

    def __init__(self, db: Database, reads: Database, people: People, pay: Payments, *, clock: Clock, ids: Ids) -> None:
        self._db = db
        self._reads = reads
        self._people = people
        self._payments = pay
        self._clock = clock
        self._ids = ids

    async def take(
        self, payer: Principal, upload: Upload, *, take_good_rows: bool, key: str, deadline: Deadline
    ) -> tuple[Batch, bool]:
        """Queue every payment of a file; gives the batch and whether it had been taken before under this key.

        Raises InvalidRows, and takes nothing, when rows are wrong and `take_good_rows` is not set, or
        when no row is good; KeyReused; DeadlineUnreachable when there is no room for all of them.
        """
        print_ = await asyncio.to_thread(upload.fingerprint, take_good_rows=take_good_rows)
        async with self._db.connection(deadline) as connection:
            known = await sql.batch_of_key(connection, payer.person_id, key)
        if known:
            return _replay(known, print_), True
        good, bad = await self._look_up(payer, upload)
        _refuse_bad(bad, are_others_taken=take_good_rows and bool(good))
        orders = await self._orders(payer, good)

        async def work(tx: Tx) -> tuple[Batch, bool, list[Payment]]:
            if known := await sql.batch_of_key(tx, payer.person_id, key):
                return _replay(known, print_), True, []
            taken = await self._taken(tx, payer, orders, bad, take_good_rows=take_good_rows)
            batch = self._batch(payer, taken, key, print_)
            await _store(tx, batch, taken)
            return batch, False, await payments.enqueue(tx, taken.orders, batch.created_at)

        batch, replayed, made = await self._db.run(work, deadline)
        self._payments.tell(made)
        return batch, replayed

    async def find(self, payer: Principal, batch_id: UUID) -> Batch:
        """A batch this person sent. Raises NotFound, also for other people's."""
        async with self._reads.connection() as connection:
            batch = await sql.find_batch(connection, payer.person_id, batch_id)
        if batch is None:
            raise NotFound("there is no such batch")
        return batch

    async def standing(self, batch: Batch) -> Standing:
        """How many of its payments have which status. Reads every row of it."""
        async with self._reads.connection() as connection:
            return Standing(*await sql.count(connection, batch.id))

    def expected_at(self, standing: Standing) -> datetime | None:
        """When all of it is expected to be done, if nobody else is before it; None while the queue stands still."""
        return self._payments.promises.expected_at(standing.statuses.get(Status.queued, 0))

    async def report(self, batch: Batch, after: int, limit: int) -> list[Reported]:
        """Its rows behind a line, in the file's order, at most `limit`."""
        async with self._reads.connection() as connection:
            return await sql.report(connection, batch.id, after, limit)

    async def _look_up(self, payer: Principal, upload: Upload) -> tuple[list[tuple[Good, UUID]], list[Bad]]:
        """The rows whose payee and asset there are, each with its payee, and all that are wrong by now."""
        names = {good.row.payee for good in upload.good}
        found = await self._people.resolve([(payer.tenant_id, name) for name in names])
        payees = {name: payee.person_id for (_, name), payee in found.items()}
        unknown = {asset for asset in {good.row.asset for good in upload.good} if not await self._is_asset(asset)}
        known: list[tuple[Good, UUID]] = []
        bad = list(upload.bad)
        for good in upload.good:
            payee_id = payees.get(good.row.payee)
            if payee_id is None:
                bad.append(_bad(good, Reason.not_found, "payee", "there is nobody by this handle or id"))
            elif payee_id == payer.person_id:
                bad.append(_bad(good, Reason.invalid, "payee", "this is you: nobody pays oneself"))
            elif good.row.asset in unknown:
                bad.append(_bad(good, Reason.invalid, "asset", f"there is no asset {good.row.asset}"))
            else:
                known.append((good, payee_id))
        return known, bad

    async def _is_asset(self, asset: str) -> bool:
        try:
            await self._payments.scale(asset)
        except Invalid:
            return False
        return True

    async def _orders(self, payer: Principal, good: Sequence[tuple[Good, UUID]]) -> list[tuple[Good, Order]]:
        """The rows as orders, with a promise each. Raises DeadlineUnreachable."""
        made = await self._payments.promises.make(len(good))
        orders: list[tuple[Good, Order]] = []
        for (each, payee_id), promise in zip(good, made, strict=True):
            if len(orders) % _PIECE == _PIECE - 1:
                await asyncio.sleep(0)
            order = Order(
                id=self._ids.new(),
                tenant_id=payer.tenant_id,
                payer_id=payer.person_id,
                payee_id=payee_id,
                amount=each.row.amount,
                asset=each.row.asset,
                note=each.row.note,
                key=each.row.key,
                fingerprint=each.row.fingerprint(),
                promise=promise,
            )
            orders.append((each, order))
        return orders

    async def _taken(
        self,
        tx: Tx,
        payer: Principal,
        orders: Sequence[tuple[Good, Order]],
        bad: Sequence[Bad],
        *,
        take_good_rows: bool,
    ) -> _Taken:
        """What is new among the orders, what was made before under its key, and whose key was used otherwise."""
        earlier = await payments.earlier(tx, payer.person_id, [order.key for _, order in orders])
        taken = _Taken([], [], list(bad), [])
        for good, order in orders:
            before = earlier.get(order.key)
            if before and before.fingerprint != order.fingerprint:
                detail = "this idempotency key stands for another request"
                taken.bad.append(_bad(good, Reason.key_reused, "key", detail))
                continue
            taken.rows.append((good.line, order.key, before.id if before else order.id))
            if before is None:
                taken.orders.append(order)
            if finish_by := before.finish_by if before else order.finish_by:
                taken.ends.append(finish_by)
        _refuse_bad(taken.bad, are_others_taken=take_good_rows and bool(taken.rows))
        return taken

    def _batch(self, payer: Principal, taken: _Taken, key: str, print_: bytes) -> Batch:
        return Batch(
            id=self._ids.new(),
            tenant_id=payer.tenant_id,
            payer_id=payer.person_id,
            key=key,
            fingerprint=print_,
            accepted=len(taken.rows),
            refused=len(taken.bad),
            finish_by=max(taken.ends, default=None),
            created_at=self._clock.now(),
        )


class _Taken(NamedTuple):
    """What of a file is taken: new orders; line, key and payment of every row; what is not, and why."""

    orders: list[Order]
    rows: list[tuple[int, str, UUID]]
    bad: list[Bad]
    ends: list[datetime]


async def _store(tx: Tx, batch: Batch, taken: _Taken) -> None:
    await sql.store(tx, batch)
    for begin in range(0, len(taken.rows), _PIECE):
        await sql.store_taken(tx, batch, taken.rows[begin : begin + _PIECE])
    if taken.bad:
        await sql.store_refused(tx, batch, taken.bad)


def _replay(known: Batch, print_: bytes) -> Batch:
    if known.fingerprint != print_:
        raise KeyReused("this idempotency key stands for another request", field="Idempotency-Key")
    return known


def _refuse_bad(bad: Sequence[Bad], *, are_others_taken: bool) -> None:
    if bad and not are_others_taken:
        ordered = sorted(bad, key=lambda each: each.line)
        raise InvalidRows(
            f"{len(bad)} of the rows cannot be taken, so nothing was", [(each.where, each.detail) for each in ordered]
        )


def _bad(good: Good, reason: Reason, field: str, detail: str) -> Bad:
    return Bad(good.line, good.row.key, reason, field, detail)
