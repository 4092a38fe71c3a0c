"""The gate as a whole: one request after another, with the clock in our hands."""

from __future__ import annotations

import timeit
from pathlib import Path

import pytest
from tests.admission.test_shared import place
from tests.admission.world import GENEROUS, START_AT, crowd, gate_at, pay

from unbusy.admission import LIFE_S, Admitted, Class, Entry, Full, InLine, Options, OverQuota, Quota, Shared, Waits
from unbusy.admission.capacity import TARGET_S
from unbusy.admission.line import Line


def test_with_room_one_comes_in(tmp_path: Path) -> None:
    """At rest nobody is asked to wait."""
    gate = gate_at(tmp_path)
    for n in range(500):
        assert pay(gate, START_AT + n / 100) == Admitted(Class.pay, Entry.room)


def test_a_place_is_taken_up_at_its_time(tmp_path: Path) -> None:
    """Who comes back at the slot comes in by ticket; who comes early gets the same place again."""
    gate = gate_at(tmp_path)
    given = [place(gate, START_AT + 0.01, f"c{n}".encode()) for n in range(300)][-1]
    assert given.slot_at > START_AT + 0.4
    early = pay(gate, given.slot_at - 0.2, b"c299", given.ticket)
    assert early == InLine(Class.pay, given.ticket, pytest.approx(given.slot_at, abs=0.002))  # pyright: ignore[reportArgumentType] - pytest's own equality
    assert pay(gate, given.slot_at, b"c299", given.ticket) == Admitted(Class.pay, Entry.ticket)


@pytest.mark.parametrize("case", ["stranger", "tenant", "class", "expired", "garbage", "empty", "used"])
def test_what_is_no_ticket_makes_a_newcomer(case: str, tmp_path: Path) -> None:
    """A foreign, expired, used or mangled ticket is treated as none, and counted."""
    gate = gate_at(tmp_path)
    given = place(gate, START_AT + 0.01)
    now = given.slot_at + (LIFE_S + 1 if case == "expired" else 0)
    if case == "used":
        assert isinstance(pay(gate, now, ticket=given.ticket), Admitted)
    while isinstance(pay(gate, now, b"filler"), Admitted):
        pass
    ticket = {"garbage": "A" * 68, "empty": ""}.get(case, given.ticket)
    customer, tenant = (b"eve" if case == "stranger" else b"anna"), (65 if case == "tenant" else 1)
    method = "GET" if case == "class" else "POST"
    decision = gate.decide(method, "/v1/payments", None, tenant, customer, ticket, now)
    assert not (isinstance(decision, Admitted) and decision.entry is Entry.ticket)
    assert gate.tickets_refused == 1


def test_a_falling_capacity_moves_slots_and_says_so(tmp_path: Path) -> None:
    """Places stay in order; a holder who must wait longer is told from where to where, and comes in then."""
    gate = gate_at(tmp_path)
    given = [place(gate, START_AT + 0.01, f"c{n}".encode()) for n in range(1_000)]
    now = START_AT
    # Nothing is completed and all waits: the limit falls to a small part.
    while now < START_AT + 1:
        now += 0.1
        gate.tick(now, Waits(payment=1.0))
    held = next(one for one in given if one.slot_at > now)
    customer = f"c{given.index(held)}".encode()
    moved = pay(gate, held.slot_at, customer, held.ticket)
    assert isinstance(moved, InLine)
    assert moved.moved_from == pytest.approx(held.slot_at, abs=0.002)
    # Coming in vain costs as much as coming.
    assert moved.slot_at >= held.slot_at + 0.1
    assert moved.ticket != held.ticket


def test_when_nobody_has_to_wait_any_more_nobody_has_to(tmp_path: Path) -> None:
    """Of a line that moved on faster than was told, whoever comes is let in, once, though it is not his time."""
    gate = gate_at(tmp_path)
    given = [place(gate, START_AT + 0.01, f"c{n}".encode()) for n in range(10_000)]
    last = given[-1]
    now, decision = START_AT, pay(gate, START_AT, b"c9999", last.ticket)
    while isinstance(decision, InLine):
        assert decision == InLine(Class.pay, last.ticket, pytest.approx(last.slot_at, abs=0.002))  # pyright: ignore[reportArgumentType] - pytest's own equality
        now += 0.1
        gate.tick(now)
        decision = pay(gate, now, b"c9999", last.ticket)
    assert decision == Admitted(Class.pay, Entry.ticket)
    assert now < last.slot_at - 1
    assert gate.tickets_refused == 0
    pay(gate, now, b"c9999", last.ticket)
    assert gate.tickets_refused == 1


