"""A site for every story about batches, whose books are proved when the test ends."""

from tests.app.conftest import site as site  # noqa: PLC0414 - a fixture
