"""The engine *postgres*: a batch of transfers inside the caller's own database transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from unbusy.db import Tx
from unbusy.ledger.transfers import Outcome, Transfer


async def post(tx: Tx, transfers: Sequence[Transfer], at: datetime) -> list[Outcome]:
    """Apply the transfers in order; one outcome each, in the same order.

    At most `MAX_BATCH` at once. `at` is raised to the newest time among the accounts involved,
    so that the time of an account never runs backwards.
    """
    raise NotImplementedError


async def expire_holds(tx: Tx, now: datetime, limit: int = 500) -> int:
    """Release holds whose time has passed, oldest first; how many. Safe from many workers."""
    raise NotImplementedError
