"""One line before several gateways: they begin with nothing, are uneven, and one of them is killed half-way."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from tests.admission.test_shared import place
from tests.admission.world import START_AT, Asker, Load, World, crowd, gate_at, pay, spearman

from unbusy.admission import Admitted, InLine, Shared
from unbusy.admission.classes import Class
from unbusy.admission.shared import HEAD

C = 1_000.0
CUSTOMERS = crowd(5_000)
SPLIT = (0.7, 0.3)
KILLED_AT = 10
BACK_AT = KILLED_AT + 1


def world(directory: Path, seed: int, load: Load) -> World:
    """Two gates that know nothing, before one server whose speed changes four times a second."""
    chance = random.Random(seed)
    speeds = [chance.gauss(C, 0.15 * C) for _ in range(200)]
    gates = [gate_at(directory, index=n, of=2) for n in range(2)]
    return World(gates, lambda t: speeds[int(t * 4)], [load], 0.005 * C, SPLIT, random.Random(seed))


def is_in_order(holders: list[Asker]) -> bool:
    return spearman([(one.asked_at, one.entered_at) for one in holders]) >= 0.99


def punctual(simulated: World, until: float) -> tuple[float, float]:
    """Of those told a slot before then, the parts that came in within a second of the first and of the last told."""
    due = [one for one in simulated.askers if 0 < one.first_slot_at < until - 1]
    first = sum(0 <= one.entered_at <= one.first_slot_at + 1 for one in due)
    return first / len(due), sum(0 <= one.entered_at <= one.slot_at + 1 for one in due) / len(due)


@pytest.mark.parametrize("killed", [None, 0, 1])
@pytest.mark.parametrize("seed", [1, 2])
def test_two_serve_one_line_in_order(seed: int, killed: int | None, tmp_path: Path) -> None:
    """Whichever is asked, and whichever one comes back to: in order, each within a second of the first slot told."""
    simulated = world(tmp_path, seed, Load(lambda _: 3 * C, CUSTOMERS))
    simulated.run(KILLED_AT)
    if killed is not None:
        simulated.kill(killed)
        simulated.run(BACK_AT)
        simulated.gates.insert(killed, gate_at(tmp_path, START_AT + BACK_AT, index=killed, of=2))
    simulated.run(22)
    holders = [one for one in simulated.askers if one.by_ticket]
    first, last = punctual(simulated, 22)
    assert len(holders) >= 0.5 * 22 * C
    assert is_in_order(holders)
    assert first >= 0.99
    assert last >= 0.999


def test_waves_make_no_long_line(tmp_path: Path) -> None:
    """A line that is empty again and again is no longer than what came in the wave, at whichever gateway one asks."""
    simulated = world(tmp_path, 1, Load(lambda t: 2.5 * C if t % 4 < 1 else 0.1 * C, CUSTOMERS))
    simulated.run(20)
    waits = [one.first_slot_at - one.asked_at for one in simulated.askers if one.first_slot_at and one.asked_at > 4]
    assert len(waits) > C
    assert max(waits) <= 2.5
    assert is_in_order([one for one in simulated.askers if one.by_ticket])


def test_a_later_place_is_no_earlier_at_the_other(tmp_path: Path) -> None:
    """Places given in turn by two gateways are told in the order they were given, to some hundredths of a second."""
    gates = [gate_at(tmp_path, index=n, of=2) for n in range(2)]
    for gate in gates:
        place(gate, START_AT)
    for step in range(1, 4):
        for gate in gates:
            gate.tick(START_AT + step / 10)
    slots = [place(gates[n % 3 == 0], START_AT + 0.3 + n / 1e5, f"c{n}".encode()).slot_at for n in range(2_000)]
    assert spearman([*enumerate(slots)]) >= 0.995
    assert slots[-1] - slots[0] >= 1.5


def test_the_line_goes_on_when_its_leader_dies(tmp_path: Path) -> None:
    """The other moves it on, lets its holders in at their time, and whoever is started again finds it where it is."""
    first, second = (gate_at(tmp_path, index=n, of=2) for n in range(2))
    pay(second, START_AT)
    given = [place(first, START_AT + 0.01, f"c{n}".encode()) for n in range(3_000)]
    now = START_AT
    held = given[2_000]
    while now < held.slot_at:
        now += 0.1
        second.tick(now)
    assert isinstance(pay(second, now, b"c2000", held.ticket), Admitted)
    again = gate_at(tmp_path, now, index=0, of=2)
    newcomer, later = place(again, now, b"newcomer"), given[-1]
    assert newcomer.slot_at >= later.slot_at - 0.5
    assert isinstance(pay(again, now, b"c2999", later.ticket), InLine)


@pytest.mark.parametrize("nonsense", [float("nan"), float("inf"), -1.0, 1e300, 0.0])
def test_nonsense_of_another_is_not_believed(nonsense: float, tmp_path: Path) -> None:
    """Whatever became of another's part, the line goes on as if that one were dead."""
    one, _ = gate_at(tmp_path, index=0, of=2), gate_at(tmp_path, index=1, of=2)
    given = place(one, START_AT + 0.01)
    cells = Shared(tmp_path / "shared", 1, 2).own.line(Class.pay, 1)
    for cell in range(len(cells)):
        cells[cell] = nonsense
    cells[1] = START_AT + 0.1
    for step in range(1, 4):
        one.tick(START_AT + step / 10)
    newcomer = place(one, START_AT + 0.31, b"newcomer")
    assert given.slot_at <= newcomer.slot_at <= START_AT + 1
    assert all(0 <= cell < 1e10 for cell in Shared(tmp_path / "shared", 0, 2).own.line(Class.pay, 1)[HEAD:])


def test_who_is_asked_more_than_the_others_says_so(tmp_path: Path) -> None:
    """Only the gateway to which most connections lead has too many, and only while another lives."""
    gates = [gate_at(tmp_path, index=n, of=2) for n in range(2)]
    for step in range(1, 21):
        for gate, asks in zip(gates, (20, 8), strict=True):
            for n in range(asks):
                pay(gate, START_AT + step / 10, f"c{n}".encode())
            gate.tick(START_AT + step / 10)
    assert [gate.has_too_many for gate in gates] == [True, False]
    alone = gate_at(tmp_path / "alone", of=8)
    place(alone, START_AT)
    alone.tick(START_AT + 0.1)
    assert not alone.has_too_many
