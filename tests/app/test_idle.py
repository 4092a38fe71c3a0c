"""Waiting costs next to nothing: so many keep a stream of events or a long poll open on one gateway."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from tests.app.idle import Cost, Crowd, Process, gateway_process

KB, MB = 1_000, 1_000_000

# Bytes of memory and seconds of CPU in a second, of one gateway. It was 8 kB a stream when this was
# written, and half as much again leaves room for other versions of Python and its libraries.
MOST_PER_STREAM = 12 * KB
# Two commands a second would cost as much.
MOST_CPU_AT_REST = 0.1


def rest(gateway: Process, seconds: float) -> tuple[Cost, float]:
    """Let nothing happen for a while; gives what it has cost by then, and the share of a core it took."""
    before = gateway.cost()
    time.sleep(seconds)
    after = gateway.cost()
    return after, (after.cpu_s - before.cpu_s) / seconds


@pytest.mark.long
def test_a_thousand_streams(url: str, tmp_path: Path) -> None:
    """Each takes little, all of them together no time to speak of, and they go on beating."""
    with gateway_process(url, tmp_path, gate="off") as gateway, Crowd(gateway.port) as crowd:
        crowd.open_streams(100)
        before = gateway.cost()
        crowd.open_streams(1_000)
        after = gateway.cost()
        assert (after.memory - before.memory) / 1_000 <= MOST_PER_STREAM
        crowd.heard()
        _, share = rest(gateway, 16)
        assert share <= MOST_CPU_AT_REST
        assert all(b":\n\n" in heard for heard in crowd.heard())


@pytest.mark.long
def test_ten_thousand_streams(url: str, tmp_path: Path) -> None:
    """All in one process of at most 300 MB; and as many others when they have gone, at once."""
    with gateway_process(url, tmp_path, gate="off", access_token_s="3600") as gateway, Crowd(gateway.port) as crowd:
        crowd.open_streams(10_000)
        cost, share = rest(gateway, 20)
        assert cost.memory <= 300 * MB
        assert share <= MOST_CPU_AT_REST
        crowd.leave(10_000)
        crowd.open_streams(10_000)
        assert gateway.cost().memory <= 300 * MB
