"""unbusy: a digital-wallet bank that is never busy.

Every request gets a fast, durable, honest answer. Where to start reading: `payments/pipeline.py`
(one payment, start to end), `ledger/` (the books), `app.py` (how the parts are put together).
"""

__version__ = "0.1.0"
