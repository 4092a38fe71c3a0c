"""Tokens: who asks, told by a signature and not by the database.

An *access token* is a JSON Web Token (RFC 7519) signed with HMAC-SHA256. It lives for minutes and
is checked without the database. A *refresh token* names a session and its generation under a
signature of its own; nothing about it is stored but that number, so that a stolen database holds
no token, and garbage is told from a token that was once good without asking the database.

Both keys are derived from the installation's secret (HKDF, RFC 5869), one per use: no token can be
taken for another kind.
"""

from __future__ import annotations

import base64
import hmac
from collections import OrderedDict
from collections.abc import Container
from datetime import UTC, datetime
from hashlib import sha256
from uuid import UUID

import msgspec
from joserfc import jwt
from joserfc.jwk import OctKey

from unbusy.api import Principal, Role
from unbusy.clock import Clock
from unbusy.errors import Unauthenticated
from unbusy.ids import as_ours
from unbusy.secret import derive_key

_ALGORITHMS = ["HS256"]
# Ours have some 330 characters; whatever is longer is not looked at.
_LONGEST_TOKEN = 1_024
# Tokens kept after their signature was checked: some 20 MB.
_MOST_KNOWN = 20_000

_UUID_BYTES = 16
_GENERATION_BYTES = 4
_SIGNED_BYTES = _UUID_BYTES + _GENERATION_BYTES
_TAG_BYTES = 32


_NOT_OURS = "this is not an access token of ours"


class _Claims(msgspec.Struct, frozen=True):
    """What an access token says. Times are seconds since 1970."""

    tenant: int
    sub: UUID
    sid: UUID
    role: Role
    iat: int
    exp: int


class AccessTokens:
    """Issues access tokens, and tells whom one stands for."""

    def __init__(self, secret: bytes, *, clock: Clock, life_s: int, revoked: Container[UUID]) -> None:
        self._secret = derive_key(secret, "access tokens")
        self._key = OctKey.import_key(self._secret)
        self._clock = clock
        self._life_s = life_s
        self._revoked = revoked
        # With each principal, when the token ends on the monotonic clock.
        self._known: OrderedDict[str, tuple[Principal, float]] = OrderedDict()
        # How every token of ours begins.
        self._head = jwt.encode({"alg": "HS256"}, {}, self._key, algorithms=_ALGORITHMS).partition(".")[0]
        # When the monotonic clock stood at zero.
        self._started_at = clock.timestamp() - clock.monotonic()

    def issue(self, tenant_id: int, person_id: UUID, session_id: UUID, role: Role) -> str:
        """A token for this session, good from now on for its life."""
        now = int(self._now())
        claims = _Claims(tenant_id, person_id, session_id, role, iat=now, exp=now + self._life_s)
        return jwt.encode({"alg": "HS256"}, msgspec.to_builtins(claims), self._key, algorithms=_ALGORITHMS)

    def authenticate(self, token: str) -> Principal:
        """Whom the token stands for. Raises Unauthenticated, whatever is wrong with it.

        The signature of a known token is not computed again; its time and its session are
        always looked at.
        """
        known = self._known.get(token)
        if known is None:
            known = self._verified(token)
            self._remember(token, known)
        else:
            self._known.move_to_end(token)
        principal, ends_at = known
        # The same as `_now`, spelled for speed: this runs for every request there is.
        if principal.expires_at <= self._clock.now() or ends_at <= self._clock.monotonic():
            raise Unauthenticated("the access token has expired; use the refresh token")
        if principal.session_id in self._revoked:
            raise Unauthenticated("this session has ended; sign in again")
        return principal

    def recognise(self, token: str) -> Principal | None:
        """Whom a genuine token names, whether it is still good or not; None for a forged one."""
        known = self._known.get(token)
        if known is None:
            try:
                known = self._verified(token)
            except Unauthenticated:
                return None
            self._remember(token, known)
        return known[0]

    def _verified(self, token: str) -> tuple[Principal, float]:
        """What a token says whose signature is ours.

        Compared with the one that we would write, so that nothing a stranger sends is read before:
        no header of his, no other algorithm. A library that reads them takes forty times as long,
        which strangers could make the gate spend.
        """
        signed, _, signature = token.rpartition(".")
        head, _, payload = signed.partition(".")
        if len(token) > _LONGEST_TOKEN or head != self._head or not token.isascii():
            raise Unauthenticated(_NOT_OURS)
        tag = hmac.digest(self._secret, signed.encode(), sha256)
        if not hmac.compare_digest(_base64(tag), signature.encode()):
            raise Unauthenticated(_NOT_OURS)
        try:
            claims = msgspec.json.decode(base64.urlsafe_b64decode(payload + "=="), type=_Claims)
            expires_at = datetime.fromtimestamp(claims.exp, UTC)
        # Signed by us and yet not what we write: another version's, perhaps.
        except (ValueError, ArithmeticError, OSError, RecursionError):
            raise Unauthenticated(_NOT_OURS) from None
        principal = Principal(claims.tenant, as_ours(claims.sub), as_ours(claims.sid), claims.role, expires_at)
        return principal, claims.exp - self._started_at

    def _remember(self, token: str, known: tuple[Principal, float]) -> None:
        self._known[token] = known
        if len(self._known) > _MOST_KNOWN:
            self._known.popitem(last=False)

    def _now(self) -> float:
        """The time, in seconds since 1970, that never goes back while the process lives.

        When the machine's clock is set back, the time since the start counts on, so that no
        expired token comes to life again. When it is set forward and then back, the tokens issued
        in between live as long as they would have.
        """
        return max(self._clock.timestamp(), self._started_at + self._clock.monotonic())


class RefreshTokens:
    """Makes and reads refresh tokens."""

    def __init__(self, secret: bytes) -> None:
        self._key = derive_key(secret, "refresh tokens")

    def make(self, session_id: UUID, generation: int) -> str:
        """The token of this generation of the session: always the same one."""
        signed = session_id.bytes + generation.to_bytes(_GENERATION_BYTES, "big")
        return base64.urlsafe_b64encode(signed + self._tag(signed)).decode().rstrip("=")

    def read(self, token: str) -> tuple[UUID, int] | None:
        """The session and generation of a genuine token, else None."""
        try:
            raw = base64.b64decode(token.encode("ascii") + b"==", altchars=b"-_", validate=True)
        except ValueError:
            return None
        signed, tag = raw[:_SIGNED_BYTES], raw[_SIGNED_BYTES:]
        if len(raw) != _SIGNED_BYTES + _TAG_BYTES or not hmac.compare_digest(tag, self._tag(signed)):
            return None
        return UUID(bytes=signed[:_UUID_BYTES]), int.from_bytes(signed[_UUID_BYTES:], "big")

    def _tag(self, signed: bytes) -> bytes:
        return hmac.digest(self._key, signed, sha256)


def _base64(raw: bytes) -> bytes:
    """Base64 for URLs, without padding, as tokens have it."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=")
