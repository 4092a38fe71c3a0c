"""A session that ended is refused in every process within a second."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from uuid import UUID

import pytest
from tests.people.conftest import MakePeople
from tests.people.world import TENANT, ManualClock, ming, principal, sign_in

from unbusy.db import Database
from unbusy.errors import Unauthenticated
from unbusy.people import People, sql
from unbusy.people.revocations import KEPT_S, Revocations

SESSIONS = [UUID(int=number) for number in range(1, 9)]


async def soon(condition: Callable[[], bool], within_s: float = 5) -> float:
    """Wait until it is so; how many seconds that took."""
    began = time.monotonic()
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - what happens here has no event to wait for
            await asyncio.sleep(0.01)
    return time.monotonic() - began


def is_refused(people: People, token: str) -> bool:
    try:
        people.authenticate(token)
    except Unauthenticated:
        return True
    return False


async def announce(db: Database, *ids: UUID) -> None:
    """Write revocations as another process would."""
    async with db.transaction() as tx:
        for id in ids:
            await tx.execute(
                "INSERT INTO people.revocations (session_id, tenant_id, revoked_at) VALUES ($1, $2, now())", id, TENANT
            )


async def test_every_process_hears_of_it_within_a_second(make_people: MakePeople) -> None:
    """Signed out at one gateway, everywhere, by theft: refused at the other, though it knew the token."""
    here, there = make_people(), make_people()
    await here.start()
    await there.start()
    await ming(here)
    for leave in ("sign_out", "sign_out_everywhere"):
        tokens = await sign_in(here)
        asking = principal(there, tokens)
        await getattr(here, leave)(asking)
        assert is_refused(here, tokens.access_token)
        assert await soon(lambda token=tokens.access_token: is_refused(there, token)) < 1
    first = await sign_in(here)
    assert principal(there, first)
    second = await here.refresh(first.refresh_token)
    await here.refresh(second.refresh_token)
    with pytest.raises(Unauthenticated):
        await here.refresh(first.refresh_token)
    assert await soon(lambda: is_refused(there, first.access_token)) < 1


async def test_a_new_process_knows_from_the_start(make_people: MakePeople) -> None:
    """What ended before it began is refused by its first answer."""
    here, newcomer = make_people(), make_people()
    await ming(here)
    tokens = await sign_in(here)
    await here.sign_out(principal(here, tokens))
    await newcomer.start()
    assert is_refused(newcomer, tokens.access_token)


async def test_one_that_is_committed_late_is_heard_of(db: Database) -> None:
    """A transaction that began before a look and ends after the next is not passed over."""
    async with db.connection() as reader:
        _, seen = await sql.revocations_since(reader, 0)
        async with db.transaction() as slow:
            await slow.execute(
                "INSERT INTO people.revocations (session_id, tenant_id, revoked_at) VALUES ($1, 1, now())", SESSIONS[0]
            )
            await announce(db, SESSIONS[1])
            ended, seen = await sql.revocations_since(reader, seen)
            assert ended == [SESSIONS[1]]
            await announce(db, SESSIONS[2])
        ended, seen = await sql.revocations_since(reader, seen)
        assert set(ended) >= {SESSIONS[0], SESSIONS[2]}
        assert await sql.revocations_since(reader, seen) == ([], seen)


async def test_a_standby_that_took_over_is_followed(db: Database) -> None:
    """It may count transactions from lower on than what was seen of the one before it."""
    await announce(db, SESSIONS[0])
    async with db.connection() as reader:
        _, seen = await sql.revocations_since(reader, 2**40)
        await announce(db, SESSIONS[1])
        assert await sql.revocations_since(reader, seen) == ([SESSIONS[1]], seen + 1)


async def test_following_outlives_the_database(url: str, db: Database, clock: ManualClock) -> None:
    """Its connections are cut; what ended meanwhile is heard of afterwards."""
    revocations = Revocations(db, clock=clock)
    await revocations.start()
    owner = await Database.open(url, role=None)
    async with owner.connection() as connection:
        await connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
        await connection.execute("ALTER TABLE people.revocations RENAME TO elsewhere")
        await asyncio.sleep(0.5)
        await connection.execute("ALTER TABLE people.elsewhere RENAME TO revocations")
    await announce(owner, SESSIONS[0])
    await soon(lambda: SESSIONS[0] in revocations)
    await revocations.stop()
    await owner.close()


async def test_what_no_token_needs_is_forgotten(db: Database, clock: ManualClock) -> None:
    """The memory holds two hours of ended sessions, twice the longest life of a token."""
    revocations = Revocations(db, clock=clock)
    revocations.add(SESSIONS[:2])
    clock.go(KEPT_S - 1)
    revocations.add(SESSIONS)
    clock.go(1)
    await revocations.start()
    assert [id in revocations for id in SESSIONS] == [False, False, *[True] * 6]
    await revocations.stop()


async def test_starting_while_the_database_is_away_is_no_error(db: Database, clock: ManualClock) -> None:
    """The process begins, and follows as soon as it can."""
    await db.close()
    revocations = Revocations(db, clock=clock)
    await revocations.start()
    assert SESSIONS[0] not in revocations
    await revocations.stop()


async def test_stopping_is_clean(people: People) -> None:
    """Before starting, and twice."""
    await people.stop()
    await people.start()
    await people.stop()
    await people.stop()
