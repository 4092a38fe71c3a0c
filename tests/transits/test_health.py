"""What a worker sees of a real bank that breaks and is mended, and what customers see of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager

import pytest
import structlog.testing
from tests.banks.conftest import running as running  # noqa: PLC0414 - a fixture
from tests.banks.conftest import sandbox as sandbox  # noqa: PLC0414 - a fixture
from tests.banks.sandbox import Sandbox
from tests.payments.bank import Bank, Gateway
from tests.transits.scripted import ACCEPTED, SETTLED, UNKNOWN, ScriptedBank, Way

from unbusy.banks import Banks, Direction, Result
from unbusy.transits import Lane, Status
from unbusy.worker import errands, work

# How often workers look for what is due; see `unbusy.worker.errands`.
_STEP_S = 1.0


@pytest.fixture
def way(bank: Bank, gateway: Gateway) -> Way:
    return Way(bank, gateway)


def shown(way: Way, gateway: Gateway) -> Banks:
    return Banks(gateway.reads, {"scripted": "Scripted Bank"}, clock=way.bank.clock)


async def conditions(banks: Banks) -> set[str]:
    return {each.condition for each in await banks.told()}


@asynccontextmanager
async def working(bank: Bank, lanes: Sequence[Lane]) -> AsyncGenerator[None]:
    """A worker does its errands meanwhile."""
    stopping = asyncio.Event()
    task = asyncio.create_task(work(bank.db, [], bank.clock, stopping, errands=errands(lanes)))
    try:
        yield
    finally:
        stopping.set()
        await task
        await asyncio.gather(*(lane.finish() for lane in lanes))


async def seconds_until(what: Callable[[set[str]], bool], banks: Banks, within_s: float) -> float:
    """In how many seconds the banks are told to be so."""
    began = time.monotonic()
    async with asyncio.timeout(within_s):
        while not what(await conditions(banks)):  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.1)
    return time.monotonic() - began


@pytest.mark.long
@pytest.mark.parametrize("kind", ["error", "hang", "maintenance", "slow"])
async def test_a_real_bank_breaks_and_is_mended(bank: Bank, gateway: Gateway, sandbox: Sandbox, kind: str) -> None:
    """Nobody has anything to do with it: that it is degraded shows within ten seconds all the same, and that
    it is operational again within thirty."""
    connector = sandbox.connector(timeout_s=5)
    banks = Banks(gateway.reads, {"sandbox": "Sandbox Bank"}, clock=bank.clock)
    async with working(bank, [Lane(bank.db, connector, clock=bank.clock, call_s=15)]):
        await seconds_until(lambda seen: seen == {"operational"}, banks, 5)
        await asyncio.sleep(6)
        sandbox.break_with(kind=kind, seconds=5)
        assert await seconds_until(lambda seen: "operational" not in seen, banks, 10) <= 10
        await asyncio.sleep(5)
        sandbox.mend()
        assert await seconds_until(lambda seen: seen == {"operational"}, banks, 30) <= 30
    await connector.close()


async def test_a_bank_breaks_and_is_mended(way: Way, gateway: Gateway) -> None:
    """The same with a bank that says what it should, as fast as a clock can be moved; told once in the log."""
    banks = shown(way, gateway)
    assert await banks.told() == []

    async def until(condition: str, answer: Result) -> int:
        for second in range(40):
            if await conditions(banks) == {condition}:
                return second
            way.there.answers.append(answer)
            await way.look(after_s=_STEP_S)
            way.there.answers.clear()
        raise AssertionError(condition)

    with structlog.testing.capture_logs() as lines:
        assert await until("operational", ACCEPTED) <= 2
        assert await until("degraded", UNKNOWN) <= 10
        await until("down", UNKNOWN)
        assert await until("operational", ACCEPTED) <= 30
    told = [(line["event"], line["operation"]) for line in lines if line["event"].startswith("bank.")]
    assert {event for event, _ in told} == {"bank.degraded", "bank.recovered"}
    assert told.count(("bank.recovered", "enquire")) == 1
    way.bank.clock.go(seconds=20)
    assert await banks.told() == [], "nobody has looked lately"


async def test_several_workers_tell_the_worst(way: Way, gateway: Gateway) -> None:
    """One worker that reaches the bank does not hide that another does not."""
    banks, other = shown(way, gateway), ScriptedBank()
    there = Lane(way.bank.db, other, clock=way.bank.clock, call_s=1)
    for _ in range(12):
        way.bank.clock.go(seconds=_STEP_S)
        other.answers, way.there.answers = [ACCEPTED], [UNKNOWN]
        for lane in (way.lane, there):
            await lane.look_after(way.bank.clock.now())
            await lane.finish()
    assert "operational" not in await conditions(banks)
    for _ in range(5):  # the other worker has ended
        other.answers = [ACCEPTED]
        way.bank.clock.go(seconds=_STEP_S)
        await there.look_after(way.bank.clock.now())
        await there.finish()
    assert await conditions(banks) == {"operational"}


async def test_a_hanging_bank_slows_no_other(way: Way) -> None:
    """While one bank leaves all calls without an answer, another's transits go on as ever."""
    slow, fast = ScriptedBank(), way.there
    slow.bank = "slow"
    ming = await way.bank.person("ming", 100)

    async def hang() -> Result:
        await asyncio.sleep(60)
        raise AssertionError

    slow.answers = [hang] * 100
    for _ in range(40):
        transit = await way.begin(ming, Direction.push, 1)
        await way.bank.as_superuser(f"UPDATE transits.transits SET bank = 'slow' WHERE id = '{transit.id}' RETURNING 1")
    lanes = [Lane(way.bank.db, there, clock=way.bank.clock, call_s=2) for there in (slow, fast)]
    fast.answers = [SETTLED] * 100
    async with working(way.bank, lanes):
        while len(slow.sent) < 32:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.02)
        began = time.monotonic()
        for _ in range(5):
            begun = await way.begin(ming, Direction.push, 1)
            done = await way.transits.wait(ming, Direction.push, begun.id, 10)
            assert done.status is Status.completed
        took_s = time.monotonic() - began
    # Each waits for the worker's next look and the gateway's: half a second, of which nothing is the bank's.
    assert took_s < 5 * 1.0
    # The ledger has one account a bank; nothing of what hangs has moved.
    await way.bank.as_superuser("UPDATE transits.transits SET bank = 'scripted' WHERE bank = 'slow' RETURNING 1")
