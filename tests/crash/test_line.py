"""A line of many before two gateways, one of which is killed half-way: everybody's turn comes when it was told.

Left out of `make test`; `make crash` takes more time and wants a thousand in line.
"""

from __future__ import annotations

import os
import random
import sys
import time
from collections import Counter
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from math import inf
from urllib.parse import urlsplit

import pytest
from tests.admission.world import spearman
from tests.crash.installation import Installation

from unbusy.db.embedded import running_at
from unbusy.load import ASSET, Load, Log, furnish, generate, payments, tokens

IS_WHOLE = "UNBUSY_CRASH_KILLS" in os.environ
IN_LINE = 1_000 if IS_WHOLE else 200
SECONDS = 40.0 if IS_WHOLE else 16.0
# Until then gateways that began with nothing learn what they can do; times told meanwhile move.
WARM_S = SECONDS / 2
# Several times what the machines of a build can do.
RATE = 3_000.0
PAYERS = 400
PUNCTUAL_S = 1.0


@pytest.fixture
def installation() -> Generator[Installation]:
    started = Installation(gateways=2)
    try:
        started.start()
        yield started
    finally:
        started.stop()


@pytest.mark.long
@pytest.mark.parametrize("is_killed", [False, True], ids=["two gateways", "one of two is killed"])
def test_a_line_is_served_in_order(
    installation: Installation, capsys: pytest.CaptureFixture[str], is_killed: bool
) -> None:
    """Who asked first is served first, and within a second of the time that the ticket says."""
    log = _rush(installation, is_killed=is_killed)
    intended = dict(log.wants())
    holders = [ask for ask in log.asks() if ask.ticket <= SECONDS - PUNCTUAL_S and ask.answered < inf]
    holders = [ask for ask in holders if intended[ask.want] >= WARM_S]
    served = [ask for ask in holders if ask.outcome.is_completed]
    punctual = sum(ask.answered <= ask.ticket + PUNCTUAL_S for ask in served) / max(1, len(holders))
    order = spearman([(intended[ask.want], ask.answered) for ask in served])
    with capsys.disabled():
        sys.stdout.write(f"{len(served)} by ticket, {punctual:.2%} punctual, order {order:.4f}, {_told(log)}\n")
    assert len(served) >= IN_LINE
    assert order >= 0.99
    assert punctual >= 0.99
    assert not log.doubled
    assert installation.check() == {"clean": True, "findings": []}


def _rush(installation: Installation, *, is_killed: bool) -> Log:
    """More than can be served, for some seconds."""
    url = running_at(installation.data)
    assert url
    people = furnish(url, PAYERS, 0)
    payers = tokens(people, (installation.data / "secret").read_bytes().strip())
    stream = payments("rush", payers, ASSET, RATE, 0.0, SECONDS, chance=random.Random(3))
    address = urlsplit(installation.address)
    assert address.hostname
    assert address.port
    load = Load("rush", address.hostname, address.port, [stream], connections=200, seed=5)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(generate, load, None)
        if is_killed:
            time.sleep(SECONDS * 3 / 4)
            installation.kill("gateway")
        return running.result()


def _told(log: Log) -> dict[str, int]:
    return dict(Counter(ask.outcome.shown for ask in log.asks()))
