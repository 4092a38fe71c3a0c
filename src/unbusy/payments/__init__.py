"""Payments: people pay each other and shops, ask for money, and give it back.

    a payment     ─────────────▶ completed | declined          decided and done in one commit
                  ─▶ queued ───▶ completed | declined           when the payer did not want to wait
                           └───▶ cancelled | expired            by choice, or the promise was missed
                  ─▶ pending ──▶ completed | declined | expired while a bank is asked for money (`unbusy.funding`)
    a refund      ─────────────▶ completed | declined          its own object; adds up on the payment
    a request     ─▶ open ─────▶ paid | declined | cancelled | expired

What it promises: a payment's row, its transfer in the ledger, its idempotency key, its payer's
limits and the events that tell of it are written in one transaction. The same key is the same
payment for ever. `pipeline.py` forms the batches, `settlement.py` settles one, `queue.py` holds what
can wait.
"""

from unbusy.payments.events import KINDS, Events, Show, Subjects, tell
from unbusy.payments.from_bank import FromBank
from unbusy.payments.model import Limits, Order, Payment, Refund, Status, Told
from unbusy.payments.polls import Polls
from unbusy.payments.proofs import check
from unbusy.payments.queue import Drain, earlier, enqueue, waiting
from unbusy.payments.requests import Requests, expire_requests
from unbusy.payments.service import Payments
from unbusy.payments.settlement import Settlement
from unbusy.payments.views import Amount, Asset, FundingView, Money, NewPayment, Views

__all__ = [
    "KINDS",
    "Amount",
    "Asset",
    "Drain",
    "Events",
    "FromBank",
    "FundingView",
    "Limits",
    "Money",
    "NewPayment",
    "Order",
    "Payment",
    "Payments",
    "Polls",
    "Refund",
    "Requests",
    "Settlement",
    "Show",
    "Status",
    "Subjects",
    "Told",
    "Views",
    "check",
    "earlier",
    "enqueue",
    "expire_requests",
    "tell",
    "waiting",
]
