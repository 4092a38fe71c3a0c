"""The bank that tests of money share."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from tests.banks.conftest import running as running  # noqa: PLC0414 - a fixture
from tests.banks.conftest import sandbox as sandbox  # noqa: PLC0414 - a fixture
from tests.payments.bank import Bank, Gateway
from tests.payments.conftest import bank as bank  # noqa: PLC0414 - a fixture
from tests.payments.conftest import gateway as gateway  # noqa: PLC0414 - a fixture
from tests.statements.desk import Desk
from tests.transits.scripted import Way

from unbusy.api import Principal


@pytest.fixture
async def way(bank: Bank, gateway: Gateway) -> AsyncGenerator[Way]:
    """However a story ends, nothing in the books is wrong."""
    yield Way(bank, gateway)
    assert await bank.findings() == []


@pytest.fixture
async def ming(bank: Bank) -> Principal:
    return await bank.person("ming", 10_000)


@pytest.fixture
def desk(bank: Bank, tmp_path: Path) -> Desk:
    return Desk(bank, tmp_path)
