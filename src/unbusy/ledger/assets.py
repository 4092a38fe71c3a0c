"""Assets: what can be counted, and how many decimals its smallest unit has."""

from __future__ import annotations

from collections.abc import Set

from unbusy.db import Tx
from unbusy.errors import Invalid
from unbusy.ledger import sql
from unbusy.money import MAX_SCALE, is_asset_code, iso_scales


async def register_asset(tx: Tx, code: str, scale: int) -> None:
    """Make an asset known. The same again is nothing; another scale raises Invalid, for ever."""
    if not is_asset_code(code):
        raise Invalid("an asset code is three to twelve capitals and digits", field="asset")
    if not 0 <= scale <= MAX_SCALE:
        raise Invalid(f"an asset has 0 to {MAX_SCALE} decimals", field="scale")
    if iso_scales().get(code, scale) != scale:
        raise Invalid(f"{code} is of ISO 4217 and has {iso_scales()[code]} decimals", field="scale")
    await sql.insert_assets(tx, [code], [scale])
    if (known := await sql.scale(tx, code)) != scale:
        raise Invalid(f"{code} has {known} decimals, and amounts would change with it", field="scale")


async def scale_of(tx: Tx, code: str) -> int | None:
    """Decimals of the asset's smallest unit; ISO 4217 is known by itself. None: unknown."""
    known = await sql.scale(tx, code)
    return iso_scales().get(code) if known is None else known


async def require_assets(tx: Tx, codes: Set[str]) -> None:
    """See to it that all are registered, those of ISO 4217 by themselves. Else raises Invalid."""
    missing = codes - await sql.known_assets(tx, list(codes))
    scales = {code: scale for code, scale in iso_scales().items() if code in missing}
    if scales:
        await sql.insert_assets(tx, list(scales), list(scales.values()))
    if unknown := sorted(missing - scales.keys()):
        raise Invalid(f"{unknown[0]} is not an asset here", field="asset")
