"""Guessing gets slower with every guess."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.people.conftest import MakePeople
from tests.people.world import HOME, MING, PASSWORD, SECRET, TENANT, ManualClock, ming, sign_in

from unbusy.db import Database
from unbusy.errors import Conflict, QuotaExceeded, Unauthenticated
from unbusy.people import NewPerson, People
from unbusy.people.guessing import FREE, Attempts, Subject, Subjects, counted, delay, network_of, wait
from unbusy.reasons import Reason

ACCOUNT = Subject("account", bytes(32))
FREE_GUESSES = FREE["account"]


async def guess(people: People, identifier: str = "@ming", address: str = HOME) -> None:
    """A guess that is heard and wrong."""
    with pytest.raises(Unauthenticated):
        await sign_in(people, identifier, "wrong, as guesses are", address)


async def refused(people: People, identifier: str = "@ming", address: str = HOME) -> float:
    """A try that is not even heard: how long it has to wait."""
    with pytest.raises(QuotaExceeded) as refusal:
        await sign_in(people, identifier, PASSWORD, address)
    return refusal.value.retry_after


def test_delays_grow() -> None:
    """Free attempts first, then 1, 2, 4 … seconds, and never more than a quarter of an hour."""
    assert [delay("account", count).total_seconds() for count in range(1, 17)] == (
        [0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]
    )
    assert not delay("address", 99)
    assert delay("address", 100).total_seconds() == 1
    assert delay("account", 10**9).total_seconds() == 900


def test_attempts_are_forgotten_after_a_day(clock: ManualClock) -> None:
    """One that comes later is a first one."""
    known = Attempts(ACCOUNT, 12, last_at=clock.now(), opens_at=clock.now())
    assert counted(known, clock.now() + timedelta(hours=24)).count == 13
    assert counted(known, clock.now() + timedelta(hours=24, seconds=1)).count == 1


def test_a_clock_that_is_set_back_locks_nobody_out(clock: ManualClock) -> None:
    """A wait longer than the longest comes from the clock, not from guessing."""
    known = Attempts(ACCOUNT, 12, last_at=clock.now(), opens_at=clock.now() + timedelta(seconds=128))
    assert wait(known, clock.now()).total_seconds() == 128
    assert not wait(known, clock.now() - timedelta(hours=1))
    assert not wait(known, known.opens_at)


def test_clocks_that_differ_delay_nobody(clock: ManualClock) -> None:
    """While attempts are free, one counted by a gateway whose clock is ahead makes nobody wait."""
    ahead = clock.now() + timedelta(seconds=2)
    known = counted(Attempts(ACCOUNT, 3, last_at=ahead, opens_at=ahead), ahead)
    assert not wait(known, clock.now())
    assert wait(counted(known, ahead), clock.now())


@pytest.mark.parametrize(
    ("host", "network"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("testclient", "testclient"),
        ("", ""),
    ],
)
def test_one_household_is_one_address(host: str, network: str) -> None:
    """Whoever has an IPv6 network has not a new address for every guess."""
    assert network_of(host) == network


@given(st.text(st.characters()), st.text(st.characters()))
def test_subjects_of_anything_are_hashes(identifier: str, host: str) -> None:
    """Whatever is typed can be counted, and cannot be read from the table."""
    subjects = Subjects(SECRET)
    assert len(subjects.account(identifier).hash) == len(subjects.address(host).hash) == 32
    assert subjects.account("@Ming") == subjects.account("@ming") != Subjects(b"other" * 8).account("@ming")
    assert subjects.account("1.2.3.4") != subjects.address("1.2.3.4")


async def test_a_guesser_waits_longer_and_longer(people: People, clock: ManualClock) -> None:
    """Five guesses are heard at once; after that each waits, and one that comes early is not heard."""
    await ming(people)
    for _ in range(FREE_GUESSES):
        await guess(people)
    for seconds in (1, 2, 4, 8):
        assert await refused(people) == seconds
        clock.go(seconds - 0.01)
        assert await refused(people) == 1
        clock.go(0.01)
        await guess(people)


async def test_whoever_knows_the_password_gets_in_after_the_wait(people: People, clock: ManualClock) -> None:
    """And the account's count begins anew."""
    await ming(people)
    for _ in range(FREE_GUESSES):
        await guess(people)
    clock.go(1)
    await sign_in(people)
    for _ in range(FREE_GUESSES):
        await guess(people)
    assert await refused(people) == 1


