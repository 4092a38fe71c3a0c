"""Batches over HTTP."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from litestar import get, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import OpenAPIMediaType, OpenAPIType, Operation, RequestBody, Schema
from litestar.params import FromPath, QueryParameter

from unbusy import ids
from unbusy.api import Answer, Cursor, Cursors, IdempotencyKey, Limit, Page, Request, Role, allow
from unbusy.batches import model
from unbusy.batches.model import MOST_ROWS, Batch, NewBatch, Reported, Upload
from unbusy.batches.service import Batches, Standing
from unbusy.errors import NotFound
from unbusy.payments import Polls
from unbusy.reasons import Reason

# 8,000 rows, each with every text at its longest and in Chinese, are some 4 MB.
MOST_BODY = 4 * 1024 * 1024

_ROWS = Cursors("batch rows", int)

TakeGoodRows = Annotated[
    bool,
    QueryParameter(name="take_good_rows", description="Take the rows that are good even if others are not."),
]


class RowView(msgspec.Struct, frozen=True, omit_defaults=True):
    """A row, by its line in the file, and what became of it. `field` and `detail` say what is wrong with
    one that was refused."""

    line: int
    status: str
    key: str | None = None
    payment_id: str | None = None
    reason: Reason | None = None
    field: str | None = None
    detail: str | None = None


class BatchView(msgspec.Struct, frozen=True, omit_defaults=True):
    """A batch as it is now. `payments` counts what was accepted by status; every one is final by `finish_by`."""

    id: str
    status: Literal["queued", "finished"]
    accepted: int
    refused: int
    payments: dict[str, int]
    rows: Page[RowView]
    created_at: datetime
    finish_by: datetime | None = None
    next_check_after: datetime | None = None


def _schema(type: OpenAPIType, description: str | None = None, **more: object) -> Schema:
    return Schema(type=type, description=description, **more)  # pyright: ignore[reportArgumentType] - Schema's own words


_ROW = _schema(
    OpenAPIType.OBJECT,
    "One payment. A row is read by itself: one that is wrong is named, and hides no other.",
    properties={
        "key": _schema(OpenAPIType.STRING, "An idempotency key of its own, 1 to 64 printable ASCII characters."),
        "payee": _schema(OpenAPIType.STRING, "A handle such as `@ming`, or a person's id."),
        "amount": _schema(OpenAPIType.INTEGER, "In minor units of the asset."),
        "asset": _schema(OpenAPIType.STRING, "An ISO 4217 code, or another registered asset."),
        "note": _schema(OpenAPIType.STRING, "One line for both sides."),
    },
    required=["key", "payee", "amount", "asset"],
)
_JSON = _schema(
    OpenAPIType.OBJECT,
    properties={
        "payments": _schema(OpenAPIType.ARRAY, items=_ROW, min_items=1, max_items=MOST_ROWS),
        "take_good_rows": _schema(OpenAPIType.BOOLEAN),
    },
    required=["payments"],
)


@dataclass
class _Upload(Operation):
    """The description of a body that comes in three forms."""

    def __post_init__(self) -> None:
        self.request_body = RequestBody(
            required=True,
            content={
                "application/json": OpenAPIMediaType(schema=_JSON),
                "application/x-ndjson": OpenAPIMediaType(
                    schema=_schema(OpenAPIType.STRING, "One JSON object per line, with the fields of a row.")
                ),
                "text/csv": OpenAPIMediaType(
                    schema=_schema(OpenAPIType.STRING, "UTF-8, with the header `key,payee,amount,asset,note`.")
                ),
            },
        )


@post(
    "/v1/payment-batches",
    opt=allow(Role.customer, Role.merchant, most_body=MOST_BODY),
    operation_class=_Upload,
    status_code=202,
    responses={202: ResponseSpec(BatchView, description="Recorded: every payment is final by `finish_by`.")},
    summary="Pay many at once",
    tags=["batches"],
)
async def send_batch(
    request: Request, idempotency_key: IdempotencyKey, take_good_rows: TakeGoodRows = False
) -> Answer[BatchView]:
    """Up to 8,000 payments, each with a key of its own, as JSON, JSON lines or CSV, recorded together and settled in
    order. Rows that are wrong are named by line and field, and nothing is taken, unless `take_good_rows` says so."""
    upload, wants_good = await _read(request)
    batch, replayed = await request.part(Batches).take(
        request.principal,
        upload,
        take_good_rows=take_good_rows or wants_good,
        key=idempotency_key,
        deadline=request.deadline,
    )
    view, again = await _show(request, batch, 0, 20)
    headers = {"Location": f"/v1/payment-batches/{view.id}"} | again
    return Answer(view, status_code=202, headers=headers | ({"Idempotent-Replayed": "true"} if replayed else {}))


@get(
    "/v1/payment-batches/{batch_id:str}",
    opt=allow(Role.customer, Role.merchant),
    summary="See a batch",
    tags=["batches"],
)
async def see_batch(
    request: Request, batch_id: FromPath[str], limit: Limit = 20, cursor: Cursor = None
) -> Answer[BatchView]:
    """How it stands, and its rows in the file's order. While it is not finished, `next_check_after` says when
    to look again."""
    after = _ROWS.read(cursor) or 0
    if (id := ids.read("bat", batch_id)) is None:
        raise NotFound("there is nothing with this id")
    if not after:
        request.part(Polls).look(request.principal.person_id, id)
    batch = await request.part(Batches).find(request.principal, id)
    view, headers = await _show(request, batch, after, limit)
    return Answer(view, headers=headers)


HANDLERS = (send_batch, see_batch)


async def _read(request: Request) -> tuple[Upload, bool]:
    """The rows of the body, and whether it says itself that the good ones are enough. Read in a thread, so
    that nobody else waits for it."""
    match request.media_type:
        case "text/csv":
            return await asyncio.to_thread(model.read_csv, await request.body()), False
        case "application/x-ndjson":
            return await asyncio.to_thread(model.read_lines, await request.body()), False
        case _:
            new = await request.decode(NewBatch)
            return await asyncio.to_thread(model.read_json, new.payments), new.take_good_rows


async def _show(request: Request, batch: Batch, after: int, limit: int) -> tuple[BatchView, dict[str, str]]:
    """The batch with a page of its rows; one that is not finished with when to look again."""
    batches, polls, viewer_id = request.part(Batches), request.part(Polls), request.principal.person_id
    standing = await batches.standing(batch)
    rows = await batches.report(batch, after, limit + 1)
    page = _ROWS.page(rows, limit, _row, lambda row: row.line)
    if standing.is_final:
        polls.forget(viewer_id, batch.id)
        return _view(batch, standing, page, None), {}
    next_check = polls.next_check(viewer_id, batch.id, batches.expected_at(standing))
    return _view(batch, standing, page, next_check), polls.retry_after(next_check)


def _view(batch: Batch, standing: Standing, rows: Page[RowView], next_check: datetime | None) -> BatchView:
    return BatchView(
        id=ids.show("bat", batch.id),
        status="finished" if standing.is_final else "queued",
        accepted=batch.accepted,
        refused=batch.refused,
        payments=standing.statuses,
        rows=rows,
        created_at=batch.created_at,
        finish_by=standing.finish_by or batch.finish_by,
        next_check_after=next_check,
    )


def _row(row: Reported) -> RowView:
    return RowView(
        line=row.line,
        status=row.status or "refused",
        key=row.key,
        payment_id=ids.show("pay", row.payment_id) if row.payment_id else None,
        reason=Reason(row.reason) if row.reason else None,
        field=row.field,
        detail=row.detail,
    )
