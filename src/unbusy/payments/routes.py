"""Payments over HTTP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import get, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, JSONBody, QueryParameter

from unbusy import ids
from unbusy.api import (
    NO_HEADERS,
    NOT_CHANGED,
    Answer,
    Asked,
    Cursor,
    Cursors,
    Event,
    EventStream,
    IdempotencyKey,
    LastEventId,
    Limit,
    Page,
    Preference,
    PreferHeader,
    Request,
    Role,
    allow,
    answer_if_changed,
    etag,
    fingerprint,
    read_prefer,
)
from unbusy.errors import NotFound
from unbusy.payments.events import Events
from unbusy.payments.from_bank import FromBank
from unbusy.payments.model import Payment, Place
from unbusy.payments.polls import Polls
from unbusy.payments.requests import Requests
from unbusy.payments.service import Payments
from unbusy.payments.settlement import Answer as Settled
from unbusy.payments.views import (
    AskedPayment,
    NewRefund,
    NewRequest,
    PaymentView,
    RefundView,
    RequestView,
    Views,
)

PEOPLE = allow(Role.customer, Role.merchant)
# The body names a person, who may not exist.
NAMES_SOMEBODY = allow(Role.customer, Role.merchant, problems=(404,))
QUEUED = {202: ResponseSpec(PaymentView, description="Queued or pending: it is final by `finish_by`.")}

_PAYMENTS = Cursors("payments", Place)
_REQUESTS = Cursors("requests", UUID)

# Seconds a caller may have its connection kept open for an answer that is not there yet.
Wait = Annotated[
    int | None,
    QueryParameter(name="wait", ge=0, le=30, description="Seconds to wait for the payment to become final."),
]


@post(
    "/v1/payments",
    opt=NAMES_SOMEBODY,
    responses=QUEUED,
    summary="Pay a person or a merchant",
    tags=["payments"],
)
async def pay(
    request: Request, data: JSONBody[AskedPayment], idempotency_key: IdempotencyKey, prefer: PreferHeader = None
) -> Answer[PaymentView]:
    """Done before the answer: 201 with the final outcome, completed or declined. With
    `Prefer: respond-async` it is queued instead: 202, and done by `finish_by`. With a `bank_account` what the wallet
    is short of is pulled from there first: 202, pending, and by `finish_by` paid, or given back."""
    preference = read_prefer(prefer)
    request.look_at_payee(data.payee)
    if isinstance(data.bank_account, str):
        return await _pay_from_bank(request, data, data.bank_account, idempotency_key, preference)
    payment, replayed = await request.part(Payments).pay(
        request.principal,
        data.payee,
        data.amount,
        data.asset,
        data.note,
        key=idempotency_key,
        fingerprint=fingerprint("POST /v1/payments", data),
        deadline=request.deadline,
        is_async=preference.respond_async,
    )
    return await _answer(request, payment, preference, replayed=replayed)


async def _pay_from_bank(
    request: Request, data: AskedPayment, bank_account: str, key: str, preference: Preference
) -> Answer[PaymentView]:
    payment, replayed = await request.part(FromBank).pay(
        request.principal,
        data.payee,
        data.amount,
        data.asset,
        data.note,
        bank_account,
        key=key,
        fingerprint=fingerprint("POST /v1/payments", data),
        deadline=request.deadline,
    )
    return await _answer(request, payment, preference, replayed=replayed)


def pay_at_once(asked: Asked[AskedPayment]) -> bool:
    """`pay` for whom and what this process knows already: no task, and no waiting but for the batch."""
    new = asked.data
    if asked.preference.respond_async or new.bank_account is not msgspec.UNSET:
        return False
    asked.look_at_payee(new.payee)
    return asked.part(Payments).pay_at_once(
        asked.principal,
        new.payee,
        new.amount,
        new.asset,
        new.note,
        key=asked.key,
        fingerprint=fingerprint("POST /v1/payments", new),
        deadline=asked.deadline,
        caller=_AtOnce(asked),
    )


class _AtOnce:
    """A payer who is told the answer as soon as it is there."""

    __slots__ = ("_asked",)

    def __init__(self, asked: Asked[AskedPayment]) -> None:
        self._asked = asked

    @property
    def is_gone(self) -> bool:
        return self._asked.is_gone

    def begin(self) -> None:
        self._asked.begin()

    def tell(self, answer: Settled | Exception) -> None:
        asked = self._asked
        if isinstance(answer, Exception):
            asked.refuse(answer)
            return
        payment, replayed = answer
        views = asked.part(Views)
        if payment.is_final and views.knows(payment.payer_id, payment.payee_id):
            view = views.final_payment(payment, asked.principal, asked.language)
            asked.answer(_shown(view, payment, asked.preference, replayed=replayed))
        else:
            asked.answer_with(_answer(asked, payment, asked.preference, replayed=replayed))


@get("/v1/payments", opt=PEOPLE, summary="List your payments", tags=["payments"])
async def list_payments(request: Request, limit: Limit = 20, cursor: Cursor = None) -> Answer[Page[PaymentView]]:
    """Made and received, newest first."""
    found = await request.part(Payments).list(request.principal, _PAYMENTS.read(cursor), limit + 1)
    views = await request.part(Views).payments([each for each, _ in found], request.principal, request.language)
    shown = dict(zip((payment.id for payment, _ in found), views, strict=True))
    return Answer(_PAYMENTS.page(found, limit, lambda each: shown[each[0].id], lambda each: each[1]))


@get(
    "/v1/payments/{payment_id:str}",
    opt=PEOPLE,
    responses=NOT_CHANGED,
    summary="See a payment",
    tags=["payments"],
)
async def see_payment(request: Request, payment_id: FromPath[str], wait: Wait = None) -> Answer[PaymentView]:
    """With `wait`, the answer comes once the payment is final, or after so many seconds. Without, one that
    is not final says in `next_check_after` when to look again; who looks earlier again and again is refused."""
    id = _id("pay", payment_id)
    if not wait:
        request.part(Polls).look(request.principal.person_id, id)
    payment = await request.part(Payments).wait(request.principal, id, wait or 0)
    view, headers = await _show(request, payment)
    version = etag(view.id, payment.updated_at, view.place, view.expected_at, view.next_check_after, request.language)
    return answer_if_changed(request, view, version, headers=headers)


@get("/v1/payments/{payment_id:str}/receipt", opt=PEOPLE, summary="See a payment's receipt", tags=["payments"])
async def see_receipt(request: Request, payment_id: FromPath[str]) -> Answer[PaymentView]:
    """The completed payment; there is no receipt for one that moved no money."""
    payment = await request.part(Payments).find(request.principal, _id("pay", payment_id))
    if payment.completed_at is None:
        raise NotFound("no money was moved, so there is no receipt")
    return Answer(await request.part(Views).payment(payment, request.principal, request.language))


@post(
    "/v1/payments/{payment_id:str}/cancel",
    opt=PEOPLE,
    status_code=200,
    summary="Cancel a queued payment",
    tags=["payments"],
)
async def cancel(request: Request, payment_id: FromPath[str]) -> Answer[PaymentView]:
    """Possible until it has begun; doing it twice is the same as once."""
    payment = await request.part(Payments).cancel(request.principal, _id("pay", payment_id), request.deadline)
    return Answer(await request.part(Views).payment(payment, request.principal, request.language))


@post("/v1/payments/{payment_id:str}/refunds", opt=PEOPLE, summary="Refund a payment", tags=["payments"])
async def refund(
    request: Request, payment_id: FromPath[str], data: JSONBody[NewRefund], idempotency_key: IdempotencyKey
) -> Answer[RefundView]:
    """By its payee: all that is left, or a part."""
    payments, id = request.part(Payments), _id("pay", payment_id)
    made, replayed = await payments.refund(
        request.principal,
        id,
        data.amount,
        data.note,
        key=idempotency_key,
        fingerprint=fingerprint(f"POST /v1/payments/{payment_id}/refunds", data),
        deadline=request.deadline,
    )
    payment = await payments.find(request.principal, id)
    views = await request.part(Views).refunds([made], [payment], request.principal, request.language)
    return Answer(views[0], status_code=201, headers=_replayed(replayed))


@get("/v1/payments/{payment_id:str}/refunds", opt=PEOPLE, summary="List a payment's refunds", tags=["payments"])
async def list_refunds(request: Request, payment_id: FromPath[str]) -> Answer[Page[RefundView]]:
    """Newest first, the newest hundred."""
    payments, id = request.part(Payments), _id("pay", payment_id)
    payment, found = await payments.find(request.principal, id), await payments.refunds(request.principal, id)
    views = await request.part(Views).refunds(found, [payment] * len(found), request.principal, request.language)
    return Answer(Page(views))


@post("/v1/requests", opt=NAMES_SOMEBODY, summary="Ask somebody for money", tags=["requests"])
async def ask(request: Request, data: JSONBody[NewRequest], idempotency_key: IdempotencyKey) -> Answer[RequestView]:
    """The person asked sees it at once and pays or declines it."""
    requests = request.part(Requests)
    made, replayed = await requests.ask(
        request.principal,
        data.payer,
        data.amount,
        data.asset,
        data.note,
        open_for=timedelta(days=data.expires_in_days) if data.expires_in_days else None,
        key=idempotency_key,
        fingerprint=fingerprint("POST /v1/requests", data),
        deadline=request.deadline,
    )
    view = (await request.part(Views).requests([made], request.principal))[0]
    headers = {"Location": f"/v1/requests/{view.id}"} | _replayed(replayed)
    return Answer(view, status_code=201, headers=headers)


@get("/v1/requests", opt=PEOPLE, summary="List requests for money", tags=["requests"])
async def list_requests(request: Request, limit: Limit = 20, cursor: Cursor = None) -> Answer[Page[RequestView]]:
    """Made and received, newest first."""
    found = await request.part(Requests).list(request.principal, _REQUESTS.read(cursor), limit + 1)
    views = await request.part(Views).requests(found, request.principal)
    shown = dict(zip((made.id for made in found), views, strict=True))
    return Answer(_REQUESTS.page(found, limit, lambda made: shown[made.id], lambda made: made.id))


@get(
    "/v1/requests/{request_id:str}",
    opt=PEOPLE,
    responses=NOT_CHANGED,
    summary="See a request for money",
    tags=["requests"],
)
async def see_request(request: Request, request_id: FromPath[str]) -> Answer[RequestView]:
    """One you made, or were asked with."""
    found = await request.part(Requests).find(request.principal, _id("req", request_id))
    view = (await request.part(Views).requests([found], request.principal))[0]
    return answer_if_changed(request, view, etag(view.id, found.updated_at))


@post("/v1/requests/{request_id:str}/payment", opt=PEOPLE, summary="Pay a request", tags=["requests"])
async def pay_request(
    request: Request, request_id: FromPath[str], idempotency_key: IdempotencyKey
) -> Answer[PaymentView]:
    """By the person asked. A payment that is declined leaves the request open."""
    payment, replayed = await request.part(Requests).pay(
        request.principal,
        _id("req", request_id),
        key=idempotency_key,
        fingerprint=fingerprint(f"POST /v1/requests/{request_id}/payment"),
        deadline=request.deadline,
    )
    return await _answer(request, payment, Preference(), replayed=replayed)


@post(
    "/v1/requests/{request_id:str}/decline",
    opt=PEOPLE,
    status_code=200,
    summary="Decline a request",
    tags=["requests"],
)
async def decline_request(request: Request, request_id: FromPath[str]) -> Answer[RequestView]:
    """By the person asked; doing it twice is the same as once."""
    ended = await request.part(Requests).decline(request.principal, _id("req", request_id), request.deadline)
    return Answer((await request.part(Views).requests([ended], request.principal))[0])


@post(
    "/v1/requests/{request_id:str}/cancel",
    opt=PEOPLE,
    status_code=200,
    summary="Withdraw a request",
    tags=["requests"],
)
async def withdraw_request(request: Request, request_id: FromPath[str]) -> Answer[RequestView]:
    """By the person who made it; doing it twice is the same as once."""
    ended = await request.part(Requests).withdraw(request.principal, _id("req", request_id), request.deadline)
    return Answer((await request.part(Views).requests([ended], request.principal))[0])


@get(
    "/v1/events",
    opt=PEOPLE,
    media_type="text/event-stream",
    summary="Follow what happens to you",
    tags=["events"],
)
async def follow_events(request: Request, last_event_id: LastEventId = None) -> EventStream:
    """Server-sent events: payments, refunds, requests, top-ups and payouts as they change. Send `Last-Event-ID` to go
    on where a lost connection ended; without it the stream begins now, with an event `ready`."""
    events, viewer, language = request.part(Events), request.principal, request.language
    begin = await events.place(last_event_id)
    greeting = [] if last_event_id else [Event(id=begin, type="ready", data=b"{}")]

    async def read(after: str) -> Sequence[Event]:
        return [greeting.pop()] if greeting else await events.after(viewer, after, language)

    return EventStream(request, read, after=begin)


HANDLERS = (
    pay,
    list_payments,
    see_payment,
    see_receipt,
    cancel,
    refund,
    list_refunds,
    ask,
    list_requests,
    see_request,
    pay_request,
    decline_request,
    withdraw_request,
    follow_events,
)


# What is offered to whole and plain requests first, by the handler it stands beside.
SHORT = {pay: pay_at_once}


async def _answer(
    request: Request | Asked[Any], payment: Payment, preference: Preference, *, replayed: bool
) -> Answer[PaymentView]:
    """201 with what is final; 202 with what is not, and where to look."""
    if preference.wait_s and not payment.is_final:
        payment = await request.part(Payments).wait(request.principal, payment.id, preference.wait_s)
    view, again = await _show(request, payment)
    return _shown(view, payment, preference, again, replayed=replayed)


def _shown(
    view: PaymentView,
    payment: Payment,
    preference: Preference,
    again: Mapping[str, str] = NO_HEADERS,
    *,
    replayed: bool,
) -> Answer[PaymentView]:
    headers = {"Location": f"/v1/payments/{view.id}"} | preference.applied() | _replayed(replayed) | dict(again)
    return Answer(view, status_code=201 if payment.is_final else 202, headers=headers)


async def _show(request: Request | Asked[Any], payment: Payment) -> tuple[PaymentView, dict[str, str]]:
    """The payment as its viewer sees it; one that is not final with when to look again, and a header that says so."""
    views, viewer, polls = request.part(Views), request.principal, request.part(Polls)
    if payment.is_final:
        polls.forget(viewer.person_id, payment.id)
        return await views.payment(payment, viewer, request.language), {}
    standing = request.part(Payments).promises.fresh_standing(payment.id)
    view = await views.payment(payment, viewer, request.language, standing)
    next_check = polls.next_check(viewer.person_id, payment.id, view.expected_at)
    return msgspec.structs.replace(view, next_check_after=next_check), polls.retry_after(next_check)


def _replayed(replayed: bool) -> dict[str, str]:
    return {"Idempotent-Replayed": "true"} if replayed else {}


def _id(prefix: str, text: str) -> UUID:
    """The id in a path. What has not even its form is unknown, like any other that is not there."""
    if (id := ids.read(prefix, text)) is None:
        raise NotFound("there is nothing with this id")
    return id
