"""The bank that tests of money share, and the accounts of its people at a bank of the test's own."""

from __future__ import annotations

from tests.payments.conftest import bank as bank  # noqa: PLC0414 - a fixture
from tests.payments.conftest import gateway as gateway  # noqa: PLC0414 - a fixture
