"""A request that is not accepted: one shape (RFC 9457), from every place it can come from."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar.types import ExceptionHandlersMap

from unbusy.reasons import Reason


class Retry(msgspec.Struct, frozen=True):
    """Whether asking again helps. `after` is in seconds; `same_key` says to keep the idempotency key."""

    safe: bool
    same_key: bool
    after: int | None = None


class FieldError(msgspec.Struct, frozen=True):
    """One thing that is wrong with the request, and where."""

    field: str
    detail: str


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """The body of every answer that is not a success."""

    type: str
    title: str
    status: int
    detail: str
    reason: Reason
    retry: Retry
    request_id: str
    field: str | None = None
    errors: list[FieldError] = []


def exception_handlers() -> ExceptionHandlersMap:
    """For Litestar: every error to its problem."""
    raise NotImplementedError
