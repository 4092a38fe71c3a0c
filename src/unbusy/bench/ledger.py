"""How many transfers a second the ledger posts: in batches, to one hot account, and one by one."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import NamedTuple
from uuid import UUID

import asyncpg
import msgspec

from unbusy import ledger
from unbusy.bench.world import temporary_database
from unbusy.clock import SystemClock
from unbusy.db import Database, Tx
from unbusy.ids import Ids
from unbusy.ledger import NewAccount, Posted, Transfer

_ACCOUNTS = 1_000
_BATCH = 1_000
_ROUNDS = 5
_ROUND_S = 2.0
# Made before the clock runs: as many as the fastest machine posts in a round.
_MOST_BATCHES = 300
_ONE_BY_ONE_CONNECTIONS = 16
_HOT_SHARE = 0.9
_PLENTY = 10**12
# Of ten million transfers, a minute.
_SETTLING_S = 600.0


class LedgerFigures(msgspec.Struct):
    """Transfers a second, medians over the rounds. `ratio` is batches to one by one, `history_ratio` batches on top
    of the history to batches before it was written, in the same run; None without one."""

    transfers_per_s: float
    hot_transfers_per_s: float
    one_by_one_per_s: float
    ratio: float
    hot_ratio: float
    history_ratio: float | None
    history: int
    batch: int
    accounts: int


def bench_ledger(history: int, tell: Callable[[str, float], None]) -> LedgerFigures:
    """Measure on a database of its own that holds `history` transfers already.

    `tell` hears what is being done, and which share of the whole is behind.
    """
    with temporary_database() as url:
        return asyncio.run(_measure(url, history, tell))


async def _measure(url: str, history: int, tell: Callable[[str, float], None]) -> LedgerFigures:
    db = await Database.open(url, size=_ONE_BY_ONE_CONNECTIONS)
    try:
        clerk = _Clerk(db)
        await clerk.open_accounts()
        before = await clerk.measure_all(tell) if history else None
        await clerk.write_history(history, tell)
        if history:
            tell("letting the history settle", 1.0)
            await _settle(url)
        now = await clerk.measure_all(tell)
    finally:
        await db.close()
    return LedgerFigures(
        transfers_per_s=round(now.uniform),
        hot_transfers_per_s=round(now.hot),
        one_by_one_per_s=round(now.one_by_one),
        ratio=round(now.uniform / now.one_by_one, 1),
        hot_ratio=round(now.hot / now.uniform, 2),
        history_ratio=round(now.uniform / before.uniform, 2) if before else None,
        history=history,
        batch=_BATCH,
        accounts=_ACCOUNTS,
    )


async def _settle(url: str) -> None:
    """What writing so much at once left for later, have done now: it is not what is measured."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("VACUUM (ANALYZE)", timeout=_SETTLING_S)
        await connection.execute("CHECKPOINT", timeout=_SETTLING_S)
    finally:
        await connection.close()


class _Rates(NamedTuple):
    """Transfers a second, medians over the rounds."""

    uniform: float
    hot: float
    one_by_one: float


class _Clerk:
    """Posts transfers between the accounts of a small world, from a seed."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._clock = SystemClock()
        self._ids = Ids(self._clock)
        self._chance = random.Random(1)  # noqa: S311 - a reproducible load, no secret
        self._accounts: list[UUID] = []

    async def open_accounts(self) -> None:
        bank = NewAccount(id=self._ids.new(), tenant_id=1, asset="EUR", code="bank")
        wallets = [
            NewAccount(id=self._ids.new(), tenant_id=1, asset="EUR", code="wallet", owner_id=self._ids.new(), floor=0)
            for _ in range(_ACCOUNTS)
        ]
        async with self._db.transaction() as tx:
            await ledger.open_accounts(tx, [bank, *wallets])
        self._accounts = [account.id for account in wallets]
        await self._post([self._transfer(bank.id, account, _PLENTY) for account in self._accounts])

    async def write_history(self, count: int, tell: Callable[[str, float], None]) -> None:
        for done in range(0, count, ledger.MAX_BATCH):
            await self._post(self._batch(min(ledger.MAX_BATCH, count - done)))
            tell(f"history of {count:,} transfers", done / count)

    async def measure_all(self, tell: Callable[[str, float], None]) -> _Rates:
        """Some rounds of each kind, in turn, so that a noisy moment of the machine does not hit one kind alone."""
        rounds: dict[str, list[float]] = {"uniform": [], "hot": [], "one by one": []}
        for number in range(_ROUNDS):
            for kind, figures in rounds.items():
                tell(f"{kind}, round {number + 1} of {_ROUNDS}", (number + 0.3) / _ROUNDS)
                figures.append(await self._measure(kind))
        return _Rates(*(median(figures) for figures in rounds.values()))

    async def _measure(self, kind: str) -> float:
        """Transfers a second over one round of a kind."""
        if kind == "one by one":
            return await self._one_by_one()
        batches = [self._batch(_BATCH, is_hot=kind == "hot") for _ in range(_MOST_BATCHES)]
        posted, started_at = 0, time.perf_counter()
        while batches and time.perf_counter() - started_at < _ROUND_S:
            await self._post(batches.pop())
            posted += _BATCH
        return posted / (time.perf_counter() - started_at)

    async def _one_by_one(self) -> float:
        """One transaction a transfer, on as many connections as help: how most ledgers work."""
        give_up_at = time.perf_counter() + _ROUND_S

        async def post_until_then() -> int:
            posted = 0
            while time.perf_counter() < give_up_at:
                await self._post(self._batch(1))
                posted += 1
            return posted

        return sum(await asyncio.gather(*(post_until_then() for _ in range(_ONE_BY_ONE_CONNECTIONS)))) / _ROUND_S

    def _batch(self, count: int, *, is_hot: bool = False) -> list[Transfer]:
        made: list[Transfer] = []
        for _ in range(count):
            debit, credit = self._chance.sample(self._accounts, 2)
            if is_hot and self._chance.random() < _HOT_SHARE:
                credit = self._accounts[0] if debit != self._accounts[0] else credit
            made.append(self._transfer(debit, credit, self._chance.randint(1, 100)))
        return made

    def _transfer(self, debit_id: UUID, credit_id: UUID, amount: int) -> Transfer:
        return Transfer(
            id=self._ids.new(),
            tenant_id=1,
            debit_id=debit_id,
            credit_id=credit_id,
            amount=amount,
            asset="EUR",
            code="payment",
        )

    async def _post(self, transfers: Sequence[Transfer]) -> None:
        async def work(tx: Tx) -> list[ledger.Outcome]:
            return await ledger.post(tx, transfers, self._clock.now())

        outcomes = await self._db.run(work)
        assert all(isinstance(outcome, Posted) for outcome in outcomes)
