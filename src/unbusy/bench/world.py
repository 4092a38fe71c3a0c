"""A world to measure in: a database of its own, people with money, and a gateway over HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import httpx
import msgspec

from unbusy import settings as all_settings
from unbusy import wallets
from unbusy.bench.generator import Load, Payer, Report
from unbusy.clock import SystemClock
from unbusy.db import Database, migrate
from unbusy.db.embedded import Server
from unbusy.errors import SetupError
from unbusy.ids import Ids
from unbusy.payments import Order, Settlement
from unbusy.people import Person, hash_password, insert_people
from unbusy.settings import PREFIX

ASSET = "EUR"
PASSWORD = "correct horse battery staple"  # noqa: S105 - of people who live as long as the measurement
_PLENTY = 10**12
_START_TIMEOUT_S = 20.0

# So high that no limit is ever met: what is measured is the usual way through.
_NO_LIMIT = 10**12
_NO_LIMITS = {f"{PREFIX}LIMIT_PER_{span}": str(_NO_LIMIT) for span in ("PAYMENT", "DAY", "MONTH")}
_TENANT = 1
_HISTORY_BATCH = 5_000


@contextmanager
def temporary_database() -> Generator[str]:
    """A durable embedded server with a migrated database, gone at the end. Gives its URL."""
    directory = Path(tempfile.mkdtemp(prefix="unbusy-bench-"))
    directory.chmod(0o755)
    server = Server.start(directory)
    try:
        asyncio.run(migrate(server.url()))
        yield server.url()
    finally:
        server.stop()
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def cores_apart() -> Generator[int | None]:
    """What is started inside runs on all cores but one, which is given: the generator's.

    None where there is only one core, or where the system does not let us choose.
    """
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if len(cores) < 2:  # noqa: PLR2004 - one for each side
        yield None
        return
    os.sched_setaffinity(0, cores[:-1])
    try:
        yield cores[-1]
    finally:
        os.sched_setaffinity(0, cores)


def furnish(url: str, count: int, history: int) -> list[str]:
    """Put `count` customers with plenty of money in the database, and let them pay each other
    `history` times. Gives their handles; the password is `PASSWORD`."""
    return asyncio.run(_furnish(url, count, history))


async def _furnish(url: str, count: int, history: int) -> list[str]:
    clock = SystemClock()
    ids, now = Ids(clock), clock.now()
    customers = [
        Person(
            id=ids.new(),
            tenant_id=_TENANT,
            role="customer",
            name=f"Customer {number}",
            handle=f"customer_{number}",
            email=f"customer_{number}@example.com",
            phone=None,
            language="en",
            state="open",
            created_at=now,
        )
        for number in range(count)
    ]
    db = await Database.open(url, role=None)
    try:
        async with db.transaction() as tx:
            await insert_people(tx, customers, hash_password(PASSWORD))
            await wallets.credit(tx, ids, _TENANT, [(customer.id, _PLENTY) for customer in customers], ASSET, now)
        await _pay_each_other(db, ids, [customer.id for customer in customers], history)
    finally:
        await db.close()
    return [customer.handle for customer in customers]


async def _pay_each_other(db: Database, ids: Ids, customers: Sequence[UUID], count: int) -> None:
    """Make a history the way it would have been made: through the same settlement, only in larger batches."""
    clock, chance = SystemClock(), random.Random(7)  # noqa: S311 - a reproducible history, no secret
    settlement = Settlement(ids=ids, settings=all_settings.load(_NO_LIMITS))
    for done in range(0, count, _HISTORY_BATCH):
        orders: list[Order] = []
        for _ in range(min(_HISTORY_BATCH, count - done)):
            payer_id, payee_id = chance.sample(customers, 2)
            id = ids.new()
            orders.append(
                Order(
                    id=id,
                    tenant_id=_TENANT,
                    payer_id=payer_id,
                    payee_id=payee_id,
                    amount=chance.randint(1, 500),
                    asset=ASSET,
                    note="",
                    key=id.hex,
                    fingerprint=bytes(16),
                )
            )
        async with db.transaction() as tx:
            await settlement.settle(tx, orders, clock.now())


class Gateway:
    """A gateway in a process of its own, with the settings of the moment."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self._process = process
        self.port = port

    @classmethod
    @contextmanager
    def run(cls, url: str, secret: str, settings: Mapping[str, str]) -> Generator[Gateway]:
        """Start it, wait until it answers, and end it with the block."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = int(free.getsockname()[1])
        own = {"UNBUSY_DATABASE_URL": url, "UNBUSY_SECRET": secret, "UNBUSY_PORT": str(port)}
        process = subprocess.Popen(
            [sys.executable, "-m", "unbusy.cli", "serve"],
            env={**os.environ, **_NO_LIMITS, **own, **settings},
            stdout=subprocess.DEVNULL,
        )
        try:
            gateway = cls(process, port)
            gateway._wait_until_ready()
            yield gateway
        finally:
            process.terminate()
            process.wait()

    def _wait_until_ready(self) -> None:
        give_up_at = time.monotonic() + _START_TIMEOUT_S
        while time.monotonic() < give_up_at and self._process.poll() is None:
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"http://127.0.0.1:{self.port}/readyz").is_success:
                    return
            time.sleep(0.05)
        raise SetupError("the gateway to be measured did not start")

    def sign_in(self, handles: Sequence[str]) -> list[Payer]:
        """Sign these people in over HTTP, as an app would."""
        with httpx.Client(base_url=f"http://127.0.0.1:{self.port}") as client:
            return [self._sign_in(client, handle) for handle in handles]

    def _sign_in(self, client: httpx.Client, handle: str) -> Payer:
        answer = client.post("/v1/sessions", json={"identifier": f"@{handle}", "password": PASSWORD})
        answer.raise_for_status()
        session = answer.json()
        return Payer(id=session["person"]["id"], token=session["access_token"])


def generate(load: Load, core: int | None) -> Report:
    """Run a load in the generator's own process, on its own core."""
    process = subprocess.Popen(
        [sys.executable, "-m", "unbusy.bench.generator"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    if core is not None:
        os.sched_setaffinity(process.pid, [core])
    answer, _ = process.communicate(msgspec.json.encode(load))
    if process.returncode != 0:
        raise SetupError("the load generator failed; what it said is above")
    return msgspec.json.decode(answer, type=Report)
