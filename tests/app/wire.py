"""HTTP by hand: bytes over a connection, for what no library would send."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

PAYMENT = b'{"payee":"@mei","amount":1,"asset":"EUR"}'


@dataclass
class Answered:
    """One answer as it came."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Wire:
    """A connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def receive(self, *, has_body: bool = True) -> Answered:
        """The next answer."""
        async with asyncio.timeout(10):
            first, *lines = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").splitlines()[:-1]
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
            size = int(headers.get("content-length", 0)) if has_body else 0
            return Answered(int(first.split()[1]), headers, await self._reader.readexactly(size))

    async def rest(self) -> bytes:
        """Everything until the other side closes."""
        async with asyncio.timeout(10):
            return await self._reader.read()

    async def is_closed(self, within_s: float = 10) -> bool:
        """Whether the other side closes, without another byte."""
        try:
            async with asyncio.timeout(within_s):
                return await self._reader.read(1) == b""
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False


@asynccontextmanager
async def wire(url: str) -> AsyncGenerator[Wire]:
    """A connection to this address."""
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        yield Wire(reader, writer)
    finally:
        writer.close()


def get(path: str, token: str = "", *more: str, method: str = "GET") -> bytes:
    """A request without a body. `more` are headers."""
    lines = "".join(f"{line}\r\n" for line in more)
    return f"{method} {path} HTTP/1.1\r\nHost: bank\r\n{_bearer(token)}{lines}\r\n".encode()


def payment(token: str, key: str, *more: str, body: bytes = PAYMENT) -> bytes:
    """A request for a payment. `more` are headers; its id is its key."""
    lines = "".join(f"{line}\r\n" for line in (f"Idempotency-Key: {key}", f"Request-Id: {key}", *more))
    head = f"POST /v1/payments HTTP/1.1\r\nHost: bank\r\n{_bearer(token)}{lines}Content-Type: application/json\r\n"
    return head.encode() + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)


def _bearer(token: str) -> str:
    return f"Authorization: Bearer {token}\r\n" if token else ""
