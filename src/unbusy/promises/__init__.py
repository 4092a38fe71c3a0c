"""Promises: when a queued payment will be done, and whether that was true.

    made ───▶ kept | broken            by its first `finish_by`
      └─ revised ──▶ …                 openly: what had been promised stays readable
      └──────────▶ withdrawn           its payer thought again

A promise says three times: half of all are done by `expected_at`, nine in ten by `likely_by`, and
after `finish_by` nothing happens any more. It is written in the transaction of its payment and ends
in the transaction that settles it. `model.py` makes it from what was measured; `keeper.py` measures.
While nobody drains the queue its promises are paused: no time is better than a false one.
"""

from unbusy.promises.keeper import Keeper
from unbusy.promises.model import Promise, Terms
from unbusy.promises.service import Promises, Standing, terms
from unbusy.promises.sql import store, withdraw

# The queue of payments whose payers did not want to wait.
QUEUED = "queued"

__all__ = ["QUEUED", "Keeper", "Promise", "Promises", "Standing", "Terms", "store", "terms", "withdraw"]
