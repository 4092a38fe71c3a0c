"""Signatures of UK Open Banking: under every message, under every answer, and on the way to a token.

A message's signature is a detached JSON Web Signature (RFC 7515, appendix F) in `x-jws-signature`,
PS256, with three private claims in its header that the other side must understand (`crit`).
"""

from __future__ import annotations

from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jws import JWSRegistry
from joserfc.registry import HeaderParameter

from unbusy.banks.tables import Keys
from unbusy.clock import Clock
from unbusy.ids import Ids

_ALGORITHM = "PS256"
_CLAIM = "http://openbanking.org.uk/"
_SIGNED_AT, _SIGNER, _TRUST_ANCHOR = f"{_CLAIM}iat", f"{_CLAIM}iss", f"{_CLAIM}tan"
_CLAIMS = JWSRegistry(
    {
        _SIGNED_AT: HeaderParameter("Seconds since 1970", "int"),
        _SIGNER: HeaderParameter("Who signed", "str"),
        _TRUST_ANCHOR: HeaderParameter("The domain that vouches for the key", "str"),
    },
    algorithms=[_ALGORITHM],
)
_ANCHOR = "openbanking.org.uk"
# An assertion is used at once.
_ASSERTION_LIFE_S = 60


class Signer:
    """Signs as one client, and knows one bank's signature."""

    def __init__(self, client_id: str, keys: Keys, *, clock: Clock, ids: Ids) -> None:
        self._client_id = client_id
        self._key = keys.ours
        self._bank_key = keys.bank
        self._clock = clock
        self._ids = ids

    def sign(self, body: bytes) -> str:
        """The value of `x-jws-signature` for this body."""
        claims = {_SIGNED_AT: self._now(), _SIGNER: self._client_id, _TRUST_ANCHOR: _ANCHOR}
        header = {"alg": _ALGORITHM, "kid": self._key.thumbprint(), **claims, "crit": [*claims]}
        return jws.detach_content(jws.serialize_compact(header, body, self._key, registry=_CLAIMS))

    def is_banks(self, body: bytes, signature: str) -> bool:
        """Whether the bank signed exactly this body."""
        try:
            jws.deserialize_compact(signature, self._bank_key, registry=_CLAIMS, payload=body)
        except (JoseError, ValueError):
            return False
        return True

    def assertion(self, audience: str) -> str:
        """A signed statement of who we are, for the token endpoint (RFC 7523)."""
        now = self._now()
        claims = {
            "iss": self._client_id,
            "sub": self._client_id,
            "aud": audience,
            "jti": self._ids.new().hex,
            "iat": now,
            "exp": now + _ASSERTION_LIFE_S,
        }
        return jwt.encode({"alg": _ALGORITHM, "kid": self._key.thumbprint()}, claims, self._key, [_ALGORITHM])

    def _now(self) -> int:
        return int(self._clock.timestamp())
