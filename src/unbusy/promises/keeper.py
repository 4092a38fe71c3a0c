"""Whoever drains a queue keeps its promises: writes what became of them, and says how the queue fares.

What was seen since the last word is kept in memory and told once a second, so that the one row of a
queue is written once a second and not with every batch. What a worker that dies had not told yet is
not learnt from; no promise and no outcome depends on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from unbusy import telemetry
from unbusy.clock import Clock
from unbusy.db import Tx
from unbusy.promises import model, sql
from unbusy.promises.model import Ended, Measured, Overdue, Promise, Queue, Terms

# From how many on a batch shows how fast the queue is drained: below, most of its time goes to what
# every batch costs.
_LARGE = 50
# Overdue promises that one look revises.
_MOST_REVISED = 500
# Words of a queue whose worker does not get through with its batches are no sign of life.
_STALLED_S = 3.0


class Keeper:
    """Keeps the promises of one queue, for one worker."""

    def __init__(self, name: str, *, clock: Clock, terms: Terms) -> None:
        self._name = name
        self._clock = clock
        self._terms = terms
        self._seen = _Seen()
        self._looked_at = float("-inf")
        self._told_at: datetime | None = None
        self._settled_by_all = 0

    async def settle(self, tx: Tx, ended: Sequence[tuple[UUID, bool]], busy_s: float) -> None:
        """Write what became of a batch: payment, and whether it was missed altogether. In the same
        transaction as the payments, as its last step: it locks the hour that everybody counts in."""
        self._looked_at = self._clock.monotonic()
        if not ended:
            return
        now = self._clock.now()
        promises = await sql.end(tx, ended, now)
        if not promises:
            return
        tally = model.tally(promises)
        await sql.count(tx, self._name, _hour(now), tally)
        self._seen.add(promises, busy_s)
        telemetry.count_promises(
            self._name,
            kept=tally.kept,
            broken=tally.broken,
            likely_kept=tally.likely_kept,
            likely_missed=tally.likely_missed,
            sharpness=[ratio for promise in promises if (ratio := promise.sharpness) is not None],
        )

    async def tell(self, tx: Tx, now: datetime) -> list[tuple[UUID, Promise]]:
        """Say how the queue fares, and revise what is overdue; gives the promises whose `finish_by` moved.

        Says nothing while no batch gets through: silence is what pauses the promises.
        """
        if self._clock.monotonic() - self._looked_at > _STALLED_S:
            telemetry.PROMISES_PAUSED.labels(self._name).set(1)
            return []
        queue = await sql.lock_queue(tx, self._name) or Queue(drain_per_s=self._terms.floor_per_s)
        late = await sql.take_overdue(tx, self._name, now, _MOST_REVISED)
        seen, self._seen = self._seen, _Seen()
        settled_by_all = await self._settled_together(tx, now)
        lessons = seen.lessons + [_missed(each, now) for each in late if not each.was_overdue]
        queue = model.learned(queue, seen.measured(settled_by_all), lessons, now)
        revised = [(each, model.revised(queue, each, now, self._terms)) for each in late]
        if revised:
            await sql.revise(tx, [(each.payment_id, promise) for each, promise in revised], now)
        backlog = await sql.tell(tx, self._name, queue, self._terms.most + 1)
        telemetry.show_queue(self._name, backlog=backlog, drain_per_s=queue.drain_per_s, is_paused=False)
        return [(each.payment_id, promise) for each, promise in revised if promise.finish_by != each.finish_by]

    async def _settled_together(self, tx: Tx, now: datetime) -> float:
        """Payments a second that all workers together have settled since the last word."""
        since, self._told_at = self._told_at, now
        before, self._settled_by_all = (
            self._settled_by_all,
            await sql.settled_since(tx, self._name, _hour(now) - timedelta(hours=1)),
        )
        passed_s = (now - since).total_seconds() if since else 0.0
        # Less than before: an hour has passed out of what is counted.
        return max(0, self._settled_by_all - before) / passed_s if passed_s > 0 and since else 0.0


class _Seen:
    """What there is to tell."""

    def __init__(self) -> None:
        self.lessons: list[tuple[float, float, bool]] = []
        self._batches: list[tuple[int, float]] = []
        self._rests: list[float] = []

    def add(self, promises: Sequence[Ended], busy_s: float) -> None:
        self.lessons += [lesson for promise in promises if (lesson := promise.lesson)]
        self._batches.append((len(promises), busy_s))
        self._rests += [promise.took_s for promise in promises if promise.expected_at and promise.ahead == 0]

    def measured(self, together_per_s: float) -> Measured:
        large = [batch for batch in self._batches if batch[0] >= _LARGE]
        settled, busy_s = sum(batch[0] for batch in large), sum(batch[1] for batch in large)
        # Others drain the same queue: then it is drained faster than this worker drains it.
        faster = max(1.0, together_per_s * busy_s / settled) if settled else 1.0
        return Measured(
            settled=sum(batch[0] for batch in self._batches),
            busy_s=sum(batch[1] for batch in self._batches),
            settled_large=round(settled * faster),
            busy_large_s=busy_s,
            rests=len(self._rests),
            rested_s=sum(self._rests),
        )


def _missed(late: Overdue, now: datetime) -> tuple[float, float, bool]:
    """What an overdue promise teaches at once: it takes at least as long as it has taken."""
    return (late.expected_at - late.made_at).total_seconds(), (now - late.made_at).total_seconds(), True


def _hour(now: datetime) -> datetime:
    return now.replace(minute=0, second=0, microsecond=0)
