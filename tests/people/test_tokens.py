"""Tokens: who asks, and how nobody else can."""

from __future__ import annotations

import base64
import json
import timeit
from collections.abc import Container
from functools import cache
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey
from tests.people.world import SECRET, ManualClock

from unbusy.api import Principal, Role
from unbusy.errors import Unauthenticated
from unbusy.people import tokens
from unbusy.people.tokens import AccessTokens, RefreshTokens
from unbusy.secret import derive_key

PERSON = UUID(int=1 << 100)
SESSION = UUID(int=2 << 100)
LIFE_S = 600


def make(clock: ManualClock, revoked: Container[UUID] = (), secret: bytes = SECRET) -> AccessTokens:
    """What one process has."""
    return AccessTokens(secret, clock=clock, life_s=LIFE_S, revoked=revoked)


def issue(access: AccessTokens) -> str:
    return access.issue(1, PERSON, SESSION, Role.customer)


def claims_of(token: str) -> dict[str, Any]:
    return jwt.decode(token, OctKey.import_key(derive_key(SECRET, "access tokens")), algorithms=["HS256"]).claims


def part(content: object) -> str:
    """A part of a token: JSON in base64url."""
    return in_base64(json.dumps(content).encode())


def in_base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


@cache
def private_key() -> RSAKey:
    return RSAKey.generate_key(2048)


def test_a_token_says_who_asks(clock: ManualClock) -> None:
    """Tenant, person, session, role and end, in every process with the same secret."""
    token = issue(make(clock))
    asking = make(clock).authenticate(token)
    assert asking == Principal(1, PERSON, SESSION, Role.customer, asking.expires_at)
    assert (asking.expires_at - clock.now()).total_seconds() == LIFE_S
    assert set(claims_of(token)) == {"tenant", "sub", "sid", "role", "iat", "exp"}


def test_a_token_ends_with_its_life(clock: ManualClock) -> None:
    """To the second, and known or not."""
    access = make(clock)
    token = issue(access)
    clock.go(LIFE_S - 0.001)
    access.authenticate(token)
    clock.go(0.001)
    for each in (access, make(clock)):
        with pytest.raises(Unauthenticated):
            each.authenticate(token)


def test_a_clock_that_is_set_back_revives_nothing(clock: ManualClock) -> None:
    """An expired token stays expired, and tokens issued after the jump live their life."""
    access = make(clock)
    old = issue(access)
    clock.go(LIFE_S)
    clock.set(-3_600)
    with pytest.raises(Unauthenticated):
        access.authenticate(old)
    new = issue(access)
    access.authenticate(new)
    clock.go(LIFE_S)
    with pytest.raises(Unauthenticated):
        access.authenticate(new)


def test_a_clock_that_is_set_forward_and_back_locks_nobody_out(clock: ManualClock) -> None:
    """Tokens from before the mistake are good after it."""
    access = make(clock)
    token = issue(access)
    clock.set(86_400)
    with pytest.raises(Unauthenticated):
        access.authenticate(token)
    clock.set(-86_400)
    assert access.authenticate(token).person_id == PERSON


def test_a_session_that_ended_is_refused_at_once(clock: ManualClock) -> None:
    """Also when the token is known already."""
    revoked: set[UUID] = {UUID(int=1)}
    access = make(clock, revoked)
    token = issue(access)
    access.authenticate(token)
    revoked.add(SESSION)
    with pytest.raises(Unauthenticated):
        access.authenticate(token)


