"""An open-loop load generator: requests leave when they were meant to, whatever the answers do.

A closed loop, in which each client waits for its answer before it asks again, slows down together
with the system it measures and so hides the worst of it. Here arrivals are planned before the clock
runs, and latency counts from the *intended* time: a request that had to wait for a free connection
was late for its caller too. The generator has a process of its own, on a core of its own, and
reports how late it was itself, so that nobody takes its weakness for the system's.

One loop over sockets and epoll, one `send` and one `recv` for a request: asyncio would cost more than
the system under test. With nothing due it sleeps, and leaves its core to whoever wants it.

Run as `python -m unbusy.load.generator`, with a `Load` as MessagePack on the standard input; a
`Moment` as a line of JSON comes out twice a second, and the `Log` goes to the file that the load names.
"""

from __future__ import annotations

import gc
import heapq
import resource
import select
import sys
import time
from array import array
from collections import Counter, deque
from pathlib import Path
from typing import NamedTuple

import msgspec

from unbusy.clock import SystemClock
from unbusy.load import answers
from unbusy.load.connections import Connections
from unbusy.load.model import GAVE_UP, LOST, NEVER, Client, Load, Log, Moment, percentile, plan

_BEGIN_IN_S = 0.05
_MOMENT_S = 0.5
# Of the latencies of a moment, at most so many are sorted for the picture.
_MOST_SHOWN = 1_000
_AT_ONCE = 3
# New connections need a file each, beside what Python has open.
_OTHER_FILES = 64


class _Due(NamedTuple):
    """An ask that is to be sent. `ticket` is its slot, infinite without one."""

    at: float
    want: int
    token: bytes = b""
    ticket: float = NEVER


