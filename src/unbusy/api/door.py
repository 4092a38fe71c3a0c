"""The door: where bytes become requests. uvicorn's HTTP/1.1 connection, with a short way in.

    bytes ─▶ parser ─▶ a plain request to a route that carries the load ─▶ its short handler
                    └▶ anything else ─▶ an ASGI task, as uvicorn has it

A task, an ASGI scope passed through layers and an answer sent in two messages cost more than a
payment does. So a request that arrived whole, for a route that has a short handler, is offered to
that handler at once; one that it does not take goes the long way as if nothing had happened.
"""

from __future__ import annotations

from typing import Any, Protocol, cast

from litestar.types import HTTPScope
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

_MALFORMED = (
    b'{"type":"/problems/invalid","title":"The request cannot work as it is","status":400,"detail":"This is not '
    b'well-formed HTTP.","reason":"invalid","fix":"Correct the request and send it again.",'
    b'"retry":{"safe":false,"same_key":true,"after":null}}'
)


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

    __slots__ = ("_door", "body", "disconnected", "keep_alive", "method", "response_complete", "scope", "url")

    def __init__(self, door: Door, method: bytes, body: bytes, *, keep_alive: bool) -> None:
        self._door = door
        self.method = method
        self.url = door.url
        self.scope = cast("HTTPScope", door.scope)
        self.body = body
        self.keep_alive = keep_alive
        self.disconnected = False
        self.response_complete = False

    @property
    def message_event(self) -> Exchange:
        """uvicorn wakes here who waits for the rest of the body; all of it is there already."""
        return self

    def set(self) -> None:
        """See `message_event`."""

    def answer(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        """Send the answer, once."""
        self.response_complete = True
        if not self.disconnected:
            self._door.send(self, status, headers, body)


class Door(HttpToolsProtocol):
    """One connection. `short` comes first, the rest as uvicorn passes it."""

    def __init__(self, short: Short, **given: Any) -> None:
        super().__init__(**given)
        self._short = short
        self._body = b""
        # While the body of a request for the short way comes in; only within one piece of data.
        self._is_collecting = False

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._is_collecting:
            # The rest comes later, or never: the long way knows how to wait for it.
            self._is_collecting = False
            self._begin_long()

    def on_headers_complete(self) -> None:
        is_free = self.cycle is None or self.cycle.response_complete
        self._is_collecting = (
            is_free and not self.expect_100_continue and self._short.has(self.parser.get_method(), self.url)
        )
        if self._is_collecting:
            self._body = b""
        else:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if self._is_collecting:
            self._body += body
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if not self._is_collecting:
            super().on_message_complete()
            return
        self._is_collecting = False
        is_kept = self.parser.get_http_version() == "1.1" and self.parser.should_keep_alive()
        exchange = Exchange(self, self.parser.get_method(), self._body, keep_alive=is_kept)
        before, self.cycle = self.cycle, cast("Any", exchange)
        if not self._short.take(exchange):
            self.cycle = before
            self._begin_long()
            super().on_message_complete()

    def send(self, exchange: Exchange, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        """Write the answer in one piece, and begin what waits behind it."""
        pieces = [STATUS_LINE[status]]
        for header in (*self.server_state.default_headers, *headers):
            pieces.append(b"%b: %b\r\n" % header)
        pieces.append(b"\r\n" if exchange.keep_alive else b"connection: close\r\n\r\n")
        pieces.append(body)
        self.transport.write(b"".join(pieces))
        if not exchange.keep_alive:
            self.transport.close()
        self.on_response_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's own words are for its log
        """What is not HTTP is told so in our own form."""
        head = b"content-type: application/problem+json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
        self.transport.write(STATUS_LINE[400] + head % len(_MALFORMED) + _MALFORMED)
        self.transport.close()

    def _begin_long(self) -> None:
        super().on_headers_complete()
        if self._body:
            super().on_body(self._body)
