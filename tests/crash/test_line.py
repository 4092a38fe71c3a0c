"""A line of many before one gateway, before two, and before two of which one is killed half-way.

Some seconds of each in the build; `make crash` takes half a minute.
"""

from __future__ import annotations

import os
import random
import sys
from collections import Counter
from collections.abc import Generator
from math import inf
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest
from tests.admission.world import spearman
from tests.crash.installation import Installation

from unbusy.db.embedded import running_at
from unbusy.load import ASSET, Load, Log, Moment, furnish, generate, payments, tokens

pytestmark = pytest.mark.alone

IS_WHOLE = "UNBUSY_CRASH_KILLS" in os.environ
IN_LINE = 1_000
SECONDS = 30.0 if IS_WHOLE else 8.0
# Several times what the machines of a build can do; before it a little, for a system begins with nothing in memory.
RATE = 6_000.0
WARM_RATE = 300.0
WARM_S = 2.0
PAYERS = 400
PUNCTUAL_S = 1.0


@pytest.fixture
def installation(gateways: int) -> Generator[Installation]:
    started = Installation(gateways)
    try:
        started.start()
        yield started
    finally:
        started.stop()


class Holder(NamedTuple):
    """One with a place in line. Times are seconds since the load began, infinite for what was not."""

    asked_at: float
    first_told: float
    last_told: float
    served_at: float


@pytest.mark.parametrize(
    ("gateways", "is_killed"),
    [
        pytest.param(1, False, id="one gateway", marks=pytest.mark.long),
        pytest.param(2, False, id="two", marks=pytest.mark.long),
        pytest.param(2, True, id="one of two is killed"),
    ],
)
def test_a_line_is_served_in_order(
    installation: Installation, capsys: pytest.CaptureFixture[str], is_killed: bool
) -> None:
    """Who asked first is served first, and within a second of the time told: the first, while as much can be done."""
    log = _rush(installation, is_killed=is_killed)
    holders = _holders(log)
    served = [holder for holder in holders if holder.served_at < inf]
    order = spearman([(holder.asked_at, holder.served_at) for holder in served])
    first = _punctual([(holder.first_told, holder.served_at) for holder in holders])
    last = _punctual([(holder.last_told, holder.served_at) for holder in holders])
    with capsys.disabled():
        told = dict(Counter(ask.outcome.shown for ask in log.asks()))
        by_slot = f"{first:.2%} within a second of the first slot told, {last:.2%} of the last"
        sys.stdout.write(f"{len(served)} served by ticket, order {order:.4f}, {by_slot}; {told}\n")
    assert len(served) >= IN_LINE
    assert order >= 0.99
    assert last >= 0.99
    assert is_killed or first >= 0.99
    assert not log.doubled
    assert installation.check() == {"clean": True, "findings": []}


def _rush(installation: Installation, *, is_killed: bool) -> Log:
    """More than can be served, for some seconds."""
    url = running_at(installation.data)
    assert url
    people = furnish(url, PAYERS, 0)
    payers = tokens(people, (installation.data / "secret").read_bytes().strip())
    chance = random.Random(3)
    streams = [
        payments("warm", payers, ASSET, WARM_RATE, 0.0, WARM_S, chance=chance),
        payments("rush", payers, ASSET, RATE, WARM_S, WARM_S + SECONDS, chance=chance),
    ]
    address = urlsplit(installation.address)
    assert address.hostname
    assert address.port
    load = Load("line", address.hostname, address.port, streams, connections=200, seed=5)
    left = ["gateway"] if is_killed else []

    def look(moment: Moment) -> None:
        if left and moment.at_s >= WARM_S + SECONDS / 2:
            installation.kill(left.pop())

    log = generate(load, None, look)
    assert not left
    return log


def _holders(log: Log) -> list[Holder]:
    """Who was given a place in line, and what became of it.

    Left out is whose connection broke with the gateway: clients ask again then, and this load does not.
    """
    intended, first_told, holders = dict(log.wants()), dict[int, float](), dict[int, Holder]()
    for ask in log.asks():
        if ask.slot < inf:
            first_told.setdefault(ask.want, ask.slot)
        if ask.outcome.status == 0:
            holders.pop(ask.want, None)
        elif ask.want in first_told:
            is_served = ask.outcome.is_completed
            told, served_at = (ask.ticket, ask.answered) if is_served else (ask.slot, inf)
            holders[ask.want] = Holder(intended[ask.want], first_told[ask.want], told, served_at)
    return list(holders.values())


def _punctual(holders: list[tuple[float, float]]) -> float:
    """The share of those who were served within a second of their slot; (slot, served) each. Nobody comes later than
    the load lasts."""
    due = [(slot, served_at) for slot, served_at in holders if slot <= WARM_S + SECONDS - PUNCTUAL_S]
    return sum(served_at <= slot + PUNCTUAL_S for slot, served_at in due) / len(due)
