"""What each verb sends, and how its answer is read."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Generic, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from unbusy_client.views import (
    Bank,
    BankAccount,
    BatchRow,
    Entry,
    MoneyRequest,
    NameCheck,
    NewPayment,
    Page,
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
from unbusy_client.wire import Request

T = TypeVar("T")

# One attempt. An answer takes milliseconds; who says nothing for so long will not speak any more.
ATTEMPT_S = 10.0

# A refresh token that comes again within ten seconds gets the same successor; later it ends the
# session. So the second attempt is made well within that time.
_REFRESH_S = 4.0

# The longest that a wallet keeps a question open.
MOST_WAIT_S = 30
_PAGE = 100


class Operation(msgspec.Struct, Generic[T], frozen=True):
    """One thing to ask the wallet for.

    `read` takes the body of a success, and raises one of `problems.UNREADABLE` when that is not what
    it should be. `changes`: something may have been done although no answer came. `is_repeatable`: doing it
    twice is the same as once, by its `key` or by its nature. `attempt_s`: how long one attempt may take.
    """

    request: Request
    read: Callable[[bytes], T]
    key: str | None = None
    changes: bool = False
    is_repeatable: bool = True
    is_signed: bool = True
    attempt_s: float = ATTEMPT_S


# ── people ───────────────────────────────────────────────────────────────────────────────────


def sign_up(
    name: str, password: str, *, handle: str | None, email: str | None, phone: str | None, language: str
) -> Operation[Person]:
    """Become a customer. Without a key, so an attempt that may have been done is not repeated."""
    given = {"handle": handle, "email": email, "phone": phone}
    body = {"name": name, "password": password, "language": language} | _present(given)
    request = _post("/v1/customers", body)
    return Operation(request, _reader(Person), changes=True, is_repeatable=False, is_signed=False)


def sign_in(identifier: str, password: str) -> Operation[Session]:
    """Get tokens for a password."""
    request = _post("/v1/sessions", {"identifier": identifier, "password": password})
    return Operation(request, _reader(Session), is_signed=False)


def refresh(refresh_token: str) -> Operation[Session]:
    """Get new tokens. The wallet answers a repetition that comes soon with the same ones."""
    request = _post("/v1/sessions/refresh", {"refresh_token": refresh_token})
    return Operation(request, _reader(Session), is_signed=False, attempt_s=_REFRESH_S)


def sign_out() -> Operation[None]:
    """End the session."""
    return Operation(Request("DELETE", "/v1/sessions/current"), _nothing)


def me() -> Operation[Person]:
    """Who is signed in."""
    return Operation(_get("/v1/me"), _reader(Person))


# ── wallet ───────────────────────────────────────────────────────────────────────────────────


def wallet() -> Operation[Wallet]:
    """All accounts."""
    return Operation(_get("/v1/wallet"), _reader(Wallet))


def statement(
    cursor: str | None, *, asset: str | None, since: datetime | None, until: datetime | None
) -> Operation[Page[Entry]]:
    """One page of a statement."""
    times = {name: at.isoformat() for name, at in {"since": since, "until": until}.items() if at}
    return Operation(_page("/v1/statement", cursor, _present({"asset": asset}) | times), _reader(Page[Entry]))


# ── payments ─────────────────────────────────────────────────────────────────────────────────


def pay(
    payee: str,
    amount: int,
    asset: str,
    note: str,
    *,
    key: str,
    is_queued: bool = False,
    bank_account: str | None = None,
) -> Operation[Payment]:
    """Pay now, or have it queued; or have what is missing pulled from a bank account first."""
    order = {"payee": payee, "amount": amount, "asset": asset, "note": note}
    request = _post("/v1/payments", order | _present({"bank_account": bank_account}))
    if is_queued:
        request = request.with_headers(prefer="respond-async")
    return _money(request, Payment, key)


def payment(payment_id: str, wait_s: float = 0.0) -> Operation[Payment]:
    """See a payment, once it is final or after so many seconds."""
    return _awaited(f"/v1/payments/{_part(payment_id)}", Payment, wait_s)


def payments(cursor: str | None) -> Operation[Page[Payment]]:
    """One page of payments."""
    return Operation(_page("/v1/payments", cursor), _reader(Page[Payment]))


def cancel(payment_id: str) -> Operation[Payment]:
    """Take back what is queued."""
    return Operation(_post(f"/v1/payments/{_part(payment_id)}/cancel"), _reader(Payment), changes=True)


def refund(payment_id: str, amount: int | None, note: str, *, key: str) -> Operation[Refund]:
    """Give back all or a part."""
    body = {"note": note} | _present({"amount": amount})
    return _money(_post(f"/v1/payments/{_part(payment_id)}/refunds", body), Refund, key)


def refunds(payment_id: str, cursor: str | None) -> Operation[Page[Refund]]:
    """A payment's refunds."""
    query = _present({"cursor": cursor})
    return Operation(_get(f"/v1/payments/{_part(payment_id)}/refunds", query), _reader(Page[Refund]))


