"""An answer: a struct as JSON, encoded once, with as little around it as HTTP allows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from litestar import Response

from unbusy.api.requests import Request

T = TypeVar("T")


class Answer(Response[T]):
    """The answer of a handler: `-> Answer[Payment]`, so that OpenAPI shows the struct.

    `content` may also be JSON that is already encoded: `Answer(msgspec.Raw(...))`.
    """

    def __init__(self, content: T, *, status_code: int = 200, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(content, status_code=status_code, headers=dict(headers or {}))


def answer_if_changed(
    request: Request, content: T, etag: str, *, headers: Mapping[str, str] | None = None
) -> Answer[T]:
    """200 with the content and its ETag, or 304 without when the caller has this version."""
    raise NotImplementedError
