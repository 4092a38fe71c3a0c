"""Kill −9 under load: nothing acknowledged is lost, nothing is done twice, and it is back by itself.

Three kills of each kind in the build; `make crash` does twenty.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Generator

import httpx
import pytest
from tests.crash.crowd import Crowd
from tests.crash.installation import Installation

from unbusy.db.embedded import running_at
from unbusy.load import PASSWORD, furnish

pytestmark = pytest.mark.alone

KILLS = int(os.environ.get("UNBUSY_CRASH_KILLS", "3"))
CUSTOMERS = 8

# Seconds until a payment that is asked for after the kill is acknowledged. By itself, except after
# "everything", where somebody starts it again, Python and all.
BACK_WITHIN = {"gateway": 1.0, "worker": 1.0, "postgres": 10.0, "everything": 30.0}


@pytest.fixture
def installation() -> Generator[Installation]:
    started = Installation()
    try:
        started.start()
        yield started
    finally:
        started.stop()


def test_kill_9_under_load(installation: Installation, capsys: pytest.CaptureFixture[str]) -> None:
    """Gateway, worker, database, and all at once, in turn."""
    url = running_at(installation.data)
    assert url
    handles = [customer.handle for customer in furnish(url, CUSTOMERS, 0)]
    outages = asyncio.run(_live_through(installation, handles))
    with capsys.disabled():
        for what, seconds in outages.items():
            sys.stdout.write(f"{what}: back after {', '.join(f'{second:.2f}' for second in seconds)} s\n")


async def _live_through(installation: Installation, handles: list[str]) -> dict[str, list[float]]:
    outages: dict[str, list[float]] = {what: [] for what in BACK_WITHIN}
    limits = httpx.Limits(max_connections=64, max_keepalive_connections=64)
    async with httpx.AsyncClient(base_url=installation.address, limits=limits, timeout=15) as http:
        crowd = await Crowd.sign_in(http, handles, PASSWORD, seed=1)
        total = await crowd.total()
        for number in range(KILLS):
            for what, seconds in outages.items():
                async with crowd.paying():
                    await asyncio.sleep(0.3 + 0.1 * (number % 5))
                    seconds.append(await _kill(installation, crowd, what))
                    await asyncio.sleep(0.2)
        await crowd.settle()
        await crowd.verify()
        assert crowd.acknowledged == len(crowd.attempts)
        assert await crowd.total() == total
    assert installation.check() == {"clean": True, "findings": []}
    return outages


async def _kill(installation: Installation, crowd: Crowd, what: str) -> float:
    """Kill it, and give the seconds until a payment that was asked for later is acknowledged."""
    await asyncio.to_thread(installation.kill, what)
    killed_at = time.monotonic()
    if what == "everything":
        await asyncio.to_thread(installation.start)
    seconds = await crowd.served_since(killed_at)
    assert seconds <= BACK_WITHIN[what], f"{what}: {seconds} s\n{installation.printed}"
    return seconds
