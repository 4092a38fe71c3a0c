"""Sessions that ended, as every process knows them: within half a second of the commit.

Access tokens are checked without the database, so each process keeps the few sessions that ended
while a token of theirs may still live, and asks for new ones every 0.3 s.

Transactions commit in another order than they begin, and clocks differ; what is asked for is
therefore neither a time nor a number but "what was written by transactions that were still running,
or had not begun, when I last looked". Nothing is missed, and nothing has to be waited for.

While the database is away this process hears of no new revocation, and goes on with what it knows:
it can move no money then, nor show any. The first look after that catches up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from uuid import UUID

import structlog

from unbusy.clock import Clock, Deadline
from unbusy.db import Database
from unbusy.errors import Unavailable
from unbusy.people import sql

log = structlog.get_logger(__name__)

_LOOK_EVERY_S = 0.3
# A look takes a millisecond; one that has not come back after this is given up and begun anew.
_LOOK_TIMEOUT_S = 2
# Twice the longest life that settings allow an access token.
KEPT_S = 7_200


class Revocations:
    """The ended sessions this process knows: `session_id in revocations`."""

    def __init__(self, db: Database, *, clock: Clock) -> None:
        self._db = db
        self._clock = clock
        # When each may be forgotten, on the monotonic clock; the oldest first.
        self._ended: dict[UUID, float] = {}
        self._seen = 0
        self._is_behind = False
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Learn what is known, then go on following."""
        await self._look()
        self._task = asyncio.create_task(self._follow())

    async def stop(self) -> None:
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def __contains__(self, session_id: object) -> bool:
        return session_id in self._ended

    def add(self, session_ids: Iterable[UUID]) -> None:
        """These sessions have ended, and it is committed."""
        forget_at = self._clock.monotonic() + KEPT_S
        for id in session_ids:
            self._ended.setdefault(id, forget_at)

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            await self._look()

    async def _look(self) -> None:
        """Learn what is new. Never fails: tells once that it cannot, and once that it can again."""
        try:
            async with (
                asyncio.timeout(_LOOK_TIMEOUT_S),
                self._db.connection(Deadline(self._clock, _LOOK_TIMEOUT_S)) as connection,
            ):
                ended, self._seen = await sql.revocations_since(connection, self._seen)
        # Following must outlive whatever happens: a process that no longer hears of revocations
        # looks healthy and is not.
        except Exception as error:
            if not self._is_behind:
                is_away = isinstance(error, Unavailable | TimeoutError)
                log.warning("revocations are not heard of", exc_info=None if is_away else error)
            self._is_behind = True
        else:
            self.add(ended)
            self._forget()
            if self._is_behind:
                log.info("revocations are heard of again")
            self._is_behind = False

    def _forget(self) -> None:
        """Drop those whose last token has expired."""
        now = self._clock.monotonic()
        while self._ended and (oldest := next(iter(self._ended.items())))[1] <= now:
            del self._ended[oldest[0]]
