"""Payouts: money from the wallet to a person's bank account.

    created ─▶ pending | unknown ─▶ completed           the bank has paid it, and the wallet less
        └────▶ declined       └───▶ declined | reversed what was held is free again

A payout is a transit that pushes (`unbusy.transits`); here are its endpoints.
"""
