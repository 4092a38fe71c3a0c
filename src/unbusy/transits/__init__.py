"""Transits: money that crosses the edge of the wallet, from a bank account or to one.

    created ─▶ pending ──▶ completed                    the bank has settled it, and so have we
                 │  ▲ └──▶ declined                     certain: the bank did not execute it
                 ▼  │
               unknown ──▶ completed | declined | reversed, before `resolve_by`

A top-up pulls and a payout pushes; the rest is the same, so that both rooms above are only their
endpoints. The amount is held in the ledger before the bank is told, moved when the bank has settled
it, and released otherwise.

What it promises: the bank is told of a transit only after that was committed, under a reference that
never changes; once it may have been told, it is asked instead of told again. So a crash between any
two lines costs time and no money. `model.py` knows what an answer means, `pump.py` gets the answers.
"""

from unbusy.transits.accounts import BankAccounts, find, link, verify
from unbusy.transits.model import (
    KEPT,
    KINDS,
    OWN,
    PULLED,
    BankAccount,
    Status,
    Transit,
    kept,
    no_longer_kept,
    nostro,
    suspense,
)
from unbusy.transits.numbers import Number
from unbusy.transits.proofs import check
from unbusy.transits.pump import Lane, lanes
from unbusy.transits.recording import Recorder
from unbusy.transits.service import Transits, give_back, park, read_all
from unbusy.transits.views import (
    BANK_ACCOUNT,
    PREFIXES,
    BankAccountView,
    BankNames,
    NewBankAccount,
    NewTransit,
    TransitView,
    bank_account,
    begin,
    page_of,
    read_id,
    see,
    subjects,
)

__all__ = [
    "BANK_ACCOUNT",
    "KEPT",
    "KINDS",
    "OWN",
    "PREFIXES",
    "PULLED",
    "BankAccount",
    "BankAccountView",
    "BankAccounts",
    "BankNames",
    "Lane",
    "NewBankAccount",
    "NewTransit",
    "Number",
    "Recorder",
    "Status",
    "Transit",
    "TransitView",
    "Transits",
    "bank_account",
    "begin",
    "check",
    "find",
    "give_back",
    "kept",
    "lanes",
    "link",
    "no_longer_kept",
    "nostro",
    "page_of",
    "park",
    "read_all",
    "read_id",
    "see",
    "subjects",
    "suspense",
    "verify",
]
