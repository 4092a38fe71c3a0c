"""A site for every test, whose books are proved when the test ends."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest
from tests.app.site import Site, serving

from unbusy.db import Database


@pytest.fixture
async def site(url: str, db: Database) -> AsyncGenerator[Site]:
    """The real application. However its story ends, nothing in the books is wrong."""
    async with serving(url, db) as site:
        yield site
    assert await site.bank.findings() == []