def _tampered(token: str) -> dict[str, str]:
    header, claims, signature = token.split(".")
    operator = part(claims_of(token) | {"role": "operator"})
    none = part({"typ": "JWT", "alg": "none"})
    key, other = OctKey.import_key(derive_key(SECRET, "access tokens")), OctKey.import_key(b"another key" * 3)
    return {
        "no algorithm": f"{none}.{claims}.",
        "no algorithm, signed": f"{none}.{claims}.{signature}",
        "changed claims": f"{header}.{operator}.{signature}",
        "another key": jwt.encode({"alg": "HS256"}, claims_of(token), other),
        "another algorithm, our key": jwt.encode({"alg": "HS512"}, claims_of(token), key, algorithms=["HS512"]),
        "a private key": jwt.encode({"alg": "RS256"}, claims_of(token), private_key()),
        "a claim missing": jwt.encode({"alg": "HS256"}, {"sub": PERSON.hex}, key),
        "a role there is not": jwt.encode({"alg": "HS256"}, claims_of(token) | {"role": "root"}, key),
        "an endless life": jwt.encode({"alg": "HS256"}, claims_of(token) | {"exp": 10**40}, key),
        "claims that are a list": f"{header}.{part([])}.{signature}",
        "cut short": token[:-1],
        "cut in half": token[: len(token) // 2],
        "without signature": f"{header}.{claims}.",
        "without anything": "..",
        "two parts": f"{header}.{claims}",
        "four parts": f"{token}.{signature}",
        "a space behind": f"{token} ",
        "empty": "",
        "not ASCII": f"{token}é",
        "half a sign": "\ud800",
        "a zero": f"\x00{token}",
        "deep nesting": f"{base64.urlsafe_b64encode(b'[' * 700).decode()}.{claims}.{signature}",
        "very long": f"{token}{'A' * 100_000}",
        "a refresh token": RefreshTokens(SECRET).make(SESSION, 0),
    }


@pytest.mark.parametrize("how", _tampered(issue(make(ManualClock()))))
def test_a_token_that_was_changed_is_refused(how: str, clock: ManualClock) -> None:
    """None of the ways to make a token without the key makes one, and none is an error of ours."""
    access = make(clock)
    with pytest.raises(Unauthenticated):
        access.authenticate(_tampered(issue(access))[how])


@given(st.text(st.characters(), max_size=200) | st.from_regex(r"[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*"))
def test_garbage_is_nobody(garbage: str) -> None:
    """Whatever is sent as a token, the answer is the same."""
    with pytest.raises(Unauthenticated):
        make(ManualClock()).authenticate(garbage)


@settings(max_examples=50)
@given(st.data())
def test_no_bit_of_a_token_can_be_changed(data: st.DataObject) -> None:
    """One other sign anywhere but in the unused bits of the last one, and it is no token."""
    access = make(ManualClock())
    token = issue(access)
    place = data.draw(st.integers(0, len(token) - 2))
    sign = data.draw(st.sampled_from("Aa0-_.~").filter(lambda sign: sign != token[place]))
    with pytest.raises(Unauthenticated):
        access.authenticate(token[:place] + sign + token[place + 1 :])


def test_another_installation_is_another_key(clock: ManualClock) -> None:
    """Two secrets share no token."""
    with pytest.raises(Unauthenticated):
        make(clock, secret=b"the secret of somebody else entirely").authenticate(issue(make(clock)))


def test_known_tokens_are_bounded(clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """The memory of tokens keeps those used last; a forgotten one is checked again and is good."""
    monkeypatch.setattr(tokens, "_MOST_KNOWN", 2)
    access = make(clock)
    issued = [access.issue(1, UUID(int=number), SESSION, Role.customer) for number in range(4)]
    for token in (*issued, issued[0]):
        access.authenticate(token)
    assert list(access._known) == [issued[3], issued[0]]  # pyright: ignore[reportPrivateUsage] - its bound is the point


def test_a_known_token_costs_next_to_nothing(clock: ManualClock) -> None:
    """A payment spends about a microsecond on knowing who asks; the bound leaves room for a slow machine."""
    access = make(clock, {UUID(int=3)})
    token = issue(access)
    best = min(timeit.repeat(lambda: access.authenticate(token), number=2_000, repeat=5)) / 2_000
    assert best < 10e-6


def test_a_refresh_token_names_its_session_and_generation() -> None:
    """The same one every time, so that a lost answer can be repeated; another for every generation."""
    refresh = RefreshTokens(SECRET)
    made = [refresh.make(SESSION, generation) for generation in (0, 1, 2**31)]
    assert [refresh.read(token) for token in made] == [(SESSION, 0), (SESSION, 1), (SESSION, 2**31)]
    assert made[0] == refresh.make(SESSION, 0)
    assert len(set(made)) == 3


@given(
    st.text(st.characters(), max_size=100) | st.binary(max_size=60).map(lambda b: base64.urlsafe_b64encode(b).decode())
)
def test_garbage_is_no_refresh_token(garbage: str) -> None:
    """It is told from a genuine one without the database, so that garbage can end nobody's session."""
    assert RefreshTokens(SECRET).read(garbage) is None


def test_another_kind_of_token_is_no_refresh_token(clock: ManualClock) -> None:
    """Neither an access token, nor another installation's refresh token, nor one with a bit changed."""
    refresh = RefreshTokens(SECRET)
    token = refresh.make(SESSION, 1)
    assert refresh.read(issue(make(clock))) is None
    assert RefreshTokens(b"the secret of somebody else entirely").read(token) is None
    assert refresh.read(("B" if token[0] == "A" else "A") + token[1:]) is None
