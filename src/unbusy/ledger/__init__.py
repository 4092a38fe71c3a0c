"""The ledger: accounts, transfers, holds. The truth about money.

An *account* counts one asset: debits and credits, posted and pending. Its balance is credits −
debits, for wallets and for the system accounts on the other side alike, so that all balances of an
asset always sum to zero. What can be spent is `available = posted − held − floor`.

    open ◀──▶ frozen ──▶ closed      closed is empty, and final
      └───────────────────▲

A *transfer* debits one account and credits another, once and for ever. Its id comes from the
caller: the same id again is answered with what happened the first time. It *posts* at once, or
*holds* what a later one *captures* (all or part; the rest is released) or *voids*:

    hold ──▶ open ──capture──▶ captured
               ├────void─────▶ voided
               └──expires_at─▶ expired

Transfers come in batches. Each is answered with a value, `Posted` or `Refused`, and a refused one
never disturbs its neighbours, unless it is `linked` to them: a chain stands or falls together.

Of the refusals that apply, the first of this table is the answer. A sticky one depends on the
state of the books or on the time, and is remembered: the same id gets it for ever, even when the
money has come meanwhile. The others follow from the request alone, and leave the id free. In a
chain only the member that failed keeps its answer; the others may be asked for again.

    #   refusal                   sticky  because
    1   id_reused                 no      this id stands for another transfer; `field` differs first
    2   chain_is_open             no      the batch ends with a transfer linked to a next one
    3   linked_transfer_refused   no      another member of its chain was refused
    4   malformed                 no      `field` is missing, or not for this kind
    5   amount_out_of_range       no      not 1 to 10^18; a capture or void may say 0 for all
    6   same_account              no      debit and credit are one account
    7   expires_in_the_past       yes     the hold would be expired when it is made
    8   debit_account_unknown     yes
    9   credit_account_unknown    yes
    10  hold_unknown              yes
    11  tenant_differs            no      the accounts and the transfer are not of one tenant
    12  asset_differs             no      the accounts and the transfer are not of one asset
    13  hold_differs              no      `field` contradicts the hold
    14  capture_exceeds_hold      no
    15  hold_captured             yes
    16  hold_voided               yes
    17  hold_expired              yes     its time has passed, released already or not
    18  debit_account_closed      yes
    19  debit_account_frozen      yes     nothing new in or out; void and expire are still allowed
    20  credit_account_closed     yes
    21  credit_account_frozen     yes
    22  insufficient_funds        yes     below the debit's floor; with `up_to`, nothing is left
    23  ceiling_exceeded          yes     above the credit's ceiling; with `up_to`, no room is left
    24  counter_would_overflow    yes     a counter would pass 8·10^18

`post` moves the money: `postgres.py` locks, `books.py` applies, `sql.py` writes.
"""

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
from unbusy.ledger.port import Port
from unbusy.ledger.postgres import Locked, expire_holds, lock, post, post_new
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
    "Locked",
    "NewAccount",
    "Outcome",
    "Port",
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
    "lock",
    "open_accounts",
    "post",
    "post_new",
    "register_asset",
    "scale_of",
    "set_limits",
    "set_state",
    "statement",
    "wallet",
]