# ── banks ────────────────────────────────────────────────────────────────────────────────────


def banks(cursor: str | None) -> Operation[Page[Bank]]:
    """How the banks fare."""
    return Operation(_get("/v1/banks", _present({"cursor": cursor})), _reader(Page[Bank]))


def link_bank_account(account: Mapping[str, str | None]) -> Operation[BankAccount]:
    """Link it; once linked it is the same, however often."""
    return Operation(_post("/v1/bank-accounts", _present(account)), _reader(BankAccount), changes=True)


def bank_accounts(cursor: str | None) -> Operation[Page[BankAccount]]:
    """Those that are linked."""
    return Operation(_get("/v1/bank-accounts", _present({"cursor": cursor})), _reader(Page[BankAccount]))


def unlink_bank_account(bank_account: str) -> Operation[None]:
    """Forget it."""
    return Operation(Request("DELETE", f"/v1/bank-accounts/{_part(bank_account)}"), _nothing, changes=True)


def check_name(account: Mapping[str, str | None]) -> Operation[NameCheck]:
    """Ask the bank whose it is."""
    return Operation(_post("/v1/bank-accounts/name-check", _present(account)), _reader(NameCheck))


def verify(bank_account: str, asset: str) -> Operation[Verification]:
    """Have a tiny amount sent; while one can be told, nothing more is."""
    path = f"/v1/bank-accounts/{_part(bank_account)}/verification"
    return Operation(_post(path, {"asset": asset}), _reader(Verification), changes=True)


def verification(bank_account: str) -> Operation[Verification]:
    """See how it stands."""
    return Operation(_get(f"/v1/bank-accounts/{_part(bank_account)}/verification"), _reader(Verification))


def tell_amount(bank_account: str, amount: int) -> Operation[BankAccount]:
    """Tell the amount that came. A wrong one counts, so an attempt that may have been made is not repeated."""
    path = f"/v1/bank-accounts/{_part(bank_account)}/verification/amount"
    return Operation(_post(path, {"amount": amount}), _reader(BankAccount), changes=True, is_repeatable=False)


def move(what: str, bank_account: str, amount: int, asset: str, *, key: str) -> Operation[Transit]:
    """Begin a top-up (`topups`) or a payout (`payouts`)."""
    body = {"bank_account": bank_account, "amount": amount, "asset": asset}
    return _money(_post(f"/v1/{what}", body), Transit, key)


def transit(what: str, transit_id: str, wait_s: float = 0.0) -> Operation[Transit]:
    """See a top-up or a payout, once it is final or after so many seconds."""
    return _awaited(f"/v1/{what}/{_part(transit_id)}", Transit, wait_s)


def transits(what: str, cursor: str | None) -> Operation[Page[Transit]]:
    """One page of top-ups or payouts."""
    return Operation(_page(f"/v1/{what}", cursor), _reader(Page[Transit]))


# ── requests for money ───────────────────────────────────────────────────────────────────────


def ask(
    payer: str, amount: int, asset: str, note: str, expires_in_days: int | None, *, key: str
) -> Operation[MoneyRequest]:
    """Ask somebody for money."""
    body = {"payer": payer, "amount": amount, "asset": asset, "note": note}
    return _money(_post("/v1/requests", body | _present({"expires_in_days": expires_in_days})), MoneyRequest, key)


def request(request_id: str) -> Operation[MoneyRequest]:
    """See a request."""
    return Operation(_get(f"/v1/requests/{_part(request_id)}"), _reader(MoneyRequest))


def requests(cursor: str | None) -> Operation[Page[MoneyRequest]]:
    """One page of requests."""
    return Operation(_page("/v1/requests", cursor), _reader(Page[MoneyRequest]))


