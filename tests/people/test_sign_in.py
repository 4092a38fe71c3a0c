"""Signing in, staying, leaving."""

from __future__ import annotations

import asyncio

import pytest
from tests.people.conftest import MakePeople
from tests.people.world import PASSWORD, TENANT, ManualClock, ming, principal, sign_in

from unbusy.db import Database
from unbusy.errors import Unauthenticated
from unbusy.people import People, SignedIn
from unbusy.people.passwords import Passwords
from unbusy.people.sessions import GRACE, MOST_SESSIONS


async def refuses(people: People, tokens: SignedIn) -> bool:
    """Whether both tokens are refused."""
    with pytest.raises(Unauthenticated):
        await people.refresh(tokens.refresh_token)
    with pytest.raises(Unauthenticated):
        people.authenticate(tokens.access_token)
    return True


async def test_every_spelling_signs_in(people: People) -> None:
    """By handle, e-mail or phone; the tokens say who."""
    person = await ming(people)
    for identifier in ("@ming", "@Ming", "ming@example.com", " MING@example.com", "+86 138 0013 8000"):
        tokens = await sign_in(people, identifier)
        assert (tokens.person, tokens.expires_in) == (person, 600)
        asking = principal(people, tokens)
        assert (asking.tenant_id, asking.person_id, asking.role) == (TENANT, person.id, "customer")


async def test_nobody_learns_who_is_registered(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is wrong, one password is verified and the answer is the same, word for word."""
    person = await ming(people)
    verify, verified = Passwords.verify, 0

    async def count(self: Passwords, kept: str | None, password: str) -> bool:
        nonlocal verified
        verified += 1
        return await verify(self, kept, password)

    monkeypatch.setattr(Passwords, "verify", count)
    said: set[str] = set()
    tries = [
        ("@ming", "wrong"),
        ("@nobody", PASSWORD),
        ("no@example.com", PASSWORD),
        ("garbage \ud800", PASSWORD),
        ("", ""),
    ]
    for identifier, password in tries:
        with pytest.raises(Unauthenticated) as refusal:
            await sign_in(people, identifier, password)
        said.add(str(refusal.value))
    await people.close(TENANT, person.id)
    with pytest.raises(Unauthenticated) as refusal:
        await sign_in(people)
    assert said == {str(refusal.value)}
    assert verified == len(tries) + 1


async def test_a_refresh_token_is_used_up(people: People, clock: ManualClock) -> None:
    """Each refresh gives the next pair, for the same session and person, and prolongs the session."""
    await ming(people)
    tokens = await sign_in(people)
    seen = {tokens.refresh_token}
    for _ in range(4):
        clock.go(29 * 86_400)
        newer = await people.refresh(tokens.refresh_token)
        assert principal(people, newer).person_id == newer.person.id == tokens.person.id
        tokens = newer
        seen.add(tokens.refresh_token)
    assert len(seen) == 5


async def test_a_session_that_is_not_used_expires(people: People, clock: ManualClock) -> None:
    """After thirty days by default."""
    await ming(people)
    tokens = await sign_in(people)
    clock.go(30 * 86_400)
    assert await refuses(people, tokens)


async def test_a_lost_answer_can_be_asked_for_again(people: People, clock: ManualClock) -> None:
    """Within ten seconds the token just used up gets the very same successor, however often."""
    await ming(people)
    old = await sign_in(people)
    new = await people.refresh(old.refresh_token)
    clock.go(GRACE.total_seconds())
    again = [await people.refresh(old.refresh_token) for _ in range(3)]
    assert {each.refresh_token for each in again} == {new.refresh_token}
    assert principal(people, again[0]).session_id == principal(people, new).session_id
    await people.refresh(new.refresh_token)


async def test_a_stolen_token_ends_the_session(people: People, clock: ManualClock) -> None:
    """Used again later, nobody can tell owner from thief: the session ends for both, other sessions go on."""
    await ming(people)
    elsewhere, old = await sign_in(people), await sign_in(people)
    new = await people.refresh(old.refresh_token)
    clock.go(GRACE.total_seconds() + 1)
    assert await refuses(people, old)
    assert await refuses(people, new)
    assert principal(people, elsewhere)


async def test_a_token_from_long_ago_ends_the_session_too(people: People) -> None:
    """Two uses back is no lost answer, however quick."""
    await ming(people)
    first = await sign_in(people)
    second = await people.refresh(first.refresh_token)
    third = await people.refresh(second.refresh_token)
    assert await refuses(people, first)
    assert await refuses(people, third)


async def test_refreshes_at_once_are_one(make_people: MakePeople) -> None:
    """Two tabs that refresh together, through two gateways, get the same successor and stay signed in."""
    gateways = [make_people(), make_people()]
    await ming(gateways[0])
    tokens = await sign_in(gateways[0])
    answers = await asyncio.gather(*(gateways[n % 2].refresh(tokens.refresh_token) for n in range(10)))
    assert len({answer.refresh_token for answer in answers}) == 1
    await gateways[1].refresh(answers[0].refresh_token)


async def test_garbage_refreshes_nothing(people: People) -> None:
    """And ends nobody's session."""
    await ming(people)
    tokens = await sign_in(people)
    for token in ("", "é", "A" * 70, "\ud800", tokens.access_token, tokens.refresh_token[:-6] + "AAAAAA"):
        with pytest.raises(Unauthenticated):
            await people.refresh(token)
    assert principal(people, tokens)
    assert await people.refresh(tokens.refresh_token)


async def test_signing_out_ends_one_session(people: People) -> None:
    """Here at once; doing it twice is doing it once."""
    await ming(people)
    here, there = await sign_in(people), await sign_in(people)
    asking = principal(people, here)
    await people.sign_out(asking)
    await people.sign_out(asking)
    assert await refuses(people, here)
    assert principal(people, there)


async def test_signing_out_everywhere_ends_all(people: People) -> None:
    """And whoever signs in afterwards, in the same instant, is in."""
    await ming(people)
    before = [await sign_in(people) for _ in range(3)]
    await people.sign_out_everywhere(principal(people, before[0]))
    for tokens in before:
        assert await refuses(people, tokens)
    assert principal(people, await sign_in(people))


async def test_sessions_of_a_person_are_bounded(people: People, db: Database, clock: ManualClock) -> None:
    """The one unused for longest makes room."""
    await ming(people)
    sessions: list[SignedIn] = []
    for _ in range(MOST_SESSIONS + 1):
        sessions.append(await sign_in(people))
        clock.go(1)
    assert await refuses(people, sessions[0])
    assert principal(people, sessions[1])
    async with db.connection() as connection:
        open_ones = await connection.fetchval("SELECT count(*) FROM people.sessions WHERE revoked_at IS NULL")
    assert open_ones == MOST_SESSIONS


async def test_one_who_is_being_closed_is_not_signed_in(people: People, db: Database) -> None:
    """A closing that is under way is waited for, so that no session outlives it."""
    person = await ming(people)
    async with db.transaction() as closing:
        await closing.execute("UPDATE people.people SET state = 'closed'")
        attempt = asyncio.create_task(sign_in(people))
        await asyncio.sleep(0.2)
        assert not attempt.done()
    with pytest.raises(Unauthenticated):
        await attempt
    assert person.state == "open"
