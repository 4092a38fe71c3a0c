"""Wakes those who wait for news: one small query per gateway, however many wait.

Every change writes an event in its own transaction. Transactions commit out of order, so events
are read only up to the oldest transaction that is still running: below that nothing can appear
any more, and a reader that has been there misses nothing.
"""

from __future__ import annotations

import asyncio
import contextlib

import structlog

from unbusy.api import Hub
from unbusy.db import Database
from unbusy.errors import Unavailable
from unbusy.payments import sql

log = structlog.get_logger()

# What a change made through another gateway is late by at most; our own are told at once.
_LOOK_EVERY_S = 0.2
# Rest between two looks, so that a peak of commits does not become a peak of looks.
_REST_S = 0.02


class Feed:
    """Follows the events of all people, and wakes the subscriptions of this process."""

    def __init__(self, reads: Database, hub: Hub) -> None:
        self._reads = reads
        self._hub = hub
        self._poked = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._follow())

    async def stop(self) -> None:
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def poke(self) -> None:
        """Something was committed here: look now, if anybody waits."""
        if not self._hub.is_empty:
            self._poked.set()

    async def _follow(self) -> None:
        seen: int | None = None
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._poked.wait(), _LOOK_EVERY_S)
            self._poked.clear()
            try:
                seen = await self._look(seen)
            except Unavailable:
                log.debug("events cannot be followed while the database is away")
            except Exception:
                # Whatever it was, those who wait go on hoping for the next look.
                log.exception("events could not be followed")
            await asyncio.sleep(_REST_S)

    async def _look(self, seen: int | None) -> int:
        """Wake whom something happened to since `seen`; gives how far has been seen now."""
        async with self._reads.connection() as connection:
            horizon = await sql.horizon(connection)
            # Asked after the horizon was taken: who subscribes later reads for itself, and sees
            # all that lies below it.
            if self._hub.is_empty or horizon == seen:
                return horizon
            if seen is None:
                self._hub.wake_everybody()
            else:
                self._hub.wake(await sql.people_with_events(connection, seen, horizon))
        return horizon
