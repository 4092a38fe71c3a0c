"""Accounts: opened, found, frozen, limited, closed. Nothing here moves money."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from uuid import UUID

from msgspec import Struct, convert
from msgspec.structs import replace

from unbusy.db import Row, Tx
from unbusy.errors import Invalid
from unbusy.ledger import sql
from unbusy.ledger.assets import require_assets
from unbusy.money import MAX_AMOUNT

# The code of the accounts that customers and merchants own.
WALLET = "wallet"


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

    @property
    def is_empty(self) -> bool:
        return self.posted == self.debits_pending == self.credits_pending == 0


async def open_accounts(tx: Tx, new: Sequence[NewAccount]) -> list[Account]:
    """Open accounts, and return each as it stands, in the order asked.

    One that exists is returned as it is: found by its id, or, where it has an owner, as the
    owner's account of that asset and code. Raises Invalid for an asset nobody registered.
    """
    existing = await _existing(tx, new)
    missing = [one for one, account in zip(new, existing, strict=True) if account is None]
    if missing:
        await require_assets(tx, {one.asset for one in missing})
        await sql.insert_accounts(tx, [_row(one) for one in missing])
        existing = await _existing(tx, new)
    return [_same(one, account) for one, account in zip(new, existing, strict=True)]


async def _existing(tx: Tx, new: Sequence[NewAccount]) -> list[Account | None]:
    ids = [one.id for one in new]
    owned = [i for i, one in enumerate(new) if one.owner_id is not None]
    if owned:
        keys = [(new[i].tenant_id, new[i].owner_id, new[i].asset, new[i].code) for i in owned]
        for index, account_id in await sql.owned_accounts(tx, keys):
            ids[owned[index]] = account_id
    found = await accounts(tx, ids)
    return [found.get(id) for id in ids]


def _row(new: NewAccount) -> tuple[object, ...]:
    assert _is_limit(new.floor)
    assert _is_limit(new.ceiling)
    assert (new.floor or 0) <= 0 <= (new.ceiling or 0), "a new account is empty"
    return (new.id, new.tenant_id, new.owner_id, new.asset, new.code, new.floor, new.ceiling)


def _is_limit(limit: int | None) -> bool:
    return limit is None or -MAX_AMOUNT <= limit <= MAX_AMOUNT


def _same(new: NewAccount, account: Account | None) -> Account:
    assert account is not None
    asked = (new.tenant_id, new.asset, new.code, new.owner_id)
    assert (account.tenant_id, account.asset, account.code, account.owner_id) == asked, "the id of another account"
    return account


async def find_wallets(tx: Tx, keys: Sequence[tuple[int, UUID, str]]) -> dict[tuple[int, UUID, str], UUID]:
    """The wallets' account ids by (tenant, owner, asset); who has none is absent."""
    if not keys:
        return {}
    found = await sql.owned_accounts(tx, [(*key, WALLET) for key in keys])
    return {keys[index]: account_id for index, account_id in found}


async def accounts(tx: Tx, ids: Sequence[UUID]) -> dict[UUID, Account]:
    """The accounts with these ids; an unknown one is absent."""
    return {row["id"]: _account(row) for row in await sql.accounts(tx, ids)}


async def wallet(tx: Tx, tenant_id: int, owner_id: UUID) -> list[Account]:
    """All accounts of one owner, by code and asset."""
    return [_account(row) for row in await sql.accounts_of_owner(tx, tenant_id, owner_id)]


def _account(row: Row) -> Account:
    return convert(dict(row.items()), Account)


async def set_state(tx: Tx, account_id: UUID, state: AccountState) -> Account | AccountRefusal:
    """Freeze, thaw or close an account. Closing needs it empty, and is final."""
    account = await _locked(tx, account_id)
    if account is None:
        return AccountRefusal.account_unknown
    if account.state == state:
        return account
    if account.state is AccountState.closed:
        return AccountRefusal.account_closed
    if state is AccountState.closed and not account.is_empty:
        return AccountRefusal.account_not_empty
    await sql.update_state(tx, account_id, state)
    return replace(account, state=state)


async def set_limits(tx: Tx, account_id: UUID, *, floor: int | None, ceiling: int | None) -> Account | AccountRefusal:
    """Set both limits. Refused when what is there already, holds included, lies outside them.

    Raises Invalid for a limit beyond ±10^18.
    """
    for name, limit in (("floor", floor), ("ceiling", ceiling)):
        if not _is_limit(limit):
            raise Invalid(f"a limit lies between -{MAX_AMOUNT} and {MAX_AMOUNT}", field=name)
    account = await _locked(tx, account_id)
    if account is None:
        return AccountRefusal.account_unknown
    if account.state is AccountState.closed:
        return AccountRefusal.account_closed
    if floor is not None and account.posted - account.held < floor:
        return AccountRefusal.balance_below_floor
    if ceiling is not None and account.posted + account.credits_pending > ceiling:
        return AccountRefusal.balance_above_ceiling
    await sql.update_limits(tx, account_id, floor, ceiling)
    return replace(account, floor=floor, ceiling=ceiling)


async def _locked(tx: Tx, account_id: UUID) -> Account | None:
    # Two statements: the second sees what whoever held the lock has written.
    await sql.lock_account(tx, account_id)
    return (await accounts(tx, [account_id])).get(account_id)
