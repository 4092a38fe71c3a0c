"""What the edge leaves in a request's ASGI scope for those inside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, cast

from litestar.types import Scope

from unbusy.admission import Decision
from unbusy.clock import Deadline

_REQUEST_ID = "unbusy.request_id"
_DEADLINE = "unbusy.deadline"
_HEADERS = "unbusy.headers"
_DECISION = "unbusy.decision"
_DECIDED_AT = "unbusy.decided_at"
_HOLD_OPEN = "unbusy.hold_open"


class OpenAnswer(Protocol):
    """An answer whose head has been sent, and whose body goes on."""

    @property
    def is_full(self) -> bool:
        """Whether the reader has yet to take what was written."""
        ...

    def write(self, body: bytes) -> None:
        """Send more of it. What is sent after its reader has gone is lost."""
        ...

    def end(self) -> None:
        """It is whole."""
        ...

    def cut(self) -> None:
        """Hang up at once."""
        ...


class Holder(Protocol):
    """Who holds an answer open, and is told about its reader."""

    def drained(self) -> None:
        """It took what had been written: there is room for more."""
        ...

    def lost(self) -> None:
        """It has gone."""
        ...


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


def leave_way_to_hold_open(scope: Scope, way: Callable[[Holder], OpenAnswer]) -> None:
    """Put there how the answer to this request is held open."""
    cast("dict[str, Any]", scope)[_HOLD_OPEN] = way


def hold_open(scope: Scope, holder: Holder) -> OpenAnswer:
    """Take the answer, whose head has been sent, over from the request's task, which may end then.

    Only where requests come through the door.
    """
    return cast("dict[str, Any]", scope)[_HOLD_OPEN](holder)


def take_back_way_to_hold_open(scope: Scope) -> None:
    """The request is done. What hangs together in a circle would else wait for the garbage collector."""
    cast("dict[str, Any]", scope).pop(_HOLD_OPEN, None)


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
