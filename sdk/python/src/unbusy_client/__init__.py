"""The client of unbusy, the digital-wallet bank that is never "busy".

    with Client("https://wallet.example") as wallet:
        wallet.sign_in("@ming", password)
        payment = wallet.pay("@anna", 1250, "EUR", key=order.key)

It pays once however often it has to ask, waits its turn in line, keeps to deadlines, and says of every
call that got no answer whether money may have moved, and with which key to ask again.
"""

from unbusy_client.async_client import AsyncClient
from unbusy_client.client import Client
from unbusy_client.errors import (
    Conflict,
    DeadlineUnreachable,
    Declined,
    Ended,
    Forbidden,
    InLine,
    Invalid,
    InvalidWebhook,
    KeyReused,
    LedgerUnavailable,
    LineFull,
    NeedsAction,
    NotCompleted,
    NotFound,
    QuotaExceeded,
    Rejected,
    Unauthenticated,
    Unavailable,
    UnbusyError,
    Underway,
    Unreachable,
    Unresolved,
)
from unbusy_client.keys import new_key
from unbusy_client.problems import FieldError, Problem, Retry, Ticket
from unbusy_client.views import (
    Account,
    BatchRow,
    Entry,
    Happened,
    Money,
    MoneyRequest,
    NewPayment,
    Party,
    Payment,
    PaymentBatch,
    Person,
    Promises,
    Receipt,
    Refund,
    Session,
    Wallet,
)
from unbusy_client.webhooks import Webhooks

__all__ = [
    "Account",
    "AsyncClient",
    "BatchRow",
    "Client",
    "Conflict",
    "DeadlineUnreachable",
    "Declined",
    "Ended",
    "Entry",
    "FieldError",
    "Forbidden",
    "Happened",
    "InLine",
    "Invalid",
    "InvalidWebhook",
    "KeyReused",
    "LedgerUnavailable",
    "LineFull",
    "Money",
    "MoneyRequest",
    "NeedsAction",
    "NewPayment",
    "NotCompleted",
    "NotFound",
    "Party",
    "Payment",
    "PaymentBatch",
    "Person",
    "Problem",
    "Promises",
    "QuotaExceeded",
    "Receipt",
    "Refund",
    "Rejected",
    "Retry",
    "Session",
    "Ticket",
    "Unauthenticated",
    "Unavailable",
    "UnbusyError",
    "Underway",
    "Unreachable",
    "Unresolved",
    "Wallet",
    "Webhooks",
    "new_key",
]
