"""Access tokens of a bank, fetched once for everybody who waits for one."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import urlencode

import msgspec

from unbusy.banks import wire
from unbusy.banks.openbanking.messages import Token
from unbusy.banks.openbanking.signatures import Signer
from unbusy.banks.wire import Failure, NotTaken
from unbusy.clock import Clock

_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_FORM = {"content-type": "application/x-www-form-urlencoded"}
# A token that is about to end might do so on its way.
_EARLY_S = 10


class _Good(NamedTuple):
    token: str
    ends_at: float


class Tokens:
    """Knows one token, and gets the next when that has ended or was refused."""

    def __init__(self, client: wire.Client, url: str, signer: Signer, *, clock: Clock) -> None:
        self._client = client
        self._url = url
        self._signer = signer
        self._clock = clock
        self._fetched: asyncio.Task[_Good | Failure] | None = None

    async def current(self) -> str:
        """A token that should be good. Raises NotTaken when there is none to be had."""
        if self._fetched is None or (self._fetched.done() and not self._is_good(self._fetched.result())):
            self._fetched = asyncio.create_task(self._fetch())
        # Whoever gives up does not take it from the others.
        fetched = await asyncio.shield(self._fetched)
        if isinstance(fetched, Failure):
            raise fetched
        return fetched.token

    def forget(self, token: str) -> None:
        """The bank does not take this one any more."""
        if self._fetched and self._fetched.done():
            known = self._fetched.result()
            if isinstance(known, _Good) and known.token == token:
                self._fetched = None

    async def _fetch(self) -> _Good | Failure:
        """As a value, so that a failure that nobody waits for any more is no alarm."""
        form = {
            "grant_type": "client_credentials",
            "scope": "payments",
            "client_assertion_type": _ASSERTION,
            "client_assertion": self._signer.assertion(self._url),
        }
        began_at = self._clock.monotonic()
        try:
            response = await wire.request(self._client, "POST", self._url, urlencode(form).encode(), _FORM)
            given = msgspec.json.decode(response.content, type=Token)
        except (Failure, msgspec.DecodeError):
            return NotTaken()
        if response.status_code != HTTPStatus.OK:
            return NotTaken()
        return _Good(given.access_token, began_at + given.expires_in - _EARLY_S)

    def _is_good(self, known: _Good | Failure) -> bool:
        return isinstance(known, _Good) and known.ends_at > self._clock.monotonic()
