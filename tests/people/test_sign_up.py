"""Signing up: one person, one handle, one address."""

from __future__ import annotations

import asyncio

import pytest
from tests.people.conftest import MakePeople
from tests.people.world import HOME, MING, PASSWORD, TENANT, ManualClock, ming, sign_in

from unbusy.db import Database
from unbusy.errors import Conflict, DeadlineUnreachable, Invalid, Unauthenticated
from unbusy.people import NewPerson, People, Person
from unbusy.reasons import Reason


def new(name: str = "Mei", **given: str) -> NewPerson:
    """Somebody else than Ming."""
    return NewPerson(**({"name": name, "email": "mei@example.com", "password": PASSWORD} | given))  # pyright: ignore[reportArgumentType] - changed by name


async def refused(people: People, person: NewPerson) -> Conflict:
    """A sign-up that somebody else stands in the way of."""
    with pytest.raises(Conflict) as conflict:
        await people.sign_up(TENANT, person, address=HOME)
    return conflict.value


async def rows(db: Database) -> int:
    async with db.connection() as connection:
        return await connection.fetchval("SELECT count(*) FROM people.people")


async def test_somebody_signs_up(people: People, clock: ManualClock) -> None:
    """What was typed is kept in its one form, and found by its id in its tenant."""
    typed = NewPerson(name=" 李 明 ", handle="@li_ming", phone="+86 138-0013-8000", password=PASSWORD, language="zh")
    person = await people.sign_up(TENANT, typed, address=HOME)
    assert person == Person(
        person.id, TENANT, "customer", "李 明", "li_ming", None, "+8613800138000", "zh", "open", clock.now()
    )
    assert await people.find(TENANT, person.id) == person
    assert await people.find(2, person.id) is None


WRONG = [
    ({"name": "\u200b"}, "name"),
    ({"handle": "Mei"}, "handle"),
    ({"email": "mei"}, "email"),
    ({"phone": "138"}, "phone"),
    ({"password": "password"}, "password"),
    ({"password": "mei@example.com!"}, "password"),
    ({"handle": "mei_mei", "password": "for Mei_Mei only"}, "password"),
]


async def test_what_is_wrong_is_named(people: People, db: Database) -> None:
    """The field that is wrong, and nothing is written: not even an attempt."""
    for given, field in WRONG:
        with pytest.raises(Invalid) as refusal:
            await people.sign_up(TENANT, new(**given), address=HOME)
        assert refusal.value.field == field
    async with db.connection() as connection:
        assert not await connection.fetchval("SELECT count(*) FROM people.attempts")
    assert not await rows(db)


async def test_a_taken_handle_is_named(people: People) -> None:
    """Handles are public, so that it may be said."""
    await ming(people)
    conflict = await refused(people, new(handle="ming"))
    assert (conflict.reason, conflict.field) == (Reason.handle_taken, "handle")


async def test_a_taken_address_is_not_told_apart(people: People) -> None:
    """E-mail or phone, in whatever spelling: the same answer, which names neither."""
    await ming(people)
    for given in (
        {"email": "MING@Example.com"},
        {"phone": "+86 138 0013 8000"},
        {"phone": "+8613800138000", "handle": "mei"},
    ):
        conflict = await refused(people, new(**given))
        assert (conflict.reason, conflict.field) == (Reason.identity_unavailable, None)
        assert str(conflict) == "the e-mail address or the phone number cannot be used"


async def test_a_handle_that_is_taken_hides_the_address(people: People) -> None:
    """When both are taken only the handle is named: nothing is learned about the address."""
    await ming(people)
    assert (await refused(people, new(handle="ming", email="ming@example.com"))).reason == Reason.handle_taken
    assert (await refused(people, new(handle="ming", email="free@example.com"))).reason == Reason.handle_taken


async def test_namesakes_get_handles_of_their_own(people: People) -> None:
    """Made from the name, with digits when it is taken."""
    made = [await people.sign_up(TENANT, new("Li Ming", email=f"{n}@example.com"), address=HOME) for n in range(4)]
    handles = [person.handle for person in made]
    assert handles[0] == "li_ming"
    assert len(set(handles)) == 4
    assert all(handle.startswith("li_ming") for handle in handles)


async def test_nobody_speaks_for_the_bank(people: People) -> None:
    """A customer gets none of the handles that sound official; whom an operator adds may."""
    assert (await refused(people, new(handle="support"))).reason == Reason.handle_taken
    made = await people.sign_up(TENANT, new("Support"), address=HOME)
    assert made.handle != "support"
    helper = NewPerson(name="Help", handle="support", email="help@example.com", password=PASSWORD)
    assert (await people.add_operator(TENANT, helper)).handle == "support"


