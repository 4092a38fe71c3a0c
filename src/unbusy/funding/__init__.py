"""Funding: a payment for which the wallet is short, made with money pulled from a bank account first.

    asked ─▶ completed                                 the wallet had enough after all
          ─▶ declined                                  a limit, the payee, or the pull was refused at once
          ─▶ pending, while the bank is asked
                ├─▶ completed                          the bank sent it, and the payee has it
                ├─▶ declined, nothing was pulled       the bank did not send it, for its own reason
                ├─▶ declined, and given back           it came, and the payment could not be made any more:
                │                                      what came goes back to the bank account, as a payout
                └─▶ expired, at `finish_by`            what comes after that stays in the wallet, as a top-up

It is one payment with one key and one outcome. The pull is a transit (`unbusy.transits`) that names the payment; what
the wallet has already is held meanwhile, and what the bank sends is held in the commit in which it arrives, so that
nobody can spend either before the payment does. The worker then ends it in one transaction: releases both, settles
the payment as any other is settled, and begins the payout if it came to nothing. Dying between any two lines leaves
a row that says what is next.
"""

from unbusy.funding.proofs import check
from unbusy.funding.service import Fundings, Settler

__all__ = ["Fundings", "Settler", "check"]
