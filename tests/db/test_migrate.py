"""Migrations: each once, in order, whole or not at all, from however many processes."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import AsyncGenerator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from unbusy.db import Database, migrate
from unbusy.db.embedded import Server
from unbusy.db.migrate import Migration, migrations, require_current
from unbusy.errors import SetupError

# The package exports the function under the module's own name.
module = sys.modules["unbusy.db.migrate"]


@pytest.fixture
async def empty(server: Server) -> AsyncGenerator[str]:
    """A database without any migration."""
    superuser = await asyncpg.connect(server.url("postgres"))
    await superuser.execute("CREATE DATABASE empty")
    yield server.url("empty")
    await superuser.execute("DROP DATABASE empty WITH (FORCE)")
    await superuser.close()


def run_migrate(url: str) -> list[str]:
    return asyncio.run(migrate(url))


async def fetchval(url: str, query: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


def test_they_are_numbered_without_a_gap() -> None:
    """Two files with one number, or a number left out, would be applied in an order nobody chose."""
    assert [migration.version for migration in migrations()] == list(range(1, len(migrations()) + 1))


async def test_many_processes_at_once_apply_each_once(empty: str) -> None:
    """However many start together, one applies what is missing and the others find it done."""
    loop = asyncio.get_running_loop()
    with ProcessPoolExecutor(8) as pool:
        applied = await asyncio.gather(*(loop.run_in_executor(pool, run_migrate, empty) for _ in range(8)))
    assert sorted(name for names in applied for name in names) == [migration.name for migration in migrations()]
    await require_current(empty)


async def test_one_that_fails_leaves_nothing_of_itself(empty: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A migration is one transaction; those before it stay, and the next try begins with it."""
    good = Migration(1, "0001_good", "CREATE TABLE good (id integer);")
    bad = Migration(2, "0002_bad", "CREATE TABLE half (id integer); SELECT 1 / 0;")
    monkeypatch.setattr(module, "migrations", lambda: [good, bad])
    with pytest.raises(SetupError, match="0002_bad failed: division by zero"):
        await migrate(empty)
    assert await fetchval(empty, "SELECT to_regclass('good') IS NOT NULL AND to_regclass('half') IS NULL")
    with pytest.raises(SetupError, match="lacks migration 0002_bad"):
        await require_current(empty)
    mended = Migration(2, "0002_bad", "CREATE TABLE half (id integer);")
    monkeypatch.setattr(module, "migrations", lambda: [good, mended])
    assert await migrate(empty) == ["0002_bad"]


async def test_a_file_changed_afterwards_is_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the file says and what the database has would differ for ever."""
    first, *rest = migrations()
    monkeypatch.setattr(module, "migrations", lambda: [Migration(1, first.name, first.sql + "--"), *rest])
    with pytest.raises(SetupError, match=f"{first.name} was changed"):
        await migrate(url)


async def test_a_newer_database_is_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An old program would write rows that the new one no longer understands."""
    *older, newest = migrations()
    monkeypatch.setattr(module, "migrations", lambda: older)
    for refuses in (migrate, require_current):
        with pytest.raises(SetupError, match=f"version {newest.version}, newer than this program"):
            await refuses(url)


async def test_an_untouched_database_is_not_current(empty: str) -> None:
    """A gateway that started on it would only fail later, and less clearly."""
    with pytest.raises(SetupError, match="run 'unbusy migrate'"):
        await require_current(empty)


async def test_its_owner_needs_no_superuser(server: Server) -> None:
    """A database of somebody's own: its owner migrates it, and works there under the role of a gateway.

    Where that role was made by somebody else, on the same server, it must have been granted; the
    sentence says so.
    """
    superuser = await asyncpg.connect(server.url("postgres"))
    await superuser.execute("CREATE ROLE owner LOGIN CREATEROLE")
    await superuser.execute("CREATE DATABASE owned OWNER owner")
    url = _as_user(server.url("owned"), "owner")
    try:
        with pytest.raises(SetupError, match="member of unbusy_app"):
            await migrate(url)
        await superuser.execute("GRANT unbusy_app TO owner")
        assert await migrate(url) == [migration.name for migration in migrations()]
        db = await Database.open(url)
        assert await db.run(lambda tx: tx.fetchval("SELECT current_user")) == "unbusy_app"
        await db.close()
    finally:
        await superuser.execute("DROP DATABASE owned WITH (FORCE)")
        await superuser.execute("DROP ROLE owner")
        await superuser.close()


def test_an_owner_may_make_the_role() -> None:
    """On a server of its own, an owner with CREATEROLE needs nothing from anybody."""
    with tempfile.TemporaryDirectory(prefix="unbusy-test-") as directory:
        server = Server.start(Path(directory), options={"fsync": "off"})
        try:
            asyncio.run(_migrate_as_owner(server))
        finally:
            server.stop()


async def _migrate_as_owner(server: Server) -> None:
    superuser = await asyncpg.connect(server.url("postgres"))
    await superuser.execute("CREATE ROLE owner LOGIN CREATEROLE")
    await superuser.execute("CREATE DATABASE owned OWNER owner")
    await superuser.close()
    url = _as_user(server.url("owned"), "owner")
    await migrate(url)
    db = await Database.open(url)
    assert await db.run(lambda tx: tx.fetchval("SELECT current_user")) == "unbusy_app"
    await db.close()


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("postgresql://me@/missing?host=/nowhere", "cannot be reached"),
        ("postgresql://me:pw@127.0.0.1:1/missing", "cannot be reached"),
        ("postgresql://me@host:port/missing", "URL cannot be used"),
    ],
)
async def test_a_database_out_of_reach_is_told_in_a_sentence(url: str, sentence: str) -> None:
    """An operator reads what is wrong, and no password."""
    with pytest.raises(SetupError, match=sentence) as told:
        await migrate(url)
    assert "pw" not in str(told.value)


async def test_a_database_that_does_not_exist_is_named(server: Server) -> None:
    """A misspelt name is not an outage."""
    with pytest.raises(SetupError, match='database "nowhere" does not exist'):
        await migrate(server.url("nowhere"))


def _as_user(url: str, user: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{user}@"))