async def test_shops_and_staff_are_added(people: People) -> None:
    """With their role, and able to sign in."""
    shop = await people.add_merchant(TENANT, new("Tea House", handle="tea_house"))
    staff = await people.add_operator(TENANT, new("Ops", handle="ops", email="ops@example.com"))
    assert (shop.role, staff.role) == ("merchant", "operator")
    for handle, role in (("@tea_house", "merchant"), ("@ops", "operator")):
        tokens = await sign_in(people, handle)
        assert people.authenticate(tokens.access_token).role == role


async def test_of_many_who_want_one_handle_one_gets_it(make_people: MakePeople, db: Database) -> None:
    """At the same moment, through two gateways."""
    gateways = [make_people(), make_people()]
    tries = (
        gateways[n % 2].sign_up(TENANT, new(handle="mei", email=f"mei{n}@example.com"), address=HOME) for n in range(20)
    )
    answers = await asyncio.gather(*tries, return_exceptions=True)
    losers = [answer.reason for answer in answers if isinstance(answer, Conflict)]
    assert losers == [Reason.handle_taken] * 19
    assert await rows(db) == 1


async def test_of_many_with_one_address_one_gets_in(make_people: MakePeople, db: Database) -> None:
    """A double click is one person."""
    gateways = [make_people(), make_people()]
    tries = (gateways[n % 2].sign_up(TENANT, new(), address=HOME) for n in range(20))
    answers = await asyncio.gather(*tries, return_exceptions=True)
    losers = [answer.reason for answer in answers if isinstance(answer, Conflict)]
    assert losers == [Reason.identity_unavailable] * 19
    assert await rows(db) == 1


async def test_namesakes_at_once_get_handles_of_their_own(make_people: MakePeople) -> None:
    """Nobody is refused because of a handle nobody chose."""
    gateways = [make_people(), make_people()]
    tries = (gateways[n % 2].sign_up(TENANT, new("李明", email=f"{n}@example.com"), address=HOME) for n in range(20))
    made = await asyncio.gather(*tries)
    assert len({person.handle for person in made}) == 20


async def test_a_closed_person_keeps_the_handle(people: People) -> None:
    """And the address: nobody else ever gets payments or messages meant for them. Signing in is over."""
    person = await ming(people)
    tokens = await sign_in(people)
    await people.close(TENANT, person.id)
    assert (await refused(people, new(handle="ming"))).reason == Reason.handle_taken
    assert (await refused(people, new(email="ming@example.com"))).reason == Reason.identity_unavailable
    for attempt in (sign_in(people), people.refresh(tokens.refresh_token)):
        with pytest.raises(Unauthenticated):
            await attempt
    with pytest.raises(Unauthenticated):
        people.authenticate(tokens.access_token)
    assert (await people.resolve([(TENANT, "@ming")]))[TENANT, "@ming"].person_id == person.id


async def test_tenants_do_not_meet(people: People, url: str) -> None:
    """The same handle and address may live in another tenant, and name somebody else there."""
    owner = await Database.open(url, role=None)
    async with owner.connection() as connection:
        await connection.execute("INSERT INTO tenants.tenants (id, slug) VALUES (2, 'other')")
    await owner.close()
    first, second = await ming(people), await people.sign_up(2, MING, address=HOME)
    found = await people.resolve([(1, "@ming"), (2, "@ming"), (2, f"per_{first.id.hex}")])
    assert {key: payee.person_id for key, payee in found.items()} == {(1, "@ming"): first.id, (2, "@ming"): second.id}
    tokens = await people.sign_in(2, "@ming", PASSWORD, address=HOME)
    assert people.authenticate(tokens.access_token).tenant_id == 2


async def test_a_full_line_costs_nothing(people: People, db: Database) -> None:
    """Of a crowd, those who find no place are told at once, and no attempt is counted for them."""
    tries = (sign_in(people, f"@person_{n}") for n in range(90))
    kinds = [type(answer) for answer in await asyncio.gather(*tries, return_exceptions=True)]
    assert kinds.count(DeadlineUnreachable) > 10
    async with db.connection() as connection:
        counted = await connection.fetchval("SELECT count(*) FROM people.attempts WHERE kind = 'account'")
    assert counted == kinds.count(Unauthenticated) == 90 - kinds.count(DeadlineUnreachable)
