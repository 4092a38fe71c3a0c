"""Customers who pay each other without a pause, and write down what they were told.

The crowd trusts nobody: its own log says which payments were acknowledged and which were left
without an answer, and afterwards every one of them is asked about again.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

ASSET = "EUR"
# What everybody tries in the middle of an outage; well below what a person would wait.
_TIMEOUT_S = 15.0
_PATIENCE_S = 60.0
# After a refusal. Short, because it is how exactly we can tell when the service is back.
_PAUSE_S = 0.05
_PAYERS = 8
_AT_ONCE = 16


@dataclass
class Attempt:
    """One payment that somebody asked for. `answer` is None until it was acknowledged."""

    payer: Customer
    payee: Customer
    amount: int
    sent_at: float
    key: str = field(default_factory=lambda: uuid.uuid4().hex)
    answer: dict[str, Any] | None = None
    answered_at: float = 0.0


@dataclass
class Customer:
    """A signed-in person. `balance` is what they had before the first payment."""

    handle: str
    token: str
    balance: int


class Crowd:
    """Everybody, over HTTP."""

    def __init__(self, http: httpx.AsyncClient, customers: list[Customer], seed: int) -> None:
        self._http = http
        self._customers = customers
        self._chance = random.Random(seed)
        self.attempts: list[Attempt] = []

    @classmethod
    async def sign_in(cls, http: httpx.AsyncClient, handles: Iterable[str], password: str, seed: int) -> Crowd:
        customers: list[Customer] = []
        for handle in handles:
            proof = {"identifier": f"@{handle}", "password": password}
            session = (await http.post("/v1/sessions", json=proof)).raise_for_status().json()
            customer = Customer(handle, session["access_token"], 0)
            customer.balance = await _balance(http, customer)
            customers.append(customer)
        return cls(http, customers, seed)

    @asynccontextmanager
    async def paying(self) -> AsyncGenerator[None]:
        """Inside, everybody pays."""
        async with asyncio.TaskGroup() as group:
            payers = [group.create_task(self._keep_paying()) for _ in range(_PAYERS)]
            try:
                yield
            finally:
                for payer in payers:
                    payer.cancel()

    async def served_since(self, moment: float) -> float:
        """Seconds from `moment` until a payment that was asked for later was acknowledged.

        Infinite when that took longer than anybody would wait.
        """
        while time.monotonic() < moment + _PATIENCE_S:
            for attempt in reversed(self.attempts):
                if attempt.answer and attempt.sent_at > moment:
                    return attempt.answered_at - moment
            await asyncio.sleep(0.005)
        return float("inf")

    async def settle(self) -> None:
        """Ask again for everything that was left without an answer, until each has one."""
        await _all(self._ask_until_answered, [attempt for attempt in self.attempts if not attempt.answer])

    async def verify(self) -> None:
        """Every payment exists once: asked again under its key it is the same one, and the wallets
        hold what the sum of all outcomes says, to the cent."""
        await _all(self._verify, self.attempts)
        for customer in self._customers:
            paid = sum(attempt.amount for attempt in self.attempts if attempt.payer is customer and _moved(attempt))
            got = sum(attempt.amount for attempt in self.attempts if attempt.payee is customer and _moved(attempt))
            assert await _balance(self._http, customer) == customer.balance - paid + got, customer.handle

    @property
    def acknowledged(self) -> int:
        return sum(1 for attempt in self.attempts if attempt.answer)

    async def total(self) -> int:
        """What everybody has together."""
        return sum([await _balance(self._http, customer) for customer in self._customers])

    async def _keep_paying(self) -> None:
        while True:
            payer, payee = self._chance.sample(self._customers, 2)
            attempt = Attempt(payer, payee, self._chance.randint(1, 500), time.monotonic())
            self.attempts.append(attempt)
            if not await self._ask(attempt):
                await asyncio.sleep(_PAUSE_S)

    async def _ask_until_answered(self, attempt: Attempt) -> None:
        async with asyncio.timeout(_PATIENCE_S):
            while not await self._ask(attempt):  # noqa: ASYNC110 - nobody could tell us
                await asyncio.sleep(0.05)

    async def _ask(self, attempt: Attempt) -> bool:
        """Whether it was acknowledged. A broken connection, or 503, leaves it open what happened."""
        with contextlib.suppress(httpx.TransportError):
            response = await self._post(attempt)
            if response.status_code == 201:
                attempt.answer, attempt.answered_at = response.json(), time.monotonic()
                return True
            assert response.status_code == 503, response.text
            assert "retry-after" in response.headers, response.text
        return False

    async def _verify(self, attempt: Attempt) -> None:
        assert attempt.answer
        async with asyncio.timeout(_PATIENCE_S):
            while (again := await self._post(attempt)).status_code == 503:  # noqa: ASYNC110 - nobody could tell us
                await asyncio.sleep(_PAUSE_S)
        assert again.headers.get("idempotent-replayed") == "true", again.text
        assert _outcome(again.json()) == _outcome(attempt.answer)

    async def _post(self, attempt: Attempt) -> httpx.Response:
        return await self._http.post(
            "/v1/payments",
            json={"payee": f"@{attempt.payee.handle}", "amount": attempt.amount, "asset": ASSET},
            headers={"Authorization": f"Bearer {attempt.payer.token}", "Idempotency-Key": attempt.key},
            timeout=_TIMEOUT_S,
        )


def _outcome(payment: dict[str, Any]) -> tuple[object, ...]:
    return tuple(payment.get(name) for name in ("id", "status", "reason", "money", "created_at"))


def _moved(attempt: Attempt) -> bool:
    assert attempt.answer
    assert attempt.answer["status"] in {"completed", "declined"}
    return attempt.answer["status"] == "completed"


async def _balance(http: httpx.AsyncClient, customer: Customer) -> int:
    response = await http.get("/v1/wallet", headers={"Authorization": f"Bearer {customer.token}"})
    accounts = response.raise_for_status().json()["accounts"]
    return next((account["posted"] for account in accounts if account["asset"] == ASSET), 0)


async def _all(do: Callable[[Attempt], Awaitable[None]], attempts: Iterable[Attempt]) -> None:
    left = iter(attempts)

    async def some() -> None:
        for attempt in left:
            await do(attempt)

    async with asyncio.TaskGroup() as group:
        for _ in range(_AT_ONCE):
            group.create_task(some())
