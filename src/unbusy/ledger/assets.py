"""Assets: what can be counted, and how many decimals its smallest unit has."""

from __future__ import annotations

from unbusy.db import Tx


async def register_asset(tx: Tx, code: str, scale: int) -> None:
    """Make an asset known. The same again is nothing; another scale raises Invalid, for ever."""
    raise NotImplementedError


async def scale_of(tx: Tx, code: str) -> int | None:
    """Decimals of the asset's smallest unit; ISO 4217 is known by itself. None: unknown."""
    raise NotImplementedError
