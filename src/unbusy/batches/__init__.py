"""Batches: up to 8,000 payments that a merchant sends in one file.

    a file ─▶ [ rows read ] ─▶ taken: every row a queued payment ─▶ queued ─▶ finished
                    └────────▶ refused as a whole, every bad row named
    a row  ─▶ accepted: its payment completed | declined | cancelled | expired
          └─▶ refused, when the caller asked for the good rows only

A batch, its rows, their payments and their promises are recorded in one transaction and acknowledged
after it. The batch has a key and so has each row: sent again, alone or in another file, a row is
the payment it was. `model.py` reads files, and knows nothing but text.
"""

from unbusy.batches.model import MOST_ROWS
from unbusy.batches.service import Batches

__all__ = ["MOST_ROWS", "Batches"]
