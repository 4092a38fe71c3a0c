"""What is the same whatever a bank speaks over HTTP."""

from __future__ import annotations

import zlib
from collections.abc import AsyncGenerator

import httpx
import pytest

from unbusy.banks import wire

URL = "https://bank.example/"
_MOST_BYTES = 256 * 1024


async def answered(body: bytes, **headers: str) -> httpx.Response:
    """What is heard of a bank that answers this."""

    async def parts() -> AsyncGenerator[bytes]:
        yield body

    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=parts(), headers=headers))
    async with httpx.AsyncClient(transport=transport) as client:
        return await wire.request(client, "POST", URL, b"", {})


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
