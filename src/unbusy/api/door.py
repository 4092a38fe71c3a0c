"""The door: where bytes become requests. uvicorn's HTTP/1.1 connection, with a gate and a short way in.

    bytes ─▶ parser ─▶ gate ─▶ turned away, with one write
                         └───▶ a plain request to a route that carries the load ─▶ its short handler
                         └───▶ anything else ─▶ an ASGI task, as uvicorn has it

A task, an ASGI scope passed through layers and an answer sent in two messages cost more than a
payment does. So a request that arrived whole, for a route that has a short handler, is offered to
that handler at once; one that it does not take goes the long way as if nothing had happened.

What cannot be read as HTTP, or takes too long or too much room, is told so and cut off: after the
answers to what was asked before it, because an answer belongs to the request whose turn it is.
"""

from __future__ import annotations

import math
import time
from functools import lru_cache, partial
from typing import Any, ClassVar, Protocol, cast

import httptools
from litestar.types import HTTPScope, Scope
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from unbusy.admission import Admitted, Decision
from unbusy.api import problems
from unbusy.api import scope as scopes
from unbusy.api.bodies import HeadTooLarge
from unbusy.api.edge import Edge, dress
from unbusy.api.gatekeeper import Gatekeeper
from unbusy.api.rounds import Rounds
from unbusy.errors import Invalid

# How long the head of a request may take to arrive, and the body of one that is not let in. A browser
# sends each in one piece.
HEAD_S = 10.0
# How long a connection on which nothing was ever asked is kept: balancers open some ahead.
FRESH_S = 75.0
# Bytes of a head, beyond the piece that it begins in; as much as other servers take.
MOST_HEAD = 64 * 1024
# More connections than this are closed as they come: each takes a file, and some 20 kB.
MOST_CONNECTIONS = 20_000

