"""What tests of promises have: a bank whose books are proved, and the real application."""

from tests.app.conftest import site as site  # noqa: PLC0414 - a fixture
from tests.payments.conftest import bank as bank  # noqa: PLC0414 - a fixture
