"""What a load is, and what is written down about it. Pure.

A *want* is something somebody wants done, once: a payment under one key, a look at a wallet. An
*ask* is one request for it. Who is given a place in line asks again, so a want may have several.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from enum import StrEnum
from itertools import pairwise
from typing import NamedTuple

import msgspec

REFUSALS = frozenset({429, 503})
NEVER = math.inf


class Client(StrEnum):
    """What somebody does who is told to come later."""

    cooperative = "cooperative"  # comes back at the slot with the ticket, else after Retry-After
    leaves = "leaves"
    impatient = "impatient"  # three times at once, with no pause and no ticket


class Payer(msgspec.Struct, frozen=True):
    """Somebody with a token to ask with."""

    id: str
    token: str
    tenant: int = 1


class Stream(msgspec.Struct):
    """Arrivals of one kind: a Poisson process of `rate` a second from `begins_s` to `ends_s`.

    Each arrival takes the next of `pairs`, over and over: a head (the request up to where its key
    belongs) and a tail (the rest). Nobody comes back after `ends_s`.
    """

    name: str
    rate: float
    begins_s: float
    ends_s: float
    heads: list[bytes]
    tails: list[bytes]
    pairs: list[tuple[int, int]]
    client: Client = Client.cooperative
    has_key: bool = True
    # Keep the body of the last answer to each want.
    keeps_answers: bool = False


class Load(msgspec.Struct):
    """What to send, and where. Keys begin with `name`, which is therefore used once.

    `gives_up_s` is how long a client waits for an answer before it closes the connection; 0 is as
    long as the generator does (`patience_s` after the last arrival).
    """

    name: str
    host: str
    port: int
    streams: list[Stream]
    connections: int
    seed: int
    gives_up_s: float = 0.0
    patience_s: float = 15.0
    log: str = ""

    @property
    def seconds(self) -> float:
        """Until the last stream ends."""
        return max((stream.ends_s for stream in self.streams), default=0.0)


class Arrival(NamedTuple):
    """One want of a plan: its intended time in seconds, its stream, and its number within that."""

    at: float
    stream: int
    number: int


class Outcome(msgspec.Struct, frozen=True):
    """What an answer said. `word` is the status of what was asked for, or the reason why not.

    Status 0 is no answer: `lost` when the connection ended first, `gave_up` when the client did.
    `has_wait` is whether it said when to come back.
    """

    status: int
    word: str
    has_wait: bool

    @property
    def is_completed(self) -> bool:
        return self.word == "completed"

    @property
    def is_refusal(self) -> bool:
        return self.status in REFUSALS

    @property
    def is_bare(self) -> bool:
        """A server's error that is not an honest 503: always a defect."""
        return self.status >= 500 and (self.status not in REFUSALS or not self.word)  # noqa: PLR2004 - as in HTTP

    @property
    def shown(self) -> str:
        return self.word or str(self.status)


NO_ANSWER = (Outcome(0, "lost", has_wait=False), Outcome(0, "gave_up", has_wait=False))
LOST, GAVE_UP = range(2)


class Moment(msgspec.Struct):
    """How it went since the moment before; counts are of that span. For the live picture."""

    at_s: float
    wanted: int
    asked: int
    completed: int
    waiting: int
    outcomes: dict[str, int]
    p50_ms: float
    p99_ms: float


class Ask(NamedTuple):
    """One request. Times are seconds since the load began, `answered` infinite when there was no answer;
    `slot` is what the answer gave, `ticket` the slot of the ticket that was shown, else infinite."""

    want: int
    at: float
    answered: float
    outcome: Outcome
    slot: float
    ticket: float

    @property
    def latency(self) -> float:
        return self.answered - self.at


class Log(msgspec.Struct):
    """Everything that was asked and answered, as columns (machine numbers, packed).

    Asks: `want`, `at`, `answered`, `outcome`, `slot`, `ticket`. Wants: `stream`, `number`, `intended`.
    `payments` are the ids told, `answers` the bodies kept, both by want; `doubled` are wants that were told two
    different ids. `late_p99_ms` is the generator's own
    lateness, `busy` the share of its core that it used, `cost_us` its own time per ask.
    """

    name: str
    streams: list[str]
    outcomes: list[Outcome]
    columns: dict[str, bytes]
    payments: dict[int, str]
    doubled: list[int]
    answers: dict[int, bytes]
    seconds: float
    late_p99_ms: float
    busy: float
    cost_us: float

    def asks(self, *streams: str) -> Iterator[Ask]:
        """Every ask, or those of these streams, in the order they were sent."""
        wanted, stream = self._among(streams), self.numbers("stream")
        whole = (self.numbers("want"), self.numbers("outcome"))
        times = (self.times("at"), self.times("answered"), self.times("slot"), self.times("ticket"))
        for want, outcome, at, answered, slot, ticket in zip(*whole, *times, strict=True):
            if stream[want] in wanted:
                yield Ask(want, at, answered, self.outcomes[outcome], slot, ticket)

    def wants(self, *streams: str) -> Iterator[tuple[int, float]]:
        """Number and intended time of every want, or of those of these streams."""
        wanted = self._among(streams)
        for want, (stream, at) in enumerate(zip(self.numbers("stream"), self.times("intended"), strict=True)):
            if stream in wanted:
                yield want, at

    def numbers(self, name: str) -> memoryview[int]:
        """A column of whole numbers."""
        return memoryview(self.columns[name]).cast("l")

    def times(self, name: str) -> memoryview[float]:
        """A column of times."""
        return memoryview(self.columns[name]).cast("d")

    def _among(self, streams: Sequence[str]) -> set[int]:
        return {number for number, name in enumerate(self.streams) if not streams or name in streams}

    def key(self, want: int) -> str:
        """The idempotency key of a want."""
        return f"{self.name}-{want}"


def plan(load: Load) -> list[Arrival]:
    """Every arrival in order of time, made before the clock runs."""
    chance = random.Random(load.seed)  # noqa: S311 - a reproducible load, no secret
    arrivals: list[Arrival] = []
    for index, stream in enumerate(load.streams):
        number, at = 0, stream.begins_s
        while stream.rate > 0 and (at := at + chance.expovariate(stream.rate)) < stream.ends_s:
            arrivals.append(Arrival(at, index, number))
            number += 1
    arrivals.sort()
    return arrivals


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` of the values lie; 0 when there are none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def per_window(times: Sequence[float], begins_s: float, ends_s: float, window_s: float) -> list[float]:
    """How many of the times lie in each whole window of `window_s`, per second."""
    ordered = sorted(times)
    count = int((ends_s - begins_s) / window_s + 1e-9)
    edges = [bisect_left(ordered, begins_s + number * window_s) for number in range(count + 1)]
    return [(right - left) / window_s for left, right in pairwise(edges)]
