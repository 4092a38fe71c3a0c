"""What happened to a person, as events that can be read on from any place."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from unbusy import api
from unbusy.api import Language, Principal
from unbusy.db import Connection, Database
from unbusy.errors import Invalid
from unbusy.payments import sql
from unbusy.payments.model import Event, Place
from unbusy.payments.views import PaymentView, RefundView, RequestView, Views

# Every kind of event there is. `ready` comes first in a stream that begins now.
KINDS = (
    "ready",
    "payment.completed",
    "payment.declined",
    "payment.queued",
    "payment.cancelled",
    "payment.expired",
    "refund.completed",
    "refund.declined",
    "request.open",
    "request.paid",
    "request.declined",
    "request.cancelled",
    "request.expired",
)

_MOST_AT_ONCE = 100

_LAST_NUMBER = 10**18 - 1


class Happened(msgspec.Struct, frozen=True, omit_defaults=True):
    """The data of an event: what it is about, as that is now."""

    type: str
    at: datetime
    payment: PaymentView | None = None
    refund: RefundView | None = None
    request: RequestView | None = None


class Events:
    """Reads people's events. An event's id is `transaction-number`, its place in the stream."""

    def __init__(self, reads: Database, views: Views) -> None:
        self._reads = reads
        self._views = views

    async def place(self, last_event_id: str | None) -> str:
        """The place to begin at: the one given, else the one that is now. Raises Invalid for an id
        that is not ours."""
        if last_event_id is not None:
            _read_place(last_event_id)
            return last_event_id
        async with self._reads.connection() as connection:
            # Right before all that the transactions from the horizon on will write.
            return f"{await sql.horizon(connection) - 1}-{_LAST_NUMBER}"

    async def after(self, person: Principal, place: str, language: Language) -> Sequence[api.Event]:
        """The person's next events behind a place, oldest first, at most a hundred."""
        async with self._reads.connection() as connection:
            events = await sql.events_after(connection, person.person_id, _read_place(place), _MOST_AT_ONCE)
            subjects = await self._subjects(connection, events, person, language) if events else {}
        return [_show(event, subjects) for event in events]

    async def _subjects(
        self, connection: Connection, events: Sequence[Event], person: Principal, language: Language
    ) -> dict[UUID, PaymentView | RefundView | RequestView]:
        """What the events are about, by id."""
        about = {
            room: [event.subject_id for event in events if event.kind.startswith(f"{room}.")]
            for room in ("payment", "refund", "request")
        }
        refunds = await sql.find_refunds(connection, about["refund"])
        payments = await sql.find_payments(connection, [*about["payment"], *(r.payment_id for r in refunds)])
        requests = await sql.find_requests(connection, about["request"])
        refunded = {payment.id: payment for payment in payments}
        shown_payments = await self._views.payments(payments, person, language)
        shown_refunds = await self._views.refunds(
            refunds, [refunded[refund.payment_id] for refund in refunds], person, language
        )
        shown_requests = await self._views.requests(requests, person)
        return {
            **dict(zip((payment.id for payment in payments), shown_payments, strict=True)),
            **dict(zip((refund.id for refund in refunds), shown_refunds, strict=True)),
            **dict(zip((request.id for request in requests), shown_requests, strict=True)),
        }


def _show(event: Event, subjects: dict[UUID, PaymentView | RefundView | RequestView]) -> api.Event:
    subject = subjects[event.subject_id]
    happened = Happened(
        type=event.kind,
        at=event.at,
        payment=subject if isinstance(subject, PaymentView) else None,
        refund=subject if isinstance(subject, RefundView) else None,
        request=subject if isinstance(subject, RequestView) else None,
    )
    return api.Event(id=f"{event.xid}-{event.number}", type=event.kind, data=msgspec.json.encode(happened))


def _read_place(text: str) -> Place:
    written = re.fullmatch(r"([0-9]{1,18})-([0-9]{1,18})", text)
    if written is None:
        raise Invalid("this is not the id of an event", field="Last-Event-ID")
    return int(written[1]), int(written[2])
