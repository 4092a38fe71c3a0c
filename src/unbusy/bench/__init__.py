"""How fast it is: measured on a database of its own, in bounded time, several rounds, medians.

    unbusy bench ledger      transfers a second, in batches and one by one
    unbusy bench payments    payments a second over real HTTP, and latency at rest
    unbusy bench banks       round trips a second to banks that take their time

Absolute figures belong to a machine; what is compared is measured in the same run.
"""

from unbusy.bench.banks import BankFigures, bench_banks
from unbusy.bench.ledger import LedgerFigures, bench_ledger
from unbusy.bench.payments import PaymentFigures, bench_payments

__all__ = ["BankFigures", "LedgerFigures", "PaymentFigures", "bench_banks", "bench_ledger", "bench_payments"]
