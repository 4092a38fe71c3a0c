"""One sandbox bank for all tests; each test leaves it mended."""

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


@pytest.fixture
async def connector(sandbox: Sandbox) -> AsyncGenerator[Connector]:
    """The connector under test, patient enough for any machine."""
    made = sandbox.connector()
    yield made
    await made.close()


@pytest.fixture
async def hasty(sandbox: Sandbox) -> AsyncGenerator[Connector]:
    """The same, for banks that do not answer: it gives up after a quarter of a second."""
    made = sandbox.connector(timeout_s=0.25)
    yield made
    await made.close()
