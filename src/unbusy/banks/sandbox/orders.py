"""What a client asks of the sandbox bank, whatever the client speaks."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, NamedTuple

from iso4217 import Currency


class Wrong(Exception):
    """The client's mistake; its text is for the client's developer."""


class Party(NamedTuple):
    """An account and its holder."""

    iban: str
    name: str


class Agreed(NamedTuple):
    """The consent that a client refers to, and what it takes it to be for. `scope` is compared."""

    consent_id: str
    scope: str


class Order(NamedTuple):
    """A payment that is asked for. `customer` is the account on the other side of the client's.

    `data` is compared when the same reference comes again; `agreed` is None in dialects without consents.
    """

    reference: str
    is_pull: bool
    agreed: Agreed | None
    ours: Party
    customer: Party
    amount: int
    asset: str
    data: dict[str, Any]


def units(amount: str, currency: str) -> int:
    """In minor units. Raises Wrong for a currency that there is not, and for nothing or a part of a unit."""
    try:
        places = Currency(currency).exponent or 0
    except ValueError:
        raise Wrong(f"there is no currency {currency}") from None
    units = Decimal(amount).scaleb(places)
    if units <= 0 or units != int(units):
        raise Wrong(f"{amount} is no amount of {currency}")
    return int(units)
