"""Idempotency keys: the same request twice is one payment.

A caller makes up a key for what it wants done and sends it again with every attempt. Here the key
is read and the request's fingerprint taken; each room keeps both in the same transaction as the
work itself, because a key that is stored elsewhere can be lost while the money has moved.
"""

from __future__ import annotations

import hashlib
from typing import Annotated

import msgspec
from litestar.params import HeaderParameter

FINGERPRINT_BYTES = 16

# Printable ASCII without a blank at either end: servers in between may trim a header's value.
PATTERN = "^[!-~]([ -~]{0,62}[!-~])?$"

IdempotencyKey = Annotated[
    str,
    HeaderParameter(
        name="Idempotency-Key",
        min_length=1,
        max_length=64,
        pattern=PATTERN,
        description="1 to 64 printable ASCII characters, made up by the caller, the same for every attempt at the "
        "same thing. It never expires. The same key with another body is refused (`key_reused`).",
    ),
]
"""A handler's parameter that takes the key: `idempotency_key: api.IdempotencyKey`."""

_encode = msgspec.json.Encoder(order="deterministic").encode


def fingerprint(route: str, body: msgspec.Struct | None = None) -> bytes:
    """What a key stands for, in 16 bytes: the route with its ids filled in, and the decoded body.

    Taken of the decoded body, so that blanks and the order of fields make no difference.
    """
    digest = hashlib.blake2b(route.encode(), digest_size=FINGERPRINT_BYTES)
    # The zero byte keeps route and body apart: no route contains one.
    digest.update(b"\0" + _encode(body))
    return digest.digest()
