"""The short way to a handler, for the few routes that carry the load.

Litestar's routing, parameter reading and answering cost more than a payment itself does. A handler
marked with `opt=allow(..., is_hot=True)` is called directly when the request is plain: its path
has no parameters and its headers are there and in order. Anything else goes the long way, which
also finds the words for what is wrong. The handler is the same function, behind the same guard,
with the same answer; tests send each request both ways and compare.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, cast

from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.types import HTTPScope, Receive, Scope, Send

from unbusy.api import bodies
from unbusy.api import scope as scopes
from unbusy.api.answers import Answer
from unbusy.api.idempotency import PATTERN
from unbusy.api.principals import let_pass
from unbusy.api.requests import Request

_KEY = re.compile(PATTERN)

# What a handler's parameter is read from, by its name. None is "go the long way".
_READ: dict[str, Callable[[Scope], str | None]] = {
    "idempotency_key": lambda scope: _plain_key(scopes.header(scope, b"idempotency-key")),
    "prefer": lambda scope: scopes.header(scope, b"prefer"),
}


class ShortWay:
    """An ASGI application in front of Litestar's."""

    def __init__(self, litestar: Litestar) -> None:
        self._litestar = litestar
        self._hot = {
            (handler_method, path): _Hot(litestar, handler) for path, handler_method, handler in _marked(litestar)
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        hot = self._hot.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        read = hot.read(cast("HTTPScope", scope)) if hot else None
        if hot and read is not None:
            await hot.call(scope, receive, send, read)
        else:
            await self._litestar(scope, receive, send)


class _Hot:
    """One handler, and how to call it."""

    def __init__(self, litestar: Litestar, handler: HTTPRouteHandler) -> None:
        parameters = handler.parsed_fn_signature.parameters
        self._litestar = litestar
        self._handler = handler
        self._function = cast("Callable[..., Any]", handler.fn)
        self._body = parameters["data"].annotation
        self._names = [name for name in parameters if name not in ("request", "data")]
        self._path = next(iter(handler.paths))

    def read(self, scope: HTTPScope) -> dict[str, str] | None:
        """The parameters from the headers; None when one is not as it should be."""
        if scope["query_string"] or scopes.repeats_a_header(scope):
            return None
        read: dict[str, str] = {}
        for name in self._names:
            value = _READ[name](scope)
            if value is None:
                return None
            read[name] = value
        return read

    async def call(self, scope: Scope, receive: Receive, send: Send, read: dict[str, str]) -> None:
        known = cast("dict[str, Any]", scope)
        known["litestar_app"] = self._litestar
        known["route_handler"] = self._handler
        known["path_template"] = self._path
        request = Request(scope, receive, send)
        let_pass(request)
        data = bodies.decode(scope, await bodies.read(scope, receive), self._body)
        answer: Answer[Any] = await self._function(request=request, data=data, **read)
        await answer.to_asgi_response(None, request)(scope, receive, send)


def _marked(litestar: Litestar) -> Iterator[tuple[str, str, HTTPRouteHandler]]:
    for route in litestar.routes:
        for handler in getattr(route, "route_handlers", ()):
            if isinstance(handler, HTTPRouteHandler) and handler.opt.get("is_hot"):
                assert not route.path_components or all(isinstance(part, str) for part in route.path_components)
                for method in handler.http_methods:
                    if method != "OPTIONS":
                        yield route.path, method, handler


def _plain_key(key: str) -> str | None:
    return key if _KEY.fullmatch(key) else None
