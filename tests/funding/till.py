"""Where people pay with what their bank sends, with verbs short enough for a story."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, cast

from tests.payments.bank import Bank, Gateway, fingerprint, shown
from tests.transits.scripted import AN_HOUR, Way

from unbusy import ids
from unbusy.api import Language, Principal
from unbusy.clock import Deadline
from unbusy.db import Tx
from unbusy.funding import Fundings, Settler
from unbusy.ids import Ids
from unbusy.payments import FundingView, Payment
from unbusy.settings import Settings
from unbusy.transits import BankNames


class Till:
    """One gateway and one worker, with a scripted bank behind them."""

    def __init__(self, bank: Bank, gateway: Gateway, settings: Settings = AN_HOUR) -> None:
        self.bank = bank
        self.gateway = gateway
        self.way = Way(bank, gateway, settings)
        self.fundings = Fundings(
            gateway.db,
            gateway.reads,
            gateway.payments,
            BankNames({"scripted": "Scripted Bank"}),
            clock=gateway.clock,
            ids=gateway.ids,
            settings=settings,
            moved=gateway.wallets.changed,
        )
        self.settler = Settler(ids=Ids(bank.clock), settings=settings)

    async def pay(
        self, payer: Principal, payee: Principal, amount: int, *, key: str | None = None, asset: str = "EUR"
    ) -> Payment:
        return (await self.answer(payer, payee, amount, key=key, asset=asset))[0]

    async def answer(
        self, payer: Principal, payee: Principal, amount: int, *, key: str | None = None, asset: str = "EUR"
    ) -> tuple[Payment, bool]:
        """Pay with the account at the bank, and tell too whether the key had been used before."""
        account = await self.way.link(payer)
        return await self.fundings.pay(
            payer,
            shown(payee),
            amount,
            asset,
            "",
            ids.show("ban", account.id),
            key=key or self.gateway.key(),
            fingerprint=fingerprint(shown(payee), amount, asset),
            deadline=Deadline(self.gateway.clock, 10),
        )

    async def settle(self, *, dies_at: int | None = None) -> int:
        """What the worker does, once; it may die before one of its statements."""
        return await self._do(self.settler.settle, dies_at)

    async def expire(self) -> int:
        return await self._do(self.settler.expire, None)

    async def _do(self, chore: Callable[[Tx, Any, int], Awaitable[int]], dies_at: int | None) -> int:
        async def work(tx: Tx) -> int:
            mortal = tx if dies_at is None else cast("Tx", Mortal(tx, dies_at))
            return await chore(mortal, self.bank.clock.now(), 100)

        return await self.bank.db.run(work)

    async def now(self, payer: Principal, payment: Payment) -> Payment:
        return await self.gateway.payments.find(payer, payment.id)

    async def became(self, payer: Principal, payment: Payment) -> str:
        """The reason of a payment, or its status when there is none."""
        now = await self.now(payer, payment)
        return now.reason or now.status

    async def funding(self, payment: Payment, language: Language = "en") -> FundingView:
        return (await self.fundings.show([payment.id], language))[payment.id]

    async def purse(self, person: Principal) -> tuple[int, int]:
        """What the person has, and what of it is held."""
        account = (await self.bank.accounts(person))["EUR"]
        return account.posted, account.held


class Died(Exception):
    """The process is gone, and its transaction with it."""


class Mortal:
    """A transaction that dies before a statement of it."""

    def __init__(self, tx: Tx, dies_at: int) -> None:
        self._tx = tx
        self._left = dies_at

    def __getattr__(self, name: str) -> Any:
        does = getattr(self._tx, name)
        if name not in {"execute", "executemany", "fetch", "fetchrow", "fetchval"}:
            return does

        async def do(*args: object) -> Any:
            self._left -= 1
            if self._left < 0:
                raise Died
            return await does(*args)

        return do
