"""What the wallet asks of a bank, whatever the bank speaks.

A connector is told *what* should happen and answers how far it came. It keeps nothing: whoever
calls it has written down the reference before, and may call again after a crash. What it cannot
tell for certain is `unknown`, and nobody takes `unknown` for a "no".
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Protocol

import msgspec

REFERENCE_PATTERN = r"^[A-Za-z0-9-]{1,35}$"


class Direction(StrEnum):
    """Which way the money goes."""

    pull = "pull"  # from the customer's account at the bank to us
    push = "push"  # from us to the customer's account at the bank


class State(StrEnum):
    """How far an instruction came.

    Final are `settled` and `declined`; after `accepted` and `unknown` one enquires.
    """

    settled = "settled"  # executed, for good
    accepted = "accepted"  # the bank has it, and will say
    declined = "declined"  # certain: not executed
    unknown = "unknown"  # no answer that can be trusted


# Why an instruction was not executed, and what each means. Closed: callers branch on it.
DECLINES: Mapping[str, str] = MappingProxyType(
    {
        "insufficient_funds": "the account that should pay has not enough",
        "account_closed": "the customer's account at the bank is closed",
        "account_unknown": "the bank has no such account",
        "name_mismatch": "the account is somebody else's",
        "limit": "more than the bank moves at once or in a day",
        "refused": "the bank does not want to, and does not say why",
        "unavailable": "this call did not reach the bank, or the bank took nothing for now",
        "not_found": "the bank never got it, and will not execute it any more",
    }
)


class ExternalAccount(msgspec.Struct, frozen=True):
    """A customer's account at a bank. `name` is the holder's."""

    iban: str
    name: str


class Instruction(msgspec.Struct, frozen=True):
    """Money to move. `reference` is ours, fits `REFERENCE_PATTERN`, and is the same at every try.

    `amount` is in minor units of `asset`, an ISO 4217 code.
    """

    reference: str
    direction: Direction
    amount: int
    asset: str
    account: ExternalAccount


class Result(msgspec.Struct, frozen=True):
    """What is known after a call.

    `reason` says why it was declined (one of `DECLINES`), `bank_reference` is the bank's own name for
    it, where it gave one; `retry_after` are seconds before which the bank wants no call, and
    `is_maintenance` is said by a bank that is closed for now.

    `unavailable` is certain about this call only: an earlier one with the same reference may have
    come through. Who has called before, or cannot rule it out after a crash, takes it as `unknown`.
    """

    state: State
    reason: str = ""
    bank_reference: str = ""
    retry_after: float | None = None
    is_maintenance: bool = False


class NameMatch(StrEnum):
    """What a bank says of a holder's name."""

    match = "match"  # it is the holder's
    close_match = "close_match"  # nearly: `holder` says how the bank writes it
    no_match = "no_match"  # it is somebody else's
    unchecked = "unchecked"  # the bank cannot say, or does not answer now


class NameAnswer(msgspec.Struct, frozen=True):
    """The answer to a name: `holder` is the holder's as the bank shows it, masked."""

    match: NameMatch
    holder: str = ""


class ChecksNames(Protocol):
    """The adapter to a bank that confirms whose an account is, as few do: a capability of its own."""

    bank: str

    async def check_name(self, account: ExternalAccount) -> NameAnswer:
        """Ask whether the account is in this name. Moves nothing; never raises for what a bank does."""
        ...

    async def close(self) -> None:
        """Give back connections."""
        ...


class Connector(Protocol):
    """The adapter to one bank: `bank` is its id in our settings, `name` is what customers read."""

    bank: str
    name: str

    async def send(self, instruction: Instruction) -> Result:
        """Hand the instruction to the bank, which executes a reference once however often it comes.

        Never raises for what a bank does or leaves undone; takes a few seconds at most.
        """
        ...

    async def enquire(self, reference: str, direction: Direction) -> Result:
        """Ask what became of a reference. Never raises for what a bank does.

        Declined as `not_found` only where the bank will never execute it any more, so that
        whatever is still on its way there comes too late.
        """
        ...

    async def close(self) -> None:
        """Give back connections. Calls under way should have ended before."""
        ...
