"""How many complete round trips to banks a second a worker makes, with banks that take their time.

One is begun by the verb behind `POST /v1/topups` and `POST /v1/payouts`, taken up by the worker, told to the bank and
written down, so that the money is where it belongs: in the wallet, or gone from it. Half are top-ups, half payouts. As
soon as one has ended another begins, so that always as many are on their way.

The bank is the sandbox, which answers each call after 50 ms. By one of its doors a round trip takes two calls (Open
Banking: a consent, then the payment), by the other one (ISO 20022); each is signed by both sides. Worker and bank are
real ones, in processes of their own. In the end our books must be right, and tell the same as the bank's.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import aiohttp
import msgspec

from unbusy import ledger, payments, transits
from unbusy.api import Hub, Principal, Role
from unbusy.banks import Direction
from unbusy.bench import sql
from unbusy.bench.world import temporary_database
from unbusy.clock import Deadline, SystemClock
from unbusy.db import Database
from unbusy.errors import SetupError
from unbusy.ids import Ids
from unbusy.load import ASSET, furnish, percentile
from unbusy.people import Person
from unbusy.settings import Settings
from unbusy.transits import BankAccount, BankAccounts, Transits

_LATENCY_S = 0.05
_ROUNDS = 3
_TRIPS = 1_500
_PEOPLE = 200
# One after the other they take long, and all take the same.
_ONE_BY_ONE_SHARE = 50
# Enough that a lane to one bank is never short of work.
_UNDER_WAY = 80
_NO_LIMIT = 10**9
_IBAN, _HOLDER = "DE89370400440532013000", "Customer"
# How late the next may begin after one has ended, and how exactly the end of a round is seen.
_LOOK_EVERY_S = 0.03
_PATIENCE_S = 120.0
_BOTH, _ONE = ("sandbox", "partner"), ("sandbox",)
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class BankFigures(msgspec.Struct):
    """Medians over the rounds; latencies in milliseconds from begin to end, with `under_way` on their way at once.

    `round_trips_per_s` is over both doors of the bank at once, `openbanking_per_s` over the one that takes two calls.
    `one_by_one_per_s` is with only one on its way, and `ratio` what `round_trips_per_s` is to it. `worker_ms` and
    `bank_ms` are how much CPU a round trip over both takes in the worker and in the bank.
    """

    round_trips_per_s: float
    p50_ms: float
    p99_ms: float
    worker_ms: float
    bank_ms: float
    openbanking_per_s: float
    one_by_one_per_s: float
    ratio: float
    latency_ms: float
    under_way: int
    trips: int


class _Round(NamedTuple):
    per_s: float
    seconds: Sequence[float]
    worker_s: float
    bank_s: float


def bench_banks(
    tell: Callable[[str, float], None], *, rounds: int = _ROUNDS, trips: int = _TRIPS, people: int = _PEOPLE
) -> BankFigures:
    """Measure on a database and with a bank of its own. `tell` hears what is being done, and which share is behind.

    Raises SetupError when a round trip ended otherwise, or the books are not right in the end.
    """
    with temporary_database() as url, _sandbox() as bank, _worker(url, bank.roster) as worker:
        tell("people", 0.0)
        persons = furnish(url, people, 0)
        both, one, one_by_one = asyncio.run(_measure(url, bank, worker, persons, tell, rounds, trips))
    per_s = median(each.per_s for each in both)
    return BankFigures(
        round_trips_per_s=round(per_s),
        p50_ms=round(median(percentile(each.seconds, 0.50) for each in both) * 1e3),
        p99_ms=round(median(percentile(each.seconds, 0.99) for each in both) * 1e3),
        worker_ms=round(median(each.worker_s for each in both) / trips * 1e3, 2),
        bank_ms=round(median(each.bank_s for each in both) / trips * 1e3, 2),
        openbanking_per_s=round(median(each.per_s for each in one)),
        one_by_one_per_s=round(one_by_one, 1),
        ratio=round(per_s / one_by_one, 1),
        latency_ms=_LATENCY_S * 1e3,
        under_way=_UNDER_WAY,
        trips=trips,
    )


async def _measure(
    url: str,
    bank: _Bank,
    worker: int,
    people: Sequence[Person],
    tell: Callable[[str, float], None],
    rounds: int,
    trips: int,
) -> tuple[list[_Round], list[_Round], float]:
    """Rounds over both doors and over one, and how many a second one after the other."""
    both: list[_Round] = []
    one: list[_Round] = []
    db = await Database.open(url, size=4)
    try:
        crowd = _Crowd(db, people)
        await crowd.link()
        await crowd.travel(_BOTH, trips // 4)  # connections, tokens, prepared statements
        for number in range(rounds):
            for turn, (banks, done) in enumerate(((_BOTH, both), (_ONE, one))):
                tell(f"round {number + 1} of {rounds}: {' and '.join(banks)}", (number + turn / 2) / (rounds + 1))
                began = _cpu_s(worker), _cpu_s(bank.pid)
                per_s, seconds = await crowd.travel(banks, trips)
                done.append(_Round(per_s, seconds, _cpu_s(worker) - began[0], _cpu_s(bank.pid) - began[1]))
        tell("one after the other", rounds / (rounds + 1))
        one_by_one, _ = await crowd.travel(_BOTH, max(4, trips // _ONE_BY_ONE_SHARE), under_way=1)
    finally:
        await db.close()
    tell("proving the books", 1.0)
    await _prove(url, bank)
    return both, one, one_by_one


async def _prove(url: str, bank: _Bank) -> None:
    """Raises SetupError when our books are not right, or the bank's tell otherwise."""
    db = await Database.open(url, role=None)
    try:
        async with db.connection() as connection:
            found = [finding for room in (ledger, payments, transits) for finding in await room.check(connection)]
            owed = await sql.owed(connection)
    finally:
        await db.close()
    executed = [each for each in await bank.payments() if each["status"] == "ACCC"]
    theirs = sum(each["amount"] if each["is_pull"] else -each["amount"] for each in executed)
    if found or owed != theirs:
        raise SetupError(f"the books are wrong: {found[:3]}; by ours the bank owes {owed}, by its own {theirs}")


