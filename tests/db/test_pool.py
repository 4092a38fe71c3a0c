"""The pool: a fair, bounded line before the connections, and an honest word when the server is away."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from unbusy.clock import Deadline, SystemClock
from unbusy.db import Connection, Database
from unbusy.errors import DeadlineUnreachable, LedgerUnavailable


def within(seconds: float) -> Deadline:
    return Deadline(SystemClock(), seconds)


class Holder:
    """Holds a connection until it is told to let go."""

    def __init__(self, db: Database) -> None:
        self._release = asyncio.Event()
        self._held = asyncio.Event()
        self._task = asyncio.create_task(self._hold(db))

    async def _hold(self, db: Database) -> None:
        async with db.connection():
            self._held.set()
            await self._release.wait()

    async def has_it(self) -> Holder:
        await self._held.wait()
        return self

    async def let_go(self) -> None:
        self._release.set()
        await self._task


async def terminate(url: str, pid: int) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute("SELECT pg_terminate_backend($1, 5000)", pid)
    await connection.close()


async def test_a_full_line_is_refused_at_once(url: str) -> None:
    """Past the line's length the answer is "no" while there is still time to say so."""
    db = await Database.open(url, size=1, queue=2)
    holder = await Holder(db).has_it()
    waiting = [Holder(db), Holder(db)]
    await asyncio.sleep(0)
    started = asyncio.get_running_loop().time()
    with pytest.raises(DeadlineUnreachable, match="too many"):
        async with db.connection(within(10)):
            pass
    assert asyncio.get_running_loop().time() - started < 0.5
    for one in (holder, *waiting):
        await one.let_go()
    await db.close()


async def test_it_is_known_how_long_the_first_in_line_waits(url: str) -> None:
    """Nothing while nobody waits; and nothing again once the connection is there."""
    db = await Database.open(url, size=1)
    holder = await Holder(db).has_it()
    assert db.oldest_wait == 0
    waiting = Holder(db)
    await asyncio.sleep(0.02)
    assert 0 < db.oldest_wait < 5
    await holder.let_go()
    await waiting.has_it()
    assert db.oldest_wait == 0
    await waiting.let_go()
    await db.close()


async def test_nobody_waits_past_the_deadline(url: str) -> None:
    """Who waits longer than its caller does is told so, and leaves the line to those behind."""
    db = await Database.open(url, size=1)
    holder = await Holder(db).has_it()
    with pytest.raises(DeadlineUnreachable, match="before the deadline"):
        async with db.connection(within(0.05)):
            pass
    await holder.let_go()
    async with db.connection(within(1)) as connection:
        assert await connection.fetchval("SELECT 1") == 1
    await db.close()


async def test_work_whose_deadline_has_passed_is_not_begun(db: Database) -> None:
    """Nobody is there any more to hear the answer."""
    with pytest.raises(DeadlineUnreachable, match="has passed"):
        async with db.connection(within(0)):
            pass


async def test_first_come_first_served(url: str) -> None:
    """The line is a line."""
    db = await Database.open(url, size=2)
    holders = [await Holder(db).has_it() for _ in range(2)]
    served: list[int] = []

    async def be_served(number: int) -> None:
        async with db.connection():
            served.append(number)
            await asyncio.sleep(0.001)

    async with asyncio.TaskGroup() as group:
        for number in range(50):
            group.create_task(be_served(number))
            await asyncio.sleep(0)
        for holder in holders:
            await holder.let_go()
    assert served == list(range(50))
    await db.close()


async def test_who_gives_up_leaves_its_place_to_others(url: str) -> None:
    """However the end of the waiting and the turn fall together, no place is lost."""
    db = await Database.open(url, size=1)
    for ticks in range(6):
        holder = await Holder(db).has_it()
        waiter = Holder(db)
        await asyncio.sleep(0)
        release = asyncio.create_task(holder.let_go())
        for _ in range(ticks):
            await asyncio.sleep(0)
        waiter._task.cancel()  # pyright: ignore[reportPrivateUsage] - looks inside
        await release
        await asyncio.wait([waiter._task])  # pyright: ignore[reportPrivateUsage] - looks inside
        async with db.connection(within(1)) as connection:
            assert await connection.fetchval("SELECT 1") == 1
    await db.close()


async def test_many_callers_share_few_connections(url: str) -> None:
    """Under a crowd with short deadlines, every call is answered or refused, and all places come back."""
    db = await Database.open(url, size=3, queue=40)

    async def call(number: int) -> bool:
        try:
            async with db.connection(within(0.02 + number % 7 * 0.05)) as connection:
                return await connection.fetchval("SELECT true FROM pg_sleep(0.01)")
        except DeadlineUnreachable:
            return False

    answers = await asyncio.gather(*(call(number) for number in range(200)))
    assert True in answers
    assert False in answers
    holders = [await asyncio.wait_for(Holder(db).has_it(), 1) for _ in range(3)]
    for holder in holders:
        await holder.let_go()
    await db.close()


async def test_a_commit_that_cannot_be_made_is_unavailable(db: Database, url: str) -> None:
    """A connection that breaks before the commit is our matter, and asking again is safe."""

    async def work(tx: Connection) -> None:
        await terminate(url, await tx.fetchval("SELECT pg_backend_pid()"))

    with pytest.raises(LedgerUnavailable):
        await db.run(work)
    assert await db.run(lambda tx: tx.fetchval("SELECT 1")) == 1


async def test_a_connection_that_breaks_after_the_work_changes_nothing(db: Database, url: str) -> None:
    """What was committed stays done; the pool replaces the connection by itself."""
    async with db.connection() as connection:
        pid: int = await connection.fetchval("SELECT pg_backend_pid()")
        await terminate(url, pid)
    async with db.connection() as connection:
        assert await connection.fetchval("SELECT pg_backend_pid()") != pid


async def test_a_lost_race_is_run_again(db: Database) -> None:
    """A unique violation means that another transaction was first; whoever tries again sees its row."""
    tries = 0

    async def work(tx: Connection) -> int:
        nonlocal tries
        tries += 1
        if tries == 1:
            await tx.execute("CREATE TEMPORARY TABLE once (id integer PRIMARY KEY)")
            await tx.execute("INSERT INTO once VALUES (1), (1)")
        return tries

    assert await db.run(work) == 2


async def test_our_own_mistake_is_not_called_an_outage(db: Database) -> None:
    """An argument that does not fit, or one too many, is a defect, and must show as one."""
    with pytest.raises(asyncpg.DataError):
        await db.run(lambda tx: tx.fetchval("SELECT $1::integer", 2**70))
    with pytest.raises(asyncpg.InterfaceError):
        await db.run(lambda tx: tx.fetchval("SELECT $1::integer", 1, 2))


async def test_a_closed_pool_is_unavailable(db: Database) -> None:
    """A call that comes while the process ends is refused like any other that cannot be served."""
    await db.close()
    with pytest.raises(LedgerUnavailable):
        await db.run(lambda tx: tx.fetchval("SELECT 1"))


async def test_gateways_cannot_change_a_table(db: Database) -> None:
    """The role we work under owns nothing."""
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await db.run(lambda tx: tx.execute("DROP TABLE tenants.tenants"))


async def test_connections_for_reads_only_read(url: str) -> None:
    """What was opened for reading cannot write, whoever tries."""
    reads = await Database.open(url, size=1, is_read_only=True)
    async with reads.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM ledger.assets") is not None
        with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
            await connection.execute("DELETE FROM people.sessions")
    await reads.close()
