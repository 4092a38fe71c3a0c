"""Proves the books."""

from __future__ import annotations

from unbusy.db import Connection
from unbusy.findings import Finding


async def check(connection: Connection) -> list[Finding]:
    """Everything in the ledger that must never be false, and is; at best nothing."""
    raise NotImplementedError
