"""One sandbox bank for all tests, spoken to in every dialect; each test leaves it mended."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator

import pytest
from tests.banks.sandbox import Sandbox

from unbusy.banks import Connector


@pytest.fixture(scope="session")
def running() -> Generator[Sandbox]:
    sandbox = Sandbox()
    sandbox.start()
    yield sandbox
    sandbox.throw_away()


@pytest.fixture
def sandbox(running: Sandbox) -> Generator[Sandbox]:
    yield running
    running.mend()


@pytest.fixture(params=["sandbox", "partner", "switch"], ids=["openbanking", "iso20022", "iso8583"])
def bank(request: pytest.FixtureRequest) -> str:
    """The roster's name for the bank, which decides what is spoken to it."""
    return request.param


@pytest.fixture
async def connector(sandbox: Sandbox, bank: str) -> AsyncGenerator[Connector]:
    """The connector under test, patient enough for any machine."""
    made = sandbox.connector(bank)
    yield made
    await made.close()


@pytest.fixture
async def hasty(sandbox: Sandbox, bank: str) -> AsyncGenerator[Connector]:
    """The same, for banks that do not answer: it gives up after a quarter of a second."""
    made = sandbox.connector(bank, timeout_s=0.25)
    yield made
    await made.close()
