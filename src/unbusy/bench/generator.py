"""An open-loop load generator: requests leave when they were meant to, whatever the answers do.

A closed loop, in which each client waits for its answer before it asks again, slows down together
with the system it measures and so hides the worst of it. Here arrivals are a Poisson process, and
latency counts from the *intended* time: a request that had to wait for a free connection was late
for its caller too. The generator runs in a process of its own, on a core of its own, and reports
how late it was itself, so that nobody takes its weakness for the system's.

Run as `python -m unbusy.bench.generator`, with a `Load` as JSON on the standard input; the `Report`
comes out as JSON.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import sys
import time
from collections import deque
from typing import cast

import msgspec
import uvloop

from unbusy.clock import SystemClock
from unbusy.ids import Ids

# Answers still out this long after the last request was sent count as never given.
_PATIENCE_S = 5.0


class Payer(msgspec.Struct):
    """A signed-in customer."""

    id: str
    token: str


class Load(msgspec.Struct):
    """What to send: `rate` payments a second for `seconds`, between random ones of `payers`."""

    host: str
    port: int
    payers: list[Payer]
    asset: str
    rate: float
    seconds: float
    connections: int
    seed: int


class Report(msgspec.Struct):
    """What came back. Latencies are in milliseconds from the intended time; `late_p99_ms` is the
    generator's own. `statuses` counts the answers by HTTP status, `completed` the money that moved."""

    sent: int
    answered: int
    completed: int
    statuses: dict[str, int]
    p50_ms: float
    p99_ms: float
    max_ms: float
    late_p99_ms: float
    took_s: float

    @property
    def per_second(self) -> float:
        """Payments that completed, per second from the first intended time to the last answer."""
        return self.completed / self.took_s if self.took_s else 0.0


class Generator:
    """One run of a load."""

    def __init__(self, load: Load) -> None:
        self._load = load
        chance = random.Random(load.seed)  # noqa: S311 - a reproducible load, no secret
        self._intended = _arrivals(load, chance)
        self._requests = _requests(load, chance, len(self._intended))
        self._idle: deque[_Connection] = deque()
        self._waiting: deque[int] = deque()
        self._unanswered = len(self._intended)
        self._all_answered = asyncio.Event()
        self.started_at = 0.0
        self.latencies: list[float] = []
        self.late: list[float] = []
        self.statuses: dict[str, int] = {}
        self.completed = 0
        self.last_answer_at = 0.0

    async def run(self) -> Report:
        """Send everything at its time, wait for the answers, and report."""
        loop = asyncio.get_running_loop()
        for _ in range(self._load.connections):
            await loop.create_connection(lambda: _Connection(self), self._load.host, self._load.port)
        self.started_at = time.perf_counter() + 0.05
        await self._send_all()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._all_answered.wait(), _PATIENCE_S)
        return self._report()

    def give_back(self, connection: _Connection) -> None:
        """The connection is free: send what has been waiting longest, or keep it."""
        if self._waiting:
            connection.send(self._waiting.popleft(), self._requests)
        else:
            self._idle.append(connection)

    def count(self, number: int, status: str, *, is_completed: bool) -> None:
        """An answer came in full."""
        now = time.perf_counter()
        self._unanswered -= 1
        if not self._unanswered:
            self._all_answered.set()
        self.last_answer_at = now
        self.latencies.append(now - self.started_at - self._intended[number])
        self.statuses[status] = self.statuses.get(status, 0) + 1
        self.completed += is_completed

    async def _send_all(self) -> None:
        number, last = 0, len(self._intended)
        while number < last:
            now = time.perf_counter() - self.started_at
            while number < last and self._intended[number] <= now:
                if self._idle:
                    self.late.append(now - self._intended[number])
                    self._idle.popleft().send(number, self._requests)
                else:
                    self._waiting.append(number)
                number += 1
            await asyncio.sleep(0.001)

    def _report(self) -> Report:
        latencies, late = sorted(self.latencies), sorted(self.late)
        return Report(
            sent=len(self._intended),
            answered=len(latencies),
            completed=self.completed,
            statuses=self.statuses,
            p50_ms=percentile(latencies, 0.50) * 1e3,
            p99_ms=percentile(latencies, 0.99) * 1e3,
            max_ms=percentile(latencies, 1.0) * 1e3,
            late_p99_ms=percentile(late, 0.99) * 1e3,
            took_s=max(self.last_answer_at - self.started_at, self._load.seconds),
        )


class _Connection(asyncio.Protocol):
    """One keep-alive connection with at most one request under way."""

    def __init__(self, generator: Generator) -> None:
        self._generator = generator
        self._transport: asyncio.Transport | None = None
        self._number = -1
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._generator.give_back(self)

    def send(self, number: int, requests: list[bytes]) -> None:
        assert self._transport is not None
        self._number = number
        self._transport.write(requests[number])

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, separator, body = self._received.partition(b"\r\n\r\n")
        if not separator or len(body) < _content_length(head):
            return
        self._received = b""
        self._generator.count(self._number, head[9:12].decode(), is_completed=b'"status":"completed"' in body)
        self._generator.give_back(self)


def percentile(ordered: list[float], share: float) -> float:
    """The value below which `share` of the ordered values lie; 0 when there are none."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def _content_length(head: bytes) -> int:
    lowered = head.lower()
    start = lowered.index(b"content-length:") + len(b"content-length:")
    return int(lowered[start:].split(b"\r\n", 1)[0])


def _arrivals(load: Load, chance: random.Random) -> list[float]:
    """Seconds from the start at which requests are meant to leave."""
    arrivals: list[float] = []
    at = chance.expovariate(load.rate)
    while at < load.seconds:
        arrivals.append(at)
        at += chance.expovariate(load.rate)
    return arrivals


def _requests(load: Load, chance: random.Random, count: int) -> list[bytes]:
    """The requests as bytes, made before the clock runs."""
    ids = Ids(SystemClock())
    made: list[bytes] = []
    for _ in range(count):
        payer, payee = chance.sample(load.payers, 2)
        body = msgspec.json.encode({"payee": payee.id, "amount": chance.randint(1, 500), "asset": load.asset})
        head = (
            f"POST /v1/payments HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {payer.token}\r\n"
            f"Idempotency-Key: {ids.new().hex}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        made.append(head.encode() + body)
    return made


def main() -> None:
    """Run the load on the standard input."""
    load = msgspec.json.decode(sys.stdin.buffer.read(), type=Load)
    report = uvloop.run(Generator(load).run())
    sys.stdout.buffer.write(msgspec.json.encode(report))


if __name__ == "__main__":
    main()
