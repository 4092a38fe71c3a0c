"""ETags: a caller that has this version already is told so without sending it again (RFC 9110)."""

from __future__ import annotations

import hashlib
import re

_ETAG = re.compile(r'(?:W/)?("[!#-~\x80-\xff]*")')
_BYTES = 12


def etag(*parts: object) -> str:
    """A strong ETag, quoted, from what changes when the answer does: a version, an id, a language."""
    text = "\0".join(str(part) for part in parts)
    return f'"{hashlib.blake2b(text.encode(), digest_size=_BYTES).hexdigest()}"'


def is_match(if_none_match: str, current: str) -> bool:
    """Whether an `If-None-Match` header names the current ETag; compared weakly, as the RFC asks."""
    return if_none_match.strip() == "*" or current in _ETAG.findall(if_none_match)
