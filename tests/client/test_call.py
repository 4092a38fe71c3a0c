"""How one call behaves, whatever the wallet and the way to it do: on a clock that is made up."""

from __future__ import annotations

import itertools
import random
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.client.simulation import Act, World, world

from unbusy_client import (
    InLine,
    Invalid,
    Payment,
    Person,
    QuotaExceeded,
    Session,
    Unauthenticated,
    Unavailable,
    UnbusyError,
    Unreachable,
    Unresolved,
    operations,
)
from unbusy_client.budget import RATIO, RESERVE
from unbusy_client.call import MOST_BACKOFF_S, Call, Shared
from unbusy_client.operations import Operation
from unbusy_client.problems import Ticket

T = TypeVar("T")

SESSION = Session(
    access_token="access", refresh_token="refresh", expires_in=600, person=Person(id="per_1", name="Ming", handle="@m")
)
KINDS = [
    *["ok", "lost", "not sent", "in_line", "line_full", "quota_exceeded", "bare", "garbled", "invalid", "final"],
    *["ledger_unavailable", "deadline_unreachable", "payee_crowded", "something_new"],
]
ACTS = st.builds(
    Act,
    kind=st.sampled_from(KINDS),
    takes_s=st.sampled_from([0.001, 0.02, 0.4, 3.0, 60.0]),
    is_done=st.booleans(),
    after_s=st.floats(0.0, 40.0),
)


def shared(chance: float = 1.0) -> Shared:
    return Shared(SESSION, lambda: chance)


def pay(key: str = "key-1") -> Operation[Payment]:
    return operations.pay("@anna", 5, "EUR", "", key=key)


def made(
    place: World, operation: Operation[T], common: Shared, within_s: float = 30.0, ticket: Ticket | None = None
) -> T | UnbusyError:
    """What a call ended with."""
    try:
        return place.run(Call(operation, common, within_s=within_s, ticket=ticket).run())
    except UnbusyError as error:
        return error


# ── whatever happens ─────────────────────────────────────────────────────────────────────────


@given(st.lists(ACTS, max_size=12), st.sampled_from([0.05, 2.0, 30.0, 90.0]), st.floats(0.0, 1.0), st.floats(0, 1e6))
def test_a_call_keeps_its_rules(acts: list[Act], within_s: float, chance: float, ahead_s: float) -> None:
    """It ends in time, asks for one thing under one key, comes when it was told to, and never says too much."""
    place = World(iter(acts), ahead_s=1_700_000_000 + ahead_s)
    began = place.now
    outcome = made(place, pay(), shared(chance), within_s)

    assert place.now <= began + within_s + 1e-6
    assert all(at + seconds < began + within_s for at, seconds in place.slept), "slept beyond the deadline"
    assert {(sent.request.method, sent.request.path, sent.request.body, sent.key) for sent in place.sent} == {
        ("POST", "/v1/payments", b'{"payee":"@anna","amount":5,"asset":"EUR","note":""}', "key-1")
    }
    for sent in place.sent:
        left_ms = int(sent.request.headers["x-request-deadline-ms"])
        assert 1 <= left_ms <= max(1, (began + within_s - sent.at) * 1000 + 1e-6)
        assert sent.ticket is None or sent.at >= place.slots[sent.ticket] - 1e-6, "came before its slot"
    assert place.too_early == 0
    assert len(set(place.answered)) == len(place.answered), "the same ticket was shown twice"
    if isinstance(outcome, Payment):
        assert place.done == ["key-1"]
    else:
        assert outcome.key == "key-1"
        assert outcome.may_have_moved or not place.done, f"{outcome!r}, but it was done"


@given(st.lists(ACTS, max_size=12), st.floats(0.0, 1.0))
def test_what_is_unresolved_is_resolved_by_its_key(acts: list[Act], chance: float) -> None:
    """Whatever happened before: the same call with the same key ends it, and it was done once."""
    place, common = World(iter(acts)), shared(chance)
    first = made(place, pay(), common)
    if isinstance(first, Unresolved):
        place.acts = iter([])
        assert isinstance(made(place, pay(first.key or ""), common), Payment)
    if isinstance(first, Payment | Unresolved):
        assert place.done == ["key-1"]