_ANNOUNCE_A_BODY = frozenset({b"content-length", b"transfer-encoding"})
_NO_UPGRADE = "No other protocol is spoken here, and a request that asks for one cannot have a body."
_MALFORMED = "This is not well-formed HTTP."


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

    more_body: ClassVar[bool] = False

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

    more_body: ClassVar[bool] = False

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
    """One connection. `edge`, `short`, `gatekeeper` and `rounds` are ours, the rest is as uvicorn passes it."""

    # More than uvicorn's types say: an `Exchange` too, None before the first request.
    cycle: Any
    # Only while the connection lasts; nobody calls us back after that.
    parser: Any

    def __init__(self, edge: Edge, short: Short, gatekeeper: Gatekeeper | None, rounds: Rounds, **given: Any) -> None:
        super().__init__(**given)
        self._rounds = rounds
        self._edge = edge
        self._short = short
        self._gatekeeper = gatekeeper
        self._admitted: Admitted | None = None
        self._refused: Decision | None = None
        self._fields: dict[bytes, bytes] = {}
        self._body = b""
        self._open: OpenAnswer | None = None
        # While the body of a request for the short way comes in; only within one piece of data.
        self._is_collecting = False
        self._is_in_head = False
        self._head_bytes = 0
        # Nothing that comes is read any more.
        self._is_over = False
        self._patience_s = FRESH_S
        self._waits_since = time.monotonic()

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
        self._rounds.take_turn(self, data)

    def look_at(self, data: bytes) -> None:
        """Parse. What breaks in our own callbacks is told as our mistake, never as the caller's."""
        if self._is_over or self.parser is None:
            return
        if self._is_in_head:
            self._head_bytes += len(data)
            if self._head_bytes > MOST_HEAD:
                self._end(HeadTooLarge(MOST_HEAD))
                return
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            # Nobody has to do what an upgrade asks for; the request was answered as it is.
            if rest := data[upgrade.args[0] :]:
                self.look_at(rest)
        except httptools.HttpParserCallbackError as error:
            cause = error.__context__
            self._end(cause if isinstance(cause, Exception) else error)
        except httptools.HttpParserError:
            self._end(Invalid(_MALFORMED))
        if self._is_collecting:
            # The rest comes later, or never: the long way knows how to wait for it.
            self._is_collecting = False
            self._begin_long()

    def on_message_begin(self) -> None:
        """As uvicorn has it, but for the scope, which only those need who are let in."""
        self.url, self.headers = b"", []
        self._is_in_head, self._head_bytes = True, 0
        self._wait(HEAD_S)

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self._is_in_head, self._head_bytes = False, 0
        self._patience_s = math.inf
        if self.transport.is_closing():
            # Whoever said that the one before would be the last cannot be answered another.
            self._is_over = True
            return
        if self.parser.should_upgrade() and any(name in _ANNOUNCE_A_BODY for name, _ in self.headers):
            # The parser takes what follows for another protocol, so nobody can tell where the body ends.
            raise Invalid(_NO_UPGRADE)
        is_free = self.cycle is None or self.cycle.response_complete
        fields = self._fields = dict(self.headers)
        is_waiting = fields.get(b"expect", b"").lower() == b"100-continue"
        decision = self._gatekeeper and self._gatekeeper.decide(self.parser.get_method(), self.url, fields, self.client)
        if decision and not isinstance(decision, Admitted) and is_free:
            self._refused = decision
            # Answered when its body is there, for which it has as long as for its head.
            self._wait(HEAD_S)
            if is_waiting:
                self._turn_away(keep_alive=False)
            return
        self._begin_scope(is_waiting=is_waiting)
        if decision:
            # Perhaps not let in, but not its turn either: the edge, behind those before it, tells it so.
            scopes.leave_decision(cast("Scope", self.scope), decision, time.monotonic())
            self._admitted = decision if isinstance(decision, Admitted) else None
        is_whole = is_free and not is_waiting
        self._is_collecting = is_whole and self._short.has(self.parser.get_method(), self.url)
        if self._is_collecting:
            self._body = b""
        else:
            self._begin_cycle()

    def on_body(self, body: bytes) -> None:
        if self._refused or self._is_over or isinstance(self.cycle, OpenAnswer):
            return
        if self._is_collecting:
            self._body += body
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if self._is_over:
            return
        if self._refused:
            self._turn_away(keep_alive=self._is_kept())
        elif self._is_collecting:
            self._is_collecting = False
            self._take()
        elif not isinstance(self.cycle, OpenAnswer):
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """As uvicorn has it, without a timer for each answer: see `is_overdue`."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif not self._is_in_head:
            self._wait(self.timeout_keep_alive)

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

    def is_overdue(self, now: float, *, is_crowded: bool) -> bool:
        """Whether the other side has taken too long to say what it wants. In a crowd nobody may take his time."""
        patience = self._patience_s
        if is_crowded and patience < math.inf:
            patience = min(patience, HEAD_S)
        return now - self._waits_since > patience

    def _wait(self, seconds: float) -> None:
        """It is the other side's turn, for so long at most."""
        self._patience_s = seconds
        self._waits_since = time.monotonic()

    def _begin_scope(self, *, is_waiting: bool) -> None:
        headers, url = self.headers, self.url
        super().on_message_begin()
        self.headers += headers
        self.url, self.expect_100_continue = url, is_waiting

    def _turn_away(self, *, keep_alive: bool) -> None:
        assert self._gatekeeper is not None
        assert self._refused is not None
        keep_alive = keep_alive and not self._gatekeeper.lets_go()
        request_id = self._edge.request_id(self._fields)
        status, lines, body = self._gatekeeper.refusal(self._refused, self._fields, request_id)
        self._refused = None
        self._is_over = not keep_alive
        self.send(status, lines, b"" if self.parser.get_method() == b"HEAD" else body, keep_alive=keep_alive)

    def _is_kept(self) -> bool:
        return self.parser.should_keep_alive() and self.parser.get_http_version() == "1.1"

    def _end(self, error: Exception) -> None:
        """Read nothing more. Say why if it is its turn, and close when everybody before it was answered."""
        self._is_over, self._is_collecting, self._refused = True, False, None
        self._wait(FRESH_S)
        cycle = self.cycle
        if cycle and not cycle.response_complete:
            if self.pipeline or not cycle.more_body:
                cycle.keep_alive = False
                return
            # Its own handler still waits for the rest of its body, which will not come.
            cycle.disconnected = True
            cycle.message_event.set()
            if cycle.response_started:
                self.transport.close()
                return
        scope = scopes.of_no_request(self._edge.request_id({}).decode(), self.headers or [])
        status, headers, body = problems.sent(scope, error)
        lines = b"".join(b"%b: %b\r\n" % header for header in dress(scope, headers))
        self.transport.write(
            b"".join((STATUS_LINE[status], self._default_lines(), lines, b"connection: close\r\n\r\n", body))
        )
        self.transport.close()

    def _take(self) -> None:
        is_kept = self._is_kept()
        exchange = Exchange(self, self.parser.get_method(), self._body, self._admitted, keep_alive=is_kept)
        before, self.cycle = self.cycle, exchange
        if not self._short.take(exchange):
            self.cycle = before
            self._begin_long()
            super().on_message_complete()

    def _begin_long(self) -> None:
        self._begin_cycle()
        if self._body:
            super().on_body(self._body)

    def _begin_cycle(self) -> None:
        _check_url(self.url)
        super().on_headers_complete()
        scopes.leave_way_to_hold_open(cast("Scope", self.scope), partial(self.hold_open, self.cycle))

    def _default_lines(self) -> bytes:
        return _lines(tuple(self.server_state.default_headers))


@lru_cache(2)
def _lines(headers: tuple[tuple[bytes, bytes], ...]) -> bytes:
    """As they are sent: the same for a second, which is as often as the date changes."""
    return b"".join(b"%b: %b\r\n" % header for header in headers)


def _check_url(url: bytes) -> None:
    """uvicorn would break on what it cannot take apart. Raises Invalid."""
    try:
        path = httptools.parse_url(url).path
    except httptools.HttpParserInvalidURLError:
        path = None
    if not path or not path.isascii():
        raise Invalid(_MALFORMED)
