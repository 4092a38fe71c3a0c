"""The door: where bytes become requests. uvicorn's HTTP/1.1 connection, with a gate and a short way in.

    bytes ─▶ parser ─▶ gate ─▶ turned away, with one write
                         └───▶ a plain request to a route that carries the load ─▶ its short handler
                         └───▶ anything else ─▶ an ASGI task, as uvicorn has it

A task, an ASGI scope passed through layers and an answer sent in two messages cost more than a
payment does. So a request that arrived whole, for a route that has a short handler, is offered to
that handler at once; one that it does not take goes the long way as if nothing had happened.
"""

from __future__ import annotations

import time
from functools import partial
from typing import Any, Protocol, cast

from litestar.types import HTTPScope
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from unbusy.admission import Admitted, Decision
from unbusy.api import scope as scopes
from unbusy.api.edge import Edge
from unbusy.api.gatekeeper import Gatekeeper

_MALFORMED = (
    b'{"type":"/problems/invalid","title":"The request cannot work as it is","status":400,"detail":"This is not '
    b'well-formed HTTP.","reason":"invalid","fix":"Correct the request and send it again.",'
    b'"retry":{"safe":false,"same_key":true,"after":null}}'
)
_MALFORMED_HEAD = b"content-type: application/problem+json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"

# How long the head of a request may take to arrive. A browser sends it in one piece.
_HEAD_S = 10.0
# How long a connection on which nothing was ever asked is kept: balancers open some ahead.
_FRESH_S = 75.0
# More connections than this are closed as they come: each takes a file, and some 20 kB.
MOST_CONNECTIONS = 20_000


class Short(Protocol):
    """What the door offers whole requests to."""

    def has(self, method: bytes, url: bytes) -> bool:
        """Whether there is a short handler for this; nothing else of the request is known yet."""
        ...

    def take(self, exchange: Exchange) -> bool:
        """Take the request, to be answered now or later. False: it goes the long way."""
        ...


class Exchange:
    """A request on the short way, with its body, and its answer.

    It stands where uvicorn keeps the request that is under way (`cycle`): what is pipelined behind
    it waits for it, and a server that stops waits for it too.
    """

    __slots__ = (
        "_door",
        "admitted",
        "body",
        "disconnected",
        "keep_alive",
        "method",
        "response_complete",
        "scope",
        "url",
    )

    def __init__(self, door: Door, method: bytes, body: bytes, admitted: Admitted | None, *, keep_alive: bool) -> None:
        self._door = door
        self.method = method
        self.url = door.url
        self.scope = cast("HTTPScope", door.scope)
        self.body = body
        self.admitted = admitted
        self.keep_alive = keep_alive
        self.disconnected = False
        self.response_complete = False

    @property
    def message_event(self) -> Exchange:
        """uvicorn wakes here who waits for the rest of the body; all of it is there already."""
        return self

    def set(self) -> None:
        """See `message_event`."""

    def answer(self, status: int, lines: bytes, body: bytes) -> None:
        """Send the answer, once. `lines` are its headers, each ended."""
        self.response_complete = True
        if not self.disconnected:
            self._door.send(status, lines, body, keep_alive=self.keep_alive)


class OpenAnswer:
    """An answer that goes on when its request's task has ended: of all that, this is left, and the connection.

    As an `Exchange` does, it stands where uvicorn keeps the request that is under way.
    """

    __slots__ = ("_door", "_holder", "disconnected", "keep_alive", "response_complete")

    def __init__(self, door: Door, holder: scopes.Holder, *, keep_alive: bool) -> None:
        self._door = door
        self._holder: scopes.Holder | None = holder
        self.keep_alive = keep_alive
        self.disconnected = False
        self.response_complete = False

    @property
    def message_event(self) -> OpenAnswer:
        """See `Exchange.message_event`."""
        return self

    def set(self) -> None:
        """See `message_event`."""

    @property
    def is_full(self) -> bool:
        return self._door.flow.write_paused

    def write(self, body: bytes) -> None:
        if self._holder:
            self._door.transport.write(b"%x\r\n%b\r\n" % (len(body), body))

    def end(self) -> None:
        if self._holder:
            self._holder = None
            self._door.close_open(self, is_kept=self.keep_alive)

    def cut(self) -> None:
        self._door.transport.abort()

    def drained(self) -> None:
        if self._holder:
            self._holder.drained()

    def lost(self) -> None:
        holder, self._holder = self._holder, None
        self.disconnected = True
        if holder:
            holder.lost()


