"""Quotas, and who does not wait when told to."""

from __future__ import annotations

import pytest

from unbusy.admission.quotas import Quota, Quotas

NOW = 1_790_000_000.0


def test_a_burst_is_free_and_then_the_rate_holds() -> None:
    """A hundred at once, then fifty a second: who waits as told is welcome."""
    quotas = Quotas()
    assert [quotas.wait(1, 7, NOW) for _ in range(100)] == [0.0] * 100
    wait = quotas.wait(1, 7, NOW)
    assert wait == pytest.approx(0.02, abs=1e-5)
    assert quotas.wait(1, 7, NOW + wait + 1e-5) == 0
    assert quotas.wait(1, 7, NOW + wait + 1e-5) > 0


def test_a_refused_request_costs_no_quota() -> None:
    """Asking too early a thousand times does not make the wait longer."""
    quotas = Quotas(Quota(rate=1, burst=1))
    assert quotas.wait(1, 7, NOW) == 0
    for _ in range(1_000):
        assert quotas.wait(1, 7, NOW + 0.5) == pytest.approx(0.5)
    assert quotas.wait(1, 7, NOW + 1) == 0


def test_customers_have_their_own_and_tenants_only_when_set() -> None:
    """One's quota is nobody else's; a tenant's counts all its customers."""
    quotas = Quotas(Quota(rate=1, burst=1), {2: Quota(rate=2, burst=2)})
    assert [quotas.wait(1, who, NOW) for who in range(50)] == [0.0] * 50
    waits = [quotas.wait(2, 100 + who, NOW) for who in range(4)]
    assert waits[:2] == [0.0, 0.0]
    assert min(waits[2:]) > 0


def test_memory_is_bounded_and_quotas_hold_on() -> None:
    """A flood of strangers is forgotten; one who asks all the time is not, across generations."""
    quotas = Quotas(Quota(rate=10, burst=10))
    let_in = 0
    for step in range(3_000):
        now = NOW + step / 100
        quotas.tick(now)
        let_in += quotas.wait(1, 7, now) == 0
    assert let_in == pytest.approx(310, abs=2)
    for who in range(250_000):
        quotas.wait(1, 1_000 + who, NOW + 30)
    assert quotas.wait(1, 1_000 + 250_000, NOW + 30) == 0


def test_a_clock_set_back_locks_nobody_out() -> None:
    """An hour back on the clock is not an hour without service."""
    quotas = Quotas(Quota(rate=1, burst=1))
    quotas.wait(1, 7, NOW)
    assert quotas.wait(1, 7, NOW - 3_600) <= 1


def test_impatience_is_remembered_and_forgiven() -> None:
    """Coming early three times is held against one, until one has waited for a while."""
    quotas = Quotas()
    for _ in range(2):
        quotas.came_early(7)
    assert not quotas.is_impatient(7)
    quotas.came_early(7)
    assert quotas.is_impatient(7)
    assert not quotas.is_impatient(8)
    quotas.tick(NOW)
    quotas.tick(NOW + 11)
    assert not quotas.is_impatient(7)
