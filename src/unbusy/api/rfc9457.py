"""The shape of every answer that is not a success: problem details for HTTP (RFC 9457)."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from unbusy.reasons import Reason

MEDIA_TYPE = "application/problem+json"


class Retry(msgspec.Struct, frozen=True):
    """Whether asking again helps. `after` is in seconds; `same_key` says to keep the idempotency key."""

    safe: bool
    same_key: bool
    after: int | None = None


class FieldError(msgspec.Struct, frozen=True):
    """One thing that is wrong with the request, and where."""

    field: str
    detail: str


class Ticket(msgspec.Struct, frozen=True, omit_defaults=True, rename={"klass": "class"}):
    """A place in line: the same request again at `slot_at`, not earlier, with the header `Unbusy-Ticket: <token>`.

    `moved_from` is the slot told before, when it had to move. Worth nothing to anybody else, and nothing twice.
    """

    token: str
    slot_at: str
    expires_at: str
    klass: str
    moved_from: str | None = None


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """The body of every answer that is not a success (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    reason: Reason
    fix: str
    retry: Retry
    request_id: str
    field: str | None = None
    errors: Sequence[FieldError] = ()
    ticket: Ticket | None = None
