"""A pool of connections behind a queue of our own: bounded, fair, and aware of deadlines.

`asyncpg.Pool.acquire` waits for ever. Here a caller waits at most until its deadline, first come
first served, and the queue's length is limited: past it the answer is "no" at once, while there is
still time to say so.

The server may go away and come back at any time: every call says LedgerUnavailable meanwhile, and
the first one after its return finds a new connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar, cast

import asyncpg

from unbusy import telemetry
from unbusy.clock import Clock, Deadline, SystemClock
from unbusy.db.connection import Connection, Tx
from unbusy.errors import DeadlineUnreachable, LedgerUnavailable

Result = TypeVar("Result")

# The role every process of ours works under: it may not change what has been posted.
APP_ROLE = "unbusy_app"

_DEFAULT_DEADLINE_S = 10
_CONNECT_TIMEOUT_S = 5
# No statement of ours takes a tenth of this. It ends the wait for a server that will never answer,
# such as one behind a network that swallows packets.
_STATEMENT_TIMEOUT_S = 60
_RETRY_AFTER_S = 2

# Another transaction won: nothing of ours was written, and trying again at once is right. A
# unique violation belongs here because whoever tries again then reads what the other one wrote.
_LOST_A_RACE = (
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.UniqueViolationError,
)
_MOST_RACES = 5

# Our statements find a few rows by index, whatever the table's size. A plan that was made while a
# table was small would read all of it, and be kept while it grows: so such plans are not offered.
# JIT compiles what touches many rows, and costs more than it saves here.
_SHORT_STATEMENTS = {
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
    "plan_cache_mode": "force_generic_plan",
    "idle_in_transaction_session_timeout": "30s",
}

# The server is gone, going, not yet there, or has no room to write.
_UNAVAILABLE = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.InsufficientResourcesError,
    asyncpg.PostgresSystemError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.InvalidCatalogNameError,
    # The server has said that it ends the connection, and has not ended it yet.
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)


def is_unavailable(error: BaseException) -> bool:
    """Whether the error means "the database cannot be reached now", not "this was wrong".

    asyncpg says InterfaceError both of a connection that is closed and of a call that makes no
    sense, such as one argument too many; only its words tell them apart.
    """
    if isinstance(error, asyncpg.InterfaceError):
        return "closed" in str(error) or "closing" in str(error)
    return isinstance(error, _UNAVAILABLE)


class Database:
    """The database as one process sees it."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record], *, queue: int, clock: Clock) -> None:
        self._pool = pool
        self._clock = clock
        self._places = _Places(pool.get_max_size(), queue)

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        size: int = 8,
        queue: int = 1_000,
        role: str | None = APP_ROLE,
        clock: Clock | None = None,
        is_read_only: bool = False,
    ) -> Database:
        """Connect; or be ready to, when the server is away just now.

        `size` is the most connections at once, `queue` the most callers waiting for one. `role`
        is what the connections may do; None keeps the rights of the URL's own user. With
        `is_read_only` nothing can be written over them.
        """
        session = {"application_name": "unbusy", "timezone": "UTC"} | ({"role": role} if role else {})
        if is_read_only:
            session["default_transaction_read_only"] = "on"
        pool = await asyncpg.create_pool(
            url,
            min_size=0,
            max_size=size,
            max_inactive_connection_lifetime=0,
            timeout=_CONNECT_TIMEOUT_S,
            command_timeout=_STATEMENT_TIMEOUT_S,
            reset=_nothing_to_reset,
            server_settings=session | _SHORT_STATEMENTS,
        )
        database = cls(pool, queue=queue, clock=clock or SystemClock())
        try:
            await database._warm(min(2, size))
        except BaseException:
            pool.terminate()
            raise
        return database

    async def close(self) -> None:
        """Wait shortly for what is under way, then close every connection."""
        try:
            await asyncio.wait_for(self._pool.close(), timeout=5)
        except (TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
            self._pool.terminate()

    @property
    def oldest_wait(self) -> float:
        """How many seconds the caller has waited for a connection who has waited longest."""
        return self._places.oldest_wait

    @asynccontextmanager
    async def connection(self, deadline: Deadline | None = None) -> AsyncGenerator[Connection]:
        """A connection without a transaction, for reads of one statement.

        Raises DeadlineUnreachable when the queue is full or the deadline passes first (ten
        seconds when none is given), LedgerUnavailable when the server is not there or goes away.
        The connection keeps nothing between two holders: `SET` only as `SET LOCAL`.
        """
        deadline = deadline or Deadline(self._clock, _DEFAULT_DEADLINE_S)
        await self._places.take(deadline)
        try:
            async with self._connected(deadline) as connection:
                yield connection
        except _UNAVAILABLE as error:
            if not is_unavailable(error):
                raise
            raise LedgerUnavailable("the database went away", retry_after=_RETRY_AFTER_S) from error
        finally:
            self._places.give_back()

    @asynccontextmanager
    async def transaction(self, deadline: Deadline | None = None) -> AsyncGenerator[Tx]:
        """A connection inside a transaction: committed when the block ends well, else undone.

        LedgerUnavailable from here may come out of the commit itself: then nobody knows whether
        it was done, and only doing the same again under the same ids is safe.
        """
        async with self.connection(deadline) as tx, tx.transaction():
            yield tx

    async def run(self, work: Callable[[Tx], Awaitable[Result]], deadline: Deadline | None = None) -> Result:
        """Do `work` in a transaction; again when another transaction won a race against it.

        `work` may therefore run more than once and must do nothing outside its transaction.
        Raises what `transaction` raises, with the same meaning.
        """
        for _ in range(_MOST_RACES - 1):
            with contextlib.suppress(*_LOST_A_RACE):
                async with self.transaction(deadline) as tx:
                    return await work(tx)
        async with self.transaction(deadline) as tx:
            return await work(tx)

    @asynccontextmanager
    async def _connected(self, deadline: Deadline) -> AsyncGenerator[Connection]:
        # Whoever has a place finds a free connection: what may take time here is making a new one.
        async with asyncio.timeout(max(0.05, deadline.remaining())):
            connection = await self._pool.acquire()
        try:
            yield cast("Connection", connection)
        finally:
            # By now the work is committed or undone. A connection that breaks on its way back to
            # the pool is replaced by the pool, and is no reason to call the work in doubt.
            with contextlib.suppress(*_UNAVAILABLE, asyncpg.PostgresError):
                await self._pool.release(connection, timeout=_CONNECT_TIMEOUT_S)

    async def _warm(self, count: int) -> None:
        """Make the first connections before the first caller needs them."""
        async with contextlib.AsyncExitStack() as stack:
            with contextlib.suppress(LedgerUnavailable):
                for _ in range(count):
                    await stack.enter_async_context(self.connection())


class _Places:
    """As many places as there are connections, and a line of bounded length before them.

    asyncio.Semaphore has no bound, and its place is lost when a caller is cancelled in the same
    moment as it is given one under `wait_for`.
    """

    def __init__(self, places: int, longest_line: int) -> None:
        self._free = places
        self._longest_line = longest_line
        # Since when everybody waits, and for what.
        self._line: deque[tuple[float, asyncio.Future[None]]] = deque()

    @property
    def oldest_wait(self) -> float:
        """How many seconds the first in line has stood there."""
        return time.monotonic() - self._line[0][0] if self._line else 0.0

    async def take(self, deadline: Deadline) -> None:
        """Take a place, in order of coming. Raises DeadlineUnreachable."""
        if deadline.has_passed:
            raise DeadlineUnreachable("the deadline has passed", retry_after=1)
        if self._free:  # then nobody stands in line
            self._free -= 1
            return
        if len(self._line) >= self._longest_line:
            raise DeadlineUnreachable("too many are waiting for the database", retry_after=1)
        await self._wait(deadline)

    def give_back(self) -> None:
        """Hand the place to the first in line."""
        while self._line:
            _, turn = self._line.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1

    async def _wait(self, deadline: Deadline) -> None:
        turn = asyncio.get_running_loop().create_future()
        place = (time.monotonic(), turn)
        self._line.append(place)
        telemetry.POOL_WAITING.inc()
        try:
            async with asyncio.timeout(deadline.remaining()):
                await turn
        except BaseException as error:
            if turn.cancelled():
                with contextlib.suppress(ValueError):  # passed over already
                    self._line.remove(place)
            else:  # our turn came while we were being told to stop waiting
                self.give_back()
            if isinstance(error, TimeoutError):
                raise DeadlineUnreachable("no database connection before the deadline", retry_after=1) from None
            raise
        finally:
            telemetry.POOL_WAITING.dec()


async def _nothing_to_reset(_: object) -> None:
    """Instead of asyncpg's `RESET ALL` and the like, which would cost every transaction another
    round trip to clear what we never set."""
