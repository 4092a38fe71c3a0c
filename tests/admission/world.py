"""A simulated world around the gate: customers who ask and come back, a server that can do so much.

Nothing is patched and nothing waits: time is a number, chance has a seed. The server is one queue, served in
order at `capacity(t)` cost units a second; what it cannot do it keeps, as a real one does. It may stand still now
and then (`Stalls`), and may work in batches: what came while the batch before was committed is the next one.
"""

from __future__ import annotations

import bisect
import heapq
import math
import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from unbusy.admission import COSTS, Admitted, Class, Decision, Entry, Full, Gate, InLine, Options, Quota, Shared, Waits

START_AT = 1_790_000_000.0
KEY = bytes(range(32))
GENEROUS = Quota(rate=1e6, burst=1e6)
OPTIONS = Options(customer_quota=GENEROUS)

_STEP_S = 0.005
_TICK_S = 0.1


def gate_at(
    directory: Path, now: float = START_AT, *, index: int = 0, of: int = 1, options: Options = OPTIONS, good: float = 0
) -> Gate:
    """A gate that keeps its memory in the directory; one that knows how `good` its server is, if said."""
    shared = Shared(directory / "shared", index, of)
    if good:
        shared.own.good = good
    return Gate(KEY, shared, options, now)


def pay(gate: Gate, now: float, customer: bytes = b"anna", ticket: str | None = None, tenant: int = 1) -> Decision:
    """Somebody wants to pay."""
    return gate.decide("POST", "/v1/payments", None, tenant, customer, ticket, now)


class Stalls:
    """When a server stands still: for 60 to 250 ms, about once a second, as chance has it."""

    def __init__(self, seed: int, until: float) -> None:
        chance = random.Random(seed)
        self._parts: list[tuple[float, float]] = []
        now = chance.expovariate(1.0)
        while now < until:
            ends = now + chance.uniform(0.06, 0.25)
            self._parts.append((now, ends))
            now = ends + chance.expovariate(1.0)

    def stands(self, now: float) -> bool:
        """Whether it stands still then."""
        place = bisect.bisect(self._parts, (now, math.inf)) - 1
        return place >= 0 and now < self._parts[place][1]

    def moves(self, since: float, until: float) -> float:
        """Seconds of this time in which it does not stand still."""
        return until - since - sum(max(0.0, min(until, end) - max(since, start)) for start, end in self._parts)


@dataclass
class Asker:
    """One who asks, with all that happened to him. Times are seconds since the world began."""

    tenant: int
    customer: bytes
    klass: Class
    asked_at: float
    returns: bool
    ticket: str | None = None
    slot_at: float = 0.0
    first_slot_at: float = 0.0
    moves: int = 0
    entered_at: float = -1.0
    by_ticket: bool = False
    done_at: float = -1.0


@dataclass
class Load:
    """Poisson arrivals of one tenant's customers."""

    rate: Callable[[float], float]
    customers: Sequence[bytes]
    tenant: int = 1
    klass: Class = Class.pay
    returns: float = 1.0
    """The part of them who come back when their time has come."""
    late_s: float = 0.03
    """How late they are at most."""


_REQUESTS = {
    Class.pay: ("POST", "/v1/payments"),
    Class.read: ("GET", "/v1/payments"),
    Class.queued: ("POST", "/v1/payment-batches"),
}


def crowd(number: int, name: str = "c") -> list[bytes]:
    """So many customers."""
    return [f"{name}{n}".encode() for n in range(number)]


