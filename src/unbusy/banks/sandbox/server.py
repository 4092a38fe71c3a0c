"""The sandbox bank's process: HTTP, and everything that can go wrong with it; a switch by the same door."""

from __future__ import annotations

import asyncio
import logging
import random
import socket
from collections.abc import Callable, Mapping
from contextlib import closing
from http import HTTPStatus
from pathlib import Path
from typing import Any, cast

import uvicorn
import uvloop
from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, HTTPScope, Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from unbusy.banks.sandbox import keys
from unbusy.banks.sandbox.bank import Answer, Asked, Bank
from unbusy.banks.sandbox.books import Books
from unbusy.banks.sandbox.faults import Fault, Faults, Kind
from unbusy.banks.sandbox.guard import Guard
from unbusy.banks.sandbox.switch import Line, Switch, is_spoken
from unbusy.clock import SystemClock
from unbusy.ids import Ids

# The same faults for the same calls, whenever a bank is started.
_SEED = 1
_MOST_BYTES = 64_000
# Longer than clients keep an idle connection, so that only a fault cuts one that is being used.
_KEEP_ALIVE_S = 75
# Calls that hang would hold up the end for ever.
_FINISH_S = 1

# Faults that are nothing but a status.
_PLAIN = {Kind.signed_out: HTTPStatus.UNAUTHORIZED, Kind.error: HTTPStatus.INTERNAL_SERVER_ERROR}

_CONNECTION = "unbusy.connection"


def run(directory: Path, listener: socket.socket, started: Callable[[], None]) -> None:
    """Serve until SIGTERM or SIGINT, with the keys and the books in `directory`.

    `started` is called when requests are answered.
    """
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    clock = SystemClock()
    faults = Faults(random.Random(_SEED))  # noqa: S311 - chance, not a secret
    with closing(Books(directory / "books.sqlite", clock=clock, ids=Ids(clock))) as books:
        known = keys.load(directory)
        bank = Bank(books, Guard(known, clock=clock), faults, clock=clock)
        config = uvicorn.Config(
            Wire(bank, faults, Switch(books, faults, known, clock=clock)),
            http=_Protocol,
            ws="none",
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=_FINISH_S,
        )
        uvloop.run(_Server(config, started).serve(sockets=[listener]))


class Wire:
    """The ASGI application. Between the bank and its client lies all that faults do."""

    def __init__(self, bank: Bank, faults: Faults, switch: Switch) -> None:
        self._bank = bank
        self._faults = faults
        self.switch = switch

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        assert scope["type"] == "http"
        asked = await _read(scope, receive)
        fault = self._faults.strike(asked.operation, asked.amount) if asked.operation else None
        answer = await self._answer(asked, fault)
        if answer:
            await _write(answer, send)
            return
        if fault and fault.kind in {Kind.reset, Kind.lost}:
            _connection(scope).abort()
        # Until the client has had enough, or has noticed.
        while (await receive())["type"] != "http.disconnect":
            pass

    async def _answer(self, asked: Asked, fault: Fault | None) -> Answer | None:
        """What the client gets to see; None when it gets nothing."""
        if fault is None:
            return self._bank.answer(asked)
        if fault.kind is Kind.late:
            asyncio.get_running_loop().call_later(fault.seconds, self._bank.answer, asked)
        if fault.kind in {Kind.late, Kind.hang, Kind.reset}:
            return None
        if fault.kind in {Kind.rate_limit, Kind.maintenance, *_PLAIN}:
            return self._refusal(asked, fault)
        if fault.kind is Kind.twice:
            self._bank.answer(asked, fault)
        if fault.kind is Kind.slow:
            await asyncio.sleep(fault.seconds)
        return _spoilt(self._bank.answer(asked, fault), fault.kind)

    def _refusal(self, asked: Asked, fault: Fault) -> Answer:
        if fault.kind is Kind.maintenance:
            return self._bank.refusal(asked, HTTPStatus.SERVICE_UNAVAILABLE, "maintenance", fault.seconds)
        if fault.kind is Kind.rate_limit:
            return Answer(HTTPStatus.TOO_MANY_REQUESTS, b"", retry_after=fault.seconds)
        return Answer(_PLAIN[fault.kind], b"")


def _spoilt(answer: Answer, kind: Kind) -> Answer | None:
    """What the way leaves of an answer."""
    match kind:
        case Kind.lost:
            return None
        case Kind.lost_error:
            return Answer(HTTPStatus.BAD_GATEWAY, b"<html>Bad Gateway</html>")
        case Kind.garbled:
            return answer._replace(body=answer.body[: len(answer.body) // 2])
        case Kind.forged:
            return answer._replace(body=answer.body.replace(b"ACCC", b"RJCT") + b"\n")
        case _:
            return answer


class _Protocol(HttpToolsProtocol):
    """HTTP that lets a request reach its connection, so that a fault can cut it; and lets a switch have its own."""

    _has_begun = False

    def data_received(self, data: bytes) -> None:
        if not self._has_begun and is_spoken(data):
            self.connections.discard(self)
            line = Line(cast("Wire", self.config.app).switch, self.connections)
            self.transport.set_protocol(line)
            line.connection_made(self.transport)
            line.data_received(data)
            return
        self._has_begun = True
        super().data_received(data)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        cast("dict[str, object]", self.scope)[_CONNECTION] = self.transport


class _Server(uvicorn.Server):
    """uvicorn, telling when it has started."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._tell = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._tell()


async def _read(scope: HTTPScope, receive: ASGIReceiveCallable) -> Asked:
    body, more = b"", True
    while more and len(body) <= _MOST_BYTES:
        event = cast("Mapping[str, Any]", await receive())
        body += event.get("body", b"")
        more = event.get("more_body", False)
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    base = f"http://{headers.get('host', '')}"
    # What is too long is not read to the end, and then is no document.
    return Asked(scope["method"], scope["path"], scope["query_string"].decode("latin-1"), headers, body, base)


async def _write(answer: Answer, send: ASGISendCallable) -> None:
    headers = [(b"content-type", answer.content_type.encode()), (b"content-length", str(len(answer.body)).encode())]
    if answer.signature:
        headers.append((b"x-jws-signature", answer.signature.encode()))
    if answer.retry_after is not None:
        headers.append((b"retry-after", str(round(answer.retry_after)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers, "trailers": False})
    await send({"type": "http.response.body", "body": answer.body, "more_body": False})


def _connection(scope: HTTPScope) -> asyncio.Transport:
    return cast("dict[str, asyncio.Transport]", scope)[_CONNECTION]
