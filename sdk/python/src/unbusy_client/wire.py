"""What the decisions ask of the world, and what they are told: data only, no socket and no clock.

A *flow* is a generator. It yields steps, is sent outcomes, and returns its result:

    step:     Send a request │ Wait │ Alone (a flow that one at a time may run) │ Open, Read a stream │ Emit
    outcome:  Answer or Lost │ Woken │ Done or Failed                           │ Opened, Chunk, Lost │ Woken

`at` in an outcome is the time on a monotonic clock, in seconds. It is the only way in which a flow
learns the time, so a flow is replayed exactly by repeating its outcomes.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any, Generic, TypeAlias, TypeVar

import msgspec

T = TypeVar("T")


class Request(msgspec.Struct, frozen=True):
    """An HTTP request, without what every attempt adds of its own. `path` has its query already."""

    method: str
    path: str
    headers: Mapping[str, str] = {}
    body: bytes | None = None

    def with_headers(self, **more: str) -> Request:
        """The same request with more headers; `_` in a name stands for `-`."""
        named = {name.replace("_", "-"): value for name, value in more.items()}
        return msgspec.structs.replace(self, headers={**self.headers, **named})


# ── steps ────────────────────────────────────────────────────────────────────────────────────


class Send(msgspec.Struct, frozen=True):
    """Send it and read the whole answer, within `timeout_s`."""

    request: Request
    timeout_s: float


class Wait(msgspec.Struct, frozen=True):
    """Sleep. Zero asks for nothing but the time."""

    seconds: float


class Alone(msgspec.Struct, frozen=True):
    """Run this flow while no other of the same client runs alone; wait for that until `give_up_at`."""

    flow: Flow[None]
    give_up_at: float


class Open(msgspec.Struct, frozen=True):
    """Send it and read the head of the answer within `timeout_s`; of an answer that is not 200, the body too.

    Read on, it is lost after `silence_s` in which nothing came.
    """

    request: Request
    timeout_s: float
    silence_s: float


class Read(msgspec.Struct, frozen=True):
    """Read on in what was opened."""


class Emit(msgspec.Struct, Generic[T], frozen=True):
    """Hand this to whoever iterates."""

    item: T


# ── outcomes ─────────────────────────────────────────────────────────────────────────────────


class Answer(msgspec.Struct, frozen=True):
    """The whole answer, or the head of a stream that was opened. Names of headers are in small letters."""

    at: float
    status: int
    headers: Mapping[str, str]
    body: bytes = b""


class Lost(msgspec.Struct, frozen=True):
    """No whole answer. `was_sent` is false only where it is certain that nothing reached the wallet."""

    at: float
    was_sent: bool
    detail: str


class Chunk(msgspec.Struct, frozen=True):
    """Some bytes of a stream; none at its end."""

    at: float
    data: bytes


class Woken(msgspec.Struct, frozen=True):
    """Time has passed, an item was taken, or the flow that ran alone has ended well."""

    at: float


class Failed(msgspec.Struct, frozen=True):
    """The flow that ran alone raised this, or never got its turn."""

    at: float
    error: Exception


Step: TypeAlias = Send | Wait | Alone | Open | Read
Outcome: TypeAlias = Answer | Lost | Chunk | Woken | Failed
Flow: TypeAlias = Generator[Step, Outcome, T]
Feed: TypeAlias = Generator[Step | Emit[T], Outcome, Any]


def now() -> Flow[float]:
    """The time."""
    return (yield from wait(0.0))


def wait(seconds: float) -> Flow[float]:
    """Sleep, and give the time then."""
    outcome = yield Wait(seconds)
    assert isinstance(outcome, Woken), outcome
    return outcome.at


def send(request: Request, timeout_s: float) -> Flow[Answer | Lost]:
    """The answer to a request, if it comes."""
    outcome = yield Send(request, timeout_s)
    assert isinstance(outcome, Answer | Lost), outcome
    return outcome


def alone(flow: Flow[None], give_up_at: float) -> Flow[Woken | Failed]:
    """Run a flow that one at a time may run."""
    outcome = yield Alone(flow, give_up_at)
    assert isinstance(outcome, Woken | Failed), outcome
    return outcome


# The wallet's heart beats every 15 seconds; who has missed two of them has lost the connection.
SILENCE_S = 40.0


def open_stream(request: Request, timeout_s: float) -> Flow[Answer | Lost]:
    """The head of a stream."""
    outcome = yield Open(request, timeout_s, SILENCE_S)
    assert isinstance(outcome, Answer | Lost), outcome
    return outcome


def read() -> Flow[Chunk | Lost]:
    """The next bytes of the stream that was opened."""
    outcome = yield Read()
    assert isinstance(outcome, Chunk | Lost), outcome
    return outcome
