"""What goes wrong at the sandbox bank: switched on by the API, or by an amount."""

from __future__ import annotations

import random
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated

import msgspec
from msgspec import Meta


class Kind(StrEnum):
    """Ways for a call to go wrong, from harmless to mean."""

    slow = "slow"  # answers, after `seconds`
    pending = "pending"  # takes it, and executes it after `seconds`
    pending_declined = "pending_declined"  # takes it, and declines it after `seconds`
    rate_limit = "rate_limit"  # 429: nothing done, come back after `seconds`
    maintenance = "maintenance"  # 503, signed: nothing done, come back after `seconds`
    signed_out = "signed_out"  # 401: nothing done, the token is not known any more
    error = "error"  # 500: nothing done, but who could tell
    hang = "hang"  # nothing done, never answers
    reset = "reset"  # nothing done, cuts the connection
    lost = "lost"  # does it, cuts the connection
    lost_error = "lost_error"  # does it, and something on the way answers 502
    garbled = "garbled"  # does it, answers half a document
    forged = "forged"  # does it, answers under somebody else's signature
    late = "late"  # never answers, and does it after `seconds`
    twice = "twice"  # hears it twice on its way, and answers each time where that can be


class Operation(StrEnum):
    """What can go wrong."""

    token = "token"  # noqa: S105 - the name of an operation
    consent = "consent"
    send = "send"
    enquire = "enquire"
    withdraw = "withdraw"
    check_name = "check_name"


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One thing that goes wrong: with one operation or with all, this often, so many times or for good."""

    kind: Kind
    operation: Operation | None = None
    seconds: Annotated[float, Meta(ge=0, le=3_600)] = 2.0
    rate: Annotated[float, Meta(gt=0, le=1)] = 1.0
    times: Annotated[int, Meta(ge=1)] | None = None


# Amounts, in minor units, that go wrong by themselves when they are sent: 66.11 in most currencies.
MAGIC_FAULTS: Mapping[int, Fault] = MappingProxyType(
    {6611 + number: Fault(kind, Operation.send) for number, kind in enumerate(Kind)}
)
# And those that are declined: ISO 20022 reasons (ExternalStatusReason1Code).
MAGIC_DECLINES: Mapping[int, str] = MappingProxyType(
    {
        6601: "AM04",  # insufficient funds
        6602: "AC04",  # account closed
        6603: "AC01",  # no such account
        6604: "BE01",  # not that customer's account
        6605: "AM02",  # more than is allowed
        6606: "MS03",  # no reason given
    }
)


class Faults:
    """What is switched on. The first that strikes is the one that happens."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._left: list[tuple[Fault, int | None]] = []

    @property
    def listed(self) -> list[Fault]:
        """Those that are on, as they were given."""
        return [fault for fault, _ in self._left]

    def switch_on(self, fault: Fault) -> None:
        """Let it happen from now on."""
        self._left.append((fault, fault.times))

    def clear(self) -> None:
        """Nothing goes wrong any more, but for the magic amounts."""
        self._left.clear()

    def strike(self, operation: Operation, amount: int | None) -> Fault | None:
        """What goes wrong with this call, if anything. `amount` is the one that is sent."""
        for place, (fault, left) in enumerate(self._left):
            if fault.operation in {None, operation} and self._chance.random() < fault.rate:
                if left is not None:
                    self._left[place : place + 1] = [(fault, left - 1)] if left > 1 else []
                return fault
        return MAGIC_FAULTS.get(amount or 0) if operation is Operation.send else None
