"""Kill −9 the worker and the bank while money is on its way: nothing is lost, nothing is done twice."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from tests.banks.conftest import running as running  # noqa: PLC0414 - a fixture
from tests.banks.conftest import sandbox as sandbox  # noqa: PLC0414 - a fixture
from tests.banks.sandbox import ANNA, Sandbox
from tests.payments.bank import Bank, Gateway, fingerprint

from unbusy.api import Principal
from unbusy.banks import Direction
from unbusy.clock import Deadline
from unbusy.settings import Settings
from unbusy.transits import BankAccounts, Status, Transit, Transits

_UNBUSY = Path(sys.executable).with_name("unbusy")
COUNT = 60
_LATER = 20


@contextmanager
def working(url: str, settings: Settings) -> Generator[subprocess.Popen[bytes]]:
    """A real worker, ended by force."""
    given = {"UNBUSY_DATABASE_URL": url, "UNBUSY_BANKS": settings.banks, "UNBUSY_BANK_CALL_S": "1"}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("UNBUSY_")}
    process = subprocess.Popen([_UNBUSY, "work"], env=kept | given, stdout=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(10)


async def until(bank: Bank, what: str, count: int) -> None:
    """Wait until so many transits are as this condition says."""
    async with asyncio.timeout(60):
        count_them = f"SELECT count(*) FROM transits.transits WHERE {what}"
        while await bank.as_superuser(count_them) < count:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.05)


async def begin(bank: Bank, gateway: Gateway, settings: Settings, person: Principal, numbers: range) -> list[Transit]:
    """Top-ups and payouts of one person, of amounts that are easily told apart."""
    accounts = BankAccounts(bank.db, gateway.reads, {"sandbox"}, clock=bank.clock, ids=bank.ids)
    transits = Transits(
        bank.db,
        gateway.reads,
        gateway.hub,
        clock=bank.clock,
        ids=bank.ids,
        settings=settings,
        moved=gateway.wallets.changed,
    )
    account = await accounts.link(person, "sandbox", ANNA.iban, ANNA.name)
    begun = [
        transits.begin(
            person,
            direction,
            account.id,
            100 + number,
            "EUR",
            key=f"crash-{number}",
            fingerprint=fingerprint(number),
            deadline=Deadline(bank.clock, 30),
        )
        for number, direction in zip(numbers, itertools.cycle(Direction), strict=False)
    ]
    return [transit for transit, _ in await asyncio.gather(*begun)]


async def test_kill_9_between_any_two_lines(bank: Bank, gateway: Gateway, url: str, sandbox: Sandbox) -> None:
    """However often the worker dies, and the bank with it, while answers are slow and get lost: every
    transit comes to its end, the bank has executed each that completed once and no other, and our
    books and the bank's tell the same to the last cent."""
    bank.clock.set(seconds=(await _now(bank)) - bank.clock.timestamp())
    anna = await bank.person("anna", 100_000)
    settings = sandbox.settings(timeout_s=1)
    sandbox.break_with(kind="lost", operation="send", rate=0.2)
    sandbox.break_with(kind="slow", operation="send", seconds=0.2)
    sandbox.open_account(ANNA, balance=100_000)
    made = await begin(bank, gateway, settings, anna, range(COUNT))
    with working(url, settings):
        await until(bank, "tries > 0", 10)
    with working(url, settings):
        await until(bank, "tries > 0", 40)
        sandbox.end(signal.SIGKILL)
        sandbox.start()
        # A machine that is slow may have lost every first try until here.
        made += await begin(bank, gateway, settings, anna, range(COUNT, COUNT + _LATER))
        await until(bank, "due_at IS NULL", COUNT + _LATER)
    ended = [await _status(bank, transit) for transit in made]
    executed = [sandbox.executed(transit.reference) for transit in made]
    assert executed == [int(status == Status.completed) for status in ended]
    assert sum(executed) > 0
    moved = sum(_signed(transit) for transit, times in zip(made, executed, strict=True) if times)
    assert (await bank.balance(anna), sandbox.balance(ANNA)) == (100_000 + moved, 100_000 - moved)


def _signed(transit: Transit) -> int:
    return transit.amount if transit.direction is Direction.pull else -transit.amount


async def _now(bank: Bank) -> float:
    return await bank.as_superuser("SELECT extract(epoch FROM now())::float8")


async def _status(bank: Bank, transit: Transit) -> Status:
    async with bank.db.connection() as connection:
        return Status(await connection.fetchval("SELECT status FROM transits.transits WHERE id = $1", transit.id))
