"""A bank for every test, whose books are proved when the test ends."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest
from tests.payments.bank import Bank, Gateway

from unbusy.db import Database


@pytest.fixture
async def bank(url: str, db: Database) -> AsyncGenerator[Bank]:
    """A bank without anybody. However its story ends, nothing in its books is wrong."""
    opened = Bank(url, db)
    yield opened
    await opened.close()
    assert await opened.findings() == []


@pytest.fixture
async def gateway(bank: Bank) -> Gateway:
    """The first gateway of the bank."""
    return await bank.gateway()