class _Crowd:
    """People with money here and an account at each bank."""

    def __init__(self, db: Database, people: Sequence[Person]) -> None:
        self._db = db
        self._clock = SystemClock()
        self._ids = Ids(self._clock)
        self._people = [Principal(each.tenant_id, each.id, session_id=each.id, role=Role(each.role)) for each in people]
        settings = Settings(
            limit_topups_per_day=_NO_LIMIT,
            limit_topups_per_month=_NO_LIMIT,
            limit_payouts_per_day=_NO_LIMIT,
            limit_payouts_per_month=_NO_LIMIT,
        )
        self._accounts = BankAccounts(db, db, _BOTH, clock=self._clock, ids=self._ids)
        self._transits = Transits(
            db, db, Hub(), clock=self._clock, ids=self._ids, settings=settings, moved=lambda _: None
        )
        self._linked: dict[str, list[tuple[Principal, BankAccount]]] = {bank: [] for bank in _BOTH}
        self._numbers = itertools.count()

    async def link(self) -> None:
        for bank, linked in self._linked.items():
            for person in self._people:
                linked.append((person, await self._accounts.link(person, bank, _IBAN, _HOLDER)))

    async def travel(
        self, banks: Sequence[str], count: int, under_way: int = _UNDER_WAY
    ) -> tuple[float, Sequence[float]]:
        """Make so many round trips, evenly over the banks: how many a second, and the seconds that each took."""
        since, began_at, begun, ended = self._ids.new(), time.perf_counter(), 0, 0
        while ended < count:
            room = min(under_way - (begun - ended), count - begun)
            await asyncio.gather(*(self._begin(banks) for _ in range(room)))
            begun += room
            await asyncio.sleep(_LOOK_EVERY_S)
            async with self._db.connection() as connection:
                ended = await sql.count_final(connection, since)
            if time.perf_counter() - began_at > _PATIENCE_S:
                raise SetupError("the worker did not come to an end")
        per_s = count / (time.perf_counter() - began_at)
        async with self._db.connection() as connection:
            seconds = await sql.trips(connection, since)
        if len(seconds) < count:
            raise SetupError(f"only {len(seconds)} of {count} completed: nothing can be said")
        return per_s, seconds

    async def _begin(self, banks: Sequence[str]) -> None:
        number = next(self._numbers)
        linked = self._linked[banks[number % len(banks)]]
        person, account = linked[number // len(banks) % len(linked)]
        await self._transits.begin(
            person,
            (Direction.pull, Direction.push)[number // 2 % 2],
            account.id,
            100,
            ASSET,
            key=self._ids.new().hex,
            fingerprint=bytes(16),
            deadline=Deadline(self._clock, _PATIENCE_S),
        )


class _Bank:
    """A sandbox bank: its process, the roster that names it, and what one can ask it."""

    def __init__(self, pid: int, roster: Path) -> None:
        self.pid = pid
        self.roster = roster
        self._address = msgspec.toml.decode(roster.read_bytes())["sandbox"]["token_url"].removesuffix("/token")

    async def take_its_time(self) -> None:
        """Answer everything late from now on."""
        slow = {"kind": "slow", "seconds": _LATENCY_S}
        async with (
            aiohttp.ClientSession(raise_for_status=True) as http,
            http.post(f"{self._address}/faults", json=slow),
        ):
            pass

    async def payments(self) -> list[dict[str, Any]]:
        """Every payment that it ever heard of."""
        async with aiohttp.ClientSession(raise_for_status=True) as http, http.get(f"{self._address}/books") as told:
            return (await told.json())["payments"]


@contextmanager
def _sandbox() -> Generator[_Bank]:
    """A sandbox bank that takes its time."""
    data = Path(tempfile.mkdtemp(prefix="unbusy-bench-bank-"))
    try:
        with _process("sandbox-bank", {"UNBUSY_DATA": str(data)}, "--port", "0") as pid:
            bank = _Bank(pid, data / "sandbox-bank" / "banks.toml")
            asyncio.run(bank.take_its_time())
            yield bank
    finally:
        shutil.rmtree(data, ignore_errors=True)


@contextmanager
def _worker(url: str, roster: Path) -> Generator[int]:
    with _process("work", {"UNBUSY_DATABASE_URL": url, "UNBUSY_BANKS": str(roster)}) as pid:
        yield pid


@contextmanager
def _process(command: str, settings: dict[str, str], *more: str) -> Generator[int]:
    """A command of ours in a process of its own, once it says that it has started; ended with the block."""
    process = subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-m", "unbusy.cli", command, *more], env=os.environ | settings, stdout=subprocess.PIPE
    )
    assert process.stdout
    try:
        if not process.stdout.readline():
            raise SetupError(f"`unbusy {command}` did not start")
        yield process.pid
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def _cpu_s(pid: int) -> float:
    """How much CPU a process has used so far, in seconds (proc(5), `stat`, fields 14 and 15)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S