@given(st.lists(ACTS.filter(lambda act: act.kind != "in_line"), min_size=1, max_size=9), st.integers(1, 60))
def test_retries_stay_within_the_budget(acts: list[Act], calls: int) -> None:
    """All calls of a client together retry at most one request in ten, beyond a small reserve."""
    place, common = World(itertools.cycle(acts)), shared(0.0)
    for number in range(calls):
        made(place, pay(f"key-{number}"), common)
    assert len(place.sent) - calls <= RESERVE + RATIO * calls


def test_a_wallet_that_answers_nobody_is_not_stormed() -> None:
    """When everything is lost the load is 1.1 times what it would be, however many calls there are."""
    place, common = World(itertools.repeat(Act("not sent"))), shared(0.0)
    for number in range(1_000):
        assert isinstance(made(place, pay(f"key-{number}"), common), Unreachable)
    assert 1_090 <= len(place.sent) <= 1_110


@given(st.lists(st.floats(0.0, 1.0), min_size=20, max_size=20))
def test_waiting_in_line_costs_no_retries(waits: list[float]) -> None:
    """However often a place moves, waiting for it is not a retry."""
    place, common = world(*(Act("in_line", after_s=after_s) for after_s in waits)), shared()
    assert isinstance(made(place, pay(), common), Payment)
    place.acts = iter([Act("lost")] * int(RESERVE))
    assert isinstance(made(place, pay(), common, within_s=600), Payment)


# ── one by one ───────────────────────────────────────────────────────────────────────────────


def test_a_place_in_line_is_waited_for() -> None:
    """Until the slot and not a second longer, with the ticket, the same key and no retry."""
    place = world(Act("in_line", after_s=7.3))
    assert isinstance(made(place, pay(), shared()), Payment)
    first, second = place.sent
    assert (first.ticket, second.ticket) == (None, "ticket-0")
    assert 0 <= second.at - place.slots["ticket-0"] < 1.1


def test_the_wallets_clock_is_learned() -> None:
    """After some answers the slot is met within the time an answer takes, though seconds are cut off."""
    common, late = shared(), list[float]()
    for number in range(40):
        place = world(Act("in_line", after_s=2.0 + number * 0.037))
        place.now += number * 10.217
        assert isinstance(made(place, pay(), common), Payment)
        late.append(place.sent[-1].at - place.slots["ticket-0"])
    assert min(late) >= 0
    assert max(late[20:]) < 0.1


def test_a_slot_beyond_the_deadline_ends_the_call_at_once() -> None:
    """Who cannot wait so long is told when, without having waited; the next call keeps the place."""
    place, common = world(Act("in_line", after_s=50)), shared()
    error = made(place, pay(), common, within_s=10)
    assert isinstance(error, InLine)
    assert not place.slept
    assert not error.may_have_moved
    assert isinstance(made(place, pay(error.key or ""), common, 90, error.ticket), Payment)
    assert [sent.ticket for sent in place.sent] == [None, "ticket-0"]
    assert place.sent[1].at >= place.slots["ticket-0"]


def test_a_ticket_that_got_lost_is_shown_again() -> None:
    """What the wallet has not seen is worth what it was: the place is not given up for a cut connection."""
    place = world(Act("in_line", after_s=2), "not sent", "lost")
    assert isinstance(made(place, pay(), shared()), Payment)
    assert [sent.ticket for sent in place.sent] == [None, *["ticket-0"] * 3]


def test_slots_that_are_always_over_do_not_make_a_storm() -> None:
    """A wallet whose slots are past when they are heard of is asked twenty times a second at most."""
    place = world(*[Act("in_line", takes_s=0.001, after_s=0.0)] * 10_000)
    assert isinstance(made(place, pay(), shared(), within_s=2), InLine)
    assert len(place.sent) <= 2 / 0.05 + 1


