"""Money: integers of an asset's smallest unit, never floats.

The scale of a currency (how many decimals its smallest unit has) is the one of ISO 4217, from the
`iso4217` package; any other asset is registered with its own scale in the ledger.
"""

from __future__ import annotations

import re
from decimal import Decimal
from functools import cache

from iso4217 import Currency

# The most that one transfer may move, in smallest units. Sums of a few of them still fit the eight
# signed bytes of a database integer, so an overflow is a refusal and never an accident.
MAX_AMOUNT = 10**18

MAX_SCALE = 18
ASSET_PATTERN = r"^[A-Z][A-Z0-9]{2,11}$"


@cache
def iso_scales() -> dict[str, int]:
    """Currency code to decimals, for every ISO 4217 code that has a smallest unit."""
    return {str(c.code): c.exponent for c in Currency if c.exponent is not None}


def is_asset_code(code: str) -> bool:
    """Whether `code` has the form of an asset code: three to twelve capitals and digits."""
    return re.fullmatch(ASSET_PATTERN, code) is not None


def show_amount(amount: int, scale: int) -> str:
    """Smallest units as a plain decimal: `show_amount(1250, 2)` gives `12.50`."""
    if scale == 0:
        return str(amount)
    whole, part = divmod(abs(amount), 10**scale)
    return f"{'-' if amount < 0 else ''}{whole}.{part:0{scale}}"


def read_amount(text: str, scale: int) -> int:
    """A plain decimal as smallest units: `read_amount("12.5", 2)` gives 1250.

    Raises ValueError when it is no plain decimal, has more decimals than the asset, or is larger
    than `MAX_AMOUNT`.
    """
    if not re.fullmatch(r"[0-9]{1,19}(\.[0-9]{1,18})?", text):
        raise ValueError(f"{text!r} is not an amount such as 12.50")
    units = Decimal(text).scaleb(scale)
    if units != int(units):
        raise ValueError(f"{text!r} has more than {scale} decimals")
    if units > MAX_AMOUNT:
        raise ValueError(f"{text!r} is more than one transfer may move")
    return int(units)
