"""The riders are judged by what they were told and what is stored; and they ride."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, datetime
from functools import partial

import pytest
from tests.drill.server import Answer, answer, serving

from unbusy.clock import SystemClock
from unbusy.drill import oracle
from unbusy.drill.ground import QUICK, Crowd, Event, Ground
from unbusy.drill.lines import Phase
from unbusy.drill.oracle import Stored
from unbusy.drill.riders import Ride, Trip, have_a_client, judged, riding
from unbusy.drill.system import KILLS, started
from unbusy.errors import SetupError
from unbusy.ids import Ids
from unbusy.load import ASSET, PASSWORD, furnish, tokens

pytestmark = pytest.mark.alone

NOW = datetime.now(UTC).isoformat()
PERSON = {"id": "per_1", "handle": "@r_0", "name": "Rider"}
SESSION = {"access_token": "a", "refresh_token": "b", "expires_in": 600, "person": PERSON}
PAYMENT = {
    "id": "pay_1",
    "money": {"state": "moved", "amount": 1, "asset": "EUR"},
    "payer": PERSON,
    "payee": PERSON,
    "created_at": NOW,
    "updated_at": NOW,
}
REFUSAL = {"reason": "line_full", "retry": {"safe": True, "same_key": True, "after": 60}}


def stored(key: str, status: str = "completed", id: str = "pay_a") -> Stored:
    return Stored(id, key, status, 7, 0, 1, None)


def told(key: str, status: str = "completed", id: str = "pay_a") -> Ride:
    return Ride(key, id, status, [status], is_over=True)


def left(key: str) -> Ride:
    return Ride(key, ends=["LineFull"], is_over=True)


def astray(phase: Phase) -> tuple[float | None, float | None]:
    return phase.values["astray"], phase.values["paid_twice"]


def test_as_told_is_as_stored() -> None:
    """Paid, declined, or certain that there is nothing: each is found so."""
    rides = [told("k-1"), told("k-2", "declined", "pay_b"), left("k-3")]
    phase = judged(rides, [stored("k-1"), stored("k-2", "declined", "pay_b")])
    assert astray(phase) == (0, 0)
    assert (phase.values["calls"], phase.values["paid"]) == (3, 1)
    assert phase.outcomes == {"completed": 1, "declined": 1, "LineFull": 1}


@pytest.mark.parametrize(
    ("ride", "found", "why"),
    [
        (told("k"), [], "told completed, stored nothing"),
        (told("k"), [stored("k", "declined")], "told completed, stored declined"),
        (told("k"), [stored("k", id="pay_other")], "told completed, stored completed"),
        (left("k"), [stored("k")], "told not done, stored completed"),
        (Ride("k", ends=["Unresolved"]), [stored("k")], "no end after Unresolved"),
        (Ride("k", broke="KeyError('x')"), [], "KeyError('x')"),
    ],
)
def test_what_goes_astray(ride: Ride, found: list[Stored], why: str) -> None:
    """Another outcome than told, none at all, or an exception that is no error of the client's: with its reason."""
    phase = judged([ride, told("other")], [*found, stored("other")])
    assert astray(phase) == (1, 0)
    assert phase.outcomes[f"astray: {why}"] == 1


def test_paid_twice() -> None:
    """Two payments under one key."""
    assert astray(judged([told("k")], [stored("k"), stored("k", id="pay_b")])) == (1, 1)


def test_nobody_rode() -> None:
    """Proves nothing."""
    assert astray(judged([], [])) == (None, None)


def ride(wallet: Answer, seconds: float) -> list[Ride]:
    """Ride to a wallet that answers so."""
    with serving(wallet) as port:
        trip = Trip(f"http://127.0.0.1:{port}", "trip", ["r_0", "r_1"], "password", "EUR", per_s=20)
        with riding(trip, None) as riders:
            time.sleep(seconds)
            return riders.end()


