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

from unbusy.transits.accounts import BankAccounts, link
from unbusy.transits.model import KINDS, BankAccount, Status, Transit, nostro, suspense
from unbusy.transits.proofs import check
from unbusy.transits.pump import Lane, lanes
from unbusy.transits.service import Transits, give_back, park
from unbusy.transits.views import BankNames, NewTransit, TransitView, begin, page_of, see, subjects

__all__ = [
    "KINDS",
    "BankAccount",
    "BankAccounts",
    "BankNames",
    "Lane",
    "NewTransit",
    "Status",
    "Transit",
    "TransitView",
    "Transits",
    "begin",
    "check",
    "give_back",
    "lanes",
    "link",
    "nostro",
    "page_of",
    "park",
    "see",
    "subjects",
    "suspense",
]
