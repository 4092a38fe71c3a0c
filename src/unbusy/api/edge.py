"""The outermost layer, around everything: what holds for every request, whatever happens inside.

    Request-Id, body size, header sanity, deadline ─▶ application ─▶ headers of every answer, metrics

Raw ASGI, because it is on everybody's way. It is also the last line of defence: an error that
leaves the application becomes a problem here, and never a bare 500.
"""

from __future__ import annotations

import itertools
import re
import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send
from prometheus_client import Histogram

from unbusy import telemetry
from unbusy.admission import Admitted
from unbusy.api import problems
from unbusy.api import scope as scopes
from unbusy.api.bodies import MOST_BODY, MOST_DRAINED, TooLarge
from unbusy.api.gatekeeper import Gatekeeper, TurnedAway
from unbusy.clock import Clock, Deadline
from unbusy.errors import Invalid

MOST_DEADLINE_MS = 60_000
_MOST_HEADERS = 100

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,64}")
_MILLISECONDS = re.compile(rb"[0-9]{1,5}")
_LENGTH = re.compile(rb"[0-9]{1,18}")

# Headers that mean one thing. Twice, two readers may each take another, so it is refused.
_SINGLE = frozenset(
    {
        b"authorization",
        b"content-length",
        b"content-type",
        b"host",
        b"idempotency-key",
        b"last-event-id",
        b"request-id",
        b"x-request-deadline-ms",
    }
)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

_NO_SNIFFING = (b"x-content-type-options", b"nosniff")
_NO_STORE = (b"cache-control", b"no-store")


