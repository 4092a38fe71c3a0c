"""ETags: a caller that has this version already is told so without sending it again (RFC 9110)."""

from __future__ import annotations


def etag(*parts: object) -> str:
    """A strong ETag, quoted, from what changes when the representation does (a version, an id, a language)."""
    raise NotImplementedError


def is_match(if_none_match: str, current: str) -> bool:
    """Whether an `If-None-Match` header names the current ETag (weakly compared, as the RFC asks)."""
    raise NotImplementedError