@pytest.mark.parametrize(
    ("before", "after", "most"), [(1_000.0, 100.0, 400), (100.0, 1_000.0, 600)], ids=["worse", "better"]
)
def test_after_a_second_times_are_told_by_the_worse_pace(
    before: float, after: float, most: float, tmp_path: Path
) -> None:
    """That fewer can be let in is told soon; that more can be, when it has lasted."""
    line = Line(Shared(tmp_path / "shared", 0, 1).line(Class.pay, 1), 0, before, 600.0, START_AT)
    for step in range(1, 11):
        line.tick(START_AT + step / 10, after, after)
    waits = [line.place(who)[1] for who in range(640)]
    assert 640 / most < max(waits) < 640 / 80


def test_times_are_told_by_what_is_left_when_nobody_is_let_in_past_the_line(tmp_path: Path) -> None:
    """Whoever is let in at once costs no refusal. When he waits like the others he does, and less can be done."""
    alone, overtaken = (
        Line(Shared(tmp_path / name, 0, 1).line(Class.pay, 1), 0, 1_000.0, 600.0, START_AT) for name in "ab"
    )
    for line in (alone, overtaken):
        for who in range(6_400):
            line.place(who)
    for step in range(1, 21):
        if step > 1:
            for _ in range(100):
                overtaken.enter()
        for line in (alone, overtaken):
            line.tick(START_AT + step / 10, 1_000.0, 1_000.0)
    told = [line.place(0)[1] for line in (alone, overtaken)]
    assert told[1] > 1.3 * told[0]


def test_what_is_tried_is_not_promised(tmp_path: Path) -> None:
    """More than is good is let in now and then, to learn; times are told by what is good."""
    tried, good = (Line(Shared(tmp_path / name, 0, 1).line(Class.pay, 1), 0, 1_000.0, 600.0, START_AT) for name in "ab")
    for step in range(1, 101):
        tried.tick(START_AT + step / 10, 2_000.0, 1_000.0)
        good.tick(START_AT + step / 10, 1_000.0, 1_000.0)
    waits = [max(line.place(who)[1] for who in range(640)) for line in (tried, good)]
    assert waits[0] == pytest.approx(waits[1], rel=0.1)


def test_a_moved_ticket_lets_in_once_by_either_token(tmp_path: Path) -> None:
    """The token from before the move and the one after it are one place."""
    gate = gate_at(tmp_path)
    given = [place(gate, START_AT + 0.01, f"c{n}".encode()) for n in range(1_000)]
    for step in range(1, 11):
        gate.tick(START_AT + step / 10, Waits(payment=1.0))
    held = next(one for one in given if one.slot_at > START_AT + 1)
    customer = f"c{given.index(held)}".encode()
    decision = pay(gate, held.slot_at, customer, held.ticket)
    now, token = held.slot_at, held.ticket
    while isinstance(decision, InLine):
        now, token = decision.slot_at + 0.01, decision.ticket
        gate.tick(now, Waits(payment=1.0))
        decision = pay(gate, now, customer, token)
    assert token != held.ticket
    assert decision == Admitted(Class.pay, Entry.ticket)
    for old in (token, held.ticket):
        again = pay(gate, now, customer, old)
        assert not (isinstance(again, Admitted) and again.entry is Entry.ticket)


def test_a_line_that_is_too_long_says_when_to_come_back(tmp_path: Path) -> None:
    """Beyond the longest wait no places are given, and those told to come back are spread."""
    gate = gate_at(tmp_path, options=Options(customer_quota=GENEROUS, longest_s=2))
    decisions = [pay(gate, START_AT + 0.01, customer) for customer in crowd(3_000)]
    full = [one for one in decisions if isinstance(one, Full)]
    assert max(one.slot_at for one in decisions if isinstance(one, InLine)) <= START_AT + 2.02
    assert len(full) > 1_000
    assert min(one.come_back_at for one in full) >= START_AT + 1
    assert len({one.come_back_at for one in full}) > 500


def test_what_was_begun_is_finished(tmp_path: Path) -> None:
    """Cancelling, declining and health are let in, however many ask for whatever else."""
    gate = gate_at(tmp_path)
    place(gate, START_AT)
    for n in range(1_000):
        decision = gate.decide("POST", f"/v1/payments/pay_{n}/cancel", None, 1, b"anna", None, START_AT)
        assert decision == Admitted(Class.settle, Entry.room)


def test_over_quota_is_ones_own(tmp_path: Path) -> None:
    """Who asks too often is told to wait; nobody else is."""
    gate = gate_at(tmp_path, options=Options(customer_quota=Quota(rate=1, burst=2)))
    assert [type(pay(gate, START_AT)) for _ in range(3)] == [Admitted, Admitted, OverQuota]
    assert isinstance(pay(gate, START_AT, b"bert"), Admitted)


