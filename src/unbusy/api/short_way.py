"""The short way from the door to a handler, for the few routes that carry the load.

Litestar's routing, parameter reading and answering cost more than a payment itself does, and so
does a task for each. A *short handler* stands beside the handler of a route. It is offered the
requests that are plain: whole, their headers there once and in order, their caller known by its
token already. It takes one by answering it now or later, without waiting in between; what it does
not take goes the long way, which also finds the words for what is wrong. Tests send each request
both ways and compare.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Generic, TypeVar, cast

import msgspec
import structlog
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.types import HTTPScope

from unbusy.api import problems
from unbusy.api import scope as scopes
from unbusy.api.answers import Answer
from unbusy.api.bodies import MOST_BODY, decoder
from unbusy.api.door import Exchange
from unbusy.api.edge import Edge, dress
from unbusy.api.gatekeeper import Gatekeeper, TurnedAway
from unbusy.api.idempotency import PATTERN
from unbusy.api.prefer import Preference, read_prefer
from unbusy.api.principals import Authenticator, Principal, Role
from unbusy.api.requests import PARTS
from unbusy.api.texts import Language, choose_language
from unbusy.clock import Deadline
from unbusy.errors import Invalid, Unauthenticated

Body = TypeVar("Body")
Part = TypeVar("Part")

_KEY = re.compile(PATTERN)
_BEARER = "Bearer "

_log = cast("structlog.stdlib.BoundLogger", structlog.get_logger("unbusy.api"))

ShortHandler = Callable[["Asked[Any]"], bool]
"""Takes the request, or says False. Never waits, and never fails for what a caller sent."""


class Asked(Generic[Body]):
    """A plain request as its short handler sees it, and the way to answer it."""

    __slots__ = (
        "_began_at",
        "_came_at",
        "_exchange",
        "_way",
        "data",
        "key",
        "path",
        "preference",
        "principal",
        "scope",
    )

    def __init__(
        self, way: ShortWay, exchange: Exchange, path: str, principal: Principal, data: Body, key: str, came_at: float
    ) -> None:
        self._way = way
        self._exchange = exchange
        self._came_at = self._began_at = came_at
        self.scope = exchange.scope
        self.path = path
        self.principal = principal
        self.data = data
        self.key = key
        self.preference: Preference = read_prefer(scopes.header(exchange.scope, b"prefer"))

    def look_at_payee(self, payee: str) -> None:
        """Before a payment to somebody is begun. Raises TurnedAway when too many pay them at once."""
        if self._way.gatekeeper and self._exchange.admitted:
            self._way.gatekeeper.look_at_payee(self._exchange.admitted, self.principal, payee)

    def begin(self) -> None:
        """The wait for others is over: the work begins."""
        self._began_at = time.monotonic()

    @property
    def is_gone(self) -> bool:
        """Whether nobody waits for the answer any more."""
        return self._exchange.disconnected

    @property
    def deadline(self) -> Deadline:
        """The moment after which the caller no longer waits."""
        return scopes.deadline(self.scope)

    @property
    def language(self) -> Language:
        """The language to answer people in."""
        return choose_language(scopes.header(self.scope, b"accept-language"))

    def part(self, type: type[Part]) -> Part:
        """One of the application's parts, by its class."""
        return self._way.parts[type]

    def answer(self, answer: Answer[Any]) -> None:
        """Send the answer."""
        self._send(*answer.sent())

    def refuse(self, error: Exception) -> None:
        """Send the problem that this error is."""
        self._send(*problems.sent(self.scope, error))

    def turn_away(self, turned_away: TurnedAway) -> None:
        """Send that it is not let in after all."""
        assert self._way.gatekeeper is not None
        headers, request_id = scopes.headers(self.scope), scopes.request_id(self.scope).encode()
        self._exchange.answer(*self._way.gatekeeper.refusal(turned_away.decision, headers, request_id))

    def answer_with(self, work: Coroutine[Any, Any, Answer[Any]]) -> None:
        """Send the answer that this work comes to: for the rare one that has to wait."""
        self._way.begin(self._answer_with(work))

    async def _answer_with(self, work: Coroutine[Any, Any, Answer[Any]]) -> None:
        try:
            self.answer(await work)
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller is told
            self.refuse(error)

    def _send(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        lines = b"".join(b"%b: %b\r\n" % header for header in dress(self.scope, headers))
        self._exchange.answer(status, lines, body)
        self._way.edge.measure(self.scope["method"], self.path, status, time.monotonic() - self._came_at)
        if self._way.gatekeeper and self._exchange.admitted:
            self._way.gatekeeper.finished(self._exchange.admitted.klass, self._began_at - self._came_at)


class ShortWay:
    """Offers plain requests to the short handlers. `short` has them by the handlers they stand beside."""

    def __init__(
        self,
        litestar: Litestar,
        edge: Edge,
        authenticator: Authenticator,
        gatekeeper: Gatekeeper | None,
        short: Mapping[HTTPRouteHandler, ShortHandler],
    ) -> None:
        self.edge = edge
        self.gatekeeper = gatekeeper
        self.parts: Mapping[type, Any] = litestar.state[PARTS]
        self._authenticator = authenticator
        self._entries = {
            (method.encode(), path.encode()): _Entry(handler, short_handler, method, path)
            for handler, short_handler in short.items()
            for method in handler.http_methods - {"OPTIONS"}
            for path in handler.paths
        }
        self._tasks: set[asyncio.Task[None]] = set()

    def has(self, method: bytes, url: bytes) -> bool:
        return (method, url) in self._entries

    def take(self, exchange: Exchange) -> bool:
        """Offer it to its handler. False when it is not plain, or when that handler leaves it."""
        came_at = time.monotonic()
        scope = exchange.scope
        entry = self._entries[exchange.method, exchange.url]
        scope["method"], scope["path"] = cast("Any", entry.method), entry.path
        try:
            self.edge.inspect(scope)
        except Invalid:
            return False
        asked = self._read(entry, exchange, scope, came_at)
        if asked is None:
            return False
        try:
            return entry.handler(asked)
        except TurnedAway as turned_away:
            asked.turn_away(turned_away)
            return True
        except Exception:  # noqa: BLE001 - whatever it is, there is another way
            # The long way finds out what it was, and says so; what comes of this one is not sent.
            exchange.disconnected = True
            _log.exception("the short way broke", path=entry.path)
            return False

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Have something done that takes a while."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _read(self, entry: _Entry, exchange: Exchange, scope: HTTPScope, came_at: float) -> Asked[Any] | None:
        """The request as the handler wants it; None when anything about it is unusual."""
        if scopes.repeats_a_header(scope) or scopes.header(scope, b"content-type") != "application/json":
            return None
        key = scopes.header(scope, b"idempotency-key")
        bearer = scopes.header(scope, b"authorization")
        if len(exchange.body) > MOST_BODY or not bearer.startswith(_BEARER) or not _KEY.fullmatch(key):
            return None
        try:
            principal = self._authenticator.authenticate(bearer[len(_BEARER) :])
            data = entry.decoder.decode(exchange.body)
        except (Unauthenticated, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        if principal.role not in entry.roles:
            return None
        return Asked(self, exchange, entry.path, principal, data, key, came_at)


class _Entry:
    """One route: its short handler, and what the handler beside it says about the route."""

    __slots__ = ("decoder", "handler", "method", "path", "roles")

    def __init__(self, handler: HTTPRouteHandler, short: ShortHandler, method: str, path: str) -> None:
        self.handler = short
        self.method = method
        self.path = path
        self.roles: frozenset[Role] = handler.opt["roles"]
        self.decoder = decoder(handler.parsed_fn_signature.parameters["data"].annotation)