class Edge:
    """An ASGI application around another. `deadline_ms` is for callers who do not say theirs, `large`
    holds the paths whose bodies may be larger than others, and how large."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        clock: Clock,
        deadline_ms: int,
        large: Mapping[str, int] | None = None,
        gatekeeper: Gatekeeper | None = None,
    ) -> None:
        self._app = app
        self._large = large or {}
        self._gatekeeper = gatekeeper
        self._clock = clock
        self._deadline_s = deadline_ms / 1000
        self._prefix = secrets.token_hex(6).encode()
        self._numbers = itertools.count(1)
        self._histograms: dict[tuple[str, str, int], Histogram] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.monotonic()
        answer = _Answer(scope, send)
        try:
            self.inspect(scope)
            await self._pass_gate(scope, receive, answer, began)
        except Exception as error:  # noqa: BLE001 - the last line of defence
            await _apologise(scope, answer, error)
        scopes.take_back_way_to_hold_open(scope)
        route = cast("dict[str, Any]", scope).get("path_template", "unknown")
        self.measure(scope["method"], route, answer.status, time.monotonic() - began)

    async def _pass_gate(self, scope: HTTPScope, receive: Receive, answer: _Answer, began: float) -> None:
        """The gate has decided already, at the door; here is acted on it."""
        decision = scopes.decision(scope)
        if self._gatekeeper is None or decision is None:
            await self._app(scope, receive, answer.send)
            return
        try:
            if not isinstance(decision, Admitted):
                raise TurnedAway(decision)
            await self._app(scope, receive, answer.send)
        except TurnedAway as turned_away:
            headers, request_id = scopes.headers(scope), scopes.request_id(scope).encode()
            await answer.send_prepared(*self._gatekeeper.refusal(turned_away.decision, headers, request_id))
        else:
            self._gatekeeper.finished(decision.klass, began - scopes.decided_at(scope))

    def inspect(self, scope: HTTPScope) -> None:
        """Leave the request's id and deadline in its scope. Raises Invalid for what no handler should see."""
        given = cast("list[tuple[bytes, bytes]]", scope["headers"])
        headers = dict(given)
        request_id = self.request_id(headers)
        # Left before anything is refused: a problem, too, says which request it is about.
        scopes.leave(scope, request_id.decode(), Deadline(self._clock, self._deadline_s), headers)
        if len(headers) < len(given) and (twice := _single_twice(given)):
            raise Invalid("this header is there twice", field=twice.decode())
        if len(given) > _MOST_HEADERS:
            raise Invalid(f"more than {_MOST_HEADERS} headers", field="headers")
        wanted = headers.get(b"x-request-deadline-ms")
        if wanted is not None:
            scopes.leave(scope, request_id.decode(), Deadline(self._clock, _seconds(wanted)), headers)
        _check_length(headers.get(b"content-length"), scope["path"], self._large)

    def request_id(self, headers: dict[bytes, bytes]) -> bytes:
        """What the caller calls its request, else a new name for it."""
        given = headers.get(b"request-id")
        return given if given and _REQUEST_ID.fullmatch(given) else b"%b-%x" % (self._prefix, next(self._numbers))

    def measure(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        key = (method, route, status)
        histogram = self._histograms.get(key)
        if histogram is None:
            known = method if method in _METHODS else "other"
            histogram = self._histograms[key] = telemetry.REQUESTS.labels(known, route, str(status))
        histogram.observe(seconds)


def _single_twice(headers: Sequence[tuple[bytes, bytes]]) -> bytes | None:
    """The first header that means one thing and is there again."""
    seen: set[bytes] = set()
    for name, _ in headers:
        if name in _SINGLE and name in seen:
            return name
        seen.add(name)
    return None


class _Answer:
    """What goes out, with the headers of every answer, remembering how far it got."""

    __slots__ = ("_scope", "_send", "status")

    def __init__(self, scope: HTTPScope, send: Send) -> None:
        self._scope = scope
        self._send = send
        # Of an answer that was never begun, because its caller had gone before.
        self.status = 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = dress(self._scope, message["headers"])
        await self._send(message)

    async def send_prepared(self, status: int, lines: bytes, body: bytes) -> None:
        """Send what has all its headers already, each in a line of its own."""
        self.status = status
        headers = [(name, value) for name, _, value in (line.partition(b": ") for line in lines.splitlines())]
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        await self._send({"type": "http.response.body", "body": body, "more_body": False})


def dress(scope: Scope, headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The headers of an answer, with those of every answer."""
    dressed = [*headers, (b"request-id", scopes.request_id(scope).encode()), _NO_SNIFFING]
    if not _has_cache_control(dressed):
        dressed.append(_NO_STORE)
    return dressed


def _has_cache_control(headers: Sequence[tuple[bytes, bytes]]) -> bool:
    for name, _ in headers:  # noqa: SIM110 - any() with a generator costs three times as much
        if name == b"cache-control":
            return True
    return False


async def _apologise(scope: HTTPScope, answer: _Answer, error: Exception) -> None:
    if isinstance(error.__cause__, Exception) and answer.status:
        # Litestar says that it was too late for an answer; what happened is the cause.
        error = error.__cause__
    status, headers, body = problems.sent(scope, error)
    # Once an answer has begun it cannot be taken back: the server cuts the connection, and the
    # reader sees that it is not whole.
    if answer.status:
        return
    if isinstance(error, _FarTooLarge):
        headers.append((b"connection", b"close"))
    await answer.send({"type": "http.response.start", "status": status, "headers": headers})
    await answer.send({"type": "http.response.body", "body": body, "more_body": False})


class _FarTooLarge(TooLarge):
    """So large that the rest is not even read."""


def _check_length(content_length: bytes | None, path: str, large: Mapping[str, int]) -> None:
    if content_length is None:
        return
    if not _LENGTH.fullmatch(content_length):
        raise Invalid("not a number of bytes", field="content-length")
    length = int(content_length)
    if length > MOST_BODY and length > (most := large.get(path, MOST_BODY)):
        raise TooLarge(most) if length <= MOST_DRAINED else _FarTooLarge(most)


def _seconds(milliseconds: bytes) -> float:
    if not _MILLISECONDS.fullmatch(milliseconds) or not 1 <= int(milliseconds) <= MOST_DEADLINE_MS:
        raise Invalid(f"a number of milliseconds between 1 and {MOST_DEADLINE_MS}", field="X-Request-Deadline-Ms")
    return int(milliseconds) / 1000