def test_the_impatient_stand_further_back(tmp_path: Path) -> None:
    """Who comes early again and again is given the longest of his lanes from then on."""
    gate = gate_at(tmp_path)
    now = START_AT + 0.01
    # Greedy ones make some lanes longer than the rest.
    for name in [*crowd(500), *[b"greedy"] * 400]:
        pay(gate, now, name)
    worst = {"patient": 0.0, "impatient": 0.0}
    for kind in ("patient", "impatient"):
        for name in crowd(40, kind):
            given = place(gate, now, name)
            for _ in range(3 if kind == "impatient" else 0):
                pay(gate, now, name, given.ticket)
            worst[kind] = max(worst[kind], place(gate, now, name).slot_at)
    assert worst["impatient"] > worst["patient"] + 1


def test_a_crowded_payee_has_its_own_line(tmp_path: Path) -> None:
    """When nine of ten pay the same payee and all is short, its payers get places and the others come in."""
    gate = gate_at(tmp_path, good=1_000)
    outcome = {b"shop": [0, 0], b"other": [0, 0]}
    held, holder = None, b""
    for step in range(30_000):
        now = START_AT + step / 10_000
        if step % 1_000 == 0:
            gate.tick(now)
        payee = b"other" if step % 10 == 0 else b"shop"
        decision = pay(gate, now, f"c{step}".encode())
        if isinstance(decision, Admitted):
            after = gate.payee(decision, 1, f"c{step}".encode(), payee, now)
            outcome[payee][isinstance(after, Admitted)] += 1
            if isinstance(after, InLine):
                held, holder = after, f"c{step}".encode()
            else:
                # As a server that is full: it would be let in more and more, and nothing be short, if nothing queued.
                gate.finished(Class.pay, TARGET_S)
    assert outcome[b"other"][0] == 0
    assert outcome[b"shop"][0] > 100
    assert held is not None
    assert held.is_crowd
    back = pay(gate, held.slot_at, holder, held.ticket)
    assert back == Admitted(Class.pay, Entry.crowd)
    assert isinstance(back, Admitted)
    assert gate.payee(back, 1, holder, b"shop", held.slot_at) == back


def test_nobody_is_crowded_at_rest(tmp_path: Path) -> None:
    """All may pay the same payee as long as there is room."""
    gate = gate_at(tmp_path)
    for step in range(2_000):
        now = START_AT + step / 100
        if step % 10 == 0:
            gate.tick(now)
        decision = pay(gate, now)
        assert isinstance(decision, Admitted)
        assert gate.payee(decision, 1, b"anna", b"shop", now) == decision


def test_saying_no_is_cheap(tmp_path: Path) -> None:
    """A refusal with its ticket takes some microseconds: ten times a machine's noise below what must be."""
    gate = gate_at(tmp_path)
    place(gate, START_AT)
    took = min(timeit.repeat(lambda: pay(gate, START_AT), number=2_000, repeat=5)) / 2_000
    assert took < 50e-6


def test_a_crowd_at_the_door_makes_room(tmp_path: Path) -> None:
    """While requests wait to be looked at, less is let in than is completed beside saying no; then all that again."""
    gate = gate_at(tmp_path, good=1_000)
    now = START_AT

    def goes_on(seconds: float, rate: float, waits: Waits) -> None:
        nonlocal now
        for _ in range(round(seconds * 10)):
            now += 0.1
            for _ in range(round(rate / 10)):
                place(gate, now)
                gate.finished(Class.pay, 0.0)
            gate.tick(now, waits)

    goes_on(3, 500, Waits(door=0.1))
    assert 0.6 * 500 <= gate.rate(Class.pay) <= 0.9 * 500
    goes_on(1, 500, Waits())
    assert gate.rate(Class.pay) >= 500


def test_reads_that_wait_close_the_door_to_reads_only(tmp_path: Path) -> None:
    """Whatever waits for a connection to read with says nothing about payments."""
    gate = gate_at(tmp_path, good=1_000)
    pay, read = gate.rate(Class.pay), gate.rate(Class.read)
    for step in range(1, 31):
        for number in range(100):
            gate.decide("GET", "/v1/payments", None, 1, b"%d" % number, None, START_AT + step / 10)
        gate.finished(Class.read, 0.0)
        gate.tick(START_AT + step / 10, Waits(read=0.5))
    assert gate.rate(Class.read) < 0.1 * read
    assert gate.rate(Class.pay) >= 0.9 * pay
