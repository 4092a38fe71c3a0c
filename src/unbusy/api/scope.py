"""What the edge leaves in a request's ASGI scope for those inside."""

from __future__ import annotations

from typing import Any, cast

from litestar.types import Scope

from unbusy.admission import Decision
from unbusy.clock import Deadline

_REQUEST_ID = "unbusy.request_id"
_DEADLINE = "unbusy.deadline"
_HEADERS = "unbusy.headers"
_DECISION = "unbusy.decision"
_DECIDED_AT = "unbusy.decided_at"


def leave(scope: Scope, request_id: str, deadline: Deadline, headers: dict[bytes, bytes]) -> None:
    """Put these where the functions below find them."""
    known = cast("dict[str, Any]", scope)
    known[_REQUEST_ID] = request_id
    known[_DEADLINE] = deadline
    known[_HEADERS] = headers


def of_no_request(request_id: str, headers: list[tuple[bytes, bytes]]) -> Scope:
    """A scope for the answer to what never became a request."""
    return cast("Scope", {"type": "http", "headers": headers, _REQUEST_ID: request_id})


def leave_decision(scope: Scope, decision: Decision, at: float) -> None:
    """Put there what the gate decided, and when (on the monotonic clock)."""
    known = cast("dict[str, Any]", scope)
    known[_DECISION] = decision
    known[_DECIDED_AT] = at


def decision(scope: Scope) -> Decision | None:
    """What the gate decided; None when there is no gate."""
    return cast("dict[str, Any]", scope).get(_DECISION)


def decided_at(scope: Scope) -> float:
    """When the gate decided."""
    return cast("dict[str, Any]", scope)[_DECIDED_AT]


def request_id(scope: Scope) -> str:
    """What the caller and the log call this request."""
    return cast("dict[str, Any]", scope).get(_REQUEST_ID, "")


def deadline(scope: Scope) -> Deadline:
    """The moment after which the caller no longer waits."""
    return cast("dict[str, Any]", scope)[_DEADLINE]


def header(scope: Scope, name: bytes) -> str:
    """A header of the request by its lower-case name, empty when it is not there."""
    headers: dict[bytes, bytes] | None = cast("dict[str, Any]", scope).get(_HEADERS)
    if headers is None:  # it did not come through the edge
        headers = dict(scope["headers"])
    return headers.get(name, b"").decode("latin-1")


def headers(scope: Scope) -> dict[bytes, bytes]:
    """The request's headers by their lower-case names; of one that is there twice, the last."""
    return cast("dict[str, Any]", scope)[_HEADERS]


def repeats_a_header(scope: Scope) -> bool:
    """Whether a header is there on several lines; `header` then gives the last."""
    return len(cast("dict[str, Any]", scope)[_HEADERS]) < len(cast("list[object]", scope["headers"]))
