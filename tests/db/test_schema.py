"""The schema's page: whole, and the same wherever it is made."""

from __future__ import annotations

import re

import asyncpg

from unbusy.db import schema
from unbusy.db.embedded import Server


async def test_it_shows_every_table_once(url: str) -> None:
    """Whoever reads the page has seen the whole database."""
    connection = await asyncpg.connect(url)
    tables = await connection.fetch(
        "SELECT schemaname || '.' || tablename FROM pg_tables WHERE schemaname !~ '^(pg_|information_schema)'"
    )
    await connection.close()
    page = schema.page(url)
    assert sorted(re.findall(r"^CREATE TABLE (\S+)", page, re.MULTILINE)) == sorted(table for (table,) in tables)


def test_it_says_nothing_about_where_it_was_made(server: Server, url: str) -> None:
    """No version, no owner, no random word: the page changes only when the schema does."""
    page = schema.page(url)
    assert page == schema.page(server.url("unbusy_template"))
    assert not re.search(r"^(SET |\\|-- (Dumped|Name)|SELECT pg_catalog)|OWNER", page, re.MULTILINE)