class Generator:
    """One run of a load."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._plan = plan(load)
        self._next = 0
        self._returns: list[_Due] = []
        self._waiting: deque[_Due] = deque()
        self._prefix = f"{load.name}-".encode()
        self._reader = answers.Reader()
        self._asks = _Asks()
        self._has_insisted: set[int] = set()
        self._payments: dict[int, str] = {}
        self._doubled: list[int] = []
        self._answers: dict[int, bytes] = {}
        self._late = array("d")
        # Asks with a client that gives up, in the order they do.
        self._leaving: deque[tuple[float, int, int]] = deque()
        self._epoll = select.epoll()
        self._connections = Connections(load.host, load.port, self._epoll)
        self._started_at = 0.0
        # The time of day at which the load began, to read slots by.
        self._epoch = 0.0
        self._picture = _Picture(self._reader.outcomes)

    def run(self) -> Log:
        """Send everything at its time, wait for the answers, and tell everything."""
        gc.disable()  # a pause is lateness, and nothing here is in cycles
        self._connections.open(self._load.connections)
        self._started_at = time.perf_counter() + _BEGIN_IN_S
        self._epoch = SystemClock().timestamp() + _BEGIN_IN_S
        began = time.process_time()
        give_up_at = self._load.seconds + self._load.patience_s
        while (now := self._now()) < give_up_at and not self._is_done(now):
            self._send_due(now)
            self._let_go(now)
            self._connections.mend(now)
            for fd in self._events(now):
                self._hear(fd)
            if now >= self._picture.due_at:
                self._tell(now)
        used, took = time.process_time() - began, self._now()
        self._give_up(took)
        self._tell(took)
        return self._log(used, took)

    def _give_up(self, now: float) -> None:
        """Who still waits for a connection gets no answer. Whoever was never sent is our own fault: a
        machine that stood still for so long."""
        for due in self._waiting:
            self._asks.note(due)
        self._late.extend(now - arrival.at for arrival in self._plan[self._next :])

    def _now(self) -> float:
        return time.perf_counter() - self._started_at

    def _is_done(self, now: float) -> bool:
        return (
            self._next == len(self._plan)
            and not (self._returns or self._waiting or self._connections.asking)
            and now >= self._load.seconds
        )

    def _events(self, now: float) -> list[int]:
        """Connections with news; waits for some until something is due. `select` on the epoll
        itself, because that waits for microseconds where `poll` knows only milliseconds."""
        events = self._epoll.poll(0)
        if not events and (pause := self._next_due() - now) > 0:
            select.select([self._epoll], [], [], pause)
            events = self._epoll.poll(0)
        return [fd for fd, _ in events]

    def _next_due(self) -> float:
        due = self._picture.due_at
        if self._next < len(self._plan):
            due = min(due, self._plan[self._next].at)
        if self._returns:
            due = min(due, self._returns[0].at)
        if self._leaving:
            due = min(due, self._leaving[0][0])
        return min(due, self._connections.mend_at)

    def _send_due(self, now: float) -> None:
        """First who has been waiting, then who comes back, then who comes now."""
        while self._waiting and self._connections.idle:
            self._send(self._waiting.popleft())
        while self._returns and self._returns[0].at <= now:
            self._begin(heapq.heappop(self._returns), now)
        planned, last = self._plan, len(self._plan)
        while self._next < last and (at := planned[self._next].at) <= now:
            self._begin(_Due(at, self._next), now)
            self._next += 1

    def _begin(self, due: _Due, now: float) -> None:
        if self._connections.idle:
            self._late.append(now - due.at)
            self._send(due)
        else:
            self._waiting.append(due)

    def _send(self, due: _Due) -> None:
        _, index, number = self._plan[due.want]
        stream = self._load.streams[index]
        head, tail = stream.pairs[number % len(stream.pairs)]
        key = self._prefix + b"%d" % due.want if stream.has_key else b""
        ticket = b"\r\nUnbusy-Ticket: " + due.token if due.token else b""
        fd = self._connections.send(b"".join((stream.heads[head], key, ticket, stream.tails[tail])), len(self._asks))
        if fd < 0:  # it had been closed while nobody used it: nothing was asked
            self._waiting.appendleft(due)
            return
        if self._load.gives_up_s:
            self._leaving.append((due.at + self._load.gives_up_s, fd, len(self._asks)))
        self._asks.note(due)

    def _let_go(self, now: float) -> None:
        """Clients that have waited long enough close their connection, or never get one."""
        if not self._load.gives_up_s:
            return
        while self._leaving and self._leaving[0][0] <= now:
            _, fd, ask = self._leaving.popleft()
            if self._connections.asked(fd) == ask:
                self._asks.outcome[ask] = GAVE_UP
                self._connections.replace(fd)
        while self._waiting and self._waiting[0].at + self._load.gives_up_s <= now:
            self._asks.note(self._waiting.popleft())
            self._asks.outcome[-1] = GAVE_UP

    def _hear(self, fd: int) -> None:
        heard = self._connections.receive(fd)
        if heard is None:
            return
        ask, data = heard
        now = self._now()
        number = self._reader.outcome(data)
        self._asks.answered[ask] = now
        self._asks.outcome[ask] = number
        self._picture.count(number, now - self._asks.at[ask])
        outcome, want = self._reader.outcomes[number], self._asks.want[ask]
        if outcome.is_refusal:
            self._refused(ask, want, data, now)
            return
        stream = self._load.streams[self._plan[want].stream]
        if stream.has_key and outcome.status < 300:  # noqa: PLR2004 - as in HTTP
            told = answers.text(data, b'"id":"').decode()
            if self._payments.setdefault(want, told) != told:
                self._doubled.append(want)
        if stream.keeps_answers:
            self._answers[want] = data.partition(b"\r\n\r\n")[2]

    def _refused(self, ask: int, want: int, data: bytes, now: float) -> None:
        """What its client does now."""
        stream = self._load.streams[self._plan[want].stream]
        ticket = self._reader.ticket(data)
        if ticket:
            self._asks.slot[ask] = ticket[1] - self._epoch
        if stream.client is Client.impatient and want not in self._has_insisted:
            self._has_insisted.add(want)
            for _ in range(_AT_ONCE):
                self._begin(_Due(now, want), now)
        elif stream.client is Client.cooperative:
            slot = self._asks.slot[ask]
            due = _Due(max(slot, now), want, ticket[0], slot) if ticket else _Due(now + answers.wait(data), want)
            if due.at < stream.ends_s:
                heapq.heappush(self._returns, due)

    def _tell(self, now: float) -> None:
        moment = self._picture.take(now, self._next, len(self._asks), len(self._waiting))
        sys.stdout.buffer.write(msgspec.json.encode(moment) + b"\n")
        sys.stdout.buffer.flush()

    def _log(self, used_s: float, took_s: float) -> Log:
        self._connections.close()
        wants = {
            "stream": array("l", (arrival.stream for arrival in self._plan)),
            "number": array("l", (arrival.number for arrival in self._plan)),
            "intended": array("d", (arrival.at for arrival in self._plan)),
        }
        return Log(
            name=self._load.name,
            streams=[stream.name for stream in self._load.streams],
            outcomes=self._reader.outcomes,
            columns=self._asks.columns() | {name: numbers.tobytes() for name, numbers in wants.items()},
            payments=self._payments,
            doubled=self._doubled,
            answers=self._answers,
            seconds=self._load.seconds,
            late_p99_ms=percentile(self._late, 0.99) * 1e3,
            busy=used_s / took_s if took_s > 0 else 0.0,
            cost_us=used_s / len(self._asks) * 1e6 if len(self._asks) else 0.0,
        )


class _Asks:
    """The columns of what was asked, in the order it was sent."""

    def __init__(self) -> None:
        self.want = array("l")
        self.at = array("d")
        self.answered = array("d")
        self.outcome = array("l")
        self.slot = array("d")
        self.ticket = array("d")

    def __len__(self) -> int:
        return len(self.want)

    def note(self, due: _Due) -> None:
        """It leaves. Until it is answered, it is lost."""
        self.want.append(due.want)
        self.at.append(due.at)
        self.answered.append(NEVER)
        self.outcome.append(LOST)
        self.slot.append(NEVER)
        self.ticket.append(due.ticket)

    def columns(self) -> dict[str, bytes]:
        """Each by its name, packed."""
        return {name: column.tobytes() for name, column in vars(self).items()}


class _Picture:
    """What has happened since it was last told."""

    def __init__(self, outcomes: list[answers.Outcome]) -> None:
        self._outcomes = outcomes
        self._is_completed: list[bool] = []
        self._counts: Counter[int] = Counter()
        self._latencies: list[float] = []
        self._wanted = self._asked = 0
        self.due_at = 0.0

    def count(self, outcome: int, latency: float) -> None:
        """An answer came in."""
        self._counts[outcome] += 1
        if self._outcomes[outcome].is_completed:
            self._latencies.append(latency)

    def take(self, now: float, wanted: int, asked: int, waiting: int) -> Moment:
        """The moment up to now; what comes belongs to the next one."""
        self.due_at = now + _MOMENT_S
        some = self._latencies[:: len(self._latencies) // _MOST_SHOWN + 1]
        moment = Moment(
            at_s=now,
            wanted=wanted - self._wanted,
            asked=asked - self._asked,
            completed=len(self._latencies),
            waiting=waiting,
            outcomes=_by_word(self._outcomes, self._counts),
            p50_ms=percentile(some, 0.5) * 1e3,
            p99_ms=percentile(some, 0.99) * 1e3,
        )
        self._wanted, self._asked = wanted, asked
        self._counts.clear()
        self._latencies.clear()
        return moment


def _by_word(outcomes: list[answers.Outcome], counts: Counter[int]) -> dict[str, int]:
    told: Counter[str] = Counter()
    for number, count in counts.items():
        told[outcomes[number].shown] += count
    return dict(told)


def main() -> None:
    """Run the load on the standard input."""
    load = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=Load)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(load.connections + _OTHER_FILES, hard)), hard))
    Path(load.log).write_bytes(msgspec.msgpack.encode(Generator(load).run()))


if __name__ == "__main__":
    main()
