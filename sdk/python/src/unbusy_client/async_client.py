"""The client for asyncio."""

from __future__ import annotations

import functools
import random
from collections.abc import AsyncGenerator, Sequence
from datetime import datetime
from types import TracebackType
from typing import TypeVar

import httpx

from unbusy_client import flows, operations
from unbusy_client.async_steps import AsyncSteps
from unbusy_client.call import Call, Shared
from unbusy_client.client import WITHIN_S
from unbusy_client.keys import new_key
from unbusy_client.operations import Operation
from unbusy_client.problems import Ticket
from unbusy_client.views import (
    Bank,
    BankAccount,
    BatchRow,
    Entry,
    Happened,
    MoneyRequest,
    NameCheck,
    NewPayment,
    Payment,
    PaymentBatch,
    Person,
    Promises,
    Refund,
    Session,
    Transit,
    Verification,
    Wallet,
)

T = TypeVar("T")


class AsyncClient:
    """`Client` for asyncio: the same verbs with the same arguments, awaited, and the same decisions.

    Lists and events are asynchronous generators, to be read with `async for`.
    """

    def __init__(
        self,
        base_url: str,
        *,
        session: Session | None = None,
        language: str = "en",
        within_s: float = WITHIN_S,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        self._within_s = within_s
        self._shared = Shared(session, random.random)
        self._http = http or httpx.AsyncClient()
        self._owns_http = http is None
        self._steps = AsyncSteps(base_url.rstrip("/"), language, self._http)

    @property
    def session(self) -> Session | None:
        """The tokens in use; they change as they are refreshed. None when nobody is signed in."""
        return self._shared.session

    async def close(self) -> None:
        """Close the connections. The session goes on at the wallet; `sign_out` ends it."""
        if self._owns_http:
            await self._http.aclose()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        await self.close()

    # ── people ───────────────────────────────────────────────────────────────────────────────

    async def sign_up(
        self,
        name: str,
        password: str,
        *,
        handle: str | None = None,
        email: str | None = None,
        phone: str | None = None,
        language: str = "en",
        within_s: float | None = None,
    ) -> Person:
        """Become a customer, with an e-mail address or a phone number. Signs nobody in.

        Raises Unresolved when no answer came: there is no key, so it is not tried a second time.
        """
        new = operations.sign_up(name, password, handle=handle, email=email, phone=phone, language=language)
        return await self._call(new, within_s)

    async def sign_in(self, identifier: str, password: str, *, within_s: float | None = None) -> Person:
        """Sign in with `@handle`, an e-mail address or a phone number; later calls are made in this name.

        The password is not kept: tokens are refreshed by themselves for as long as the session lives.
        """
        proof = operations.sign_in(identifier, password)
        return await self._steps.run(flows.sign_in(proof, self._shared, self._within(within_s)))

    async def sign_out(self, *, within_s: float | None = None) -> None:
        """End the session at the wallet."""
        await self._steps.run(flows.sign_out(self._shared, self._within(within_s)))

    async def me(self, *, within_s: float | None = None) -> Person:
        """Who is signed in."""
        return await self._call(operations.me(), within_s)

    # ── wallet ───────────────────────────────────────────────────────────────────────────────

    async def wallet(self, *, within_s: float | None = None) -> Wallet:
        """What there is, asset by asset."""
        return await self._call(operations.wallet(), within_s)

    def statement(
        self,
        asset: str | None = None,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        within_s: float | None = None,
    ) -> AsyncGenerator[Entry]:
        """What moved the balance of one asset, newest first; pages are fetched as they are needed.

        Without an asset, the installation's usual one. Times need a zone.
        """
        page = functools.partial(operations.statement, asset=asset, since=since, until=until)
        return self._steps.iterate(flows.pages(page, self._shared, self._within(within_s)))

    # ── payments ─────────────────────────────────────────────────────────────────────────────

    async def pay(
        self,
        payee: str,
        amount: int,
        asset: str,
        note: str = "",
        *,
        bank_account: str | None = None,
        key: str | None = None,
        ticket: Ticket | None = None,
        within_s: float | None = None,
    ) -> Payment:
        """Pay `amount` minor units (1250 is 12.50 EUR) to `@handle` or a person's id.

        What the wallet is short of comes from the `bank_account`, if one is given: it is pending meanwhile.
        A payment that was declined is an answer, not an error: look at `status`, or call
        `require_completed()`.
        """
        order = operations.pay(payee, amount, asset, note, key=key or new_key(), bank_account=bank_account)
        return await self._call(order, within_s, ticket)

    async def queue(
        self,
        payee: str,
        amount: int,
        asset: str,
        note: str = "",
        *,
        key: str | None = None,
        ticket: Ticket | None = None,
        within_s: float | None = None,
    ) -> Payment:
        """Have it paid by `finish_by`, for those who cannot wait; see `wait_for`."""
        order = operations.pay(payee, amount, asset, note, key=key or new_key(), is_queued=True)
        return await self._call(order, within_s, ticket)

    async def payment(self, payment_id: str, *, wait_s: float = 0.0, within_s: float | None = None) -> Payment:
        """A payment as it is; with `wait_s` (30 at most), once it is final or after so many seconds."""
        longest_s = self._within_s + wait_s if within_s is None else within_s
        return await self._call(operations.payment(payment_id, wait_s), longest_s)

    async def wait_for(self, payment_id: str, *, within_s: float | None = None) -> Payment:
        """A payment once it is final, or as it is after `within_s`; the waiting costs the wallet nothing."""
        look_at = functools.partial(operations.payment, payment_id)
        return await self._steps.run(flows.wait_for(look_at, self._shared, self._within(within_s)))

    def payments(self, *, within_s: float | None = None) -> AsyncGenerator[Payment]:
        """Made and received, newest first."""
        return self._steps.iterate(flows.pages(operations.payments, self._shared, self._within(within_s)))

    async def cancel(self, payment_id: str, *, within_s: float | None = None) -> Payment:
        """Take back a payment that is queued. Raises Conflict once it has begun."""
        return await self._call(operations.cancel(payment_id), within_s)

    async def refund(
        self,
        payment_id: str,
        amount: int | None = None,
        note: str = "",
        *,
        key: str | None = None,
        ticket: Ticket | None = None,
        within_s: float | None = None,
    ) -> Refund:
        """Give back a payment you received: a part, or without an amount all that is left."""
        return await self._call(operations.refund(payment_id, amount, note, key=key or new_key()), within_s, ticket)

    def refunds(self, payment_id: str, *, within_s: float | None = None) -> AsyncGenerator[Refund]:
        """What was given back of a payment, newest first."""
        page = functools.partial(operations.refunds, payment_id)
        return self._steps.iterate(flows.pages(page, self._shared, self._within(within_s)))

    # ── banks ────────────────────────────────────────────────────────────────────────────────

    def banks(self, *, within_s: float | None = None) -> AsyncGenerator[Bank]:
        """The connected banks, and how each fares just now."""
        return self._steps.iterate(flows.pages(operations.banks, self._shared, self._within(within_s)))

    async def link_bank_account(
        self,
        bank: str,
        holder: str,
        *,
        iban: str | None = None,
        country: str | None = None,
        number: str | None = None,
        bic: str | None = None,
        within_s: float | None = None,
    ) -> BankAccount:
        """Link an account by its IBAN, or by its country's own number; linking it again gives the same one.

        Raises Invalid, whose `fields` name what is wrong with the number.
        """
        account = {"bank": bank, "holder": holder, "iban": iban, "country": country, "number": number, "bic": bic}
        return await self._call(operations.link_bank_account(account), within_s)

    async def check_name(
        self,
        bank: str,
        holder: str,
        *,
        iban: str | None = None,
        country: str | None = None,
        number: str | None = None,
        bic: str | None = None,
        within_s: float | None = None,
    ) -> NameCheck:
        """Ask the bank whether the account is in this name, before it is linked."""
        account = {"bank": bank, "holder": holder, "iban": iban, "country": country, "number": number, "bic": bic}
        return await self._call(operations.check_name(account), within_s)

    def bank_accounts(self, *, within_s: float | None = None) -> AsyncGenerator[BankAccount]:
        """Those that are linked, newest first."""
        return self._steps.iterate(flows.pages(operations.bank_accounts, self._shared, self._within(within_s)))

    async def unlink_bank_account(self, bank_account: str, *, within_s: float | None = None) -> None:
        """Forget it. What is on its way from or to it goes on."""
        await self._call(operations.unlink_bank_account(bank_account), within_s)

    async def verify(self, bank_account: str, asset: str, *, within_s: float | None = None) -> Verification:
        """Have a tiny amount of an asset sent to it, to be told with `tell_amount`."""
        return await self._call(operations.verify(bank_account, asset), within_s)

    async def verification(self, bank_account: str, *, within_s: float | None = None) -> Verification:
        """How its verification stands."""
        return await self._call(operations.verification(bank_account), within_s)

    async def tell_amount(self, bank_account: str, amount: int, *, within_s: float | None = None) -> BankAccount:
        """Tell the amount that came, in minor units. Raises Conflict for a wrong one, which counts, and Unresolved
        when no answer came: `verification` says what became of it."""
        return await self._call(operations.tell_amount(bank_account, amount), within_s)

    async def top_up(
        self,
        bank_account: str,
        amount: int,
        asset: str,
        *,
        key: str | None = None,
        ticket: Ticket | None = None,
        within_s: float | None = None,
    ) -> Transit:
        """Pull `amount` minor units from a linked bank account; it comes back before the bank does.

        See `wait_for_topup`.
        """
        order = operations.move("topups", bank_account, amount, asset, key=key or new_key())
        return await self._call(order, within_s, ticket)

    async def topup(self, topup_id: str, *, within_s: float | None = None) -> Transit:
        """A top-up as it is."""
        return await self._call(operations.transit("topups", topup_id), within_s)

    async def wait_for_topup(self, topup_id: str, *, within_s: float | None = None) -> Transit:
        """A top-up once it is final, or as it is after `within_s`; the waiting costs the wallet nothing."""
        look_at = functools.partial(operations.transit, "topups", topup_id)
        return await self._steps.run(flows.wait_for(look_at, self._shared, self._within(within_s)))

    def topups(self, *, within_s: float | None = None) -> AsyncGenerator[Transit]:
        """Your top-ups, newest first."""
        page = functools.partial(operations.transits, "topups")
        return self._steps.iterate(flows.pages(page, self._shared, self._within(within_s)))

    async def pay_out(
        self,
        bank_account: str,
        amount: int,
        asset: str,
        *,
        key: str | None = None,
        ticket: Ticket | None = None,
        within_s: float | None = None,
    ) -> Transit:
        """Send `amount` minor units to a linked bank account; it comes back before the bank does.

        See `wait_for_payout`.
        """
        order = operations.move("payouts", bank_account, amount, asset, key=key or new_key())
        return await self._call(order, within_s, ticket)

    async def payout(self, payout_id: str, *, within_s: float | None = None) -> Transit:
        """A payout as it is."""
        return await self._call(operations.transit("payouts", payout_id), within_s)

    async def wait_for_payout(self, payout_id: str, *, within_s: float | None = None) -> Transit:
        """A payout once it is final, or as it is after `within_s`; the waiting costs the wallet nothing."""
        look_at = functools.partial(operations.transit, "payouts", payout_id)
        return await self._steps.run(flows.wait_for(look_at, self._shared, self._within(within_s)))

    def payouts(self, *, within_s: float | None = None) -> AsyncGenerator[Transit]:
        """Your payouts, newest first."""
        page = functools.partial(operations.transits, "payouts")
        return self._steps.iterate(flows.pages(page, self._shared, self._within(within_s)))

    # ── requests for money ───────────────────────────────────────────────────────────────────

    async def ask(
        self,
        payer: str,
        amount: int,
        asset: str,
        note: str = "",
        *,
        expires_in_days: int | None = None,
        key: str | None = None,
        ticket: Ticket | None = None,
        within_s: float | None = None,
    ) -> MoneyRequest:
        """Ask somebody for money."""
        new = operations.ask(payer, amount, asset, note, expires_in_days, key=key or new_key())
        return await self._call(new, within_s, ticket)

    async def request(self, request_id: str, *, within_s: float | None = None) -> MoneyRequest:
        """A request you made, or were asked with."""
        return await self._call(operations.request(request_id), within_s)

    def requests(self, *, within_s: float | None = None) -> AsyncGenerator[MoneyRequest]:
        """Made and received, newest first."""
        return self._steps.iterate(flows.pages(operations.requests, self._shared, self._within(within_s)))

    async def pay_request(
        self,
        request_id: str,
        *,
        key: str | None = None,
        ticket: Ticket | None = None,
        within_s: float | None = None,
    ) -> Payment:
        """Pay what you were asked for. A payment that is declined leaves the request open."""
        return await self._call(operations.pay_request(request_id, key=key or new_key()), within_s, ticket)

    async def decline_request(self, request_id: str, *, within_s: float | None = None) -> MoneyRequest:
        """Say no to what you were asked for."""
        return await self._call(operations.decline_request(request_id), within_s)

    async def withdraw_request(self, request_id: str, *, within_s: float | None = None) -> MoneyRequest:
        """Take back what you asked for."""
        return await self._call(operations.withdraw_request(request_id), within_s)

    # ── batches ──────────────────────────────────────────────────────────────────────────────

    async def pay_batch(
        self,
        payments: Sequence[NewPayment],
        *,
        take_good_rows: bool = False,
        key: str | None = None,
        ticket: Ticket | None = None,
        within_s: float | None = None,
    ) -> PaymentBatch:
        """Have up to 8,000 payments taken at once, each with its own key.

        Raises Invalid, whose `fields` name every bad row; nothing is taken then, unless `take_good_rows`.
        """
        new = operations.pay_batch(payments, take_good_rows=take_good_rows, key=key or new_key())
        return await self._call(new, within_s, ticket)

    async def pay_file(
        self,
        content: bytes,
        content_type: str,
        *,
        take_good_rows: bool = False,
        key: str | None = None,
        ticket: Ticket | None = None,
        within_s: float | None = None,
    ) -> PaymentBatch:
        """Have the payments of a file taken, `text/csv` or `application/x-ndjson`; see `pay_batch`."""
        new = operations.pay_file(content, content_type, take_good_rows=take_good_rows, key=key or new_key())
        return await self._call(new, within_s, ticket)

    async def batch(self, batch_id: str, *, within_s: float | None = None) -> PaymentBatch:
        """A batch as it is."""
        return await self._call(operations.batch(batch_id), within_s)

    def batch_rows(self, batch_id: str, *, within_s: float | None = None) -> AsyncGenerator[BatchRow]:
        """What became of each payment of a batch, in the order of the file."""
        page = functools.partial(operations.batch_rows, batch_id)
        return self._steps.iterate(flows.pages(page, self._shared, self._within(within_s)))

    # ── what happens ─────────────────────────────────────────────────────────────────────────

    def events(self, *, after: str | None = None) -> AsyncGenerator[Happened]:
        """What happens to you, as it happens, without an end: lost connections are taken up again.

        Keep the `id` of the last event you have dealt with, and give it as `after` when you come back.
        """
        return self._steps.iterate(flows.follow(after, self._shared))

    async def promises(self, *, within_s: float | None = None) -> Promises:
        """How many promises the wallet kept and broke, by class and hour; nobody has to be signed in."""
        return await self._call(operations.promises(), within_s)

    async def _call(self, operation: Operation[T], within_s: float | None, ticket: Ticket | None = None) -> T:
        call = Call(operation, self._shared, within_s=self._within(within_s), ticket=ticket)
        return await self._steps.run(call.run())

    def _within(self, within_s: float | None) -> float:
        return self._within_s if within_s is None else within_s