class Door(HttpToolsProtocol):
    """One connection. `edge`, `short` and `gatekeeper` are ours, the rest is as uvicorn passes it."""

    def __init__(self, edge: Edge, short: Short, gatekeeper: Gatekeeper | None, **given: Any) -> None:
        super().__init__(**given)
        self._edge = edge
        self._short = short
        self._gatekeeper = gatekeeper
        self._admitted: Admitted | None = None
        self._refused: Decision | None = None
        self._body = b""
        self._open: OpenAnswer | None = None
        # While the body of a request for the short way comes in; only within one piece of data.
        self._is_collecting = False
        self._waits_since = time.monotonic()
        self._is_in_head = False
        self._is_fresh = True

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        if len(self.connections) > MOST_CONNECTIONS:
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._open:
            self._open.lost()
            # They hang together in a circle, which would else wait for the garbage collector.
            self._open = None
            self.cycle = cast("Any", None)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._open:
            self._open.drained()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._is_collecting:
            # The rest comes later, or never: the long way knows how to wait for it.
            self._is_collecting = False
            self._begin_long()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._is_in_head, self._is_fresh = True, False
        self._waits_since = time.monotonic()

    def on_headers_complete(self) -> None:
        self._is_in_head = False
        is_free = (self.cycle is None or self.cycle.response_complete) and not self.expect_100_continue
        self._refused = None
        if self._gatekeeper and not self._is_let_in(self._gatekeeper) and is_free:
            return
        self._is_collecting = is_free and self._short.has(self.parser.get_method(), self.url)
        if self._is_collecting:
            self._body = b""
        else:
            self._begin_cycle()

    def on_body(self, body: bytes) -> None:
        if self._refused or isinstance(self.cycle, OpenAnswer):
            return
        if self._is_collecting:
            self._body += body
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if self._refused:
            self._turn_away(self._refused)
        elif self._is_collecting:
            self._is_collecting = False
            self._take()
        elif not isinstance(self.cycle, OpenAnswer):
            super().on_message_complete()

    def send(self, status: int, lines: bytes, body: bytes, *, keep_alive: bool) -> None:
        """Write an answer in one piece, and begin what waits behind it."""
        end = b"\r\n" if keep_alive else b"connection: close\r\n\r\n"
        self.transport.write(b"".join((STATUS_LINE[status], self._default_lines(), lines, end, body)))
        if not keep_alive:
            self.transport.close()
        self.on_response_complete()

    def hold_open(self, cycle: RequestResponseCycle, holder: scopes.Holder) -> OpenAnswer:
        """Take over from uvicorn the answer whose head has been sent, and let go of its request."""
        answer = self._open = OpenAnswer(self, holder, keep_alive=cycle.keep_alive)
        is_gone = cycle.disconnected
        cycle.response_complete = True
        if self.cycle is cycle:
            self.cycle = cast("Any", answer)
            self.scope, self.headers, self.url = cast("Any", None), [], b""
        if is_gone:
            self.loop.call_soon(answer.lost)
        return answer

    def close_open(self, answer: OpenAnswer, *, is_kept: bool) -> None:
        """The answer that was held open is whole."""
        self._open = None
        answer.response_complete = True
        self.transport.write(b"0\r\n\r\n")
        if not is_kept:
            self.transport.close()
        self.on_response_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's own words are for its log
        """What is not HTTP is told so in our own form."""
        self.transport.write(STATUS_LINE[400] + _MALFORMED_HEAD % len(_MALFORMED) + _MALFORMED)
        self.transport.close()

    def is_overdue(self, now: float) -> bool:
        """Whether the other side has taken too long to say what it wants."""
        waits = now - self._waits_since
        return (self._is_in_head and waits > _HEAD_S) or (self._is_fresh and waits > _FRESH_S)

    def _is_let_in(self, gatekeeper: Gatekeeper) -> bool:
        """Ask the gate. What is not let in but stands behind another request is answered in its turn."""
        decision = gatekeeper.decide(self.parser.get_method(), self.url, dict(self.headers), self.client)
        scopes.leave_decision(self.scope, decision, time.monotonic())
        if isinstance(decision, Admitted):
            self._admitted = decision
            return True
        self._refused = decision
        return False

    def _turn_away(self, refused: Decision) -> None:
        assert self._gatekeeper is not None
        self._refused = None
        headers = dict(self.headers)
        request_id = self._edge.request_id(headers)
        keep_alive = self.parser.get_http_version() == "1.1" and self.parser.should_keep_alive()
        status, lines, body = self._gatekeeper.refusal(refused, headers, request_id)
        self.send(status, lines, body, keep_alive=keep_alive)

    def _take(self) -> None:
        is_kept = self.parser.get_http_version() == "1.1" and self.parser.should_keep_alive()
        exchange = Exchange(self, self.parser.get_method(), self._body, self._admitted, keep_alive=is_kept)
        before, self.cycle = self.cycle, cast("Any", exchange)
        if not self._short.take(exchange):
            self.cycle = before
            self._begin_long()
            super().on_message_complete()

    def _begin_long(self) -> None:
        self._begin_cycle()
        if self._body:
            super().on_body(self._body)

    def _begin_cycle(self) -> None:
        self._refused = None
        super().on_headers_complete()
        scopes.leave_way_to_hold_open(cast("HTTPScope", self.scope), partial(self.hold_open, self.cycle))

    def _default_lines(self) -> bytes:
        return b"".join(b"%b: %b\r\n" % header for header in self.server_state.default_headers)
