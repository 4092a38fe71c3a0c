"""What gateways share: used tickets, positions, and what is left when it is damaged."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.admission.world import START_AT, gate_at, pay

from unbusy.admission import Admitted, Full, Gate, InLine, Shared
from unbusy.admission.capacity import START
from unbusy.admission.classes import Class
from unbusy.admission.shared import HEAD
from unbusy.admission.used import Used


def place(gate: Gate, now: float, customer: bytes = b"anna") -> InLine:
    """A place in line, after filling whatever room there is."""
    for _ in range(10_000):
        decision = pay(gate, now, customer)
        if isinstance(decision, InLine):
            return decision
    raise AssertionError("there is always room")


def test_a_ticket_lets_in_once_at_any_gateway(tmp_path: Path) -> None:
    """Used at one gateway it is used at all, and at either its time is the same."""
    one, two = (gate_at(tmp_path, index=n, of=2) for n in range(2))
    given = place(one, START_AT + 0.01)
    for gate in (one, two):
        gate.tick(given.slot_at)
    assert isinstance(pay(two, given.slot_at, ticket=given.ticket), Admitted)
    refused = one.tickets_refused
    for _ in range(200):
        pay(one, given.slot_at, b"filler")
    assert not isinstance(pay(one, given.slot_at, ticket=given.ticket), Admitted)
    assert one.tickets_refused == refused + 1


def test_used_tickets_survive_a_restart(tmp_path: Path) -> None:
    """A gateway that was killed does not let its dead self's tickets in again."""
    gate = gate_at(tmp_path)
    given = place(gate, START_AT + 0.01)
    assert isinstance(pay(gate, given.slot_at, ticket=given.ticket), Admitted)
    again = gate_at(tmp_path, given.slot_at)
    place(again, given.slot_at)
    assert not isinstance(pay(again, given.slot_at, ticket=given.ticket), Admitted)
    assert again.tickets_refused == 1


def test_a_restart_keeps_the_line(tmp_path: Path) -> None:
    """After a kill, newcomers get places behind those given before, and those hold."""
    gate = gate_at(tmp_path)
    given = [place(gate, START_AT + 0.01, f"c{n}".encode()) for n in range(2_000)]
    gate.tick(START_AT + 0.1)
    died_at = START_AT + 0.15
    again = gate_at(tmp_path, died_at)
    newcomer = place(again, died_at, b"newcomer")
    assert newcomer.slot_at >= max(one.slot_at for one in given) - 0.5
    held = given[50]
    assert isinstance(pay(again, held.slot_at + 0.05, b"c50", held.ticket), Admitted)


def test_numbers_never_come_twice(tmp_path: Path) -> None:
    """Tickets after a restart are not taken for used ones from before."""
    before = [place(gate_at(tmp_path, START_AT + n), START_AT + n).ticket for n in range(5)]
    assert len(set(before)) == 5


@pytest.mark.parametrize("damage", ["random", "zeros", "short", "empty", "missing", "version"])
def test_damage_gives_defaults_and_never_no_limit(damage: str, tmp_path: Path) -> None:
    """Whatever became of the file, the gate works, remembers anew, and lets in what it would by default."""
    gate = gate_at(tmp_path)
    place(gate, START_AT + 0.01)
    file = tmp_path / "shared"
    size = file.stat().st_size
    content = file.read_bytes()
    file.unlink()
    if damage != "missing":
        file.write_bytes(
            {
                "random": os.urandom(size),
                "zeros": bytes(size),
                "short": content[:1_000],
                "empty": b"",
                "version": content[:8] + b"\xff" + content[9:],
            }[damage]
        )
    again = gate_at(tmp_path, START_AT + 1)
    let_in = sum(isinstance(pay(again, START_AT + 1.01, f"c{n}".encode()), Admitted) for n in range(2_000))
    assert 0 < let_in < START / 10
    assert again.capacity.limit == START
    assert isinstance(place(again, START_AT + 1.02), InLine)


def test_nonsense_under_a_good_header_is_not_believed(tmp_path: Path) -> None:
    """Positions, times and capacities that cannot be are replaced, one by one."""
    shared = Shared(tmp_path / "shared", 0, 1)
    shared.own.good = float("nan")
    for klass in Class:
        line = shared.own.line(klass, 1)
        for cell in range(len(line)):
            line[cell] = (float("nan"), float("inf"), -1.0, 1e300)[cell % 4]
    gate = gate_at(tmp_path)
    decisions = [pay(gate, START_AT + 0.01, f"c{n}".encode()) for n in range(100)]
    assert not any(isinstance(one, Full) for one in decisions)
    assert {type(one) for one in decisions} == {Admitted, InLine}


def test_one_bad_lane_is_one_lane(tmp_path: Path) -> None:
    """A lane whose tag cannot be is emptied; the others keep theirs."""
    gate = gate_at(tmp_path)
    for n in range(3_000):
        place(gate, START_AT + 0.01, f"c{n}".encode())
    gate.tick(START_AT + 0.1)
    line = Shared(tmp_path / "shared", 0, 1).own.line(Class.pay, 1)
    line[HEAD + 10] = float("nan")
    before = line.tolist()
    again = gate_at(tmp_path, START_AT + 0.2)
    pay(again, START_AT + 0.2)
    assert sum(a != b for a, b in zip(before[HEAD:], line.tolist()[HEAD:], strict=True)) <= 3


def test_used_is_bounded_and_lasts_a_minute(tmp_path: Path) -> None:
    """A used ticket is known for as long as it would be good, and not for ever."""
    shared = Shared(tmp_path / "shared", 0, 1)
    used = Used(shared.own.generations, [shared.own.generations], START_AT)
    numbers = [int(START_AT * 1e6) + n for n in range(20_000)]
    for number in numbers:
        used.add(number)
    used.tick(START_AT + 65)
    assert all(used.has(number) for number in numbers)
    assert not any(used.has(number + 10**9) for number in numbers)
    used.tick(START_AT + 130)
    assert not any(used.has(number) for number in numbers)


def test_a_gateway_writes_only_its_own(tmp_path: Path) -> None:
    """What one gateway does leaves the others' regions untouched, byte for byte."""
    one, _ = gate_at(tmp_path, index=0, of=2), gate_at(tmp_path, index=1, of=2)
    half = (tmp_path / "shared").stat().st_size // 2
    before = (tmp_path / "shared").read_bytes()[half:]
    given = place(one, START_AT + 0.01)
    pay(one, given.slot_at, ticket=given.ticket)
    one.tick(given.slot_at)
    assert (tmp_path / "shared").read_bytes()[half:] == before
