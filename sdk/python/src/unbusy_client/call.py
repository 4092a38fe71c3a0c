"""One call, from its first attempt to its outcome: what is sent, how long is waited, when it is given up.

    until its slot, if it has a ticket ─▶ attempt ─▶ a success ─▶ the result
         ▲                                   │
         │                                   ├─▶ a ticket: wait for its slot, free
         └── wait, within the deadline ◀─────┼─▶ may be repeated: wait, one retry from the budget
                                             └─▶ anything else, or no time or budget left ─▶ an error

No socket, no clock and no chance of its own: a flow (see `wire`), so the same code drives both clients
and is tested on a clock that is made up. Every attempt of a call has the same body and the same key.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from http import HTTPStatus
from typing import Generic, TypeVar

from unbusy_client import operations, wire
from unbusy_client.budget import Budget
from unbusy_client.errors import InLine, Unauthenticated, UnbusyError, Unreachable, Unresolved
from unbusy_client.operations import Operation
from unbusy_client.problems import UNREADABLE, Ticket
from unbusy_client.refusals import Refusal, judge
from unbusy_client.server_time import ServerTime
from unbusy_client.views import Session
from unbusy_client.wire import Answer, Failed, Flow, Lost, Request

T = TypeVar("T")

# Full jitter: anything between nothing and this, doubled with each attempt, so that clients that
# were cut off together do not come back together.
BACKOFF_S = 0.1
MOST_BACKOFF_S = 5.0

# A wallet whose slots were always over by the time they are heard of would be asked without a pause.
_LEAST_IN_LINE_S = 0.05
# To one who came too early, and was not told by how much.
_TOO_EARLY_S = 1.0

# The bounds of X-Request-Deadline-Ms.
_MOST_DEADLINE_MS = 60_000

# A token is renewed a little before its end: it must still be good when the request arrives.
_RENEW_EARLY_S = 10.0


class Shared:
    """What all calls of one client have in common. `chance` is between 0 and 1.

    Not locked: whoever runs flows in several threads lets one at a time decide.
    """

    def __init__(self, session: Session | None, chance: Callable[[], float]) -> None:
        self.budget = Budget()
        self.server_time = ServerTime()
        self.chance = chance
        self.session = session
        # On the monotonic clock. Of a session that was given, nobody knows how old it is.
        self._renew_at: float | None = None

    def adopt(self, session: Session, at: float) -> None:
        """These tokens are used from now on."""
        self.session = session
        self._renew_at = at + session.expires_in - _RENEW_EARLY_S

    def has_expired(self, at: float) -> bool:
        """Whether the access token is as good as over."""
        return self._renew_at is not None and at >= self._renew_at

    def backoff_s(self, attempt: int) -> float:
        """A pause before the attempt after this one; the first is 0."""
        return self.chance() * min(MOST_BACKOFF_S, BACKOFF_S * 2.0 ** min(attempt, 16))


Exchange = Callable[[Request, float], Flow[Answer | Lost]]


class Call(Generic[T]):
    """One call. `run()` gives the result of the operation, or raises an UnbusyError."""

    def __init__(
        self,
        operation: Operation[T],
        shared: Shared,
        *,
        within_s: float,
        ticket: Ticket | None = None,
        exchange: Exchange = wire.send,
    ) -> None:
        if not within_s > 0:
            raise ValueError("a call needs some time: `within_s` is above zero")
        self._operation = operation
        self._shared = shared
        self._within_s = within_s
        self._ticket = ticket
        self._slot_used: datetime | None = None
        self._exchange = exchange
        self._attempts = 0
        self._may_be_done = False
        self._has_renewed = False
        self.now = 0.0
        self._give_up_at = 0.0

    def run(self) -> Flow[T]:
        """From the first attempt to the outcome."""
        self.now = yield from wire.now()
        self._give_up_at = self.now + self._within_s
        self._shared.budget.deposit()
        if self._ticket and (slot_at := self._shared.server_time.monotonic(self._ticket.slot_at)) is not None:
            yield from self._pause(slot_at - self.now, _in_line(self._ticket))
        while True:
            outcome = yield from self._attempt()
            if isinstance(outcome, Answer) and outcome.status < HTTPStatus.MULTIPLE_CHOICES:
                try:
                    return self._operation.read(outcome.body)
                except UNREADABLE:
                    outcome = Lost(outcome.at, was_sent=True, detail="the answer cannot be read")
            yield from self._before_the_next(outcome)

    def _attempt(self) -> Flow[Answer | Lost]:
        """Send it once. A token that has just ended is renewed and does not count."""
        while True:
            token = yield from self._token()
            outcome = yield from self._exchange(*self._prepared(token))
            self.now = outcome.at
            if isinstance(outcome, Lost):
                return outcome
            self._shared.server_time.hear_date(outcome.headers.get("date"), outcome.at)
            self._forget_ticket()
            if token is None or outcome.status != HTTPStatus.UNAUTHORIZED or self._has_renewed:
                return outcome
            yield from self._renew(token)

    def _prepared(self, token: str | None) -> tuple[Request, float]:
        """The request as it goes out now, and how long an answer is waited for."""
        timeout_s = min(self._give_up_at - self.now, self._operation.attempt_s)
        headers = {"x_request_deadline_ms": str(max(1, min(_MOST_DEADLINE_MS, int(timeout_s * 1000))))}
        if token:
            headers["authorization"] = f"Bearer {token}"
        if self._ticket:
            headers["unbusy_ticket"] = self._ticket.token
        return self._operation.request.with_headers(**headers), timeout_s

    def _before_the_next(self, outcome: Answer | Lost) -> Flow[None]:
        """Wait until the same request may be sent again. Raises what the call ends with if it may not."""
        refusal = judge(outcome)
        self._may_be_done |= self._operation.changes and not refusal.is_certain
        if refusal.ticket:
            yield from self._take_place(refusal, refusal.ticket)
            return
        if not refusal.may_repeat or not (self._operation.is_repeatable or refusal.is_certain):
            raise self._final(refusal.error)
        pause_s = self._shared.backoff_s(self._attempts) if refusal.after_s is None else refusal.after_s
        if self.now + pause_s >= self._give_up_at or not self._shared.budget.withdraw():
            raise self._final(refusal.error)
        self._attempts += 1
        yield from self._pause(pause_s, refusal.error)

    # ── in line ──────────────────────────────────────────────────────────────────────────────

    def _take_place(self, refusal: Refusal, ticket: Ticket) -> Flow[None]:
        """Wait for the slot, and no longer than `Retry-After`, which is the same time rounded up."""
        server_time = self._shared.server_time
        if refusal.after_s is not None:
            server_time.hear_slot(ticket.slot_at, refusal.after_s, self.now)
        slot_at = server_time.monotonic(ticket.slot_at)
        pause_s = _TOO_EARLY_S if slot_at is None else max(_LEAST_IN_LINE_S, slot_at - self.now)
        if ticket.slot_at == self._slot_used:
            pause_s = max(pause_s, refusal.after_s or _TOO_EARLY_S)
        self._ticket = ticket
        yield from self._pause(pause_s, refusal.error)

    def _forget_ticket(self) -> None:
        """It was looked at, so it is worth nothing any more. One that got lost on the way still is."""
        self._slot_used = self._ticket.slot_at if self._ticket else None
        self._ticket = None

    # ── who asks ─────────────────────────────────────────────────────────────────────────────

    def _token(self) -> Flow[str | None]:
        """The access token, renewed when it is over; None where none is needed."""
        if not self._operation.is_signed:
            return None
        if (session := self._shared.session) and self._shared.has_expired(self.now):
            yield from self._renew(session.access_token)
        if self._shared.session is None:
            raise self._final(Unauthenticated("nobody is signed in: call sign_in() first"))
        return self._shared.session.access_token

    def _renew(self, token: str) -> Flow[None]:
        """Have `token` replaced. One call at a time does it: of two, the second would come with a
        refresh token that is used up, and a wallet takes that for a theft."""
        self._has_renewed = True
        outcome = yield from wire.alone(self._renewal(token), self._give_up_at)
        self.now = outcome.at
        if isinstance(outcome, Failed):
            error = outcome.error
            raise self._final(error if isinstance(error, UnbusyError) else Unreachable("the sign-in was not renewed"))
        if self.now >= self._give_up_at:
            raise self._final(Unreachable("renewing the sign-in took all the time there was"))

    def _renewal(self, token: str) -> Flow[None]:
        now = yield from wire.now()
        session = self._shared.session
        if session is None or session.access_token != token:
            return
        call = Call(operations.refresh(session.refresh_token), self._shared, within_s=self._give_up_at - now)
        try:
            renewed = yield from call.run()
        except Unauthenticated:
            self._shared.session = None
            raise
        self._shared.adopt(renewed, call.now)

    # ── the end ──────────────────────────────────────────────────────────────────────────────

    def _pause(self, seconds: float, error: UnbusyError) -> Flow[None]:
        """Sleep, or raise at once if nothing could be done afterwards."""
        if seconds <= 0:
            return
        if self.now + seconds >= self._give_up_at:
            raise self._final(error)
        self.now = yield from wire.wait(seconds)
        if self.now >= self._give_up_at:
            raise self._final(error)

    def _final(self, error: UnbusyError) -> UnbusyError:
        """What the call ends with. Once an attempt may have been done, no later one can tell that it was not."""
        error.key = self._operation.key
        if not self._may_be_done:
            return error
        unresolved = Unresolved(
            f"it may have been done: ask again with the same key ({error.detail})", key=error.key, problem=error.problem
        )
        unresolved.__cause__ = error
        return unresolved


def _in_line(ticket: Ticket) -> InLine:
    return InLine("the place in line lies beyond the deadline", ticket=ticket)
