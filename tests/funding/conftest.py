"""The bank that tests of money share, and what a funded payment needs of it."""

from __future__ import annotations

import pytest
from tests.funding.till import Till
from tests.payments.bank import Bank, Gateway
from tests.payments.conftest import bank as bank  # noqa: PLC0414 - a fixture
from tests.payments.conftest import gateway as gateway  # noqa: PLC0414 - a fixture


@pytest.fixture
def till(bank: Bank, gateway: Gateway) -> Till:
    return Till(bank, gateway)
