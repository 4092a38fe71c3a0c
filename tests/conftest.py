"""What every test may ask for: a real PostgreSQL, and a fresh database cloned from a template."""

from __future__ import annotations

import asyncio
import itertools
import shutil
import tempfile
from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import asyncpg
import pytest
import structlog
from tests.produced import pytest_runtest_call as pytest_runtest_call  # noqa: PLC0414 - a hook
from tests.produced import pytest_sessionfinish as pytest_sessionfinish  # noqa: PLC0414 - a hook
from tests.produced import pytest_testnodedown as pytest_testnodedown  # noqa: PLC0414 - a hook

from unbusy.db import Connection, Database, migrate
from unbusy.db.embedded import Server

# Our log lines take pytest's way, so that it shows them beside the test that failed. structlog's own
# default would draw every local variable of a traceback, which takes longer than the test.
structlog.configure(
    processors=[structlog.processors.format_exc_info, structlog.processors.KeyValueRenderer(key_order=["event"])],
    logger_factory=structlog.stdlib.LoggerFactory(),
)

_TEMPLATE = "unbusy_template"
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def server() -> Generator[Server]:
    """One real server for the whole run. It does not wait for the disk: only crash tests need that,
    and they start their own."""
    directory = Path(tempfile.mkdtemp(prefix="unbusy-test-"))
    directory.chmod(0o755)
    started = Server.start(directory, options={"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"})
    try:
        asyncio.run(_make_template(started))
        yield started
    finally:
        started.stop()
        shutil.rmtree(directory, ignore_errors=True)


async def _make_template(server: Server) -> None:
    await _as_superuser(server, f"CREATE DATABASE {_TEMPLATE}")
    await migrate(server.url(_TEMPLATE))


async def _as_superuser(server: Server, statement: str) -> None:
    connection = await asyncpg.connect(server.url("postgres"))
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture
async def url(server: Server) -> AsyncGenerator[str]:
    """A database of this test's own, migrated and empty."""
    name = f"test_{next(_numbers)}"
    # Three times as fast as WAL_LOG where nothing waits for the disk.
    await _as_superuser(server, f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE} STRATEGY FILE_COPY")
    yield server.url(name)
    await _as_superuser(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def db(url: str) -> AsyncGenerator[Database]:
    """This test's database through our own pool, with the rights a gateway has."""
    database = await Database.open(url)
    yield database
    await database.close()


@pytest.fixture
async def tx(db: Database) -> AsyncGenerator[Connection]:
    """A transaction on this test's database."""
    async with db.transaction() as transaction:
        yield transaction