@dataclass
class World:
    """Runs loads against gates. With several gates, everybody reaches any of them."""

    gates: list[Gate]
    capacity: Callable[[float], float]
    loads: list[Load]
    batch_cost: float = 0.0
    """What a batch costs besides the work in it; 0: no batches."""
    split: Sequence[float] = ()
    """How newcomers are spread over the gates, for connections never are evenly; none: evenly."""
    chance: random.Random = field(default_factory=lambda: random.Random(7))
    now: float = 0.0
    askers: list[Asker] = field(default_factory=list[Asker])
    waits: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])
    """When something was done, and how long it had waited inside."""

    def __post_init__(self) -> None:
        self._order = count()
        self._events: list[tuple[float, int, Load, Asker | None]] = []
        self._inside: deque[tuple[float, Gate, Asker]] = deque()
        self._batch: list[tuple[float, Gate, Asker]] = []
        self._credit = 0.0
        for load in self.loads:
            self._expect(load)

    def run(self, until: float) -> None:
        """Let it go on to this time."""
        while self.now < until:
            self.now = round(self.now + _STEP_S, 6)
            while self._events and self._events[0][0] <= self.now:
                at, _, load, asker = heapq.heappop(self._events)
                if asker is None:
                    self._expect(load, at)
                    asker = self._newcomer(load, at)
                self._ask(load, asker, at)
            self._serve()
            self._tick()

    def kill(self, number: int) -> None:
        """A gate ends, and with it what it had let in. Everybody goes to the others."""
        gate = self.gates.pop(number)
        self._inside = deque(one for one in self._inside if one[1] is not gate)
        self._batch = [one for one in self._batch if one[1] is not gate]

    def goodput(self, since: float, until: float) -> float:
        """Cost units a second that were done in this time."""
        return sum(COSTS[one.klass] for one in self.askers if since <= one.done_at < until) / (until - since)

    def queueing(self, since: float, until: float) -> float:
        """Mean seconds that work waited inside."""
        waits = [wait for at, wait in self.waits if since <= at < until]
        return sum(waits) / len(waits)

    def done_of(self, tenant: int) -> int:
        """How much was done for a tenant."""
        return sum(1 for one in self.askers if one.tenant == tenant and one.done_at >= 0)

    def _tick(self) -> None:
        # Not all at the same moment, as processes do not.
        step = round(self.now / _STEP_S)
        for number, gate in enumerate(self.gates):
            if (step + 7 * number) % round(_TICK_S / _STEP_S) == 0:
                oldest = self.now - self._inside[0][0] if self._inside else 0.0
                gate.tick(START_AT + self.now, Waits(payment=oldest))

    def _gate(self, asker: Asker) -> Gate:
        if asker.ticket is None and len(self.split) == len(self.gates):
            return self.chance.choices(self.gates, self.split)[0]
        return self.chance.choice(self.gates)

    def _expect(self, load: Load, after: float = 0.0) -> None:
        rate = load.rate(after)
        at = after + (self.chance.expovariate(rate) if rate > 0 else 0.1)
        heapq.heappush(self._events, (at, next(self._order), load, None))

    def _newcomer(self, load: Load, at: float) -> Asker:
        returns = self.chance.random() < load.returns
        asker = Asker(load.tenant, self.chance.choice(load.customers), load.klass, at, returns)
        if load.rate(at) > 0:
            self.askers.append(asker)
        return asker

    def _ask(self, load: Load, asker: Asker, at: float) -> None:
        if load.rate(asker.asked_at) <= 0:
            return
        gate = self._gate(asker)
        method, path = _REQUESTS[asker.klass]
        decision = gate.decide(method, path, None, asker.tenant, asker.customer, asker.ticket, START_AT + at)
        match decision:
            case Admitted():
                asker.entered_at, asker.by_ticket = at, decision.entry is not Entry.room
                self._inside.append((at, gate, asker))
            case InLine() if asker.returns:
                asker.moves += decision.moved_from is not None
                asker.ticket, asker.slot_at = decision.ticket, decision.slot_at - START_AT
                asker.first_slot_at = asker.first_slot_at or asker.slot_at
                back_at = asker.slot_at + 0.001 + self.chance.random() * load.late_s
                heapq.heappush(self._events, (back_at, next(self._order), load, asker))
            case Full() if asker.returns:
                asker.ticket = None
                heapq.heappush(self._events, (decision.come_back_at - START_AT, next(self._order), load, asker))
            case _:
                pass

    def _serve(self) -> None:
        self._credit += self.capacity(self.now) * _STEP_S
        if self.batch_cost:
            self._serve_batches()
        while not self.batch_cost and self._inside and self._credit >= COSTS[self._inside[0][2].klass]:
            began_at, gate, asker = self._inside.popleft()
            self._credit -= COSTS[asker.klass]
            self._finish(max(0.0, self.now - began_at - _STEP_S), gate, asker)
        if not self._inside and not self._batch:
            self._credit = min(self._credit, self.capacity(self.now) * _STEP_S)

    def _serve_batches(self) -> None:
        while self._batch or self._inside:
            if not self._batch:
                self._batch = [(self.now - entered_at, gate, asker) for entered_at, gate, asker in self._inside]
                self._inside.clear()
            cost = self.batch_cost + sum(COSTS[asker.klass] for _, _, asker in self._batch)
            if self._credit < cost:
                return
            self._credit -= cost
            for waited, gate, asker in self._batch:
                self._finish(waited, gate, asker)
            self._batch = []

    def _finish(self, waited: float, gate: Gate, asker: Asker) -> None:
        asker.done_at = self.now
        self.waits.append((self.now, waited))
        gate.finished(asker.klass, waited)


def spearman(pairs: Sequence[tuple[float, float]]) -> float:
    """The rank correlation of two distinct-valued series (Spearman, 1904)."""
    n = len(pairs)
    first = {value: rank for rank, value in enumerate(sorted(a for a, _ in pairs))}
    second = {value: rank for rank, value in enumerate(sorted(b for _, b in pairs))}
    squares = sum((first[a] - second[b]) ** 2 for a, b in pairs)
    return 1 - 6 * squares / (n * (n * n - 1))


def jain(values: Sequence[float]) -> float:
    """Jain's fairness index: 1 when all are equal, 1/n when one has everything."""
    return sum(values) ** 2 / (len(values) * sum(value * value for value in values))
