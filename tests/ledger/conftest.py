"""Engines of the ledger, each held to the same stories."""

from __future__ import annotations

import pytest
from tests.ledger.story import Story

from unbusy import ledger
from unbusy.db import Database
from unbusy.ledger import Port

ENGINES: dict[str, Port] = {"postgres": ledger}


@pytest.fixture(params=ENGINES)
def port(request: pytest.FixtureRequest) -> Port:
    """The engine under test."""
    return ENGINES[request.param]


@pytest.fixture
def story(port: Port, db: Database) -> Story:
    """A story on an empty ledger; it ends with the proof of the books."""
    return Story(port, db)
