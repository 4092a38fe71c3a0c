"""Funded payments by chance: whatever people, the bank and the clock do in whatever order, no cent is lost."""

from __future__ import annotations

import random

import pytest
from tests.funding.till import Died, Till
from tests.payments.bank import Bank, Gateway
from tests.transits.scripted import ScriptedBank

from unbusy.api import Principal
from unbusy.banks import Direction, Instruction, Result, State
from unbusy.ledger import AccountState
from unbusy.payments import Payment

STEPS = 150
BEGIN = 300


class WhimsicalBank(ScriptedBank):
    """Decides once what becomes of a reference, and tells it sooner or later."""

    def __init__(self, chance: random.Random) -> None:
        super().__init__()
        self._chance = chance
        self.is_honest = False
        self._decided: dict[str, tuple[Instruction, bool]] = {}

    @property
    def moved(self) -> int:
        """What it took from its customers' accounts and gave to us, all in all."""
        signs = {Direction.pull: 1, Direction.push: -1}
        return sum(signs[each.direction] * each.amount for each, is_done in self._decided.values() if is_done)

    async def send(self, instruction: Instruction) -> Result:
        self._decided.setdefault(instruction.reference, (instruction, self._chance.random() < 0.7))
        return self._tell(instruction.reference)

    async def enquire(self, reference: str, direction: Direction) -> Result:
        return self._tell(reference) if reference in self._decided else Result(State.declined, "not_found")

    def _tell(self, reference: str) -> Result:
        if not self.is_honest and self._chance.random() < 0.5:
            return Result(self._chance.choice([State.unknown, State.accepted]))
        return Result(State.settled) if self._decided[reference][1] else Result(State.declined, "refused")


class Town:
    """Two people, a shop, a bank and a worker, all led by chance."""

    def __init__(self, till: Till, people: list[Principal], shop: Principal, chance: random.Random) -> None:
        self._till = till
        self._people = people
        self._shop = shop
        self._chance = chance
        self.there = till.way.there = WhimsicalBank(chance)
        self._lane = till.way.new_lane()
        self.made: list[tuple[Principal, Payment]] = []

    async def step(self) -> None:
        doing = [self._pay, self._spend, self._work, self._work, self._settle, self._settle, self._freeze]
        await self._chance.choice(doing)()
        self._till.bank.clock.go(seconds=self._chance.choice([0, 1, 1, 5, 900]))

    async def end(self) -> None:
        """Everybody is open, the bank says what it knows, and the worker goes on until nothing is due."""
        for person in (*self._people, self._shop):
            await self._till.bank.set_state(person, AccountState.open)
        self.there.is_honest = True
        # What was reversed is asked about less and less often.
        for pause_s in (301, 301, 86_400, 86_400):
            self._till.bank.clock.go(seconds=pause_s)
            await self._work()
            await self._till.settle()
            await self._till.expire()

    async def _pay(self) -> None:
        payer = self._chance.choice(self._people)
        self.made.append((payer, await self._till.pay(payer, self._shop, self._chance.randint(1, 600))))

    async def _spend(self) -> None:
        payer, payee = self._chance.sample([*self._people, self._shop], 2)
        await self._till.gateway.pay(payer, payee, self._chance.randint(1, 100))

    async def _work(self) -> None:
        while await self._lane.go_on(self._till.bank.clock.now()):
            await self._lane.finish()

    async def _settle(self) -> None:
        try:
            await self._till.settle(dies_at=self._chance.choice([None, self._chance.randrange(20)]))
        except Died:
            return

    async def _freeze(self) -> None:
        whom = self._chance.choice([*self._people, self._shop])
        state = self._chance.choice([AccountState.frozen, AccountState.open, AccountState.open])
        await self._till.bank.set_state(whom, state)


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(2, 8))])
async def test_no_cent_is_lost_or_doubled(till: Till, bank: Bank, gateway: Gateway, seed: int) -> None:
    """In the end every payment is final, nothing is held, what the bank moved is what the books say it moved, and
    who lost money has paid it."""
    chance = random.Random(seed)
    people = [await bank.person(name, BEGIN) for name in ("ming", "mei")]
    shop = await bank.person("shop", BEGIN)
    town = Town(till, people, shop, chance)
    for number in range(STEPS):
        await town.step()
        if number % 30 == 0:
            assert await bank.findings() == []
    await town.end()
    ended = [await till.now(payer, payment) for payer, payment in town.made]
    assert ended
    assert all(payment.is_final for payment in ended)
    purses = [await till.purse(person) for person in (*people, shop)]
    assert [held for _, held in purses] == [0, 0, 0]
    # What was reversed here and settled by the bank after that waits in suspense for a person.
    came = sum(posted for posted, _ in purses) - 3 * BEGIN - await till.way.owed("suspense")
    assert town.there.moved == await till.way.owed() == came
