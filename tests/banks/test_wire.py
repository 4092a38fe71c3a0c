"""What is the same whatever a bank speaks over HTTP."""

from __future__ import annotations

import asyncio
import zlib

import pytest

from unbusy.banks import wire

_MOST_BYTES = 256 * 1024


async def answered(body: bytes, **headers: str) -> wire.Response:
    """What is heard of a bank that answers this."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        lines = "".join(f"{name}: {value}\r\n" for name, value in {"content-length": len(body), **headers}.items())
        writer.write(f"HTTP/1.1 200 OK\r\n{lines}\r\n".encode() + body)
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as bank:
        client = wire.Client(5.0)
        try:
            port = bank.sockets[0].getsockname()[1]
            return await wire.request(client, "POST", f"http://127.0.0.1:{port}/", b"", {})
        finally:
            await client.aclose()


async def test_a_long_answer_is_heard() -> None:
    """Up to a quarter of a megabyte."""
    assert (await answered(b"x" * _MOST_BYTES)).content == b"x" * _MOST_BYTES


@pytest.mark.parametrize("body", [b"x" * (_MOST_BYTES + 1), b"x" * 10_000_000])
async def test_an_endless_answer_is_none(body: bytes) -> None:
    """Nobody has so much to say about one payment, and nobody here shall have to keep it."""
    with pytest.raises(wire.NoAnswer):
        await answered(body)


async def test_a_packed_answer_is_none() -> None:
    """It was asked for as it is; how much comes out of a packed one nobody knows."""
    bomb = zlib.compress(b"\0" * 10_000_000)
    with pytest.raises(wire.NoAnswer):
        await answered(bomb, **{"content-encoding": "deflate"})
