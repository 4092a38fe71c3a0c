"""The bank of the payments' tests."""

from __future__ import annotations

from tests.payments.conftest import bank as bank  # noqa: PLC0414 - a fixture
from tests.payments.conftest import gateway as gateway  # noqa: PLC0414 - a fixture