async def test_nobody_elses_account_waits(people: People) -> None:
    """Guesses at one account delay no other."""
    await ming(people)
    await people.sign_up(
        TENANT, NewPerson(name="Mei", handle="mei", email="m@example.com", password=PASSWORD), address=HOME
    )
    for _ in range(FREE_GUESSES):
        await guess(people)
    assert await refused(people)
    await sign_in(people, "@mei")


async def test_accounts_that_do_not_exist_wait_too(people: People) -> None:
    """Else the wait would tell who has an account here."""
    for _ in range(FREE_GUESSES):
        await guess(people, "nobody@example.com")
    assert await refused(people, "Nobody@Example.com") == 1


async def test_guesses_at_once_are_counted_one_by_one(make_people: MakePeople, db: Database) -> None:
    """However many arrive together, through however many gateways, five are heard."""
    gateways = [make_people(), make_people()]
    await ming(gateways[0])
    tries = (sign_in(gateways[n % 2], "@ming", f"guess number {n}") for n in range(40))
    answers = await asyncio.gather(*tries, return_exceptions=True)
    kinds = [type(answer) for answer in answers]
    assert kinds.count(Unauthenticated) == FREE_GUESSES
    assert kinds.count(QuotaExceeded) == 40 - FREE_GUESSES
    async with db.connection() as connection:
        assert await connection.fetchval("SELECT count FROM people.attempts WHERE kind = 'account'") == FREE_GUESSES


async def test_an_address_that_guesses_at_many_waits(people: People) -> None:
    """A hundred accounts, one guess each; then the address waits, for every account, and others do not."""
    await ming(people)
    for number in range(FREE["address"]):
        await guess(people, f"@person_{number}")
    assert await refused(people) == 1
    await sign_in(people, address="198.51.100.1")


async def test_an_early_try_from_an_address_counts_for_no_account(people: People) -> None:
    """Else whoever is delayed could delay everybody else."""
    for number in range(FREE["address"]):
        await guess(people, f"@person_{number}")
    for _ in range(FREE_GUESSES + 1):
        await refused(people)
    for _ in range(FREE_GUESSES):
        await guess(people, "@ming", "198.51.100.1")
    assert await refused(people, "@ming", "198.51.100.1") == 1


async def test_a_household_that_signs_in_is_not_counted(people: People, db: Database) -> None:
    """A success takes its own attempt back from the address, and no other."""
    await ming(people)
    await guess(people, "@mei")
    await guess(people, "@mei")
    for _ in range(3):
        await sign_in(people)
    async with db.connection() as connection:
        assert await connection.fetchval("SELECT count FROM people.attempts WHERE kind = 'address'") == 2


async def test_asking_who_is_registered_is_guessing(people: People) -> None:
    """A sign-up that fails counts for its address, as a guess at an account does."""
    await ming(people)
    probe = NewPerson(name="Probe", email=MING.email, password=PASSWORD)
    for _ in range(FREE["address"]):
        with pytest.raises(Conflict) as conflict:
            await people.sign_up(TENANT, probe, address=HOME)
        assert conflict.value.reason == Reason.identity_unavailable
    with pytest.raises(QuotaExceeded):
        await people.sign_up(TENANT, probe, address=HOME)
    await people.sign_up(
        TENANT, NewPerson(name="Mei", email="mei@example.com", password=PASSWORD), address="198.51.100.1"
    )
