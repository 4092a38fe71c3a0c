"""A bank that says what the test tells it to, and people who have an account there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from uuid import UUID

from tests.payments.bank import Bank, Gateway, fingerprint

from unbusy import ledger
from unbusy.api import Principal
from unbusy.banks import Direction, Instruction, Result, State
from unbusy.clock import Deadline
from unbusy.settings import Settings
from unbusy.transits import BankAccount, BankAccounts, Lane, Transit, Transits, give_back

IBAN = "DE89370400440532013000"
AN_HOUR = Settings(bank_resolve_s=3_600)
SETTLED, ACCEPTED, UNKNOWN = (Result(state) for state in (State.settled, State.accepted, State.unknown))


def declined(reason: str) -> Result:
    return Result(State.declined, reason)


class ScriptedBank:
    """Answers one after the other with what it was given; an answer may be something to do first."""

    bank = "scripted"
    name = "Scripted Bank"

    def __init__(self) -> None:
        self.answers: list[Result | Callable[[], Awaitable[Result]]] = []
        self.sent: list[Instruction] = []
        self.asked: list[str] = []

    async def send(self, instruction: Instruction) -> Result:
        self.sent.append(instruction)
        return await self._answer()

    async def enquire(self, reference: str, direction: Direction) -> Result:
        self.asked.append(reference)
        return await self._answer()

    async def close(self) -> None:
        """Nothing is open."""

    async def _answer(self) -> Result:
        answer = self.answers.pop(0)
        return answer if isinstance(answer, Result) else await answer()


class Way:
    """The way between the wallets of a bank and a scripted one, with verbs short enough for a story."""

    def __init__(self, bank: Bank, gateway: Gateway, settings: Settings = AN_HOUR) -> None:
        self.bank = bank
        self.there = ScriptedBank()
        self._gateway = gateway
        clock, ids = gateway.clock, gateway.ids
        self.accounts = BankAccounts(gateway.db, gateway.reads, {"scripted"}, clock=clock, ids=ids)
        self.transits = Transits(
            gateway.db,
            gateway.reads,
            gateway.hub,
            clock=clock,
            ids=ids,
            settings=settings,
            moved=gateway.wallets.changed,
        )
        self.lane = self.new_lane()

    def new_lane(self, *, calls_per_s: float | None = None) -> Lane:
        """What one worker has."""
        return Lane(self.bank.db, self.there, clock=self.bank.clock, call_s=1, calls_per_s=calls_per_s)

    async def link(self, person: Principal) -> BankAccount:
        return await self.accounts.link(person, "scripted", IBAN, "Ming Li")

    async def begin(
        self, person: Principal, direction: Direction, amount: int, *, key: str | None = None, asset: str = "EUR"
    ) -> Transit:
        account = await self.link(person)
        begun, _ = await self.transits.begin(
            person,
            direction,
            account.id,
            amount,
            asset,
            key=key or self._gateway.key(),
            fingerprint=fingerprint(direction, account.id, amount, asset),
            deadline=Deadline(self.bank.clock, 10),
        )
        return begun

    async def go_on(self, *answers: Result | Callable[[], Awaitable[Result]], after_s: float = 0) -> int:
        """The worker does what is due after some time; the bank answers so. Gives how much was due."""
        self.bank.clock.go(seconds=after_s)
        self.there.answers.extend(answers)
        taken = await self.lane.go_on(self.bank.clock.now())
        await self.lane.finish()
        return taken

    async def give_back(self, *, after_s: float = 0) -> int:
        """The worker undoes what has run out of time, after some time. Gives how much that was."""
        self.bank.clock.go(seconds=after_s)
        now = self.bank.clock.now()
        return await self.bank.db.run(lambda tx: give_back(tx, now, 100))

    async def look(self, *answers: Result, after_s: float = 0) -> None:
        """The worker looks after the bank after some time, which answers so."""
        self.bank.clock.go(seconds=after_s)
        self.there.answers.extend(answers)
        await self.lane.look_after(self.bank.clock.now())
        await self.lane.finish()

    async def now(self, person: Principal, transit: Transit) -> Transit:
        return await self.transits.find(person, transit.direction, transit.id)

    async def told(self, person: Principal, transit: Transit) -> str:
        """The reason of a transit, or its status when there is none."""
        now = await self.now(person, transit)
        return now.reason or now.status

    async def owed(self, code: str = "nostro") -> int:
        """What the bank owes us by our books; or what waits in suspense."""
        owed = "coalesce(sum(debits_posted - credits_posted), 0)::bigint"
        return await self.bank.as_superuser(f"SELECT {owed} FROM ledger.accounts WHERE code = '{code}'")

    async def account(self, person: Principal) -> ledger.Account:
        return (await self.bank.accounts(person))["EUR"]


def other(id: UUID) -> UUID:
    """An id that is like this one and nobody's."""
    return UUID(int=id.int ^ 1)
