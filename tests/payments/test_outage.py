"""The database goes away and comes back."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.payments.bank import Bank, statuses

from unbusy.db import Database, migrate
from unbusy.db.embedded import Server
from unbusy.errors import LedgerUnavailable, Unavailable


class Breaker:
    """A database server of the test's own, to be switched off and on."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        # The kernel stops the server with the thread that started it.
        self._thread = ThreadPoolExecutor(1)
        self._server: Server | None = None

    async def on(self) -> str:
        """Start; gives where it is."""
        options = {"fsync": "off", "full_page_writes": "off"}
        server = await asyncio.get_running_loop().run_in_executor(
            self._thread, lambda: Server.start(self._directory, options=options)
        )
        self._server = server
        return server.url()

    def off(self) -> None:
        if self._server:
            self._server.stop()
        self._server = None

    def close(self) -> None:
        self.off()
        self._thread.shutdown()
        shutil.rmtree(self._directory, ignore_errors=True)


@pytest.fixture
def breaker() -> Generator[Breaker]:
    directory = Path(tempfile.mkdtemp(prefix="unbusy-test-"))
    directory.chmod(0o755)
    breaker = Breaker(directory)
    yield breaker
    breaker.close()


async def test_payments_wait_for_the_database(breaker: Breaker) -> None:
    """Who has time gets a payment when the database is back, who has not is told the truth; none is made twice."""
    url = await breaker.on()
    await migrate(url)
    db = await Database.open(url)
    bank = Bank(url, db)
    gateway = await bank.gateway()
    ming, mei = await bank.person("ming", 100), await bank.person("mei")
    await gateway.pay(ming, mei, 1)

    breaker.off()
    patient = [asyncio.create_task(gateway.answer(ming, mei, 1, within=30)) for _ in range(10)]
    with pytest.raises(Unavailable):
        await gateway.answer(ming, mei, 1, key="hasty", within=0.3)
    with pytest.raises(LedgerUnavailable):
        await gateway.payments.find(ming, ming.person_id)

    await breaker.on()
    assert statuses(payment for payment, _ in await asyncio.gather(*patient)) == ["completed"] * 10
    await gateway.answer(ming, mei, 1, key="hasty")
    assert await bank.balance(mei) == 12
    assert await bank.findings() == []
    await bank.close()
    await db.close()
