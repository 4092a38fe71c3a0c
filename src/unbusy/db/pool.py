"""A pool of connections behind a queue of our own: bounded, fair, and aware of deadlines.

`asyncpg.Pool.acquire` waits for ever and in no order. Here a caller waits at most until its
deadline, first come first served, and the queue's length is limited: past it the answer is "no"
at once, while there is still time to say so.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar, cast

import asyncpg

from unbusy.clock import Clock, Deadline, SystemClock
from unbusy.db.connection import Connection, Tx
from unbusy.errors import DeadlineUnreachable, LedgerUnavailable

Result = TypeVar("Result")

# The role every process of ours works under: it may not change what has been posted.
APP_ROLE = "unbusy_app"

# Another transaction won: nothing of ours was written, and trying again at once is right. A
# unique violation belongs here because whoever tries again then reads what the other one wrote.
_LOST_A_RACE = (
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.UniqueViolationError,
)
_MOST_RACES = 5

# The server is gone, going, or not yet there.
_UNAVAILABLE = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.DiskFullError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.InvalidCatalogNameError,
    OSError,
    TimeoutError,
)


def is_unavailable(error: BaseException) -> bool:
    """Whether the error means "the database cannot be reached now", not "this was wrong"."""
    return isinstance(error, _UNAVAILABLE)


class Database:
    """The database as one process sees it."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record], *, queue: int, clock: Clock) -> None:
        self._pool = pool
        self._clock = clock
        self._places = asyncio.Semaphore(pool.get_max_size())
        self._waiting = 0
        self._queue = queue

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        size: int = 8,
        queue: int = 1_000,
        role: str | None = APP_ROLE,
        clock: Clock | None = None,
    ) -> Database:
        """Connect. Raises LedgerUnavailable when the server cannot be reached.

        `size` is the most connections at once, `queue` the most callers waiting for one. `role`
        is what the connections may do; None keeps the rights of the URL's own user.
        """
        session = {"application_name": "unbusy", "timezone": "UTC"} | ({"role": role} if role else {})
        try:
            pool = await asyncpg.create_pool(
                url,
                min_size=1,
                max_size=size,
                max_inactive_connection_lifetime=0,
                timeout=5,
                # JIT compiles statements that touch many rows; ours are all short, and it costs more than it saves.
                server_settings=session | {"jit": "off", "idle_in_transaction_session_timeout": "30s"},
            )
        except _UNAVAILABLE as error:
            raise LedgerUnavailable("the database cannot be reached", retry_after=2) from error
        return cls(pool, queue=queue, clock=clock or SystemClock())

    async def close(self) -> None:
        """Wait shortly for what is under way, then close every connection."""
        try:
            await asyncio.wait_for(self._pool.close(), timeout=5)
        except TimeoutError:
            self._pool.terminate()

    @asynccontextmanager
    async def connection(self, deadline: Deadline | None = None) -> AsyncGenerator[Connection]:
        """A connection without a transaction, for reads of one statement.

        Raises DeadlineUnreachable when the queue is full or the deadline passes first (ten
        seconds when none is given), LedgerUnavailable when the server is not there.
        """
        deadline = deadline or Deadline(self._clock, 10)
        await self._take_place(deadline)
        try:
            try:
                connection = await self._pool.acquire(timeout=max(0.05, deadline.remaining()))
            except _UNAVAILABLE as error:
                raise LedgerUnavailable("the database cannot be reached", retry_after=2) from error
            try:
                yield cast("Connection", connection)
            finally:
                await self._pool.release(connection)
        finally:
            self._places.release()

    @asynccontextmanager
    async def transaction(self, deadline: Deadline | None = None) -> AsyncGenerator[Tx]:
        """A connection inside a transaction: committed when the block ends well, else undone."""
        async with self.connection(deadline) as tx, tx.transaction():
            yield tx

    async def run(self, work: Callable[[Tx], Awaitable[Result]], deadline: Deadline | None = None) -> Result:
        """Do `work` in a transaction; again when another transaction won a race against it.

        `work` may therefore run more than once and must do nothing outside its transaction.
        Raises LedgerUnavailable when the server goes away: then it is not known whether the work
        was committed, and only doing it again under the same ids is safe.
        """
        for attempt in range(1, _MOST_RACES + 1):
            try:
                async with self.transaction(deadline) as tx:
                    return await work(tx)
            except _LOST_A_RACE:
                if attempt == _MOST_RACES:
                    raise
            except _UNAVAILABLE as error:
                raise LedgerUnavailable("the database went away", retry_after=2) from error
        raise AssertionError("unreachable")

    async def _take_place(self, deadline: Deadline) -> None:
        if self._waiting >= self._queue:
            raise DeadlineUnreachable("too many are waiting for the database", retry_after=1)
        self._waiting += 1
        try:
            await asyncio.wait_for(self._places.acquire(), timeout=max(0.001, deadline.remaining()))
        except TimeoutError:
            raise DeadlineUnreachable("no database connection before the deadline", retry_after=1) from None
        finally:
            self._waiting -= 1
