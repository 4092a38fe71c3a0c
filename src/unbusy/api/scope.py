"""What the edge leaves in a request's ASGI scope for those inside."""

from __future__ import annotations

from typing import Any, cast

from litestar.types import Scope

from unbusy.clock import Deadline

_REQUEST_ID = "unbusy.request_id"
_DEADLINE = "unbusy.deadline"


def leave(scope: Scope, request_id: str, deadline: Deadline | None) -> None:
    """Put both where `request_id` and `deadline` find them."""
    known = cast("dict[str, Any]", scope)
    known[_REQUEST_ID] = request_id
    known[_DEADLINE] = deadline


def request_id(scope: Scope) -> str:
    """What the caller and the log call this request."""
    return cast("dict[str, Any]", scope).get(_REQUEST_ID, "")


def deadline(scope: Scope) -> Deadline:
    """The moment after which the caller no longer waits."""
    return cast("dict[str, Any]", scope)[_DEADLINE]


def header(scope: Scope, name: bytes) -> str:
    """A header of the request by its lower-case name, empty when it is not there."""
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), "")
