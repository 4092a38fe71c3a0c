"""A wallet and a clock that are made up, for flows to be run on: no socket, no sleep, the same every time."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any, TypeVar

from unbusy_client import UnbusyError
from unbusy_client.wire import Alone, Answer, Failed, Flow, Lost, Outcome, Request, Send, Step, Wait, Woken

T = TypeVar("T")

PAYMENT: dict[str, Any] = {
    "id": "pay_1",
    "status": "completed",
    "money": {"state": "moved", "amount": 5, "asset": "EUR", "at": "2026-03-10T12:00:00Z"},
    "payer": {"id": "per_1", "handle": "@ming", "name": "Ming"},
    "payee": {"id": "per_2", "handle": "@anna", "name": "Anna"},
    "created_at": "2026-03-10T12:00:00Z",
    "updated_at": "2026-03-10T12:00:00Z",
    "retry": {"safe": False, "same_key": True},
}


@dataclass(frozen=True)
class Act:
    """What the wallet, or the way to it, does with one request.

    `takes_s`: how long until the outcome is here. `is_done`: whether the payment is made although the
    caller does not hear of it. `after_s`: what it says about when to come.
    """

    kind: str
    takes_s: float = 0.01
    is_done: bool = False
    after_s: float = 1.0


OK = Act("ok")

# Answers after which the payment may be there all the same.
_MAY_BE_DONE = {"garbled", "bare", "ledger_unavailable", "final"}
# The status of a refusal and whether it may be repeated; any other is a 503 that may.
_REFUSALS = {"invalid": (400, False), "final": (503, False), "quota_exceeded": (429, True)}


@dataclass
class Sent:
    """A request as it went out, and when."""

    at: float
    request: Request
    timeout_s: float

    @property
    def ticket(self) -> str | None:
        return self.request.headers.get("unbusy-ticket")

    @property
    def key(self) -> str:
        return self.request.headers["idempotency-key"]


@dataclass
class World:
    """Plays its acts, one a request, and then answers everything. `ahead_s` is how far its clock is from ours."""

    acts: Iterator[Act]
    ahead_s: float = 1_800_000_000.0
    now: float = 1_000.0
    sent: list[Sent] = field(default_factory=list[Sent])
    slept: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])
    done: list[str] = field(default_factory=list[str])
    slots: dict[str, float] = field(default_factory=dict[str, float])
    """When each ticket's turn is, on our clock."""
    answered: list[str] = field(default_factory=list[str])
    """Tickets that the wallet has looked at."""
    too_early: int = 0

    def run(self, flow: Flow[T]) -> T:
        outcome: Outcome | None = None
        while True:
            try:
                step = next(flow) if outcome is None else flow.send(outcome)
            except StopIteration as ended:
                return ended.value
            outcome = self._do(step)

    def _do(self, step: Step) -> Outcome:
        match step:
            case Wait():
                assert step.seconds >= 0
                if step.seconds:
                    self.slept.append((self.now, step.seconds))
                self.now += step.seconds
                return Woken(self.now)
            case Send():
                return self._send(step)
            case Alone():
                try:
                    self.run(step.flow)
                except UnbusyError as error:
                    return Failed(self.now, error)
                return Woken(self.now)
            case _:
                raise AssertionError(step)

    def _send(self, step: Send) -> Answer | Lost:
        self.sent.append(Sent(self.now, step.request, step.timeout_s))
        act = next(self.acts, OK)
        if act.takes_s >= step.timeout_s:
            self.now += step.timeout_s
            self._note_done(act.is_done or act.kind == "ok")
            return Lost(self.now, was_sent=True, detail="timed out")
        if act.kind == "not sent":
            self.now += act.takes_s
            return Lost(self.now, was_sent=False, detail="refused")
        if act.kind == "lost":
            self.now += act.takes_s
            self._note_done(act.is_done)
            return Lost(self.now, was_sent=True, detail="cut off")
        arrived_at = self.now + act.takes_s / 2
        self.now += act.takes_s
        return self._answer(act, arrived_at)

    def _answer(self, act: Act, at: float) -> Answer:
        if (ticket := self.sent[-1].ticket) and not self._is_its_turn(ticket, at):
            return self._in_line(ticket, at)
        self._note_done(act.kind == "ok" or (act.is_done and act.kind in _MAY_BE_DONE))
        match act.kind:
            case "ok":
                return self._say(201, PAYMENT, at)
            case "garbled":
                return Answer(self.now, 200, {}, b'{"id": "\xff"}')
            case "bare":
                return Answer(self.now, 502, {}, b"Bad Gateway")
            case _:
                return self._refuse(act, at)

    def _is_its_turn(self, ticket: str, at: float) -> bool:
        assert ticket in self.slots, "a ticket nobody gave"
        self.answered.append(ticket)
        is_too_early = at < self.slots[ticket]
        self.too_early += is_too_early
        return not is_too_early

    def _refuse(self, act: Act, at: float) -> Answer:
        if act.kind == "in_line":
            token = f"ticket-{len(self.slots)}"
            self.slots[token] = at + act.after_s
            return self._in_line(token, at)
        status, is_safe = _REFUSALS.get(act.kind, (503, True))
        after = math.ceil(act.after_s) if is_safe else None
        return self._problem(status, act.kind, at, safe=is_safe, after=after)

    def _in_line(self, token: str, at: float) -> Answer:
        ticket = {"token": token, "slot_at": self._wall(self.slots[token]), "expires_at": None, "class": "pay"}
        after = max(1, math.ceil(self.slots[token] - at))
        return self._problem(503, "in_line", at, after=after, ticket=ticket)

    def _problem(
        self, status: int, reason: str, at: float, *, safe: bool = True, after: int | None = None, **more: Any
    ) -> Answer:
        retry = {"safe": safe, "same_key": True, "after": after}
        answer = self._say(status, {"reason": reason, "detail": "…", "retry": retry} | more, at)
        headers = {**answer.headers, **({"retry-after": str(after)} if after is not None else {})}
        return Answer(answer.at, answer.status, headers, answer.body)

    def _say(self, status: int, body: object, at: float) -> Answer:
        date = format_datetime(datetime.fromtimestamp(int(at + self.ahead_s), UTC), usegmt=True)
        return Answer(self.now, status, {"date": date}, json.dumps(body).encode())

    def _wall(self, at: float) -> str:
        """A time as the wallet writes it: milliseconds, rounded up, so that nobody is told to come early."""
        moment = math.ceil((at + self.ahead_s) * 1000) / 1000
        return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def _note_done(self, is_done: bool) -> None:
        key = self.sent[-1].request.headers.get("idempotency-key", "")
        if is_done and key not in self.done:
            self.done.append(key)


def world(*acts: Act | str) -> World:
    """A wallet that does this, one after another, and then answers."""
    return World(iter(_acts(acts)))


def _acts(acts: Sequence[Act | str]) -> list[Act]:
    return [Act(act) if isinstance(act, str) else act for act in acts]
