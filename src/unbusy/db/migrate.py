"""Forward-only migrations: numbered SQL files, each applied once, in order, under a lock.

Any number of processes may start at once: one takes the lock and applies what is missing, the
others wait and find nothing left to do. A file that was changed after it was applied, or a
database newer than this program, is refused.

The user of the URL needs no superuser's rights: it must own the database, and have CREATEROLE or
be a member of the role `unbusy_app` already.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib import resources

import asyncpg

from unbusy.errors import SetupError

OLDEST_POSTGRESQL = 16

# Any constant will do, as long as every version of unbusy takes the same one.
_LOCK = 0x756E_6275_7379

_CREATE_TABLE = """
CREATE TABLE IF NOT EXISTS public.unbusy_migrations (
    version    integer     PRIMARY KEY,
    name       text        NOT NULL,
    sha256     text        NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE public.unbusy_migrations IS 'Which migrations were applied, and what they said when they were.';
"""


@dataclass(frozen=True)
class Migration:
    """One file of `db/migrations`, such as `0002_ledger.sql`."""

    version: int
    name: str
    sql: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def migrations() -> list[Migration]:
    """All migrations this program knows, in order."""
    files = resources.files("unbusy.db").joinpath("migrations").iterdir()
    found = [_read(file.name, file.read_text(encoding="utf-8")) for file in files if file.name.endswith(".sql")]
    return sorted(found, key=lambda migration: migration.version)


async def migrate(url: str) -> list[str]:
    """Bring the database up to date and return the names of what was applied, oldest first.

    Each migration is applied whole or not at all. Raises SetupError when the database cannot be
    reached, is newer than this program, or does not let us.
    """
    async with _connected(url) as connection:
        await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
        await connection.execute(_CREATE_TABLE)
        return [await _apply(connection, migration) for migration in await _missing(connection)]


async def require_current(url: str) -> None:
    """Raise SetupError unless every migration this program knows has been applied, and no other."""
    async with _connected(url) as connection:
        exists = await connection.fetchval("SELECT to_regclass('public.unbusy_migrations') IS NOT NULL")
        missing = await _missing(connection) if exists else migrations()
    if missing:
        raise SetupError(f"the database lacks migration {missing[0].name}; run 'unbusy migrate'")


@asynccontextmanager
async def _connected(url: str) -> AsyncGenerator[asyncpg.Connection[asyncpg.Record]]:
    connection = await _connect(url)
    try:
        if connection.get_server_version().major < OLDEST_POSTGRESQL:
            raise SetupError(f"the database is older than PostgreSQL {OLDEST_POSTGRESQL}")
        yield connection
    except asyncpg.InsufficientPrivilegeError as error:
        raise SetupError(
            f"the database user may not do what a migration needs ({_said(error)}): it must own the database, "
            f"and have CREATEROLE or be a member of unbusy_app"
        ) from error
    except (asyncpg.PostgresConnectionError, asyncpg.OperatorInterventionError, OSError) as error:
        raise SetupError(f"the database went away: {_said(error)}") from error
    finally:
        await connection.close()


async def _connect(url: str) -> asyncpg.Connection[asyncpg.Record]:
    try:
        return await asyncpg.connect(url, timeout=10, server_settings={"application_name": "unbusy-migrate"})
    except (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError) as error:
        raise SetupError(f"the database does not let us in: {_said(error)}") from None
    except (asyncpg.PostgresError, OSError, TimeoutError) as error:
        raise SetupError(f"the database cannot be reached: {_said(error)}") from None
    except (asyncpg.InterfaceError, ValueError) as error:
        raise SetupError(f"the database's URL cannot be used: {_said(error)}") from None


async def _missing(connection: asyncpg.Connection[asyncpg.Record]) -> list[Migration]:
    rows = await connection.fetch("SELECT version, sha256 FROM public.unbusy_migrations")
    applied: dict[int, str] = {row["version"]: row["sha256"] for row in rows}
    known = {migration.version: migration for migration in migrations()}
    if newer := sorted(applied.keys() - known.keys()):
        raise SetupError(f"the database is at version {newer[-1]}, newer than this program: upgrade unbusy")
    for version, sha256 in applied.items():
        if known[version].sha256 != sha256:
            raise SetupError(f"migration {known[version].name} was changed after it had been applied")
    return [migration for version, migration in sorted(known.items()) if version not in applied]


async def _apply(connection: asyncpg.Connection[asyncpg.Record], migration: Migration) -> str:
    async with connection.transaction():
        try:
            await connection.execute(migration.sql)
        except (asyncpg.InsufficientPrivilegeError, asyncpg.PostgresConnectionError, asyncpg.OperatorInterventionError):
            raise
        except asyncpg.PostgresError as error:
            raise SetupError(f"migration {migration.name} failed: {_said(error)}") from error
        await connection.execute(
            "INSERT INTO public.unbusy_migrations (version, name, sha256) VALUES ($1, $2, $3)",
            migration.version,
            migration.name,
            migration.sha256,
        )
    return migration.name


def _said(error: Exception) -> str:
    """Its first line: the message, without the details and hints below it."""
    return next(iter(str(error).splitlines()), "it does not answer")


def _read(file_name: str, sql: str) -> Migration:
    name = file_name.removesuffix(".sql")
    return Migration(version=int(name.partition("_")[0]), name=name, sql=sql)
