"""Who asks, and what they may do: roles deny by default.

A route names the roles that may call it with `allow(...)`; one that names none is refused to
everybody, by the guard that stands in front of all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Protocol
from uuid import UUID

import msgspec
from litestar import Request

from unbusy.api.scope import header
from unbusy.errors import Forbidden, Unauthenticated

# Characters. Ours have a few hundred; a longer one is not worth a look.
_LONGEST_TOKEN = 4_096


class Role(StrEnum):
    """What kind of person asks. `anyone` is whoever has not signed in."""

    anyone = "anyone"
    customer = "customer"
    merchant = "merchant"
    operator = "operator"


class Principal(msgspec.Struct, frozen=True):
    """Who asks, as the access token says; no database was read."""

    tenant_id: int
    person_id: UUID
    session_id: UUID
    role: Role
    # When the access token ends, and with it a stream it opened.
    expires_at: datetime = datetime.max.replace(tzinfo=UTC)


class Authenticator(Protocol):
    """Turns an access token into who it stands for."""

    def authenticate(self, token: str) -> Principal:
        """Raises Unauthenticated when it is forged, expired or revoked."""
        ...

    def recognise(self, token: str) -> Principal | None:
        """Whom a genuine token names, good or no longer so; None for a forged one. For the gate, which has no time."""
        ...


def allow(*roles: Role, problems: Sequence[int] = (), most_body: int = 0) -> dict[str, Any]:
    """For a route's `opt`: the roles that may call it.

    `problems` are the HTTP statuses of problems that it answers with beside those which follow
    from its form (`openapi`): 404 when its body names something that may not exist. `most_body`
    is in bytes, where a body may be larger than others (`bodies`).
    """
    return {"roles": frozenset(roles), "problems": tuple(problems), "most_body": most_body}


async def guard(request: Request[Any, Any, Any]) -> None:
    """Stands before every handler (Litestar's `before_request`; its own guards would cost ten times
    as much, running in a thread when they are not async and copying the handler when they are)."""
    let_pass(request)


def let_pass(request: Request[Any, Any, Any]) -> None:
    """Let the request pass, knowing who asks (`request.principal`), or refuse it."""
    handler = request.route_handler
    roles: frozenset[Role] = handler.opt.get("roles", frozenset())
    if Role.anyone in roles or request.method == "OPTIONS":
        return
    authenticator: Authenticator = request.app.state.authenticator
    principal = authenticator.authenticate(_bearer(request))
    if principal.role not in roles:
        raise Forbidden(f"this is not open to a {principal.role}")
    request.scope["user"] = principal


def _bearer(request: Request[Any, Any, Any]) -> str:
    scheme, _, token = header(request.scope, b"authorization").partition(" ")
    if scheme.lower() != "bearer" or not token or len(token) > _LONGEST_TOKEN:
        raise Unauthenticated("send 'Authorization: Bearer <access_token>'")
    return token
