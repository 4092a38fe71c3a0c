"""The gatekeeper's own clockwork."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from unbusy.admission import Gate, Options, Shared, Waits
from unbusy.api import Gatekeeper, Principal
from unbusy.clock import SystemClock
from unbusy.errors import Unauthenticated

NO_WAIT = Waits()


class Faltering(Gate):
    """A gate that cannot measure the first time."""

    def __init__(self, *about: Any) -> None:
        super().__init__(*about)
        self.ticks = 0
        self.measured = asyncio.Event()

    def tick(self, now: float, waits: Waits = NO_WAIT) -> None:
        """Fail once, then measure."""
        self.ticks += 1
        if self.ticks == 1:
            raise ArithmeticError
        super().tick(now, waits)
        self.measured.set()


class Nobody:
    """Knows nobody."""

    def authenticate(self, token: str) -> Principal:
        """Nobody is signed in."""
        raise Unauthenticated(token)

    def recognise(self, token: str) -> Principal | None:
        """Nobody is known."""
        del token


async def test_a_gate_that_could_not_measure_does_so_the_next_time(tmp_path: Path) -> None:
    """Else it would let in for ever what it let in last."""
    clock = SystemClock()
    gate = Faltering(bytes(32), Shared(tmp_path / "shared", 0, 1), Options(), clock.timestamp())
    keeper = Gatekeeper(
        gate,
        Nobody(),
        clock=clock,
        payment_wait=lambda: 0.0,
        read_wait=lambda: 0.0,
        when_done=lambda: None,
    )
    await keeper.start()
    async with asyncio.timeout(5):
        await gate.measured.wait()
    await keeper.stop()
