"""A wallet that plays a script over real sockets: refusals, cut connections, halves of answers, silence."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

from tests.client.simulation import PAYMENT

Play = Callable[["Heard", asyncio.StreamWriter], Any]
"""What is done with one request; when it leaves the connection open, the next request may come on it."""


@dataclass(frozen=True)
class Heard:
    """A request as it arrived. Names of headers are in small letters."""

    at: float
    line: str
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Scripted:
    """The server; `script` is played in order, whatever connection the requests come on."""

    script: list[Play]
    url: str = ""
    heard: list[Heard] = field(default_factory=list[Heard])

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until either side ends it."""
        try:
            while heard := await _hear(reader):
                self.heard.append(heard)
                play = self.script.pop(0) if self.script else answer(201, PAYMENT)
                await play(heard, writer)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def playing(*script: Play) -> AsyncGenerator[Scripted]:
    """A server that plays this."""
    played = Scripted(list(script))
    server = await asyncio.start_server(played.serve, "127.0.0.1", 0)
    played.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield played
    finally:
        server.close()


def answer(status: int, body: object, **headers: str) -> Play:
    """A whole answer."""

    async def play(_heard: Heard, writer: asyncio.StreamWriter) -> None:
        writer.write(_encoded(status, json.dumps(body).encode(), headers))

    return play


def problem(status: int, reason: str, *, after: int | None = None, safe: bool = True, **more: Any) -> Play:
    """A refusal."""
    body = {"reason": reason, "title": reason, "retry": {"safe": safe, "same_key": True, "after": after}} | more
    return answer(status, body, **({"retry_after": str(after)} if after is not None else {}))


def in_line(slot_s: float, token: str = "a.ticket") -> Play:
    """A place in line, so many seconds from now."""

    async def play(heard: Heard, writer: asyncio.StreamWriter) -> None:
        slot_at = datetime.now(UTC) + timedelta(seconds=slot_s)
        ticket = {
            "token": token,
            "slot_at": slot_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "expires_at": (slot_at + timedelta(seconds=60)).isoformat(),
            "class": "pay",
        }
        await problem(503, "in_line", after=max(1, int(slot_s) + 1), ticket=ticket)(heard, writer)

    return play


def cut() -> Play:
    """The connection ends without an answer."""

    async def play(_heard: Heard, writer: asyncio.StreamWriter) -> None:
        writer.close()
        await asyncio.sleep(0)

    return play


def half() -> Play:
    """An answer that ends in the middle."""

    async def play(_heard: Heard, writer: asyncio.StreamWriter) -> None:
        whole = _encoded(201, json.dumps(PAYMENT).encode(), {})
        writer.write(whole[: len(whole) - 40])
        await writer.drain()
        writer.close()

    return play


def silence(seconds: float) -> Play:
    """An answer that comes late."""

    async def play(heard: Heard, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(seconds)
        await answer(201, PAYMENT)(heard, writer)

    return play


def trickle(pause_s: float) -> Play:
    """An answer that comes byte by byte, so that every single read succeeds."""

    async def play(_heard: Heard, writer: asyncio.StreamWriter) -> None:
        for byte in _encoded(201, json.dumps(PAYMENT).encode() + b" " * 10_000, {}):
            writer.write(bytes([byte]))
            await writer.drain()
            if byte == ord(" "):
                await asyncio.sleep(pause_s)

    return play


def stream(*pieces: bytes, then_wait_s: float = 0.0) -> Play:
    """Server-sent events in pieces, and then the end of the connection."""

    async def play(_heard: Heard, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.01)
        await asyncio.sleep(then_wait_s)
        writer.close()

    return play


async def _hear(reader: asyncio.StreamReader) -> Heard | None:
    head = await reader.readuntil(b"\r\n\r\n")
    at = time.monotonic()
    line, *lines = head.decode().rstrip("\r\n").split("\r\n")
    headers = {name.lower(): value for name, _, value in (one.partition(": ") for one in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Heard(at, line, headers, body)


def _encoded(status: int, body: bytes, headers: Mapping[str, str]) -> bytes:
    date = format_datetime(datetime.now(UTC), usegmt=True)
    named = {"date": date, "content-length": str(len(body))} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in named.items())
    return f"HTTP/1.1 {status} .\r\n{lines}\r\n".encode() + body
