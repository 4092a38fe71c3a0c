"""Every table keeps the rules of the house, and each rule can fail."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest
from tests.rules.database import ERASABLE, RULES, SHARED, Rule

from unbusy.db import Connection, Database

# One table that breaks every rule.
BAD = """
CREATE TYPE public.mood AS ENUM ('good', 'bad');
CREATE TABLE payments.bad (
    id         uuid      PRIMARY KEY,
    payment_id uuid      REFERENCES payments.payments,
    amount     float8    CHECK (amount > 0),
    mood       public.mood,
    made_at    timestamp UNIQUE
);
GRANT ALL ON payments.bad TO unbusy_app;
"""


@pytest.fixture
async def owner(url: str) -> AsyncGenerator[Connection]:
    """A connection with all rights on this test's database."""
    database = await Database.open(url, role=None)
    async with database.connection() as connection:
        yield connection
    await database.close()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
async def test_every_table_keeps_the_rules(rule: Rule, owner: Connection) -> None:
    """A migrated database breaks no rule."""
    assert not await rule(owner), rule.__doc__


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
async def test_every_rule_about_tables_can_fail(rule: Rule, owner: Connection) -> None:
    """A rule that finds nothing wrong with a bad table protects nothing."""
    await owner.execute(BAD)
    assert any("payments.bad" in finding for finding in await rule(owner))


async def test_exceptions_about_tables_are_needed(owner: Connection) -> None:
    """An exception whose table is gone goes with it."""
    for table in (*SHARED, *ERASABLE):
        assert await owner.fetchval("SELECT to_regclass($1)", table), table