def test_lost_connections_are_backed_off_from() -> None:
    """Each pause may be twice the one before, up to a limit, by chance."""
    place = world(*["not sent"] * 9)
    assert isinstance(made(place, pay(), shared(), within_s=60), Payment)
    pauses = [seconds for _, seconds in place.slept]
    assert pauses == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, MOST_BACKOFF_S, MOST_BACKOFF_S, MOST_BACKOFF_S]
    drawn = Shared(SESSION, random.Random(7).random)
    assert {0 <= drawn.backoff_s(3) <= 0.8 for _ in range(100)} == {True}


def test_retry_after_is_honoured() -> None:
    """Neither earlier nor later than what was said; beyond the deadline it ends the call at once."""
    place = world(Act("quota_exceeded", after_s=4), Act("line_full", after_s=9))
    assert isinstance(made(place, pay(), shared()), Payment)
    assert [seconds for _, seconds in place.slept] == [4, 9]
    error = made(world(Act("quota_exceeded", after_s=40)), pay(), shared())
    assert isinstance(error, QuotaExceeded)
    assert error.retry_after_s == 40


def test_what_is_said_to_be_final_is_not_repeated() -> None:
    """`retry.safe: false` holds for any status and for reasons that are unknown here."""
    for act, kind in [("invalid", Invalid), ("final", UnbusyError)]:
        place = world(act)
        assert isinstance(made(place, pay(), shared()), kind)
        assert len(place.sent) == 1


def test_a_reading_that_got_no_answer_is_no_unresolved_payment() -> None:
    """Only what changes something can be left open."""
    error = made(world(*["lost"] * 99), operations.wallet(), shared())
    assert isinstance(error, Unreachable)
    assert (error.may_have_moved, error.key) == (False, None)


def test_signing_up_is_not_repeated_when_it_may_be_done() -> None:
    """A second attempt would be told that the handle is taken: by whom is not known."""
    new = operations.sign_up("Ming", "long enough", handle=None, email="m@example.com", phone=None, language="en")
    place = world("lost")
    assert isinstance(made(place, new, shared()), Unresolved)
    assert len(place.sent) == 1
    place = world("not sent", Act("in_line", after_s=1), "line_full", "invalid")
    assert isinstance(made(place, new, shared()), Invalid)
    assert len(place.sent) == 4


def test_nobody_signed_in_sends_nothing() -> None:
    """Without a session there is nothing to send."""
    place = world()
    assert isinstance(made(place, pay(), Shared(None, lambda: 0.0)), Unauthenticated)
    assert not place.sent


def test_a_certain_answer_does_not_make_an_earlier_one_certain() -> None:
    """Lost first, refused afterwards: what was lost may have been done."""
    for later in [Act("in_line", after_s=99), Act("line_full", after_s=99), Act("invalid")]:
        error = made(world("lost", later), pay(), shared())
        assert isinstance(error, Unresolved)
        assert isinstance(error.__cause__, UnbusyError)
        assert error.key == "key-1"
    assert isinstance(made(world("not sent", Act("line_full", after_s=99)), pay(), shared()), Unavailable)


def test_a_kept_ticket_is_good_before_any_answer() -> None:
    """A new client knows no time of the wallet: it asks, and is told how long."""
    place = world(Act("in_line", after_s=0))
    place.slots["kept"] = place.now + 5
    at = datetime.fromtimestamp(place.now + 5 + place.ahead_s, UTC) + timedelta(milliseconds=1)
    assert isinstance(made(place, pay(), shared(), ticket=Ticket("kept", at)), Payment)
    assert [sent.ticket for sent in place.sent][:2] == ["kept", "kept"]
    assert place.sent[1].at >= place.slots["kept"]


@pytest.mark.parametrize("key", ["", " key", "key ", "k" * 65, "schlüssel", "a\nb"])
def test_a_key_that_cannot_be_one_is_refused_here(key: str) -> None:
    """Before anything is sent."""
    with pytest.raises(ValueError, match="idempotency key"):
        pay(key)


@pytest.mark.parametrize("within_s", [0.0, -1.0, float("nan")])
def test_a_call_needs_some_time(within_s: float) -> None:
    """A deadline that is over before the call began is a mistake, told before anything is sent."""
    place = world()
    with pytest.raises(ValueError, match="within_s"):
        made(place, pay(), shared(), within_s=within_s)
    assert not place.sent
