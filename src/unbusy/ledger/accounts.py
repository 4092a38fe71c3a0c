"""Accounts: opened, found, frozen, limited, closed. Nothing here moves money."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from uuid import UUID

from msgspec import Struct

from unbusy.db import Tx


class AccountState(StrEnum):
    """*open* takes part; *frozen* lets no new money in or out; *closed* is empty, and final."""

    open = "open"
    frozen = "frozen"
    closed = "closed"


class AccountRefusal(StrEnum):
    """Why an account was left as it was. In order of precedence."""

    account_unknown = "account_unknown"
    account_closed = "account_closed"
    account_not_empty = "account_not_empty"
    balance_below_floor = "balance_below_floor"
    balance_above_ceiling = "balance_above_ceiling"


class NewAccount(Struct, frozen=True, kw_only=True):
    """An account to open. `code` says what it is for: "wallet", "bank", "fees", "suspense" …

    `floor` is the lowest available balance and `ceiling` the highest balance, in smallest units;
    None is without limit. A new account is empty, so `floor` ≤ 0 ≤ `ceiling`.
    """

    id: UUID
    tenant_id: int
    asset: str
    code: str
    owner_id: UUID | None = None
    floor: int | None = None
    ceiling: int | None = None


class Account(Struct, frozen=True, kw_only=True):
    """An account as it stands: four counters that only postings change."""

    id: UUID
    tenant_id: int
    asset: str
    code: str
    owner_id: UUID | None
    floor: int | None
    ceiling: int | None
    state: AccountState
    debits_posted: int
    credits_posted: int
    debits_pending: int
    credits_pending: int
    running_number: int

    @property
    def posted(self) -> int:
        """The balance: what came in less what went out."""
        return self.credits_posted - self.debits_posted

    @property
    def held(self) -> int:
        """Reserved to go out by open holds."""
        return self.debits_pending

    @property
    def available(self) -> int | None:
        """What can be spent now; None is without limit."""
        return None if self.floor is None else self.posted - self.held - self.floor


async def open_accounts(tx: Tx, accounts: Sequence[NewAccount]) -> list[Account]:
    """Open accounts, and return each as it stands, in the order asked.

    One that exists is returned as it is: found by its id, or, where it has an owner, as the
    owner's account of that asset and code. Raises Invalid for an asset nobody registered.
    """
    raise NotImplementedError


async def find_wallets(tx: Tx, keys: Sequence[tuple[int, UUID, str]]) -> dict[tuple[int, UUID, str], UUID]:
    """The wallets' account ids by (tenant, owner, asset); who has none is absent."""
    raise NotImplementedError


async def accounts(tx: Tx, ids: Sequence[UUID]) -> dict[UUID, Account]:
    """The accounts with these ids; an unknown one is absent."""
    raise NotImplementedError


async def wallet(tx: Tx, tenant_id: int, owner_id: UUID) -> list[Account]:
    """All accounts of one owner, by code and asset."""
    raise NotImplementedError


async def set_state(tx: Tx, account_id: UUID, state: AccountState) -> Account | AccountRefusal:
    """Freeze, thaw or close an account; it is locked meanwhile."""
    raise NotImplementedError


async def set_limits(tx: Tx, account_id: UUID, *, floor: int | None, ceiling: int | None) -> Account | AccountRefusal:
    """Set both limits. Refused when what is there already, holds included, lies outside."""
    raise NotImplementedError
