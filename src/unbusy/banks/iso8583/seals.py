"""The code at the end of each message: AES-CMAC (NIST SP 800-38B), of which the field holds the first 64 bits."""

from __future__ import annotations

import hmac
from typing import NamedTuple

from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC

LENGTH = 8


class Seals(NamedTuple):
    """The secret under what we say, and the one under what the bank says: our own words do not come back as its."""

    ours: bytes
    bank: bytes

    @classmethod
    def read(cls, ours: bytes, bank: bytes) -> Seals:
        """From what two files hold: 32, 48 or 64 hexadecimal digits each. Raises ValueError."""
        return cls(_secret(ours), _secret(bank))

    def seal(self, message: bytes) -> bytes:
        """Our code for a message."""
        return _code(self.ours, message)

    def is_banks(self, message: bytes, code: bytes) -> bool:
        """Whether the bank made this code for exactly this message; it takes the same time whatever is wrong."""
        return hmac.compare_digest(_code(self.bank, message), code)


def _secret(text: bytes) -> bytes:
    secret = bytes.fromhex(text.decode("ascii"))
    AES(secret)
    return secret


def _code(secret: bytes, message: bytes) -> bytes:
    made = CMAC(AES(secret))
    made.update(message)
    return made.finalize()[:LENGTH]
