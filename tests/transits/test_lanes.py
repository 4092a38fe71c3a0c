"""A bank that hangs, beside one that does not: measured one beside the other, on one worker and one database."""

from __future__ import annotations

import asyncio
import time

import pytest
from tests.payments.bank import Bank, Gateway, fingerprint
from tests.transits.scripted import AN_HOUR, IBAN, SETTLED

from unbusy.api import Principal
from unbusy.banks import Direction, Instruction, Result
from unbusy.clock import Deadline
from unbusy.transits import BankAccounts, Lane, Transits

pytestmark = pytest.mark.alone

_TRIPS, _PAYMENTS, _ROUNDS = 32, 80, 5
# The best rounds of each kind are compared, and a machine that has much else to do must not fail a build. What
# waited for a bank that hangs would never end.
_NEARLY_AS_MANY = 0.5


class _Bank:
    """Settles whatever it is told after a moment, or hangs until it is let go."""

    def __init__(self, bank: str, *, hangs: bool) -> None:
        self.bank = self.name = bank
        self.told = 0
        self._answers = asyncio.Event()
        if not hangs:
            self._answers.set()

    def answer(self) -> None:
        """Hang no more."""
        self._answers.set()

    def hang(self) -> None:
        """Hang, with all that comes from now on."""
        self.told = 0
        self._answers.clear()

    async def send(self, instruction: Instruction) -> Result:
        self.told += 1
        await asyncio.sleep(0.02)
        await self._answers.wait()
        return SETTLED

    async def enquire(self, reference: str, direction: Direction) -> Result:
        raise AssertionError

    async def close(self) -> None:
        """Nothing is open."""


class _Street:
    """Two banks, people's accounts at both, and one worker's ways to them."""

    def __init__(self, bank: Bank, gateway: Gateway, ming: Principal, mei: Principal) -> None:
        self.fast, self.hanging = _Bank("fast", hangs=False), _Bank("hanging", hangs=True)
        self._bank = bank
        self._gateway = gateway
        self._ming, self._mei = ming, mei
        clock, ids = gateway.clock, gateway.ids
        self._accounts = BankAccounts(gateway.db, gateway.reads, {"fast", "hanging"}, clock=clock, ids=ids)
        self._transits = Transits(
            gateway.db,
            gateway.reads,
            gateway.hub,
            clock=clock,
            ids=ids,
            settings=AN_HOUR,
            moved=gateway.wallets.changed,
        )
        self._lanes = {
            each.bank: Lane(bank.db, each, clock=bank.clock, call_s=3_600) for each in (self.fast, self.hanging)
        }

    async def begin(self, bank: str, count: int) -> None:
        account = await self._accounts.link(self._ming, bank, IBAN, "Ming Li")
        begun = [
            self._transits.begin(
                self._ming,
                Direction.pull,
                account.id,
                1,
                "EUR",
                key=self._gateway.key(),
                fingerprint=fingerprint(bank),
                deadline=Deadline(self._bank.clock, 10),
            )
            for _ in range(count)
        ]
        await asyncio.gather(*begun)

    async def settle(self, bank: str) -> float:
        """The worker goes its rounds to a bank while there is anything to do. Gives how many seconds that took."""
        began = time.perf_counter()
        while await self._lanes[bank].make_a_round(self._bank.clock.now()):
            pass
        return time.perf_counter() - began

    async def pay(self) -> float:
        """Pay some, a few at a time; gives how many seconds that took."""
        began = time.perf_counter()
        for _ in range(0, _PAYMENTS, 10):
            await asyncio.gather(*(self._gateway.pay(self._ming, self._mei, 1) for _ in range(10)))
        return time.perf_counter() - began

    async def measure(self) -> tuple[float, float]:
        """How long round trips to the bank that answers take, and payments beside them."""
        await self.begin("fast", _TRIPS)
        trips, payments = await asyncio.gather(self.settle("fast"), self.pay())
        return trips, payments


async def test_a_bank_that_hangs_costs_the_others_nothing(bank: Bank, gateway: Gateway) -> None:
    """Round trips to another bank, and payments that need none, are as fast as without it: while it has all the
    calls that it may have, and more wait for it."""
    ming, mei = await bank.person("ming", 100_000), await bank.person("mei")
    street = _Street(bank, gateway, ming, mei)
    alone: list[tuple[float, float]] = []
    beside: list[tuple[float, float]] = []
    for _ in range(_ROUNDS):
        alone.append(await street.measure())
        street.hanging.hang()
        await street.begin("hanging", 40)
        hangs = asyncio.create_task(street.settle("hanging"))
        beside.append(await street.measure())
        assert (street.hanging.told, hangs.done()) == (32, False)
        street.hanging.answer()
        await hangs
    for before, after in zip(zip(*alone, strict=True), zip(*beside, strict=True), strict=True):
        assert min(before) / min(after) >= _NEARLY_AS_MANY
    assert street.fast.told == 2 * _ROUNDS * _TRIPS
    assert await bank.balance(ming) == 100_000 + 2 * _ROUNDS * (_TRIPS - _PAYMENTS) + 40 * _ROUNDS
