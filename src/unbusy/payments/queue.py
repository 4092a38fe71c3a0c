"""The durable queue: payments that were recorded, and are settled when their turn comes.

    enqueue ─▶ [ queued, oldest first ] ─▶ settle ─▶ completed | declined
                                              └────▶ expired, when finish_by has passed

To queue a payment spends nothing, so its payer is not locked: a merchant's batch of thousands does
not keep that merchant's other payments waiting. Limits and funds are looked at when its turn comes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from unbusy import promises
from unbusy.clock import Clock
from unbusy.db import Tx
from unbusy.payments import model, sql
from unbusy.payments.model import Order, Payment, Status
from unbusy.payments.settlement import Settlement, store_promises
from unbusy.settings import Settings

# Payments of one statement: some ten milliseconds of a gateway's time, in which nobody else gets any.
_PIECE = 500


async def earlier(tx: Tx, payer_id: UUID, keys: Sequence[str]) -> Mapping[str, Payment]:
    """What stands under these idempotency keys of one payer already."""
    found = await sql.payments_of_keys(tx, [(payer_id, key) for key in keys])
    return {key: payment for (_, key), payment in found.items()}


async def waiting(tx: Tx, payment_ids: Sequence[UUID]) -> list[Payment]:
    """Those of these payments that are pending, locked, oldest first."""
    return await sql.lock_pending(tx, payment_ids)


async def enqueue(tx: Tx, orders: Sequence[Order], now: datetime) -> list[Payment]:
    """Record orders whose keys are new, each with its promise; any number of them.

    A key that somebody else takes meanwhile breaks the transaction, which is then done again
    (`Database.run`) and finds the key taken.
    """
    made: list[Payment] = []
    for begin in range(0, len(orders), _PIECE):
        piece = orders[begin : begin + _PIECE]
        queued = [model.payment(order, Status.queued, now) for order in piece]
        await sql.store(tx, queued, [])
        await store_promises(tx, piece)
        made += queued
    return made


class Drain:
    """Settles what is queued, for one worker, and keeps its promises."""

    def __init__(self, settlement: Settlement, *, clock: Clock, settings: Settings) -> None:
        self._settlement = settlement
        self._clock = clock
        self._keeper = promises.Keeper(promises.QUEUED, clock=clock, terms=promises.terms(settings))
        self._was_full_at: float | None = None

    async def settle(self, tx: Tx, now: datetime, limit: int) -> int:
        """Settle the payments that have been queued longest. Gives how many; safe from many workers."""
        # After a full piece the next one follows at once: what lies between them, the commit, is work too.
        began = self._was_full_at or self._clock.monotonic()
        taken = await sql.take_queued(tx, limit)
        done = await self._settlement.settle_queued(tx, taken, now) if taken else []
        ended = self._clock.monotonic()
        self._was_full_at = ended if len(taken) == limit else None
        await self._keeper.settle(tx, [(each.id, each.status is Status.expired) for each in done], ended - began)
        return len(taken)

    async def tell(self, tx: Tx, now: datetime, _limit: int) -> int:
        """Say how the queue fares, and revise the promises that are late. There is never more of it at once."""
        moved = await self._keeper.tell(tx, now)
        if moved:
            await sql.move_finish_by(tx, [(id, promise.finish_by) for id, promise in moved], now)
        return 0
