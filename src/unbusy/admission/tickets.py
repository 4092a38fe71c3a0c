"""Tickets: a place in line that its holder carries, and nobody has to store.

    version · class · number │ tag │ slot │ customer │ signature
       1        1       8       8     8       8          17       bytes, 68 characters

The *number* is the ticket's own and stays when its slot moves, so that it is used once. The *tag* is
the place in the line (see `line`), the *slot* what its holder was told, in milliseconds since 1970.
The signature is keyed BLAKE2b of 17 bytes (RFC 7693).
"""

from __future__ import annotations

import binascii
import hmac
from hashlib import blake2b
from struct import Struct
from typing import Final

import msgspec

from unbusy.admission.classes import CLASSES, Class

LIFE_S: Final = 60
"""How long after its slot a ticket is good."""

_VERSION: Final = 3
_FIELDS: Final = Struct(">BBQdQQ")
_TAG_BYTES: Final = 17
# Divisible by three: base64 needs no padding, and no other text reads as the same bytes.
_CHARACTERS: Final = (_FIELDS.size + _TAG_BYTES) * 4 // 3
_TO_URL: Final = bytes.maketrans(b"+/", b"-_")
# What is not in the alphabet of URLs becomes a character that is in no alphabet.
_FROM_URL: Final = bytes.maketrans(b"-_+/=", b"+/!!!")
_CROWD: Final = 0x80


class Ticket(msgspec.Struct, frozen=True, gc=False):
    """What a ticket says. `slot_at` is in seconds since 1970."""

    klass: Class
    number: int
    tag: float
    slot_at: float
    who: int
    is_crowd: bool = False


class Tickets:
    """Writes and reads tickets. `key` is 32 bytes of this use alone."""

    __slots__ = ("_keyed",)

    def __init__(self, key: bytes) -> None:
        # The key is hashed once, and what is signed goes into a copy: half of what HMAC-SHA256 takes that way.
        self._keyed = blake2b(key=key, digest_size=_TAG_BYTES)

    def issue(self, klass: int, number: int, tag: float, slot_at: float, who: int, crowd: bool) -> str:
        """The token of this place: 68 URL-safe characters. `slot_at` is rounded up to a millisecond."""
        slot_ms = -int(slot_at * -1000 // 1)
        signed = _FIELDS.pack(_VERSION, klass | _CROWD if crowd else klass, number, tag, slot_ms, who)
        raw = binascii.b2a_base64(signed + self._signature(signed), newline=False)
        return raw.translate(_TO_URL).decode("ascii")

    def read(self, token: str) -> Ticket | None:
        """What a genuine token says, else None, whatever is wrong with it."""
        if len(token) != _CHARACTERS:
            return None
        try:
            raw = binascii.a2b_base64(token.encode("ascii").translate(_FROM_URL), strict_mode=True)
        except ValueError:
            return None
        signed = raw[: _FIELDS.size]
        if not hmac.compare_digest(raw[_FIELDS.size :], self._signature(signed)):
            return None
        fields: tuple[int, int, int, float, int, int] = _FIELDS.unpack(signed)
        version, kind, number, tag, slot_ms, who = fields
        if version != _VERSION:
            return None
        return Ticket(CLASSES[kind & ~_CROWD], number, tag, slot_ms / 1000, who, kind >= _CROWD)

    def _signature(self, signed: bytes) -> bytes:
        keyed = self._keyed.copy()
        keyed.update(signed)
        return keyed.digest()
