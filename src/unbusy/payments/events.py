"""What happened to a person, as events that can be read on from any place."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from uuid import UUID

import msgspec

from unbusy import api
from unbusy.api import Language, Principal
from unbusy.db import Connection, Database, Tx
from unbusy.errors import Invalid
from unbusy.payments import sql
from unbusy.payments.model import Event, Place, Told
from unbusy.payments.views import Views

# Every kind of event of this room. `ready` comes first in a stream that begins now.
KINDS = (
    "ready",
    "payment.completed",
    "payment.declined",
    "payment.queued",
    "payment.pending",
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


Subjects = Mapping[UUID, msgspec.Struct]
"""What events are about, by its id."""

Show = Callable[[Connection, Sequence[UUID], Principal, Language], Awaitable[Subjects]]
"""Shows what another room's events are about, to the person who reads and in their language."""


class Events:
    """Reads people's events. An event's id is `transaction-number`, its place in the stream."""

    def __init__(self, reads: Database, views: Views, others: Mapping[str, Show]) -> None:
        """`others` are the rooms above that tell of themselves (`tell`), by what stands before the dot."""
        self._reads = reads
        self._views = views
        self._others = others

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
            subjects = await self._subjects(connection, events, person, language) if events else None
        if not subjects:
            return []
        return [_show(event, subjects) for event in events]

    async def _subjects(
        self, connection: Connection, events: Sequence[Event], person: Principal, language: Language
    ) -> Subjects:
        about: defaultdict[str, list[UUID]] = defaultdict(list)
        for event in events:
            about[event.room].append(event.subject_id)
        shown: dict[UUID, msgspec.Struct] = {}
        for room in about.keys() & self._others.keys():
            shown |= await self._others[room](connection, about[room], person, language)
        return shown | await self._own_subjects(connection, about, person, language)

    async def _own_subjects(
        self, connection: Connection, about: Mapping[str, Sequence[UUID]], person: Principal, language: Language
    ) -> dict[UUID, msgspec.Struct]:
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


async def tell(tx: Tx, told: Sequence[Told]) -> None:
    """Tell people what happens to them in a room above, in the transaction in which it does."""
    if told:
        await sql.tell(tx, told)


def _show(event: Event, subjects: Subjects) -> api.Event:
    happened = {"type": event.kind, "at": event.at, event.room: subjects[event.subject_id]}
    return api.Event(id=f"{event.xid}-{event.number}", type=event.kind, data=msgspec.json.encode(happened))


def _read_place(text: str) -> Place:
    written = re.fullmatch(r"([0-9]{1,18})-([0-9]{1,18})", text)
    if written is None:
        raise Invalid("this is not the id of an event", field="Last-Event-ID")
    return int(written[1]), int(written[2])
