"""The bank that tests of money share."""

from __future__ import annotations

from tests.banks.conftest import running as running  # noqa: PLC0414 - a fixture
from tests.banks.conftest import sandbox as sandbox  # noqa: PLC0414 - a fixture
from tests.payments.conftest import bank as bank  # noqa: PLC0414 - a fixture
from tests.payments.conftest import gateway as gateway  # noqa: PLC0414 - a fixture
