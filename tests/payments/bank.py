"""A bank of the test's own: people with money, and as many gateways as the story needs."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import time
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg

from unbusy import funding, ledger, payments, people, statements, transits, verification, wallets
from unbusy import ids as shown_ids
from unbusy.api import Hub, Principal, Role
from unbusy.clock import Deadline
from unbusy.db import Connection, Database
from unbusy.findings import Finding
from unbusy.ids import Ids
from unbusy.ledger import AccountState
from unbusy.payments import Drain, Payment, Refund, Settlement
from unbusy.payments.model import MoneyRequest
from unbusy.settings import Settings

TENANT = 1
SECRET = b"a secret of tests, long enough to be one"
PASSWORD = "correct horse battery"
HASH = people.hash_password(PASSWORD, people.Cost(memory_kib=8, passes=1, lanes=1))


class MovableClock:
    """Begins at noon in the middle of a month, unless told otherwise, runs as time does, and can be moved."""

    def __init__(self, begin: datetime = datetime(2026, 3, 10, 12, tzinfo=UTC)) -> None:
        self._began = time.monotonic()
        self._begin = begin
        self._moved = timedelta()
        self._set = timedelta()

    def now(self) -> datetime:
        return self._begin + timedelta(seconds=time.monotonic() - self._began) + self._moved + self._set

    def timestamp(self) -> float:
        return self.now().timestamp()

    def monotonic(self) -> float:
        return time.monotonic() + self._moved.total_seconds()

    def go(self, **passed: float) -> None:
        """Time passes: `go(days=1)`."""
        self._moved += timedelta(**passed)

    def set(self, **jump: float) -> None:
        """Somebody sets the clock: no time passes, and it shows another one."""
        self._set += timedelta(**jump)


class Gateway:
    """What one gateway process has, with verbs short enough for a story."""

    def __init__(self, db: Database, reads: Database, clock: MovableClock, settings: Settings) -> None:
        self.ids = Ids(clock)
        self.db = db
        self.reads = reads
        self.clock = clock
        self.hub = Hub()
        self.persons = people.People(db, reads, clock=clock, ids=self.ids, settings=settings, secret=SECRET)
        self.wallets = wallets.Wallets(db, reads, self.persons, clock=clock)
        self.payments = payments.Payments(
            db,
            reads,
            self.persons,
            self.hub,
            clock=clock,
            ids=self.ids,
            settings=settings,
            moved=self.wallets.changed,
        )
        self.requests = payments.Requests(db, reads, self.payments, clock=clock, ids=self.ids, settings=settings)
        self.views = payments.Views(self.persons, self.payments)
        self.transits = transits.Transits(
            db, reads, self.hub, clock=clock, ids=self.ids, settings=settings, moved=self.wallets.changed
        )
        self.events = payments.Events(
            reads, self.views, transits.subjects(self.transits, transits.BankNames({"scripted": "Scripted Bank"}))
        )
        self._keys = itertools.count(1)

    def key(self) -> str:
        """An idempotency key nobody has used."""
        return f"key-{id(self)}-{next(self._keys)}"

    async def answer(
        self,
        payer: Principal,
        payee: Principal | str,
        amount: int,
        asset: str = "EUR",
        *,
        key: str | None = None,
        note: str = "",
        is_async: bool = False,
        within: float = 10,
    ) -> tuple[Payment, bool]:
        """Pay, and tell too whether the key had been used before."""
        return await self.payments.pay(
            payer,
            shown(payee),
            amount,
            asset,
            note,
            key=key or self.key(),
            fingerprint=fingerprint(shown(payee), amount, asset, note),
            deadline=Deadline(self.clock, within),
            is_async=is_async,
        )

    async def pay(self, payer: Principal, payee: Principal | str, amount: int, asset: str = "EUR") -> Payment:
        return (await self.answer(payer, payee, amount, asset))[0]

    async def queue(self, payer: Principal, payee: Principal, amount: int, *, key: str | None = None) -> Payment:
        return (await self.answer(payer, payee, amount, key=key, is_async=True))[0]

    async def refund(
        self, payee: Principal, payment: Payment, amount: int | None = None, *, key: str | None = None
    ) -> Refund:
        return (
            await self.payments.refund(
                payee, payment.id, amount, "", key=key or self.key(), fingerprint=fingerprint(payment.id, amount)
            )
        )[0]

    async def ask(
        self, requester: Principal, payer: Principal | str, amount: int, *, key: str | None = None, days: int = 14
    ) -> MoneyRequest:
        return (
            await self.requests.ask(
                requester,
                shown(payer),
                amount,
                "EUR",
                "",
                open_for=timedelta(days=days),
                key=key or self.key(),
                fingerprint=fingerprint(shown(payer), amount),
            )
        )[0]

    async def pay_request(
        self, payer: Principal, request: MoneyRequest, *, key: str | None = None
    ) -> tuple[Payment, bool]:
        return await self.requests.pay(
            payer,
            request.id,
            key=key or self.key(),
            fingerprint=fingerprint("request", request.id),
            deadline=Deadline(self.clock, 10),
        )


class Bank:
    """One database, and what the story opens on it."""

    def __init__(self, url: str, db: Database, clock: MovableClock | None = None) -> None:
        self.url = url
        self.db = db
        self.clock = clock or MovableClock()
        self.ids = Ids(self.clock)
        self._gateways: list[Gateway] = []
        self._reads: Database | None = None
        self.worker = self.new_worker()

    async def gateway(
        self, db: Database | None = None, *, reads: Database | None = None, **settings: object
    ) -> Gateway:
        """A gateway more, with its pipeline running."""
        chosen = Settings(**settings)  # pyright: ignore[reportArgumentType] - named by the test
        gateway = Gateway(db or self.db, reads or db or await self._open_reads(), self.clock, chosen)
        await gateway.payments.start()
        self._gateways.append(gateway)
        return gateway

    async def _open_reads(self) -> Database:
        """The connections over which its gateways can only look."""
        if self._reads is None:
            self._reads = await Database.open(self.url, size=2, is_read_only=True)
        return self._reads

    async def person(
        self, name: str, eur: int = 0, *, role: Role = Role.customer, tenant_id: int = TENANT, **other: int
    ) -> Principal:
        """Somebody new, `@name`, with so much in their wallet; other assets by name: `JPY=500`."""
        person = people.Person(
            id=self.ids.new(),
            tenant_id=tenant_id,
            role=role.value,  # pyright: ignore[reportArgumentType] - nobody is called `anyone` here
            name=name.title(),
            handle=name,
            email=f"{name}@example.com",
            phone=None,
            language="en",
            state="open",
            created_at=self.clock.now(),
        )
        async with self.db.transaction() as tx:
            await people.insert_people(tx, [person], HASH)
        principal = Principal(tenant_id=tenant_id, person_id=person.id, session_id=self.ids.new(), role=role)
        for asset, amount in {"EUR": eur, **other}.items():
            if amount:
                await self.credit(principal, amount, asset)
        return principal

    async def credit(self, person: Principal, amount: int, asset: str = "EUR") -> None:
        async with self.db.transaction() as tx:
            await wallets.credit(tx, self.ids, person.tenant_id, [(person.person_id, amount)], asset, self.clock.now())

    async def accounts(self, person: Principal) -> dict[str, ledger.Account]:
        async with self.db.connection() as connection:
            return {each.asset: each for each in await ledger.wallet(connection, person.tenant_id, person.person_id)}

    async def balance(self, person: Principal, asset: str = "EUR") -> int | None:
        """What the person has; None without an account in the asset."""
        account = (await self.accounts(person)).get(asset)
        return account.posted if account else None

    async def set_state(self, person: Principal, state: AccountState, asset: str = "EUR") -> None:
        account = (await self.accounts(person))[asset]
        async with self.db.transaction() as tx:
            await ledger.set_state(tx, account.id, state)

    def new_worker(self, **settings: object) -> Drain:
        """What a worker drains the queue with."""
        chosen = Settings(**settings)  # pyright: ignore[reportArgumentType] - named by the test
        return Drain(Settlement(ids=self.ids, settings=chosen), clock=self.clock, settings=chosen)

    async def settle_queued(self, limit: int = 100) -> int:
        """What the worker does, once."""
        return await self.db.run(lambda tx: self.worker.settle(tx, self.clock.now(), limit))

    async def tell(self) -> None:
        """What the worker says once a second."""
        await self.db.run(lambda tx: self.worker.tell(tx, self.clock.now(), 0))

    @asynccontextmanager
    async def standing_still(self) -> AsyncGenerator[None]:
        """Nobody who has paid before gets further with a payment."""
        async with self.db.transaction() as tx:
            await tx.execute("SELECT FROM payments.profiles FOR UPDATE")
            yield

    async def begun(self) -> None:
        """Wait until a batch stands before that lock."""
        waiting = """
            SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
        """
        while not await self.as_superuser(waiting):  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.01)

    async def count(self, table: str) -> int:
        """How many rows a table has."""
        return await self.as_superuser(f"SELECT count(*) FROM {table}")

    async def as_superuser(self, statement: str) -> int:
        """Do what no process of ours may; gives the first value of the answer."""
        connection = await asyncpg.connect(self.url)
        try:
            return await connection.fetchval(statement)
        finally:
            await connection.close()

    async def close(self) -> None:
        for gateway in self._gateways:
            await gateway.payments.stop()
            await gateway.persons.stop()
        self._gateways.clear()
        if self._reads:
            await self._reads.close()
            self._reads = None

    async def findings(self) -> list[Finding]:
        return await findings(self.url)


async def findings(url: str) -> list[Finding]:
    """What all the rooms' proofs find wrong in this database; at best nothing."""
    connection: Connection = await asyncpg.connect(url)  # pyright: ignore[reportAssignmentType] - the one it describes
    try:
        return [
            *await ledger.check(connection),
            *await people.check(connection),
            *await payments.check(connection),
            *await transits.check(connection),
            *await funding.check(connection),
            *await verification.check(connection),
            *await statements.check(connection),
        ]
    finally:
        await connection.close()  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType] - the Protocol leaves it out


def shown(person: Principal | str) -> str:
    """How a payment names somebody."""
    return person if isinstance(person, str) else shown_ids.show("per", person.person_id)


def fingerprint(*body: object) -> bytes:
    return hashlib.blake2b(repr(body).encode(), digest_size=16).digest()


def somebody_else(payment_id: UUID) -> UUID:
    """An id that is like this one and nobody's."""
    return UUID(int=payment_id.int ^ 1)


async def settle_together(gateway: Gateway, orders: list[tuple[Principal, Principal, int]]) -> list[Payment]:
    """Pay as one batch, in this order."""
    # Whom is known already needs no look-up, so that all of them arrive before the first is taken.
    await gateway.persons.resolve([(payee.tenant_id, shown(payee)) for _, payee, _ in orders])
    return await asyncio.gather(*(gateway.pay(*order) for order in orders))


def statuses(made: Iterable[Payment]) -> list[str]:
    """What became of each: its reason, or its status when there is none."""
    return [payment.reason or payment.status for payment in made]
