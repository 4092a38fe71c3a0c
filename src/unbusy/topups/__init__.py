"""Top-ups: money from a person's bank account into the wallet.

    created ─▶ pending | unknown ─▶ completed           the wallet has it
                              └───▶ declined | reversed

A top-up is a transit that pulls (`unbusy.transits`); here are its endpoints.
"""
