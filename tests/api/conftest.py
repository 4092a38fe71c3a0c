"""A client of the small application: in this process, and over a real socket."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator

import httpx
import pytest
import uvicorn
from tests.api import sample

from unbusy import api

CUSTOMER = {"authorization": "Bearer customer"}


@pytest.fixture
async def client() -> AsyncGenerator[httpx.AsyncClient]:
    """Speaks to the application directly. A customer is signed in."""
    transport = httpx.ASGITransport(sample.application())
    async with httpx.AsyncClient(transport=transport, base_url="http://unbusy.test", headers=CUSTOMER) as each:
        yield each


class Served:
    """The application behind a real server, on a free port."""

    def __init__(self, application: api.Application, hub: api.Hub, journal: sample.Journal, port: int) -> None:
        self.application = application
        self.hub = hub
        self.journal = journal
        self.port = port
        self.url = f"http://127.0.0.1:{port}"


@pytest.fixture
async def served() -> AsyncGenerator[Served]:
    """uvicorn as a gateway runs it."""
    hub, journal = api.Hub(), sample.Journal()
    application = sample.application(hub=hub, parts=(journal,))
    config = uvicorn.Config(
        application, http=application.protocol, ws="none", lifespan="on", access_log=False, log_config=None
    )
    server = uvicorn.Server(config)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        task = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.01)
        yield Served(application, hub, journal, listener.getsockname()[1])
        hub.close()
        server.should_exit = True
        with contextlib.suppress(asyncio.CancelledError):
            await task
