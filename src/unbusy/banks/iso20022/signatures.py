"""Signatures under messages both ways: a detached JSON Web Signature (RFC 7515, appendix F), PS256."""

from __future__ import annotations

from joserfc import jws
from joserfc.errors import JoseError

from unbusy.banks.tables import Keys

_ALGORITHM = "PS256"


class Signer:
    """Signs for us, and knows one bank's signature."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    def sign(self, body: bytes) -> str:
        """The value of `x-jws-signature` for this body."""
        header = {"alg": _ALGORITHM, "kid": self._keys.ours.thumbprint()}
        return jws.detach_content(jws.serialize_compact(header, body, self._keys.ours, [_ALGORITHM]))

    def is_banks(self, body: bytes, signature: str) -> bool:
        """Whether the bank signed exactly this body."""
        try:
            jws.deserialize_compact(signature, self._keys.bank, [_ALGORITHM], payload=body)
        except (JoseError, ValueError):
            return False
        return True
