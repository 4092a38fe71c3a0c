"""What the wallet says when it does not accept a request (RFC 9457), as data."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec


class Ticket(msgspec.Struct, frozen=True):
    """A place in line. Whoever comes at `slot_at` with the token is served before newcomers."""

    token: str
    slot_at: datetime
    expires_at: datetime | None = None
    class_: str = msgspec.field(name="class", default="")
    moved_from: datetime | None = None


class Retry(msgspec.Struct, frozen=True):
    """Whether asking again helps. `after` is in seconds."""

    safe: bool = True
    same_key: bool = True
    after: float | None = None


class FieldError(msgspec.Struct, frozen=True):
    """One thing that is wrong with the request, and where."""

    field: str = ""
    detail: str = ""


class Problem(msgspec.Struct, frozen=True):
    """The body of an answer that is not a success. A newer wallet may send reasons unknown here."""

    title: str = ""
    detail: str = ""
    reason: str = ""
    fix: str = ""
    retry: Retry = Retry()
    request_id: str = ""
    errors: Sequence[FieldError] = ()
    ticket: Ticket | None = None


# What decoding raises for bytes that are not what they should be: text that is no UTF-8 and JSON
# that is nested without an end included.
UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)

NO_PROBLEM = Problem()
"""Nothing was said, or nothing that can be read."""


def read_problem(body: bytes) -> Problem:
    """The problem in a body. Whatever cannot be read, such as a proxy's page, is `NO_PROBLEM`;
    a part that cannot be read is left out, for the reason counts without it."""
    try:
        said: Any = msgspec.json.decode(body)
    except UNREADABLE:
        return NO_PROBLEM
    if not isinstance(said, dict):
        return NO_PROBLEM
    readable: dict[str, Any] = {}
    for field in msgspec.structs.fields(Problem):
        if field.name in said:
            try:
                readable[field.name] = msgspec.convert(said[field.name], field.type)
            except UNREADABLE:
                continue
    return Problem(**readable)
