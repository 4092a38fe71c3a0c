"""Who may speak to the sandbox bank: access tokens, and signatures under every message.

A message's signature is a detached JSON Web Signature (RFC 7515, appendix F) in `x-jws-signature`,
PS256, with the private claims of UK Open Banking in its header where that is spoken.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey
from joserfc.jws import JWSRegistry
from joserfc.registry import HeaderParameter

from unbusy.banks.sandbox.keys import CLIENT_ID, Keys
from unbusy.banks.sandbox.orders import Wrong
from unbusy.clock import Clock

_ISSUED_AT, _ISSUER, _ANCHOR = (f"http://openbanking.org.uk/{claim}" for claim in ("iat", "iss", "tan"))
_ALGORITHM = "PS256"
_REGISTRY = JWSRegistry(
    {
        _ISSUED_AT: HeaderParameter("When it was signed", "int"),
        _ISSUER: HeaderParameter("Who signed", "str"),
        _ANCHOR: HeaderParameter("Who knows the signer's key", "str"),
    },
    algorithms=[_ALGORITHM],
)
_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_TOKEN_LIFE_S = 300


class Stranger(Exception):
    """No valid token; its text says why."""


class Guard:
    """Knows the bank's key and the client's."""

    def __init__(self, keys: Keys, *, clock: Clock) -> None:
        self._keys = keys
        self._clock = clock

    def issue(self, form: bytes, audience: str) -> dict[str, object]:
        """An access token for whoever asserts to be the client (RFC 6749 §4.4, RFC 7523). Raises Stranger."""
        asked = {name: values[0] for name, values in parse_qs(form.decode("ascii", "replace")).items()}
        if asked.get("grant_type") != "client_credentials" or asked.get("client_assertion_type") != _ASSERTION:
            raise Stranger("a token is given for client_credentials with a signed assertion")
        claims = self._verified(asked.get("client_assertion", ""), self._keys.client)
        if claims.get("iss") != CLIENT_ID or claims.get("sub") != CLIENT_ID or claims.get("aud") != audience:
            raise Stranger("the assertion is somebody else's, or for somebody else")
        now = int(self._clock.timestamp())
        token = jwt.encode(
            {"alg": _ALGORITHM}, {"sub": CLIENT_ID, "exp": now + _TOKEN_LIFE_S}, self._keys.bank, [_ALGORITHM]
        )
        return {"access_token": token, "token_type": "Bearer", "expires_in": _TOKEN_LIFE_S, "scope": "payments"}

    def admit(self, authorization: str) -> None:
        """Raises Stranger when the token is not a good one of ours."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer":
            raise Stranger("an access token is needed")
        self._verified(token, self._keys.bank)

    def check(self, body: bytes, signature: str, *, is_plain: bool) -> None:
        """Raises Wrong when the client did not sign exactly this. A plain signature has no claims in it."""
        try:
            signed = jws.deserialize_compact(signature, self._keys.client, registry=_REGISTRY, payload=body)
        except (JoseError, ValueError) as error:
            raise Wrong(f"x-jws-signature: {error}") from None
        if not is_plain and signed.headers().get(_ISSUER) != CLIENT_ID:
            raise Wrong("x-jws-signature: signed by somebody else")

    def sign(self, body: bytes, *, is_plain: bool) -> str:
        """The bank's signature under an answer."""
        header: dict[str, Any] = {"alg": _ALGORITHM, "kid": self._keys.bank.thumbprint()}
        if not is_plain:
            claims = {_ISSUED_AT: int(self._clock.timestamp()), _ISSUER: "sandbox", _ANCHOR: "openbanking.org.uk"}
            header |= {**claims, "crit": list(claims)}
        return jws.detach_content(jws.serialize_compact(header, body, self._keys.bank, registry=_REGISTRY))

    def _verified(self, token: str, key: RSAKey) -> dict[str, object]:
        try:
            decoded = jwt.decode(token, key, [_ALGORITHM])
            jwt.JWTClaimsRegistry(now=int(self._clock.timestamp()), exp={"essential": True}).validate(decoded.claims)
        except (JoseError, ValueError) as error:
            raise Stranger(f"the token is not good: {error}") from None
        return decoded.claims
