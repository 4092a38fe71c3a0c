"""Making promises, looking them up, and telling how many were kept, as one gateway does it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

import msgspec

from unbusy.clock import Clock
from unbusy.db import Database, Row
from unbusy.errors import DeadlineUnreachable
from unbusy.promises import model, sql
from unbusy.promises.model import Backlog, Hour, Promise, Queue, Terms
from unbusy.settings import Settings

# How long what was read of the queue is good for. Between, those who come are added.
_GOOD_FOR_S = 1.0
_HOURS = 24
# What it takes to record one of many, before which none of them is drained: 8,000 take half a second.
_RECORD_S = 0.000_06
# Places that are counted exactly. Counting all of a long queue for everybody in it would cost more than
# draining it; who is further back wants to know about how far.
_COUNTED = 500
# Answers that are still being drawn. More than ever are at once.
_MOST_FRESH = 10_000


class Standing(NamedTuple):
    """How a queued payment stands: place 1 is next, and beyond some hundred it is an estimate. While the queue
    is paused there are no times but since when."""

    place: int
    expected_at: datetime | None
    likely_by: datetime | None
    revised_at: datetime | None
    paused_since: datetime | None


class Kept(msgspec.Struct, frozen=True):
    """What the world is told: every class's last hours, newest first, and whether its queue stands still."""

    as_of: datetime
    hours: Sequence[Hour]
    is_paused: bool


class Promises:
    """The promises of one queue."""

    def __init__(self, db: Database, reads: Database, name: str, *, clock: Clock, settings: Settings) -> None:
        self._db = db
        self._reads = reads
        self._name = name
        self._clock = clock
        self.terms = terms(settings)
        self._queue = Queue(drain_per_s=self.terms.floor_per_s)
        self._began_at = clock.now()
        self._backlog: Backlog | None = None
        self._looked_at = float("-inf")
        self._fresh: dict[UUID, Promise] = {}
        self._kept: Kept | None = None

    async def make(self, many: int = 1) -> list[Promise]:
        """Promises for `many` who queue now, in their order.

        Raises DeadlineUnreachable, and makes none, when more is queued than is drained within the
        longest promise even at the slowest.
        """
        backlog = await self._look()
        if backlog.most + many > self.terms.most:
            room_s = self.terms.most / 10 / self._queue.drain_per_s
            raise DeadlineUnreachable("more is queued than can be promised", retry_after=max(1.0, room_s))
        now, most = self._clock.now(), backlog.most
        ahead = backlog.join(self._queue, now, many)
        recorded_in_s = (many - 1) * _RECORD_S
        return [
            model.promise(self._queue, ahead + i, most + i, now, self.terms, recorded_in_s=recorded_in_s)
            for i in range(many)
        ]

    def keep_fresh(self, payment_id: UUID, promise: Promise) -> None:
        """Remember a promise for the answer that tells of it."""
        if len(self._fresh) >= _MOST_FRESH:
            self._fresh.clear()
        self._fresh[payment_id] = promise

    def fresh_standing(self, payment_id: UUID) -> Standing | None:
        """How a payment stands that was queued this moment, without asking the database; told once."""
        if (promise := self._fresh.pop(payment_id, None)) is None:
            return None
        return self._standing(promise.ahead + 1, promise.expected_at, promise.likely_by, None)

    async def standings(self, payment_ids: Sequence[UUID]) -> dict[UUID, Standing]:
        """How these queued payments stand now; those whose promise has ended meanwhile stand next."""
        await self._look()
        async with self._reads.connection() as connection:
            rows = await sql.standings(connection, self._name, payment_ids, _COUNTED)
        return {row["payment_id"]: self._stands(row) for row in rows}

    def expected_at(self, many: int) -> datetime | None:
        """When so many are expected to be drained from now on; None while the queue is paused."""
        now = self._clock.now()
        return None if self._queue.is_paused_at(now) else now + timedelta(seconds=self._queue.expected_s(many))

    async def kept(self) -> Kept:
        """What became of promises in the last day; read once a second at most."""
        now = self._clock.now()
        if self._kept is None or not 0 <= (now - self._kept.as_of).total_seconds() < _GOOD_FOR_S:
            await self._look()
            since = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=_HOURS - 1)
            async with self._reads.connection() as connection:
                hours = await sql.hours(connection, since)
            self._kept = Kept(now, hours, self._queue.is_paused_at(now))
        return self._kept

    async def _look(self) -> Backlog:
        """What is before a newcomer, read anew once a second."""
        moment = self._clock.monotonic()
        if self._backlog is None or moment - self._looked_at > _GOOD_FOR_S:
            # Taken at once, so that one caller reads and the others go on with what there is.
            self._looked_at = moment
            async with self._db.connection() as connection:
                queue, counted = await sql.look(connection, self._name, self.terms.most + 1)
            self._queue = queue or self._queue
            self._backlog = Backlog(counted, self._clock.now())
        return self._backlog

    def _stands(self, row: Row) -> Standing:
        place: int = row["place"] or (1 if row["ended_at"] else self._far_back(row["ahead"], row["made_at"]))
        return self._standing(place, row["expected_at"], row["likely_by"], row["revised_at"])

    def _far_back(self, ahead: int, made_at: datetime) -> int:
        """The place of one that is not among those who are counted: where it began, less who was drained since."""
        now = self._clock.now()
        drained = 0.0 if self._queue.is_paused_at(now) else self._queue.drain_per_s * (now - made_at).total_seconds()
        return max(_COUNTED + 1, round(ahead - drained) + 1)

    def _standing(
        self, place: int, expected_at: datetime | None, likely_by: datetime | None, revised_at: datetime | None
    ) -> Standing:
        now = self._clock.now()
        if self._queue.is_paused_at(now):
            return Standing(place, None, None, revised_at, self._queue.heard_at or self._began_at)
        return Standing(place, expected_at, likely_by, revised_at, None)


def terms(settings: Settings) -> Terms:
    """What the operator lets us promise."""
    return Terms(settings.queue_promise_s, settings.queue_drain_floor)
