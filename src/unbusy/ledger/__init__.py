"""The ledger: accounts, transfers, holds. The truth about money."""

from unbusy.ledger.accounts import (
    Account,
    AccountRefusal,
    AccountState,
    NewAccount,
    accounts,
    find_wallets,
    open_accounts,
    set_limits,
    set_state,
    wallet,
)
from unbusy.ledger.assets import register_asset, scale_of
from unbusy.ledger.check import check
from unbusy.ledger.postgres import expire_holds, post
from unbusy.ledger.statements import MAX_ENTRIES, Entry, balance_at, statement
from unbusy.ledger.transfers import MAX_BATCH, Kind, Outcome, Position, Posted, Refusal, Refused, Transfer

__all__ = [
    "MAX_BATCH",
    "MAX_ENTRIES",
    "Account",
    "AccountRefusal",
    "AccountState",
    "Entry",
    "Kind",
    "NewAccount",
    "Outcome",
    "Position",
    "Posted",
    "Refusal",
    "Refused",
    "Transfer",
    "accounts",
    "balance_at",
    "check",
    "expire_holds",
    "find_wallets",
    "open_accounts",
    "post",
    "register_asset",
    "scale_of",
    "set_limits",
    "set_state",
    "statement",
    "wallet",
]
