"""The classes of requests: what each is guaranteed, what it costs, and which one a request is of.

A class is told from the method and the path alone, because whoever refuses must not read first.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final


class Class(IntEnum):
    """In the order in which what is left over is given out."""

    settle = 0
    """Finish what was begun. Never refused."""
    pay = 1
    queued = 2
    """The durable queue. Its floor makes its promises computable."""
    read_for_pay = 3
    """What stands on the way to a payment: balance, signing in."""
    read = 4
    bulk = 5


CLASSES: Final = tuple(Class)

# The part of the capacity that a class has for sure while it asks for it, by class. What it does
# not ask for, others get. `settle` needs none: it is served before anything is divided.
FLOORS: Final = (0.0, 0.65, 0.20, 0.05, 0.05, 0.05)

# What one request costs, by class, in payments. A read is one statement without a commit; an
# export reads pages of rows.
COSTS: Final = (1.0, 1.0, 0.8, 0.4, 0.5, 4.0)

_QUEUED_PATHS = frozenset({"/v1/payment-batches"})
_PAY_PATHS = frozenset({"/v1/payments", "/v1/requests", "/v1/topups", "/v1/payouts"})
_SIGN_IN_PATHS = frozenset({"/v1/sessions", "/v1/sessions/refresh", "/v1/customers"})
_PAY_ENDINGS = frozenset({"payment", "refunds"})
_SETTLE_ENDINGS = frozenset({"cancel", "decline", "state"})

_GET_PATHS: Final = {
    "/v1/wallet": Class.read_for_pay,
    "/v1/me": Class.read_for_pay,
    "/healthz": Class.settle,
    "/readyz": Class.settle,
    "/metrics": Class.settle,
    "/openapi.json": Class.bulk,
    "/reference": Class.bulk,
}
# Pages for people, and what is below a statement: its exports.
_BULK_PREFIXES: Final = ("/problems", "/v1/statement/", "/v1/statement.")


def classify(method: str, path: str, prefer: str | None = None) -> Class:
    """The class of a request. `path` is without its query, `prefer` the header as it came."""
    if method == "POST":
        return _of_post(path, prefer)
    if method in {"GET", "HEAD"}:
        known = _GET_PATHS.get(path)
        if known is not None:
            return known
        return Class.bulk if path.startswith(_BULK_PREFIXES) else Class.read
    # Signing out ends something, and nobody is kept in who wants to leave.
    return Class.settle if method == "DELETE" and path.startswith("/v1/sessions") else Class.read


def _of_post(path: str, prefer: str | None) -> Class:
    if path in _PAY_PATHS:
        return Class.queued if prefer and "respond-async" in prefer.lower() else Class.pay
    if path in _QUEUED_PATHS:
        return Class.queued
    if path in _SIGN_IN_PATHS:
        return Class.read_for_pay
    ending = path[path.rfind("/") + 1 :]
    if ending in _PAY_ENDINGS:
        return Class.pay
    # Whatever nobody knows is not allowed to call itself indispensable.
    return Class.settle if ending in _SETTLE_ENDINGS else Class.read
