"""The most a payer may pay: at once, in a day, in a month (UTC)."""

from __future__ import annotations

import asyncio

import pytest
from tests.payments.bank import Bank, Gateway, settle_together, statuses

from unbusy.api import Principal

PER_PAYMENT, PER_DAY, PER_MONTH = 50_00, 80_00, 120_00
MING = 1_000_00


@pytest.fixture
async def gateway(bank: Bank) -> Gateway:
    """Small limits: 50, 80 and 120 euros, or as many yen."""
    return await bank.gateway(limit_per_payment=50, limit_per_day=80, limit_per_month=120)


@pytest.fixture
async def ming(bank: Bank) -> Principal:
    return await bank.person("ming", MING, JPY=1_000)


@pytest.fixture
async def mei(bank: Bank) -> Principal:
    return await bank.person("mei")


async def test_at_and_over_each_limit(bank: Bank, gateway: Gateway, ming: Principal, mei: Principal) -> None:
    """Exactly the limit is allowed, one cent more is not; the narrowest is named; a day ends, a month ends."""
    made = [await gateway.pay(ming, mei, amount) for amount in (50_01, 50_00, 30_01, 30_00, 1)]
    assert statuses(made) == ["limit_per_payment", "completed", "limit_per_day", "completed", "limit_per_day"]
    bank.clock.go(days=1)
    made = [await gateway.pay(ming, mei, amount) for amount in (40_01, 40_00, 1)]
    assert statuses(made) == ["limit_per_month", "completed", "limit_per_month"]
    bank.clock.go(days=30)
    assert statuses([await gateway.pay(ming, mei, 50_00)]) == ["completed"]


async def test_declined_payments_do_not_count(gateway: Gateway, ming: Principal, mei: Principal, bank: Bank) -> None:
    """What the ledger refused leaves the whole limit."""
    tao = await bank.person("tao", 1_00)
    for _ in range(4):
        assert statuses([await gateway.pay(tao, mei, 50_00)]) == ["insufficient_funds"]
    await bank.credit(tao, 50_00)
    assert statuses([await gateway.pay(tao, mei, 50_00)]) == ["completed"]


async def test_given_back_within_a_batch(bank: Bank, gateway: Gateway, mei: Principal) -> None:
    """A payment that is over the limit only because of one that then is refused, is not over it."""
    tao = await bank.person("tao", 45_00)
    made = await settle_together(gateway, [(tao, mei, amount) for amount in (50_00, 40_00, 45_00, 50_01)])
    assert statuses(made) == ["insufficient_funds", "completed", "limit_per_day", "limit_per_payment"]


async def test_whoever_is_over_the_limit_hurts_nobody_in_the_batch(
    bank: Bank, gateway: Gateway, ming: Principal, mei: Principal
) -> None:
    """Limits are each payer's own."""
    tao = await bank.person("tao", 100_00)
    made = await settle_together(
        gateway, [(ming, mei, 50_00), (ming, mei, 50_00), (tao, mei, 50_00), (tao, mei, 30_00), (ming, mei, 30_00)]
    )
    assert statuses(made) == ["completed", "limit_per_day", "completed", "completed", "completed"]


async def test_each_asset_has_its_own(gateway: Gateway, ming: Principal, mei: Principal) -> None:
    """Limits are in whole units of an asset, whatever its decimals, and counted apart."""
    made = [await gateway.pay(ming, mei, amount, "JPY") for amount in (51, 50)]
    made += [await gateway.pay(ming, mei, 50_00)]
    assert statuses(made) == ["limit_per_payment", "completed", "completed"]


async def test_a_tenants_own_limits(bank: Bank, gateway: Gateway, ming: Principal, mei: Principal) -> None:
    """A tenant's row stands in place of the settings, in minor units, from the next payment on."""
    await gateway.pay(ming, mei, 1)
    await bank.as_superuser("INSERT INTO payments.limits VALUES (1, 'EUR', 60, 70, 75)")
    made = [await gateway.pay(ming, mei, amount) for amount in (61, 60, 10, 9)]
    assert statuses(made) == ["limit_per_payment", "completed", "limit_per_day", "completed"]
    bank.clock.go(days=1)
    assert statuses([await gateway.pay(ming, mei, amount) for amount in (6, 5)]) == ["limit_per_month", "completed"]


async def test_a_clock_that_jumped_back(bank: Bank, gateway: Gateway, ming: Principal, mei: Principal) -> None:
    """Setting the clock back opens no new day: what was paid still counts."""
    await gateway.pay(ming, mei, 50_00)
    for days in (-1, -30):
        bank.clock.set(days=days)
        assert statuses([await gateway.pay(ming, mei, 30_01)]) == ["limit_per_day"]
    assert statuses([await gateway.pay(ming, mei, 30_00)]) == ["completed"]


async def test_two_gateways_at_once(bank: Bank, gateway: Gateway, ming: Principal, mei: Principal) -> None:
    """Together they let through no more than one of them would."""
    other = await bank.gateway(limit_per_payment=50, limit_per_day=80, limit_per_month=120)
    made = await asyncio.gather(*(each.pay(ming, mei, 7_00) for each in [gateway, other] * 15))
    assert statuses(made).count("completed") == 80_00 // 7_00
    assert await bank.balance(mei) == 77_00
