"""Requests and their classes."""

from __future__ import annotations

import pytest

from unbusy.admission import CLASSES, COSTS, FLOORS, Class, classify

REQUESTS = [
    ("POST", "/v1/payments", None, Class.pay),
    ("POST", "/v1/payments", "wait=5", Class.pay),
    ("POST", "/v1/payments", "Respond-Async", Class.queued),
    ("POST", "/v1/payment-batches", None, Class.queued),
    ("POST", "/v1/requests", None, Class.pay),
    ("POST", "/v1/topups", None, Class.pay),
    ("POST", "/v1/payouts", None, Class.pay),
    ("POST", "/v1/requests/req_1/payment", None, Class.pay),
    ("POST", "/v1/payments/pay_1/refunds", None, Class.pay),
    ("POST", "/v1/payments/pay_1/cancel", None, Class.settle),
    ("POST", "/v1/requests/req_1/decline", None, Class.settle),
    ("DELETE", "/v1/sessions/current", None, Class.settle),
    ("DELETE", "/v1/bank-accounts/ban_1", None, Class.read),
    ("GET", "/healthz", None, Class.settle),
    ("GET", "/readyz", None, Class.settle),
    ("GET", "/metrics", None, Class.settle),
    ("GET", "/v1/wallet", None, Class.read_for_pay),
    ("POST", "/v1/sessions", None, Class.read_for_pay),
    ("POST", "/v1/sessions/refresh", None, Class.read_for_pay),
    ("GET", "/v1/payments/pay_1", None, Class.read),
    ("HEAD", "/v1/statement", None, Class.read),
    ("GET", "/v1/statement.csv", None, Class.bulk),
    ("GET", "/openapi.json", None, Class.bulk),
    ("GET", "/problems/in_line", None, Class.bulk),
]


@pytest.mark.parametrize(("method", "path", "prefer", "klass"), REQUESTS)
def test_method_and_path_tell_the_class(method: str, path: str, prefer: str | None, klass: Class) -> None:
    """A request's class is known before anything of it is read but method, path and headers."""
    assert classify(method, path, prefer) is klass


@pytest.mark.parametrize("path", ["", "/", "/v1/payments/", "/nonsense", "/v1/requests//" + "x" * 5_000])
@pytest.mark.parametrize("method", ["POST", "PUT", "GET", "BREW"])
def test_what_nobody_knows_is_not_indispensable(method: str, path: str) -> None:
    """A made-up request never lands in the class that is never refused."""
    assert classify(method, path) is Class.read


def test_every_class_has_its_floor_and_cost() -> None:
    """The floors are those promised, sum to one, and every class costs something."""
    assert FLOORS == (0.0, 0.65, 0.20, 0.05, 0.05, 0.05)
    assert sum(FLOORS) == pytest.approx(1)
    assert len(COSTS) == len(CLASSES)
    assert min(COSTS) > 0
