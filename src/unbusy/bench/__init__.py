"""How fast it is: measured on a database of its own, in bounded time, several rounds, medians.

    unbusy bench ledger      transfers a second, in batches and one by one
    unbusy bench payments    payments a second over real HTTP, and latency at rest

Absolute figures belong to a machine; what is compared is measured in the same run.
"""

from unbusy.bench.ledger import LedgerFigures, bench_ledger
from unbusy.bench.payments import PaymentFigures, bench_payments

__all__ = ["LedgerFigures", "PaymentFigures", "bench_ledger", "bench_payments"]
