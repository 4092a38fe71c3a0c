"""The most a person may top up and pay out: at once, in a day, in a month (UTC)."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from tests.payments.bank import Bank, Gateway
from tests.transits.scripted import SETTLED, UNKNOWN, Way, declined

from unbusy.api import Principal
from unbusy.banks import Direction
from unbusy.settings import Settings

PULL, PUSH = Direction.pull, Direction.push
SMALL = Settings(
    bank_resolve_s=3_600,
    limit_per_topup=50,
    limit_topups_per_day=80,
    limit_topups_per_month=120,
    limit_per_payout=5,
    limit_payouts_per_day=8,
    limit_payouts_per_month=12,
)


@pytest.fixture
def way(bank: Bank, gateway: Gateway) -> Way:
    """Limits of 50, 80 and 120 whole units in, and of a tenth out."""
    return Way(bank, gateway, SMALL)


@pytest.fixture
async def ming(bank: Bank) -> Principal:
    return await bank.person("ming", 1_000_00, JPY=1_000)


async def told(way: Way, person: Principal, direction: Direction, *amounts: int, asset: str = "EUR") -> list[str]:
    """What became of each, begun one after the other: its reason, or its status when there is none."""
    begun = [await way.begin(person, direction, amount, asset=asset) for amount in amounts]
    return [each.reason or each.status for each in begun]


async def test_at_and_over_each_limit(way: Way, ming: Principal) -> None:
    """Exactly the limit is allowed, one cent more is not; the narrowest is named; a day ends, a month ends."""
    assert await told(way, ming, PULL, 50_01, 50_00, 30_01, 30_00, 1) == [
        "limit_per_payment",
        "pending",
        "limit_per_day",
        "pending",
        "limit_per_day",
    ]
    await way.go_on(SETTLED, SETTLED)
    way.bank.clock.go(days=1)
    assert await told(way, ming, PULL, 40_01, 40_00, 1) == ["limit_per_month", "pending", "limit_per_month"]
    way.bank.clock.go(days=30)
    assert await told(way, ming, PULL, 50_00) == ["pending"]
    assert len(way.there.sent) == 2


async def test_each_way_and_asset_has_its_own(way: Way, ming: Principal) -> None:
    """In whole units of an asset, whatever its decimals; counted apart, and for each person."""
    mei = await way.bank.person("mei", 100_00)
    assert await told(way, ming, PUSH, 5_01, 5_00, 3_01, 3_00) == [
        "limit_per_payment",
        "pending",
        "limit_per_day",
        "pending",
    ]
    assert await told(way, ming, PUSH, 6, 5, asset="JPY") == ["limit_per_payment", "pending"]
    assert await told(way, ming, PULL, 50_00) == ["pending"]
    assert await told(way, mei, PUSH, 5_00) == ["pending"]


async def test_what_did_not_move_does_not_count(way: Way, ming: Principal) -> None:
    """Declined by the wallet or the bank, or reversed, it leaves the whole limit."""
    poor = await way.bank.person("poor", 1_00)
    assert await told(way, poor, PUSH, 5_00, 5_00) == ["insufficient_funds"] * 2
    await told(way, ming, PULL, 50_00)
    await way.go_on(declined("refused"))
    assert await told(way, ming, PULL, 50_00) == ["pending"]
    await way.go_on(UNKNOWN)
    assert await told(way, ming, PULL, 50_00) == ["limit_per_day"]
    await way.go_on(UNKNOWN, after_s=3_601)
    assert await told(way, ming, PULL, 50_00, 30_00) == ["pending", "pending"]


async def test_a_tenants_own_limits(way: Way, ming: Principal) -> None:
    """A tenant's row stands in place of the settings, in minor units, for its direction and asset."""
    await way.bank.as_superuser("INSERT INTO transits.limits VALUES (1, 'push', 'EUR', 60, 70, 75)")
    assert await told(way, ming, PUSH, 61, 60, 11, 10) == ["limit_per_payment", "pending", "limit_per_day", "pending"]
    way.bank.clock.go(days=1)
    assert await told(way, ming, PUSH, 6, 5) == ["limit_per_month", "pending"]
    assert await told(way, ming, PULL, 50_00) == ["pending"]


async def test_a_clock_that_jumped_back(way: Way, ming: Principal) -> None:
    """Setting the clock back opens no new day: what was moved still counts."""
    await told(way, ming, PULL, 50_00)
    for days in (-1, -30):
        way.bank.clock.set(days=days)
        assert await told(way, ming, PULL, 30_01) == ["limit_per_day"]
    assert await told(way, ming, PULL, 30_00) == ["pending"]


async def test_two_gateways_at_once(way: Way, ming: Principal) -> None:
    """Together they let through no more than one of them would, also while money goes the other way."""
    other = Way(way.bank, await way.bank.gateway(), SMALL)
    begun = await asyncio.gather(
        *(each.begin(ming, PULL, 7_00) for each in [way, other] * 10),
        *(each.begin(ming, PUSH, 3_00) for each in [way, other] * 4),
    )
    assert Counter((each.direction, each.reason or each.status) for each in begun) == {
        (PULL, "pending"): 80_00 // 7_00,
        (PULL, "limit_per_day"): 20 - 80_00 // 7_00,
        (PUSH, "pending"): 8_00 // 3_00,
        (PUSH, "limit_per_day"): 8 - 8_00 // 3_00,
    }
