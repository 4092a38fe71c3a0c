"""Top-ups over HTTP."""

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
    QueryParameter(name="wait", ge=0, le=30, description="Seconds to wait for the top-up to become final."),
]


@post("/v1/topups", opt=NAMES_AN_ACCOUNT, responses=UNDER_WAY, summary="Top up from a bank account", tags=["banks"])
async def top_up(
    request: Request, data: JSONBody[NewTransit], idempotency_key: IdempotencyKey, prefer: PreferHeader = None
) -> Answer[TransitView]:
    """The bank is asked after the answer: 202 once it is recorded, and final by `resolve_by`. The wallet has the
    money only after the bank has settled it. With `Prefer: wait=N` the answer waits for that, so many seconds."""
    return await transits.begin(request, Direction.pull, data, idempotency_key, read_prefer(prefer))


@get("/v1/topups", opt=PEOPLE, summary="List your top-ups", tags=["banks"])
async def list_topups(request: Request, limit: Limit = 20, cursor: Cursor = None) -> Answer[Page[TransitView]]:
    """Newest first."""
    return await transits.page_of(request, Direction.pull, limit, cursor)


@get("/v1/topups/{topup_id:str}", opt=PEOPLE, responses=NOT_CHANGED, summary="See a top-up", tags=["banks"])
async def see_topup(request: Request, topup_id: FromPath[str], wait: Wait = None) -> Answer[TransitView]:
    """With `wait`, the answer comes once the top-up is final, or after so many seconds. Without, one that
    is not final says in `next_check_after` when to look again; who looks earlier again and again is refused."""
    return await transits.see(request, Direction.pull, topup_id, wait or 0)


HANDLERS = (top_up, list_topups, see_topup)
