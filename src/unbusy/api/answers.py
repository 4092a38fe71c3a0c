"""An answer: a struct as JSON, encoded once, with as little around it as HTTP allows."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, TypeVar

import litestar
import msgspec
from litestar import Response
from litestar.types import Receive, Scope, Send

from unbusy.api.etags import is_match
from unbusy.api.requests import Request

T = TypeVar("T")

_JSON = "application/json"
NO_HEADERS: Mapping[str, str] = MappingProxyType({})
_encode = msgspec.json.Encoder().encode


class Answer(Response[T]):
    """What a handler answers: `-> Answer[Payment]`, so that OpenAPI shows the struct.

    `content` may also be bytes, which go out as they are: JSON that is already encoded, or
    whatever `media_type` says. Without a status the handler's own holds.
    """

    # The signature is the one by which Litestar makes a Response of whatever a handler returns.
    def __init__(
        self,
        content: T | bytes,
        *,
        status_code: int | None = None,
        headers: Mapping[str, str] | None = None,
        media_type: str | None = None,
        **_: object,
    ) -> None:
        # Not Response's own, which prepares for cookies and encoders that we have none of.
        self.content = content  # pyright: ignore[reportAttributeAccessIssue] - bytes are content too
        self.status_code = status_code
        self.headers = headers or {}  # pyright: ignore[reportAttributeAccessIssue] - it is only read
        self.media_type = media_type
        self.cookies = []
        self.background = None
        self.encoding = "utf-8"

    def to_asgi_response(  # pyright: ignore[reportIncompatibleMethodOverride] - what it leaves out is not used here
        self,
        app: litestar.Litestar | None,  # noqa: ARG002 - Litestar passes it
        request: litestar.Request[Any, Any, Any],  # noqa: ARG002 - Litestar passes it
        *,
        headers: Mapping[str, str] | None = None,
        media_type: str | None = None,
        status_code: int | None = None,
        **_: object,
    ) -> Sending:
        return Sending(*self.sent(status_code or 200, media_type or _JSON, headers or {}))

    def sent(
        self, status: int = 200, media_type: str = _JSON, headers: Mapping[str, str] = NO_HEADERS
    ) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        """Status, headers and body as they go out; what is given holds where the answer does not say."""
        status = self.status_code or status
        body = b"" if status in _WITHOUT_BODY else self._encoded()
        sent = [(name.lower().encode(), value.encode("latin-1")) for name, value in {**headers, **self.headers}.items()]
        if status not in _WITHOUT_BODY:
            sent.append((b"content-type", str(self.media_type or media_type).encode()))
            sent.append((b"content-length", b"%d" % len(body)))
        return status, sent, body

    def _encoded(self) -> bytes:
        content: object = self.content
        return content if isinstance(content, bytes) else _encode(content)


_WITHOUT_BODY = frozenset({204, 304})


class Sending:
    """An answer ready to go out: the ASGI application that sends it."""

    __slots__ = ("_body", "_headers", "_status")

    def __init__(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        self._status = status
        self._headers = headers
        self._body = body

    # Litestar names the arguments when the answer is a problem.
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's signature
        await send({"type": "http.response.start", "status": self._status, "headers": self._headers})
        await send({"type": "http.response.body", "body": self._body, "more_body": False})


def answer_if_changed(
    request: Request, content: T | bytes, etag: str, *, headers: Mapping[str, str] | None = None
) -> Answer[T]:
    """200 with the content and its ETag, or 304 without when the caller has this version."""
    about = {
        "etag": etag,
        "cache-control": "private, no-cache",
        "vary": "authorization, accept-language",
        **(headers or {}),
    }
    status = 304 if is_match(request.headers.get("if-none-match", ""), etag) else 200
    return Answer(content, status_code=status, headers=about)
