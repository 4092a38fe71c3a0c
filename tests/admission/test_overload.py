"""The gate in front of a simulated server, at ten times what it can do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.admission.world import Load, World, crowd, gate_at, jain, spearman

from unbusy.admission import Class
from unbusy.admission.capacity import TARGET_S

C = 400.0
CUSTOMERS = crowd(5_000)


def world(directory: Path, loads: list[Load], gateways: int = 1) -> World:
    """A server that does C, and gates that know it."""
    gates = [gate_at(directory, index=n, of=gateways, good=C / gateways) for n in range(gateways)]
    return World(gates, lambda _: C, loads)


def at(times: float, customers: Sequence[bytes] = CUSTOMERS, returns: float = 1.0) -> Load:
    """So many times the capacity."""
    return Load(lambda _: times * C, customers, returns=returns)


@pytest.mark.parametrize("returns", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("gateways", [1, 2])
def test_goodput_stays_at_the_capacity(returns: float, gateways: int, tmp_path: Path) -> None:
    """At ten times the load the server does all it can, and what it does waits little, whoever comes back."""
    simulated = world(tmp_path, [at(10, returns=returns)], gateways)
    simulated.run(15)
    assert simulated.goodput(3, 15) >= 0.97 * C
    assert simulated.queueing(3, 15) <= 2 * TARGET_S


def test_it_is_first_come_first_served(tmp_path: Path) -> None:
    """When all come back, they are served in the order they asked, each within a second of the slot told first."""
    simulated = world(tmp_path, [at(10)])
    simulated.run(25)
    holders = [one for one in simulated.askers if one.by_ticket]
    assert len(holders) > 0.9 * 20 * C
    assert spearman([(one.asked_at, one.entered_at) for one in holders]) >= 0.99
    assert sum(one.entered_at - one.first_slot_at <= 1 for one in holders) >= 0.99 * len(holders)
    assert sum(one.entered_at - one.slot_at <= 1 for one in holders) >= 0.999 * len(holders)


def test_after_a_surge_everybody_was_served_in_order(tmp_path: Path) -> None:
    """A surge that ends leaves nobody unserved, and few are overtaken: by what holders leave, for they are told the
    time at which there will be room for certain."""
    load = Load(lambda t: 1.5 * C if t < 15 else 0.4 * C, CUSTOMERS)
    simulated = world(tmp_path, [load])
    simulated.run(40)
    assert sum(one.done_at < 0 for one in simulated.askers if one.asked_at < 39) == 0
    assert spearman([(one.asked_at, one.entered_at) for one in simulated.askers if one.asked_at < 39]) >= 0.98


def test_after_a_freeze_it_is_as_before(tmp_path: Path) -> None:
    """Ten seconds of a frozen database, and two seconds later nine tenths are done again."""
    simulated = world(tmp_path, [at(10)])
    simulated.capacity = lambda t: 0.0 if 5 <= t < 15 else C
    simulated.run(20)
    assert simulated.goodput(17.5, 20) >= 0.9 * C


def test_a_greedy_customer_fills_his_own_lanes(tmp_path: Path) -> None:
    """One who asks for ten times everything does not keep a crowd that asks for half from being served."""
    load = [Load(lambda _: 10 * C, [b"greedy"]), Load(lambda _: 0.5 * C, CUSTOMERS)]
    simulated = world(tmp_path, load)
    simulated.run(20)
    others = [one for one in simulated.askers if one.customer != b"greedy" and 5 <= one.asked_at < 15]
    served = sum(one.done_at >= 0 and one.done_at - one.asked_at <= 3 for one in others)
    assert served >= 0.85 * len(others)


def test_a_greedy_tenant_takes_nothing_from_the_others(tmp_path: Path) -> None:
    """A tenant at a hundred times its share gets what the others leave; they come in at once, and evenly."""
    small = [Load(lambda _: 0.08 * C, crowd(100, f"t{n}-"), tenant=n) for n in range(2, 10)]
    simulated = world(tmp_path, [Load(lambda _: 10 * C, CUSTOMERS, tenant=1), *small])
    simulated.run(17)
    askers = [one for one in simulated.askers if one.tenant != 1 and 2 <= one.asked_at < 14]
    assert sum(one.entered_at == one.asked_at for one in askers) >= 0.98 * len(askers)
    assert jain([simulated.done_of(n) for n in range(2, 10)]) >= 0.98
    assert simulated.goodput(5, 17) >= 0.97 * C


def test_equal_tenants_get_equal_parts(tmp_path: Path) -> None:
    """Two who both ask for too much get the same, though one asks for ten times as much as the other."""
    loads = [Load(lambda _: 10 * C, CUSTOMERS, tenant=1), Load(lambda _: C, crowd(500, "b"), tenant=2)]
    simulated = world(tmp_path, loads)
    simulated.run(20)
    assert jain([simulated.done_of(1), simulated.done_of(2)]) >= 0.98


def test_reads_have_their_floor_and_take_no_payment(tmp_path: Path) -> None:
    """Ten times the payments leave reads their twentieth; ten times the reads leave payments all they ask for."""
    reads = Load(lambda _: 0.2 * C, CUSTOMERS, klass=Class.read)
    simulated = world(tmp_path, [at(10), reads])
    simulated.run(12)
    done = sum(0.5 for one in simulated.askers if one.klass is Class.read and 4 <= one.done_at < 12) / 8
    assert done >= 0.045 * C


def test_payments_are_safe_from_reads(tmp_path: Path) -> None:
    """Ten times the reads leave payments all they ask for: nearly all at once, and every one within a second."""
    reads = Load(lambda _: 20 * C, CUSTOMERS, klass=Class.read)
    simulated = world(tmp_path, [at(0.5), reads])
    simulated.run(12)
    payments = [one for one in simulated.askers if one.klass is Class.pay and 2 <= one.asked_at < 10]
    assert sum(one.entered_at == one.asked_at for one in payments) >= 0.95 * len(payments)
    assert all(0 <= one.done_at <= one.asked_at + 1 for one in payments)
