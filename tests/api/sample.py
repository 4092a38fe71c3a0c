"""A small application: one handler for each way in which an answer comes about."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import get, post
from litestar.params import FromPath, JSONBody

from unbusy import api
from unbusy.api import Answer, Principal, Request, Role, allow
from unbusy.clock import SystemClock
from unbusy.errors import (
    Conflict,
    DeadlineUnreachable,
    Forbidden,
    Invalid,
    KeyReused,
    LedgerUnavailable,
    NotFound,
    QuotaExceeded,
    Unauthenticated,
)
from unbusy.reasons import Reason
from unbusy.settings import Settings

PERSON = UUID(int=7)
SESSION = UUID(int=8)

ERRORS: dict[str, Exception] = {
    "invalid": Invalid("no such asset", field="asset"),
    "not_found": NotFound("there is no such payment"),
    "key_reused": KeyReused("this key stands for another payment"),
    "forbidden": Forbidden("not for you"),
    "unauthenticated": Unauthenticated("expired"),
    "handle_taken": Conflict(Reason.handle_taken, "@ming is taken", field="handle"),
    "quota_exceeded": QuotaExceeded("slowly", retry_after=2.2),
    "deadline_unreachable": DeadlineUnreachable("too late", retry_after=1),
    "ledger_unavailable": LedgerUnavailable("the database cannot be reached", retry_after=2),
    "our_mistake": RuntimeError("SELECT secret FROM /etc/passwd"),
}


class NewPayment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a payer wants."""

    payee: Annotated[str, msgspec.Meta(max_length=64)]
    amount: Annotated[int, msgspec.Meta(ge=1, le=10**18)]
    lines: list[dict[str, int]] = []


class Payment(msgspec.Struct, frozen=True):
    """What became of it."""

    payee: str
    amount: int
    key: str
    remaining_ms: int


class Tokens:
    """An authenticator for whom a token is a role, `short` a customer for a second."""

    def authenticate(self, token: str) -> Principal:
        expires_at = datetime.now(UTC) + (timedelta(seconds=1) if token == "short" else timedelta(hours=1))
        role = {"short": "customer"}.get(token, token)
        if role not in Role.__members__ or role == "anyone":
            raise Unauthenticated("this token is not ours")
        return Principal(1, PERSON, SESSION, Role(role), expires_at)

    def recognise(self, token: str) -> Principal | None:
        with contextlib.suppress(Unauthenticated):
            return self.authenticate(token)
        return None


class Journal:
    """Events that happened, numbered from one."""

    def __init__(self) -> None:
        self.events: list[api.Event] = []

    async def read(self, after: str) -> Sequence[api.Event]:
        return self.events[int(after) :][:2]

    def add(self, kind: str) -> None:
        self.events.append(api.Event(id=str(len(self.events) + 1), type=kind, data=b'{"ok":true}'))


@post("/payments", opt=allow(Role.customer), summary="Pay")
async def pay(
    request: Request, data: JSONBody[NewPayment], idempotency_key: api.IdempotencyKey, prefer: api.PreferHeader = None
) -> Answer[Payment]:
    preference = api.read_prefer(prefer)
    paid = Payment(data.payee, data.amount, idempotency_key, int(request.deadline.remaining() * 1000))
    return Answer(paid, headers={"location": "/payments/1", **preference.applied()})


@get("/payments", opt=allow(Role.customer, Role.merchant))
async def list_payments(limit: api.Limit = 20, cursor: api.Cursor = None) -> Answer[api.Page[int]]:
    begin = NUMBERS.read(cursor) or 0
    rows = list(range(begin, 50))[: limit + 1]
    return Answer(NUMBERS.page(rows, limit, lambda row: row, lambda row: row + 1))


NUMBERS = api.Cursors("numbers", int)


@get("/payments/{payment_id:str}", opt=allow(Role.customer), responses=api.NOT_CHANGED)
async def see(request: Request, payment_id: FromPath[str]) -> Answer[Payment]:
    return api.answer_if_changed(request, Payment(payment_id, 1, "", 0), api.etag(payment_id, 1))


@get("/errors/{name:str}", opt=allow(Role.anyone))
async def fail(name: FromPath[str]) -> Answer[Payment]:
    raise ERRORS[name]


@get("/bare", opt=allow(Role.anyone))
async def bare() -> Payment:
    return Payment("@ming", 1, "", 0)


@get("/forgotten")
async def forgotten() -> Answer[Payment]:
    """Names no role, so it is nobody's."""
    return Answer(Payment("", 0, "", 0))


@get("/events", opt=allow(Role.customer), media_type="text/event-stream")
async def events(request: Request, last_event_id: api.LastEventId = None) -> api.EventStream:
    journal = request.part(Journal)
    after = last_event_id or str(len(journal.events))
    return api.EventStream(request, journal.read, after=after)


@get("/broken", opt=allow(Role.anyone))
async def broken() -> BreaksOff:
    return BreaksOff(None)


class BreaksOff(api.Answer[None]):
    """An answer that fails after it has begun."""

    def to_asgi_response(self, *_: Any, **__: Any) -> Any:
        async def run(_scope: Any, _receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"9")]})
            await asyncio.sleep(0)
            raise RuntimeError("SELECT secret")

        return run


HANDLERS = (pay, list_payments, see, fail, bare, forgotten, events, broken)


def application(**more: Any) -> api.Application:
    """The small application, with its own hub and journal unless others are given."""
    about: dict[str, Any] = {"parts": (Journal(),), "hub": api.Hub(), **more}
    return api.create(HANDLERS, authenticator=Tokens(), settings=Settings(), clock=SystemClock(), **about)
