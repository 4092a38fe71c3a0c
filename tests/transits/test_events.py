"""What people hear of their top-ups and payouts, beside their payments."""

from __future__ import annotations

import asyncio
from collections import Counter

import msgspec
import pytest
from tests.payments.bank import Bank, Gateway
from tests.transits.scripted import ACCEPTED, SETTLED, UNKNOWN, ScriptedBank, Way, declined

from unbusy import transits
from unbusy.api import Event, Principal
from unbusy.banks import Direction, Instruction, Result
from unbusy.transits import Status

PULL, PUSH = Direction.pull, Direction.push


@pytest.fixture
def way(bank: Bank, gateway: Gateway) -> Way:
    return Way(bank, gateway)


@pytest.fixture
async def ming(bank: Bank) -> Principal:
    return await bank.person("ming", 1_000)


async def read_all(gateway: Gateway, person: Principal, place: str) -> list[Event]:
    found: list[Event] = []
    while page := await gateway.events.after(person, place, "en"):
        found += page
        place = page[-1].id
    return found


async def test_each_change_is_told_once(way: Way, gateway: Gateway, ming: Principal) -> None:
    """That it has begun and whenever it stands elsewhere, in order; what is as it was is not told again."""
    await way.link(ming)
    begin = await gateway.events.place(None)
    await way.begin(ming, PUSH, 2_000)
    await way.begin(ming, PULL, 10, key="k")
    await way.begin(ming, PULL, 10, key="k")
    await way.go_on(UNKNOWN)
    await way.go_on(UNKNOWN, after_s=1)
    await way.go_on(ACCEPTED, after_s=2)
    await way.go_on(SETTLED, after_s=5)
    await way.begin(ming, PULL, 20)
    await way.go_on(declined("refused"))
    await way.begin(ming, PUSH, 30)
    await way.go_on(UNKNOWN)
    await way.go_on(UNKNOWN, after_s=3_601)
    await way.go_on(SETTLED, after_s=4_000)
    heard = [event.type for event in await read_all(gateway, ming, begin)]
    assert heard == [
        "payout.declined",
        *(f"topup.{status}" for status in ("pending", "unknown", "pending", "completed")),
        *(f"topup.{status}" for status in ("pending", "declined")),
        *(f"payout.{status}" for status in ("pending", "unknown", "reversed")),
    ]
    assert set(heard) <= set(transits.KINDS)


async def test_an_event_shows_what_it_is_about(way: Way, gateway: Gateway, ming: Principal) -> None:
    """As a look at it would, in the reader's language; and nobody else hears of it."""
    begin, mei = await gateway.events.place(None), await way.bank.person("mei")
    topup = await way.begin(ming, PULL, 10)
    await way.go_on(SETTLED)
    last = msgspec.json.decode((await gateway.events.after(ming, begin, "zh"))[-1].data)
    assert (last["type"], last["topup"]["status"], last["topup"]["balance"]) == ("topup.completed", "completed", 1_010)
    assert last["topup"]["id"].startswith("top_")
    assert topup.bank in last["topup"]["bank"]
    assert last["topup"]["message"] == "您在Scripted Bank的账户已转入 0.10 EUR。"
    assert await read_all(gateway, mei, begin) == []


async def test_money_that_arrives_wakes_its_owner(way: Way, gateway: Gateway, ming: Principal) -> None:
    """Whoever waits for news of a person is told when the worker, elsewhere, has brought in a top-up;
    what they then see of the wallet is not older than the news."""
    await way.link(ming)
    begin = await gateway.events.place(None)
    await way.begin(ming, PULL, 10)
    [heard] = await read_all(gateway, ming, begin)
    assert [each.posted for each in (await gateway.wallets.see(ming)).accounts] == [1_000]
    with gateway.hub.subscribe(ming.person_id) as news:
        await way.go_on(SETTLED)
        while not (page := await gateway.events.after(ming, heard.id, "en")):
            assert await news.wait(5)
    assert [event.type for event in page] == ["topup.completed"]
    assert [each.posted for each in (await gateway.wallets.see(ming, may_be_recent=True)).accounts] == [1_010]


class _Prompt(ScriptedBank):
    """Settles whatever it is told."""

    async def send(self, instruction: Instruction) -> Result:
        return SETTLED


async def test_nothing_is_lost_or_repeated(way: Way, gateway: Gateway, ming: Principal, bank: Bank) -> None:
    """While top-ups, payouts and payments of one person commit in any order, a reader who follows by id
    hears of each change once, and of a transit in the order in which it went on."""
    way.there, mei = _Prompt(), await bank.person("mei", 1_000)
    await way.link(ming)
    place = begin = await gateway.events.place(None)
    workers = [way.new_lane() for _ in range(2)]

    async def write(number: int) -> None:
        direction = PULL if number % 2 else PUSH
        for _ in range(6):
            await way.begin(ming, direction, 1)
            await asyncio.gather(gateway.pay(ming, mei, 1), gateway.pay(mei, ming, 1))
            for lane in workers:
                await lane.go_on(bank.clock.now())

    writers = asyncio.gather(*(write(number) for number in range(6)))
    seen: list[Event] = []
    while not writers.done() or len(seen) < 6 * 6 * 4:
        for event in await gateway.events.after(ming, place, "en"):
            seen.append(event)
            place = event.id
        for lane in workers:
            await lane.go_on(bank.clock.now())
        await asyncio.sleep(0)
    await writers
    for lane in workers:
        await lane.finish()
    assert [event.id for event in seen] == [event.id for event in await read_all(gateway, ming, begin)]
    assert Counter(event.type for event in seen) == {
        "payment.completed": 72,
        **{f"{room}.{status}": 18 for room in ("topup", "payout") for status in (Status.pending, Status.completed)},
    }
    assert len({event.id for event in seen}) == len(seen)
    stands: dict[str, str] = {}
    for event in seen:
        if not event.type.startswith("payment."):
            data = msgspec.json.decode(event.data)
            room, _, status = event.type.partition(".")
            assert stands.get(data[room]["id"]) == (None if status == "pending" else "pending")
            stands[data[room]["id"]] = status