def pay_request(request_id: str, *, key: str) -> Operation[Payment]:
    """Pay what was asked for."""
    return _money(_post(f"/v1/requests/{_part(request_id)}/payment"), Payment, key)


def decline_request(request_id: str) -> Operation[MoneyRequest]:
    """Say no."""
    return Operation(_post(f"/v1/requests/{_part(request_id)}/decline"), _reader(MoneyRequest), changes=True)


def withdraw_request(request_id: str) -> Operation[MoneyRequest]:
    """Take it back."""
    return Operation(_post(f"/v1/requests/{_part(request_id)}/cancel"), _reader(MoneyRequest), changes=True)


# ── batches, promises ────────────────────────────────────────────────────────────────────────


def pay_batch(payments: Sequence[NewPayment], *, take_good_rows: bool, key: str) -> Operation[PaymentBatch]:
    """Have many payments taken at once."""
    body = {"payments": payments, "take_good_rows": take_good_rows}
    return _money(_post("/v1/payment-batches", body), PaymentBatch, key)


def pay_file(content: bytes, content_type: str, *, take_good_rows: bool, key: str) -> Operation[PaymentBatch]:
    """Have the payments of a file taken at once."""
    query = "?take_good_rows=true" if take_good_rows else ""
    request = Request("POST", f"/v1/payment-batches{query}", {"content-type": content_type}, content)
    return _money(request, PaymentBatch, key)


def batch(batch_id: str) -> Operation[PaymentBatch]:
    """See a batch."""
    return Operation(_get(f"/v1/payment-batches/{_part(batch_id)}"), _reader(PaymentBatch))


def batch_rows(batch_id: str, cursor: str | None) -> Operation[Page[BatchRow]]:
    """One page of what became of a batch's payments."""
    return Operation(_page(f"/v1/payment-batches/{_part(batch_id)}", cursor), _read_rows)


def promises() -> Operation[Promises]:
    """The public count."""
    return Operation(_get("/v1/promises"), _reader(dict[str, Any]), is_signed=False)


def events(after: str | None) -> Operation[None]:
    """Open the stream of events."""
    headers = {"accept": "text/event-stream"} | ({"last-event-id": after} if after else {})
    return Operation(Request("GET", "/v1/events", headers), _nothing)


# ── how they are made ────────────────────────────────────────────────────────────────────────

_encode = msgspec.json.Encoder().encode


class _Report(msgspec.Struct):
    rows: Page[BatchRow]


def _read_rows(body: bytes) -> Page[BatchRow]:
    return msgspec.json.decode(body, type=_Report).rows


# Printable ASCII without a blank at either end: servers in between may trim a header's value.
_KEY = re.compile(r"[!-~]([ -~]{0,62}[!-~])?")


def _money(request: Request, shown: type[T], key: str) -> Operation[T]:
    """What moves money, or promises to, under a key. Raises ValueError for a key that cannot be one."""
    if not _KEY.fullmatch(key):
        raise ValueError("an idempotency key has 1 to 64 printable ASCII characters, and no blank at its ends")
    keyed = request.with_headers(idempotency_key=key)
    return Operation(keyed, _reader(shown), key=key, changes=True)


def _awaited(path: str, shown: type[T], wait_s: float) -> Operation[T]:
    """A look that may wait at the wallet."""
    seconds = max(0, min(MOST_WAIT_S, int(wait_s)))
    query = {"wait": str(seconds)} if seconds else {}
    return Operation(_get(path, query), _reader(shown), attempt_s=ATTEMPT_S + seconds)


def _get(path: str, query: Mapping[str, str] | None = None) -> Request:
    return Request("GET", f"{path}?{urlencode(query)}" if query else path)


def _page(path: str, cursor: str | None, query: Mapping[str, str] | None = None) -> Request:
    return _get(path, {"limit": str(_PAGE), **(query or {}), **_present({"cursor": cursor})})


def _post(path: str, body: object = None) -> Request:
    if body is None:
        return Request("POST", path)
    return Request("POST", path, {"content-type": "application/json"}, _encode(body))


def _part(id: str) -> str:
    """An id as a part of a path, whatever it contains."""
    return quote(id, safe="")


def _present(given: Mapping[str, T | None]) -> dict[str, T]:
    return {name: value for name, value in given.items() if value is not None}


def _reader(shown: type[T]) -> Callable[[bytes], T]:
    return msgspec.json.Decoder(shown).decode


def _nothing(_body: bytes) -> None:
    """There is nothing in it."""
