"""Every test that speaks HTTP is run by both clients."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from typing import Any, cast

import pytest
from tests.app.conftest import site as site  # noqa: PLC0414 - a fixture

from unbusy_client import AsyncClient, Client

Connect = Callable[..., AsyncClient]


class Blocking:
    """A `Client`, called from threads, with the look of an `AsyncClient`."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        found: Any = getattr(self._client, name)
        if not callable(found):
            return found
        is_feed = "Iterator" in str(inspect.signature(found).return_annotation)

        def call(*given: Any, **named: Any) -> Any:
            return (
                _iterate(cast("Any", found)(*given, **named)) if is_feed else asyncio.to_thread(found, *given, **named)
            )

        return call


async def _iterate(items: Iterator[Any]) -> AsyncIterator[Any]:
    end = object()
    while (item := await asyncio.to_thread(next, items, end)) is not end:
        yield item


@pytest.fixture(params=["sync", "async"])
async def connect(request: pytest.FixtureRequest) -> AsyncGenerator[Connect]:
    """Makes clients: `connect(url, …)`, closed when the test ends."""
    made: list[AsyncClient] = []

    def make(url: str, **options: Any) -> AsyncClient:
        is_sync = request.param == "sync"
        client = cast("AsyncClient", Blocking(Client(url, **options))) if is_sync else AsyncClient(url, **options)
        made.append(client)
        return client

    yield make
    for client in made:
        await client.close()
