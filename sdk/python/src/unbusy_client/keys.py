"""Idempotency keys: made up once for what is wanted, and sent with every attempt at it."""

from __future__ import annotations

import secrets


def new_key() -> str:
    """A key that nobody has used. Keep it with the order before paying, and an interruption costs nothing."""
    return secrets.token_hex(16)
