"""The client for programs with threads. Its verbs say what; `call` and `flows` decide how."""

from __future__ import annotations

import functools
import random
from collections.abc import Iterator, Sequence
from datetime import datetime
from types import TracebackType
from typing import TypeVar

import httpx

from unbusy_client import flows, operations
from unbusy_client.call import Call, Shared
from unbusy_client.keys import new_key
from unbusy_client.operations import Operation
from unbusy_client.problems import Ticket
from unbusy_client.sync_steps import SyncSteps
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


# The whole of a call, its waiting in line and its retries included, unless the caller says otherwise.
WITHIN_S = 30.0


class Client:
    """Somebody's access to their wallet, for programs with threads; `AsyncClient` is the same for asyncio.

    Every call ends within `within_s` seconds (the call's own, else the client's), with its answer or with
    one error of `unbusy_client.errors`. What moves money takes a `key`: made when none is given, sent with
    every attempt, and found in the error. Give the same key again to go on with a call that was interrupted.
    `ticket` is the place in line that an earlier call was left with (`InLine.ticket`).

    `language` is what the wallet's messages are written in. A `session` that was kept is used until it
    cannot be refreshed. `http` brings proxies, certificates or limits of your own, and stays yours to close.
    Thread-safe.
    """

    def __init__(
        self,
        base_url: str,
        *,
        session: Session | None = None,
        language: str = "en",
        within_s: float = WITHIN_S,
        http: httpx.Client | None = None,
    ) -> None:
        self._within_s = within_s
        self._shared = Shared(session, random.random)
        self._http = http or httpx.Client()
        self._owns_http = http is None
        self._steps = SyncSteps(base_url.rstrip("/"), language, self._http)

    @property
    def session(self) -> Session | None:
        """The tokens in use; they change as they are refreshed. None when nobody is signed in."""
        return self._shared.session

    def close(self) -> None:
        """Close the connections. The session goes on at the wallet; `sign_out` ends it."""
        if self._owns_http:
            self._http.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()

    # ── people ───────────────────────────────────────────────────────────────────────────────

    def sign_up(
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
        return self._call(new, within_s)

    def sign_in(self, identifier: str, password: str, *, within_s: float | None = None) -> Person:
        """Sign in with `@handle`, an e-mail address or a phone number; later calls are made in this name.

        The password is not kept: tokens are refreshed by themselves for as long as the session lives.
        """
        proof = operations.sign_in(identifier, password)
        return self._steps.run(flows.sign_in(proof, self._shared, self._within(within_s)))

    def sign_out(self, *, within_s: float | None = None) -> None:
        """End the session at the wallet."""
        self._steps.run(flows.sign_out(self._shared, self._within(within_s)))

    def me(self, *, within_s: float | None = None) -> Person:
        """Who is signed in."""
        return self._call(operations.me(), within_s)

    # ── wallet ───────────────────────────────────────────────────────────────────────────────

    def wallet(self, *, within_s: float | None = None) -> Wallet:
        """What there is, asset by asset."""
        return self._call(operations.wallet(), within_s)

    def statement(
        self,
        asset: str | None = None,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        within_s: float | None = None,
    ) -> Iterator[Entry]:
        """What moved the balance of one asset, newest first; pages are fetched as they are needed.

        Without an asset, the installation's usual one. Times need a zone.
        """
        page = functools.partial(operations.statement, asset=asset, since=since, until=until)
        return self._steps.iterate(flows.pages(page, self._shared, self._within(within_s)))

    # ── payments ─────────────────────────────────────────────────────────────────────────────

    def pay(
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
        return self._call(order, within_s, ticket)

    def queue(
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
        return self._call(order, within_s, ticket)

    def payment(self, payment_id: str, *, wait_s: float = 0.0, within_s: float | None = None) -> Payment:
        """A payment as it is; with `wait_s` (30 at most), once it is final or after so many seconds."""
        longest_s = self._within_s + wait_s if within_s is None else within_s
        return self._call(operations.payment(payment_id, wait_s), longest_s)

    def wait_for(self, payment_id: str, *, within_s: float | None = None) -> Payment:
        """A payment once it is final, or as it is after `within_s`; the waiting costs the wallet nothing."""
        look_at = functools.partial(operations.payment, payment_id)
        return self._steps.run(flows.wait_for(look_at, self._shared, self._within(within_s)))

    def payments(self, *, within_s: float | None = None) -> Iterator[Payment]:
        """Made and received, newest first."""
        return self._steps.iterate(flows.pages(operations.payments, self._shared, self._within(within_s)))

    def cancel(self, payment_id: str, *, within_s: float | None = None) -> Payment:
        """Take back a payment that is queued. Raises Conflict once it has begun."""
        return self._call(operations.cancel(payment_id), within_s)

    def refund(
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
        return self._call(operations.refund(payment_id, amount, note, key=key or new_key()), within_s, ticket)

    def refunds(self, payment_id: str, *, within_s: float | None = None) -> Iterator[Refund]:
        """What was given back of a payment, newest first."""
        page = functools.partial(operations.refunds, payment_id)
        return self._steps.iterate(flows.pages(page, self._shared, self._within(within_s)))

    # ── banks ────────────────────────────────────────────────────────────────────────────────

    def banks(self, *, within_s: float | None = None) -> Iterator[Bank]:
        """The connected banks, and how each fares just now."""
        return self._steps.iterate(flows.pages(operations.banks, self._shared, self._within(within_s)))

    def link_bank_account(
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
        return self._call(operations.link_bank_account(account), within_s)

    def check_name(
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
        return self._call(operations.check_name(account), within_s)

    def bank_accounts(self, *, within_s: float | None = None) -> Iterator[BankAccount]:
        """Those that are linked, newest first."""
        return self._steps.iterate(flows.pages(operations.bank_accounts, self._shared, self._within(within_s)))

    def unlink_bank_account(self, bank_account: str, *, within_s: float | None = None) -> None:
        """Forget it. What is on its way from or to it goes on."""
        self._call(operations.unlink_bank_account(bank_account), within_s)

    def verify(self, bank_account: str, asset: str, *, within_s: float | None = None) -> Verification:
        """Have a tiny amount of an asset sent to it, to be told with `tell_amount`."""
        return self._call(operations.verify(bank_account, asset), within_s)

    def verification(self, bank_account: str, *, within_s: float | None = None) -> Verification:
        """How its verification stands."""
        return self._call(operations.verification(bank_account), within_s)

    def tell_amount(self, bank_account: str, amount: int, *, within_s: float | None = None) -> BankAccount:
        """Tell the amount that came, in minor units. Raises Conflict for a wrong one, which counts, and Unresolved
        when no answer came: `verification` says what became of it."""
        return self._call(operations.tell_amount(bank_account, amount), within_s)

    def top_up(
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
        return self._call(order, within_s, ticket)

    def topup(self, topup_id: str, *, within_s: float | None = None) -> Transit:
        """A top-up as it is."""
        return self._call(operations.transit("topups", topup_id), within_s)

    def wait_for_topup(self, topup_id: str, *, within_s: float | None = None) -> Transit:
        """A top-up once it is final, or as it is after `within_s`; the waiting costs the wallet nothing."""
        look_at = functools.partial(operations.transit, "topups", topup_id)
        return self._steps.run(flows.wait_for(look_at, self._shared, self._within(within_s)))

    def topups(self, *, within_s: float | None = None) -> Iterator[Transit]:
        """Your top-ups, newest first."""
        page = functools.partial(operations.transits, "topups")
        return self._steps.iterate(flows.pages(page, self._shared, self._within(within_s)))

    def pay_out(
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
        return self._call(order, within_s, ticket)

    def payout(self, payout_id: str, *, within_s: float | None = None) -> Transit:
        """A payout as it is."""
        return self._call(operations.transit("payouts", payout_id), within_s)

    def wait_for_payout(self, payout_id: str, *, within_s: float | None = None) -> Transit:
        """A payout once it is final, or as it is after `within_s`; the waiting costs the wallet nothing."""
        look_at = functools.partial(operations.transit, "payouts", payout_id)
        return self._steps.run(flows.wait_for(look_at, self._shared, self._within(within_s)))

    def payouts(self, *, within_s: float | None = None) -> Iterator[Transit]:
        """Your payouts, newest first."""
        page = functools.partial(operations.transits, "payouts")
        return self._steps.iterate(flows.pages(page, self._shared, self._within(within_s)))

    # ── requests for money ───────────────────────────────────────────────────────────────────

    def ask(
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
        return self._call(new, within_s, ticket)

    def request(self, request_id: str, *, within_s: float | None = None) -> MoneyRequest:
        """A request you made, or were asked with."""
        return self._call(operations.request(request_id), within_s)

    def requests(self, *, within_s: float | None = None) -> Iterator[MoneyRequest]:
        """Made and received, newest first."""
        return self._steps.iterate(flows.pages(operations.requests, self._shared, self._within(within_s)))

    def pay_request(
        self,
        request_id: str,
        *,
        key: str | None = None,
        ticket: Ticket | None = None,
        within_s: float | None = None,
    ) -> Payment:
        """Pay what you were asked for. A payment that is declined leaves the request open."""
        return self._call(operations.pay_request(request_id, key=key or new_key()), within_s, ticket)

    def decline_request(self, request_id: str, *, within_s: float | None = None) -> MoneyRequest:
        """Say no to what you were asked for."""
        return self._call(operations.decline_request(request_id), within_s)

    def withdraw_request(self, request_id: str, *, within_s: float | None = None) -> MoneyRequest:
        """Take back what you asked for."""
        return self._call(operations.withdraw_request(request_id), within_s)

    # ── batches ──────────────────────────────────────────────────────────────────────────────

    def pay_batch(
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
        return self._call(new, within_s, ticket)

    def pay_file(
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
        return self._call(new, within_s, ticket)

    def batch(self, batch_id: str, *, within_s: float | None = None) -> PaymentBatch:
        """A batch as it is."""
        return self._call(operations.batch(batch_id), within_s)

    def batch_rows(self, batch_id: str, *, within_s: float | None = None) -> Iterator[BatchRow]:
        """What became of each payment of a batch, in the order of the file."""
        page = functools.partial(operations.batch_rows, batch_id)
        return self._steps.iterate(flows.pages(page, self._shared, self._within(within_s)))

    # ── what happens ─────────────────────────────────────────────────────────────────────────

    def events(self, *, after: str | None = None) -> Iterator[Happened]:
        """What happens to you, as it happens, without an end: lost connections are taken up again.

        Keep the `id` of the last event you have dealt with, and give it as `after` when you come back.
        """
        return self._steps.iterate(flows.follow(after, self._shared))

    def promises(self, *, within_s: float | None = None) -> Promises:
        """How many promises the wallet kept and broke, by class and hour; nobody has to be signed in."""
        return self._call(operations.promises(), within_s)

    def _call(self, operation: Operation[T], within_s: float | None, ticket: Ticket | None = None) -> T:
        call = Call(operation, self._shared, within_s=self._within(within_s), ticket=ticket)
        return self._steps.run(call.run())

    def _within(self, within_s: float | None) -> float:
        return self._within_s if within_s is None else within_s
