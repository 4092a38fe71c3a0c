"""Payouts over HTTP."""

from __future__ import annotations

from typing import Annotated

from litestar import get, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, JSONBody, QueryParameter

from unbusy import transits
from unbusy.api import (
    NOT_CHANGED,
    Answer,
    Cursor,
    IdempotencyKey,
    Limit,
    Page,
    PreferHeader,
    Request,
    Role,
    allow,
    read_prefer,
)
from unbusy.banks import Direction
from unbusy.transits import NewTransit, TransitView

PEOPLE = allow(Role.customer, Role.merchant)
# The body names a bank account, which may not be linked.
NAMES_AN_ACCOUNT = allow(Role.customer, Role.merchant, problems=(404,))
UNDER_WAY = {202: ResponseSpec(TransitView, description="Recorded: it is final by `resolve_by`.")}

Wait = Annotated[
    int | None,
    QueryParameter(name="wait", ge=0, le=30, description="Seconds to wait for the payout to become final."),
]


@post("/v1/payouts", opt=NAMES_AN_ACCOUNT, responses=UNDER_WAY, summary="Pay out to a bank account", tags=["banks"])
async def pay_out(
    request: Request, data: JSONBody[NewTransit], idempotency_key: IdempotencyKey, prefer: PreferHeader = None
) -> Answer[TransitView]:
    """The amount is set aside at once, and the bank is told after the answer: 202 once it is recorded, and final by
    `resolve_by`. With `Prefer: wait=N` the answer waits for the bank, so many seconds."""
    return await transits.begin(request, Direction.push, data, idempotency_key, read_prefer(prefer))


@get("/v1/payouts", opt=PEOPLE, summary="List your payouts", tags=["banks"])
async def list_payouts(request: Request, limit: Limit = 20, cursor: Cursor = None) -> Answer[Page[TransitView]]:
    """Newest first."""
    return await transits.page_of(request, Direction.push, limit, cursor)


@get("/v1/payouts/{payout_id:str}", opt=PEOPLE, responses=NOT_CHANGED, summary="See a payout", tags=["banks"])
async def see_payout(request: Request, payout_id: FromPath[str], wait: Wait = None) -> Answer[TransitView]:
    """With `wait`, the answer comes once the payout is final, or after so many seconds. Without, one that
    is not final says in `next_check_after` when to look again; who looks earlier again and again is refused."""
    return await transits.see(request, Direction.push, payout_id, wait or 0)


HANDLERS = (pay_out, list_payouts, see_payout)
