"""The connector: instructions out, results in, and never more certainty than there is."""

from __future__ import annotations

import asyncio
import contextlib
from http import HTTPStatus

import httpx
import msgspec

from unbusy.banks.openbanking import messages
from unbusy.banks.openbanking.failures import Failure, NoAnswer, NotTaken
from unbusy.banks.openbanking.messages import PATHS, Consent, Payment
from unbusy.banks.openbanking.signatures import Signer
from unbusy.banks.openbanking.tokens import Tokens
from unbusy.banks.port import Direction, Instruction, Result, State
from unbusy.banks.roster import Entry
from unbusy.clock import Clock
from unbusy.ids import Ids

_UNKNOWN = Result(State.unknown)


class _Told(msgspec.Struct, rename="pascal"):
    """An answer of the bank around what it is about."""

    data: msgspec.Raw


class OpenBanking:
    """A bank that speaks UK Open Banking 4.0 (`unbusy.banks.Connector`)."""

    def __init__(self, entry: Entry, *, clock: Clock, ids: Ids) -> None:
        self.bank = entry.id
        self.name = entry.name
        self._account = entry.account
        self._url = entry.url
        self._timeout_s = entry.timeout_s
        self._ids = ids
        self._signer = Signer(entry.client_id, entry.key, entry.bank_key, clock=clock, ids=ids)
        self._client = httpx.AsyncClient(timeout=entry.timeout_s)
        self._tokens = Tokens(self._client, entry.token_url, self._signer, clock=clock)

    async def send(self, instruction: Instruction) -> Result:
        """Consent first, which moves nothing; then the payment, which may have moved whatever is not denied."""
        try:
            async with asyncio.timeout(self._timeout_s):
                consent = await self._consent(instruction)
        except (Failure, TimeoutError) as error:
            return _unavailable(error)
        if not consent.may_be_used:
            return Result(State.declined, "refused")
        try:
            async with asyncio.timeout(self._timeout_s):
                payment = await self._pay(instruction, consent.consent_id)
        except NotTaken as error:
            return _unavailable(error)
        except (NoAnswer, TimeoutError):
            return _UNKNOWN
        return payment.result(instruction.direction) if messages.is_about(payment, instruction) else _UNKNOWN

    async def enquire(self, reference: str, direction: Direction) -> Result:
        """Ask, and withdraw what the bank has not got: only then is it certain that it will not be executed."""
        url = f"{self._url}{PATHS[direction].payments}?EndToEndIdentification={reference}"
        try:
            async with asyncio.timeout(self._timeout_s):
                told = await self._call("GET", url) or await self._call("DELETE", url)
                payment = _read(told, Payment)
        except Failure as error:
            return Result(State.unknown, retry_after=error.retry_after, is_maintenance=error.is_maintenance)
        except TimeoutError:
            return _UNKNOWN
        is_it = payment.movement(direction).end_to_end_identification == reference
        return payment.result(direction) if is_it else _UNKNOWN

    async def close(self) -> None:
        """Close the connections to the bank."""
        await self._client.aclose()

    async def _consent(self, instruction: Instruction) -> Consent:
        body = messages.consent(instruction, self._account)
        key = messages.consent_key(instruction, self._account)
        told = await self._call("POST", f"{self._url}{PATHS[instruction.direction].consents}", body, key)
        return _read(told, Consent)

    async def _pay(self, instruction: Instruction, consent_id: str) -> Payment:
        body = messages.payment(instruction, self._account, consent_id)
        url = f"{self._url}{PATHS[instruction.direction].payments}"
        return _read(await self._call("POST", url, body, instruction.reference), Payment)

    async def _call(self, method: str, url: str, body: bytes = b"", key: str = "") -> bytes | None:
        """What the bank says, under its signature; None when it says that there is no such thing.

        Raises NotTaken or NoAnswer. A refusal of the message itself (another 4xx) is no answer: it
        says nothing of an earlier try.
        """
        response = await self._authorised(method, url, body, key)
        if response.status_code == HTTPStatus.TOO_MANY_REQUESTS:
            raise NotTaken(_retry_after(response))
        if not self._signer.is_banks(response.content, response.headers.get("x-jws-signature", "")):
            raise NoAnswer
        if response.status_code == HTTPStatus.SERVICE_UNAVAILABLE:
            raise NotTaken(_retry_after(response), is_maintenance=True)
        if response.status_code == HTTPStatus.NOT_FOUND:
            return None
        if response.is_error:
            raise NoAnswer
        return response.content

    async def _authorised(self, method: str, url: str, body: bytes, key: str) -> httpx.Response:
        """The response; with a new token, once, when the bank does not know the one we have."""
        for _ in range(2):
            token = await self._tokens.current()
            response = await self._request(method, url, body, self._headers(body, key, token))
            if response.status_code != HTTPStatus.UNAUTHORIZED:
                return response
            self._tokens.forget(token)
        raise NotTaken

    async def _request(self, method: str, url: str, body: bytes, headers: dict[str, str]) -> httpx.Response:
        try:
            return await self._client.request(method, url, content=body, headers=headers)
        # Only these are certain to happen before a byte was sent.
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout):
            raise NotTaken from None
        except httpx.HTTPError:
            raise NoAnswer from None

    def _headers(self, body: bytes, key: str, token: str) -> dict[str, str]:
        headers = {"Authorization": f"Bearer {token}", "x-fapi-interaction-id": str(self._ids.new())}
        if body:
            headers |= {"Content-Type": "application/json", "x-jws-signature": self._signer.sign(body)}
        return headers | ({"x-idempotency-key": key} if key else {})


def _unavailable(error: Failure | TimeoutError) -> Result:
    if isinstance(error, TimeoutError):
        return Result(State.declined, "unavailable")
    return Result(State.declined, "unavailable", retry_after=error.retry_after, is_maintenance=error.is_maintenance)


def _read(told: bytes | None, type: type[messages.Form]) -> messages.Form:
    """What an answer is about. Raises NoAnswer when it is not what the standard says."""
    with contextlib.suppress(msgspec.DecodeError, RecursionError):
        if told is not None:
            return msgspec.json.decode(msgspec.json.decode(told, type=_Told).data, type=type)
    raise NoAnswer


def _retry_after(response: httpx.Response) -> float | None:
    """Seconds; a bank that writes a date is asked again when we like."""
    given = response.headers.get("retry-after", "")
    return float(given) if given.isdecimal() else None
