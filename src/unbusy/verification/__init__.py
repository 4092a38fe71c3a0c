"""Verification: whether a bank account is its person's.

    asked for the name ─▶ match | close_match | no_match | unchecked      told, before an account is chosen

    begun ─▶ on_its_way ──▶ arrived ──▶ verified       the amount was told
                 │              ├─────▶ tried_out      three wrong ones
                 │              └─────▶ expired        ten days without the right one
                 └─▶ failed                            the bank did not take it

A name that matches says that there is such a holder, and not that it is this person; so it is only told. What proves
it is an amount of 1 to 99 minor units, by chance, that the house sends to the account from its own: who can read the
account's statement can tell it. Three tries, and three verifications a person in thirty days: whoever guesses is
right in 9 of 100 months. It is compared in constant time, and nothing else here shows it: not the list of payouts,
and no event.

Until it is verified, a bank account may move only little in a day (`limit_unverified_per_day`), in and out.
"""

from unbusy.verification.proofs import check
from unbusy.verification.service import Verifications

__all__ = ["Verifications", "check"]
