"""What is forgotten, what is proved, what the application may do to the tables, and bulk."""

from __future__ import annotations

from datetime import timedelta
from typing import LiteralString

import asyncpg
import pytest
from tests.people.conftest import MakePeople
from tests.people.world import CHEAP, PASSWORD, TENANT, ManualClock, ming, person, principal, sign_in

from unbusy import people as room
from unbusy.db import Database
from unbusy.errors import Unauthenticated
from unbusy.people import People, hash_password


async def counts(db: Database) -> tuple[int, int, int]:
    """Rows of attempts, revocations, sessions."""
    async with db.connection() as connection:
        row = await connection.fetchrow(
            """
            SELECT (SELECT count(*) FROM people.attempts), (SELECT count(*) FROM people.revocations),
                   (SELECT count(*) FROM people.sessions)
            """
        )
    assert row
    return row[0], row[1], row[2]


async def prune(db: Database, clock: ManualClock, limit: int = 100) -> int:
    return await db.run(lambda tx: room.prune(tx, clock.now(), limit))


async def test_what_nobody_needs_is_deleted(people: People, db: Database, clock: ManualClock) -> None:
    """Revocations after two hours, attempts after a day, sessions a day after they ended. Nothing earlier."""
    await ming(people)
    for _ in range(2):
        with pytest.raises(Unauthenticated):
            await sign_in(people, "@nobody")
    await people.sign_out(principal(people, await sign_in(people)))
    await sign_in(people)
    assert await prune(db, clock) == 0
    assert await counts(db) == (2, 1, 2)
    clock.go(2 * 3_600 + 1)
    assert await prune(db, clock) == 1
    assert await counts(db) == (2, 0, 2)
    clock.go(22 * 3_600)
    assert await prune(db, clock) == 3
    assert await counts(db) == (0, 0, 1)
    clock.go(30 * 86_400)
    assert await prune(db, clock) == 1
    assert await counts(db) == (0, 0, 0)


async def test_a_piece_of_pruning_is_bounded(people: People, db: Database, clock: ManualClock) -> None:
    """At most `limit` rows, so that no transaction takes long; the next piece goes on."""
    await ming(people)
    for _ in range(5):
        await people.sign_out(principal(people, await sign_in(people)))
    clock.go(timedelta(days=2).total_seconds())
    assert [await prune(db, clock, 4) for _ in range(4)] == [4, 4, 3, 0]


async def test_a_sound_room_has_no_findings(people: People, db: Database) -> None:
    """Whatever people did, nothing is found."""
    person = await ming(people)
    for _ in range(3):
        await people.sign_out(principal(people, await sign_in(people)))
    await sign_in(people)
    await people.close(TENANT, person.id)
    async with db.connection() as connection:
        assert await room.check(connection) == []


async def test_every_broken_rule_is_found(people: People, db: Database, url: str) -> None:
    """And named with where: nobody's password, a closed person's session, an end that was not announced, and
    an announced one that goes on."""
    person = await ming(people)
    await sign_in(people)
    owner = await Database.open(url, role=None)
    broken: list[tuple[str, str]] = []
    async with owner.connection() as connection:
        for statement in (
            "DELETE FROM people.passwords",
            "UPDATE people.people SET state = 'closed'",
            "UPDATE people.sessions SET revoked_at = now(), expires_at = LEAST(expires_at, now())",
            """
            WITH undone AS (UPDATE people.sessions SET revoked_at = NULL RETURNING id)
            INSERT INTO people.revocations (session_id, tenant_id, revoked_at) SELECT id, 1, now() FROM undone
            """,
        ):
            await connection.execute(statement)
            broken += [(finding.rule, finding.subject.partition("_")[0]) for finding in await room.check(connection)]
            if "closed" not in statement:
                await connection.execute("UPDATE people.people SET state = 'open'")
    await owner.close()
    assert [rule for rule, _ in broken if rule != "everybody_can_sign_in"] == [
        "closed_people_are_signed_out",
        "ends_are_announced",
        "announced_sessions_have_ended",
    ]
    assert ("everybody_can_sign_in", "per") in broken
    assert person.state == "open"


async def test_many_people_are_added_at_once(people: People, db: Database) -> None:
    """They share a password, and are as good as any other."""
    crowd = [person(number) for number in range(1, 501)]
    assert not await db.run(lambda tx: room.has_people(tx, TENANT))
    await db.run(lambda tx: room.insert_people(tx, [], ""))
    await db.run(lambda tx: room.insert_people(tx, crowd, hash_password(PASSWORD, CHEAP)))
    assert await db.run(lambda tx: room.has_people(tx, TENANT))
    assert await people.find(TENANT, crowd[7].id) == crowd[7]
    assert (await sign_in(people, "@person_500")).person == crowd[499]
    found = await people.resolve([(TENANT, f"@{each.handle}") for each in crowd] + [(TENANT, "@nobody")])
    assert [payee.person_id for payee in found.values()] == [each.id for each in crowd]
    async with db.connection() as connection:
        assert await room.check(connection) == []


async def test_payees_once_found_are_remembered(make_people: MakePeople, db: Database) -> None:
    """Without the database the second time; the unknown are asked for again, because they may sign up."""
    people = make_people()
    assert await people.resolve([(TENANT, "@ming")]) == {}
    person = await ming(people)
    wanted = [(TENANT, "@ming"), (TENANT, "@Ming"), (TENANT, f"per_{person.id.hex}"), (TENANT, "ming"), (2, "@ming")]
    found = await people.resolve(wanted)
    assert set(found) == set(wanted[:3])
    assert {payee.person_id for payee in found.values()} == {person.id}
    await db.close()
    assert await people.resolve(wanted[:4]) == found
    assert await people.resolve([]) == {}


FORBIDDEN: list[LiteralString] = [
    "UPDATE people.people SET handle = 'other'",
    "UPDATE people.people SET role = 'operator'",
    "DELETE FROM people.people",
    "UPDATE people.passwords SET hash = '$argon2id$'",
    "UPDATE people.sessions SET person_id = gen_random_uuid()",
    "UPDATE people.revocations SET revoked_at = now()",
    "TRUNCATE people.attempts",
]


async def test_the_application_may_do_no_more_than_it_needs(db: Database) -> None:
    """A gateway that is taken over cannot make anybody an operator, nor take somebody's handle."""
    async with db.connection() as connection:
        for statement in FORBIDDEN:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)
