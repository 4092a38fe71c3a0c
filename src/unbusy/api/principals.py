"""Who asks, and what they may do: roles deny by default.

A route names the roles that may call it with `allow(...)`; one that names none is refused to
everybody, by the guard that stands in front of all of them.
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Protocol
from uuid import UUID

import msgspec
from litestar.connection import ASGIConnection
from litestar.handlers.base import BaseRouteHandler

from unbusy.errors import Forbidden, Unauthenticated


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


def allow(*roles: Role) -> dict[str, Any]:
    """For a route's `opt`: the roles that may call it."""
    return {"roles": frozenset(roles)}


def guard(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Let the request pass, knowing who asks (`connection.user`), or refuse it."""
    roles: frozenset[Role] = handler.opt.get("roles", frozenset())
    if Role.anyone in roles:
        return
    authenticator: Authenticator = connection.app.state.authenticator
    principal = authenticator.authenticate(_bearer(connection))
    if principal.role not in roles:
        raise Forbidden(f"this is not open to a {principal.role}")
    connection.scope["user"] = principal


def _bearer(connection: ASGIConnection[Any, Any, Any, Any]) -> str:
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated("send 'Authorization: Bearer <access_token>'")
    return token
