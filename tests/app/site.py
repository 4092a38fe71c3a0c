"""The real application behind a real server, and people who use it over HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import socket
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
import msgspec
from tests.payments.bank import PASSWORD, SECRET, Bank, MovableClock

from unbusy import api, app, gateway, ids
from unbusy.api import Principal, Role
from unbusy.db import Database
from unbusy.settings import Settings

SETTINGS = Settings(
    limit_per_payment=1_000,
    limit_per_day=2_000,
    limit_per_month=3_000,
    queue_promise_s=60,
    customer_per_s=10_000,
    customer_burst=100_000,
)


class Site:
    """One gateway's address, and the bank behind it."""

    def __init__(self, bank: Bank, application: api.Application, base_url: str) -> None:
        self.bank = bank
        self.application = application
        self.url = base_url
        self._stack = contextlib.AsyncExitStack()

    async def client(self, **headers: str) -> httpx.AsyncClient:
        """Somebody with a connection of their own."""
        client = httpx.AsyncClient(base_url=self.url, headers=headers, timeout=20)
        return await self._stack.enter_async_context(client)

    async def sign_in(self, identifier: str) -> Person:
        """Somebody who has signed in."""
        client = await self.client()
        session = await client.post("/v1/sessions", json={"identifier": identifier, "password": PASSWORD})
        assert session.status_code == 201, session.text
        client.headers["authorization"] = f"Bearer {session.json()['access_token']}"
        return Person(client, session.json())

    async def person(self, name: str, eur: int = 0, *, role: Role = Role.customer) -> Person:
        """Somebody new, `@name`, with so much in their wallet, signed in."""
        await self.bank.person(name, eur, role=role)
        return await self.sign_in(f"@{name}")

    def principal(self, person: Person) -> Principal:
        """Whom the bank knows this person as."""
        id = ids.read("per", person.id)
        assert id is not None
        return Principal(tenant_id=1, person_id=id, session_id=id, role=Role(person.session["person"]["role"]))

    async def close(self) -> None:
        await self._stack.aclose()


class Person:
    """Somebody signed in, with the verbs that most stories need."""

    def __init__(self, client: httpx.AsyncClient, session: dict[str, Any]) -> None:
        self.client = client
        self.session = session
        self.id: str = session["person"]["id"]
        self.get = client.get
        self.post = client.post
        self.delete = client.delete

    async def pay(
        self, payee: str, amount: int, *, key: str | None = None, asset: str = "EUR", **headers: str
    ) -> httpx.Response:
        body = {"payee": payee, "amount": amount, "asset": asset}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.post("/v1/payments", json=body, headers=with_key(key) | named)

    async def balance(self) -> int:
        return (await self.get("/v1/wallet")).json()["accounts"][0]["posted"]

    @asynccontextmanager
    async def events(self, last_event_id: str | None = None) -> AsyncGenerator[Stream]:
        """This person's stream of events."""
        headers = {"last-event-id": last_event_id} if last_event_id else {}
        async with self.client.stream("GET", "/v1/events", headers=headers, timeout=20) as response:
            yield Stream(response)


class Stream:
    """Server-sent events, as a browser takes them apart."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._lines = response.aiter_lines()

    async def next(self) -> tuple[str, str, dict[str, Any]]:
        """The next event: its id, type and data."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(10):
            async for line in self._lines:
                if not line and "event" in fields:
                    return fields["id"], fields["event"], json.loads(fields["data"])
                name, _, value = line.partition(": ")
                fields[name] = value
        raise AssertionError("the stream ended")


_keys = itertools.count(1)


def with_key(key: str | None = None) -> dict[str, str]:
    """The header of a request for money; a new key unless one is given."""
    return {"idempotency-key": key or f"key-{next(_keys)}"}


def reason(answer: httpx.Response) -> tuple[int, str]:
    """The status of a problem and its reason."""
    return answer.status_code, answer.json()["reason"]


@asynccontextmanager
async def serving(url: str, db: Database, settings: Settings = SETTINGS) -> AsyncGenerator[Site]:
    """The application on a free port, as a gateway runs it. It has a data directory of its own unless one is set."""
    with tempfile.TemporaryDirectory() as directory, socket.socket() as listener:
        if settings.data == SETTINGS.data:
            settings = msgspec.structs.replace(settings, data=directory)
        application = await app.create(settings, url, SECRET)
        server = gateway.Server(gateway.configure(application, settings), application, lambda: None)
        listener.bind(("127.0.0.1", 0))
        task = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.005)
        bank = Bank(url, db, MovableClock(datetime.now(UTC)))
        site = Site(bank, application, f"http://127.0.0.1:{listener.getsockname()[1]}")
        yield site
        await site.close()
        application.prepare_to_stop()
        server.should_exit = True
        await task
