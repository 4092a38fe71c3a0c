"""The gate, over HTTP: asked before anything of a request is read but its method, address and headers.

    headers ─▶ who asks (a signature, no database) ─▶ admission.Gate ─▶ in
                                                                    └─▶ 503 or 429 from prepared bytes

What is turned away must cost next to nothing, or saying no would take the time that those who are
let in need: no task, no scope, one write.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import lru_cache

import msgspec
import structlog

from unbusy import telemetry
from unbusy.admission import CLASSES, LIFE_S, Admitted, Class, Decision, Full, Gate, InLine, OverQuota, Tally, Waits
from unbusy.api.principals import Authenticator, Principal
from unbusy.api.rfc9457 import MEDIA_TYPE, Problem, Retry, Ticket
from unbusy.api.rounds import Rounds
from unbusy.api.texts import LANGUAGES, Language, choose_language, reason_pages
from unbusy.clock import Clock
from unbusy.reasons import Reason

log = structlog.get_logger()

_TICK_S = 0.1
# A payment that was let in has not begun after this: too many were. With a batch before it and its own, it
# is still answered within a quarter of a second.
_MOST_WAIT_S = 0.06
_BEARER = b"Bearer "
_JITTER = 0.5
# Of those whom a gateway with too many turns away, this part connects anew.
_LET_GO = 1 / 16
# Whoever shows no token of ours is told from others by where the request comes from.
_STRANGERS = 0


class TurnedAway(Exception):
    """A request that was let in is turned away after all, because of whom it wants to pay."""

    def __init__(self, decision: Decision) -> None:
        super().__init__("turned away")
        self.decision = decision


class Gatekeeper:
    """Puts requests to the gate, and its decisions into HTTP.

    `payment_wait` and `read_wait` give how long, in seconds, the payment and the read wait that have waited
    longest for their work to begin. `rounds` is where requests wait to be looked at.
    """

    def __init__(
        self,
        gate: Gate,
        authenticator: Authenticator,
        *,
        clock: Clock,
        payment_wait: Callable[[], float],
        read_wait: Callable[[], float],
        when_done: Callable[[], None],
    ) -> None:
        self._gate = gate
        self._authenticator = authenticator
        self._clock = clock
        self._payment_wait = payment_wait
        self._read_wait = read_wait
        self.rounds = Rounds()
        self._when_done = when_done
        self._refusals = {
            (reason, language): _Refusal(status, reason, language, has_ticket=reason in _WITH_TICKET)
            for reason, status in _STATUS.items()
            for language in LANGUAGES
        }
        self._task: asyncio.Task[None] | None = None

    def decide(
        self, method: bytes, url: bytes, headers: dict[bytes, bytes], client: tuple[str, int] | None
    ) -> Decision:
        """What to do with this request. `client` is where it comes from."""
        if self._payment_wait() > _MOST_WAIT_S:
            self._gate.brake(Class.pay)
        tenant, customer = self._who(headers, client)
        prefer, ticket = headers.get(b"prefer"), headers.get(b"unbusy-ticket")
        return self._gate.decide(
            method.decode(),
            url.partition(b"?")[0].decode("latin-1"),
            prefer.decode("latin-1") if prefer else None,
            tenant,
            customer,
            ticket.decode("latin-1") if ticket else None,
            self._now(),
        )

    def look_at_payee(self, admitted: Admitted, payer: Principal, payee: str) -> None:
        """Ask again, once it is known who is to be paid. Raises TurnedAway when too many pay them at once."""
        decision = self._gate.payee(
            admitted, payer.tenant_id, payer.person_id.bytes, payee.encode(errors="replace"), self._now()
        )
        if decision is not admitted:
            raise TurnedAway(decision)

    @property
    def is_short_of_reads(self) -> bool:
        """Whether more is to be read than can be: time to answer from memory."""
        return self._gate.is_short(Class.read_for_pay)

    def finished(self, klass: Class, queueing_s: float) -> None:
        """A request that was let in was answered, after waiting inside for so long."""
        self._gate.finished(klass, queueing_s)

    def refusal(
        self,
        decision: Decision,
        headers: dict[bytes, bytes],
        request_id: bytes,
        chance: Callable[[], float] = random.random,
    ) -> tuple[int, bytes, bytes]:
        """Status, header lines and body for a request that is not let in."""
        language = choose_language(headers.get(b"accept-language", b"").decode("latin-1"))
        now = self._now()
        match decision:
            case InLine():
                reason = Reason.payee_crowded if decision.is_crowd else Reason.in_line
                return self._refusals[reason, language].with_ticket(decision, request_id, now)
            case Full():
                return self._refusals[Reason.line_full, language].without(decision.come_back_at - now, request_id)
            case OverQuota():
                after = decision.wait_s * (1 + _JITTER * chance())
                return self._refusals[Reason.quota_exceeded, language].without(after, request_id)
            case Admitted():
                raise AssertionError("who is let in is not turned away")

    def lets_go(self, chance: Callable[[], float] = random.random) -> bool:
        """Whether to close the connection of one that is turned away, so that it finds a gateway with fewer."""
        return self._gate.has_too_many and chance() < _LET_GO

    async def start(self) -> None:
        self._task = asyncio.create_task(self._tick_for_ever())

    async def stop(self) -> None:
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._when_done()

    def _who(self, headers: dict[bytes, bytes], client: tuple[str, int] | None) -> tuple[int, bytes]:
        bearer = headers.get(b"authorization", b"")
        if bearer.startswith(_BEARER):
            principal = self._authenticator.recognise(bearer[len(_BEARER) :].decode("latin-1"))
            if principal:
                return principal.tenant_id, principal.person_id.bytes
        return _STRANGERS, (client[0] if client else "").encode()

    def _now(self) -> float:
        return self._clock.timestamp()

    async def _tick_for_ever(self) -> None:
        told = [_Told() for _ in CLASSES]
        while True:
            asked = self._clock.monotonic()
            await asyncio.sleep(_TICK_S)
            lag = max(0.0, self._clock.monotonic() - asked - _TICK_S)
            try:
                waits = Waits(lag, self._payment_wait(), self._read_wait(), self.rounds.oldest_wait)
                self._gate.tick(self._now(), waits)
                self._tell(told)
            except Exception:
                # A gate that never measures again would let in for ever what it let in last.
                log.exception("the gate could not measure")

    def _tell(self, told: Sequence[_Told]) -> None:
        """Tell what happened since the last time, in the metrics."""
        gate = self._gate
        for klass, tally, before in zip(CLASSES, gate.tallies, told, strict=True):
            for outcome, count in before.take(tally):
                telemetry.ADMISSIONS.labels(klass.name, outcome).inc(count)
                if reason := _REASON_OF_OUTCOME.get(outcome):
                    telemetry.count_problem(reason, _STATUS[reason], count)
            telemetry.ADMISSION_RATE.labels(klass.name).set(gate.rate(klass))
        telemetry.CAPACITY.set(gate.capacity.limit)
        telemetry.TICKETS_REFUSED.set(gate.tickets_refused)


_STATUS = {Reason.in_line: 503, Reason.payee_crowded: 503, Reason.line_full: 503, Reason.quota_exceeded: 429}
_WITH_TICKET = frozenset({Reason.in_line, Reason.payee_crowded})
_REASON_OF_OUTCOME = {
    "in_line": Reason.in_line,
    "early": Reason.in_line,
    "moved": Reason.in_line,
    "crowded": Reason.payee_crowded,
    "full": Reason.line_full,
    "over_quota": Reason.quota_exceeded,
}


class _Told:
    """What of a tally has been told already."""

    def __init__(self) -> None:
        self._before = dict.fromkeys(Tally.__slots__, 0)

    def take(self, tally: Tally) -> list[tuple[str, int]]:
        """What came since, by outcome."""
        news: list[tuple[str, int]] = []
        for name, before in self._before.items():
            value: int = getattr(tally, name)
            if value > before:
                news.append((name, value - before))
                self._before[name] = value
        return news


# Placeholders in a refusal as it is encoded beforehand, in the order in which they stand there.
_PLACES = tuple(f"\x7f{name}" for name in ("request_id", "token", "slot", "expires", "class"))
_REQUEST_ID, _TOKEN, _SLOT, _EXPIRES, _CLASS = _PLACES
_AFTER = 987_654_321
_CLASS_NAMES = tuple(klass.name.encode() for klass in CLASSES)


class _Refusal:
    """One reason in one language, encoded beforehand."""

    def __init__(self, status: int, reason: Reason, language: Language, *, has_ticket: bool) -> None:
        page = reason_pages()[reason]
        text = page.text(language)
        problem = Problem(
            type=f"/problems/{reason}",
            title=text.title,
            status=status,
            detail=text.explanation,
            reason=reason,
            fix=text.fix,
            retry=Retry(page.safe, page.same_key, _AFTER),
            request_id=_REQUEST_ID,
            ticket=Ticket(_TOKEN, _SLOT, _EXPIRES, _CLASS) if has_ticket else None,
        )
        self._status = status
        self._body = _prepared(problem)
        self._head = (
            b"content-type: %b\r\ncontent-language: %b\r\nvary: accept-language\r\nx-content-type-options: nosniff\r\n"
            b"cache-control: no-store\r\nretry-after: %%d\r\nrequest-id: %%b\r\ncontent-length: %%d\r\n"
            % (MEDIA_TYPE.encode(), language.encode())
        )

    def without(self, after_s: float, request_id: bytes) -> tuple[int, bytes, bytes]:
        """The refusal without a ticket."""
        after = max(1, math.ceil(after_s))
        body = self._body % (after, request_id)
        return self._status, self._head % (after, request_id, len(body)), body

    def with_ticket(self, place: InLine, request_id: bytes, now: float) -> tuple[int, bytes, bytes]:
        """The refusal with the place in line."""
        after = max(1, math.ceil(place.slot_at - now))
        # Rounded up to a millisecond, like the ticket's own time.
        second, millisecond = divmod(-int(place.slot_at * -1000 // 1), 1000)
        slot = _time(second, millisecond)
        expires = _time(second + LIFE_S, millisecond)
        if place.moved_from is not None:
            slot += b'","moved_from":"' + _time(*divmod(-int(place.moved_from * -1000 // 1), 1000))
        body = self._body % (after, request_id, place.ticket.encode(), slot, expires, _CLASS_NAMES[place.klass])
        return self._status, self._head % (after, request_id, len(body)), body


def _prepared(problem: Problem) -> bytes:
    """The problem as JSON, with places for what differs."""
    encoded = msgspec.json.encode(problem).replace(b"%", b"%%").replace(str(_AFTER).encode(), b"%d")
    for placeholder in _PLACES:
        encoded = encoded.replace(msgspec.json.encode(placeholder)[1:-1], b"%b")
    return encoded


def _time(second: int, millisecond: int) -> bytes:
    return b"%b.%03dZ" % (_second(second), millisecond)


@lru_cache(maxsize=2048)
def _second(at: int) -> bytes:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S").encode()