def made(body: object, status: str = "200 OK") -> bytes:
    return answer(status, json.dumps(body), "content-type: application/json")


def key(request: bytes) -> str:
    found = re.search(rb"idempotency-key: (\S+)", request, re.IGNORECASE)
    assert found
    return found[1].decode()


def test_who_cannot_know_asks_again() -> None:
    """Under the same key, until it is known; and what is queued is looked after to its end."""
    asked = Counter[str]()

    async def wallet(request: bytes) -> bytes:
        if request.startswith(b"POST /v1/sessions"):
            return made(SESSION)
        if request.startswith(b"GET /v1/wallet"):
            return made({"accounts": []})
        if request.startswith(b"POST /v1/payments"):
            asked[key(request)] += 1
            if asked[key(request)] == 1:
                return answer("502 Bad Gateway", "no answer that can be read", "retry-after: 60")
            return made(PAYMENT | {"status": "queued"})
        return made(PAYMENT | {"status": "completed"})

    rides = ride(wallet, 0.5)
    assert rides
    assert {ride.key: 2 for ride in rides} == asked
    assert {(tuple(ride.ends), ride.status) for ride in rides} == {
        (("Wallet", "Unresolved", "queued", "completed"), "completed")
    }
    assert all(ride.is_over for ride in rides)


def test_who_knows_leaves() -> None:
    """What certainly was not done is not asked for again; whose session has ended signs in again."""
    asked, signed_in = Counter[str](), Counter[str]()

    async def wallet(request: bytes) -> bytes:
        if request.startswith(b"POST /v1/sessions"):
            signed_in["all"] += 1
            return made(SESSION)
        if request.startswith(b"GET /v1/wallet"):
            return made({"title": "Sign in", "reason": "unauthenticated"}, "401 Unauthorized")
        asked[key(request)] += 1
        return made(REFUSAL, "503 Service Unavailable")

    rides = ride(wallet, 0.5)
    assert rides
    assert {ride.key: 1 for ride in rides} == asked
    assert {(ride.ends[-1], ride.id, ride.is_over) for ride in rides} == {("LineFull", "", True)}
    assert signed_in["all"] > 2


def test_a_wallet_does_without_a_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the client is not installed, nobody rides, and the drill can be run all the same."""
    assert have_a_client()
    monkeypatch.setitem(sys.modules, "unbusy_client", None)
    assert not have_a_client()
    without = "import sys; sys.modules['unbusy_client'] = None; import unbusy.drill, unbusy.cli"
    subprocess.run([sys.executable, "-c", without], check=True)


def test_who_cannot_sign_in_does_not_ride() -> None:
    """The drill is told, instead of finding that nobody was wronged."""

    async def wallet(request: bytes) -> bytes:
        return made({"reason": "unauthenticated"}, "401 Unauthorized")

    with pytest.raises(SetupError, match="did not start"):
        ride(wallet, 0)


@pytest.mark.long
def test_they_ride_through_it_all() -> None:
    """A crowd comes, storage freezes, gateway, worker and PostgreSQL are killed: each call ends, as the books say."""
    with started(None, QUICK.settings) as system:
        people = furnish(system.url, 32, 0)
        crowd = Crowd(tokens(people, system.secret), [])
        ground = Ground(system, crowd, QUICK, None, Ids(SystemClock()), lambda _: None)
        trip = Trip(system.address, "trip", [person.handle for person in people[:16]], PASSWORD, ASSET, per_s=20)
        disasters = [
            Event(1, system.freeze),
            Event(3, system.thaw),
            *(Event(4 + 2 * number, partial(system.kill, what)) for number, what in enumerate(KILLS)),
        ]
        with riding(trip, None) as riders:
            try:
                ground.run(*ground.crowds(1_000, 9), events=disasters)
            finally:
                system.thaw()
            rides = riders.end()
        phase = judged(rides, oracle.stored(system.url, trip.name))
    assert astray(phase) == (0, 0), phase
    assert phase.values["paid"], phase
