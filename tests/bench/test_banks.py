"""`unbusy bench banks`, a small one."""

from __future__ import annotations

import pytest

from unbusy.bench import bench_banks

pytestmark = pytest.mark.alone


def test_round_trips_to_banks_go_on_side_by_side() -> None:
    """Several times as many come to their end as one after the other would, in the same run; and in the end the
    books are right, and tell what the bank's tell."""
    told: list[float] = []
    figures = bench_banks(lambda _, share: told.append(share), rounds=1, trips=40, people=10)
    assert figures.ratio >= 5
    assert figures.p99_ms >= figures.p50_ms >= figures.latency_ms
    assert told == sorted(told)
