"""The connector: instructions out, results in, and never more certainty than there is."""

from __future__ import annotations

import asyncio
import contextlib
from http import HTTPStatus

import msgspec

from unbusy.banks import wire
from unbusy.banks.openbanking import messages
from unbusy.banks.openbanking.messages import PATHS, Consent, NameVerification, Payment
from unbusy.banks.openbanking.signatures import Signer
from unbusy.banks.openbanking.tokens import Tokens
from unbusy.banks.port import Direction, ExternalAccount, Instruction, NameAnswer, NameMatch, Result, State
from unbusy.banks.tables import Keys, Text, Url
from unbusy.banks.tables import Table as _Table
from unbusy.banks.wire import Failure, NoAnswer, NotTaken
from unbusy.clock import Clock
from unbusy.ids import Ids

_UNKNOWN = Result(State.unknown)


class Table(_Table, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the roster says of such a bank beyond what it says of any. One with a `names_url` confirms names there."""

    token_url: Url
    client_id: Text
    names_url: Url | None = None


class _Told(msgspec.Struct, rename="pascal"):
    """An answer of the bank around what it is about."""

    data: msgspec.Raw


class OpenBanking:
    """A bank that speaks UK Open Banking 4.0 (`unbusy.banks.Connector`)."""

    def __init__(self, bank: str, table: Table, keys: Keys, *, clock: Clock, ids: Ids) -> None:
        self.bank = bank
        self.name = table.name
        self._account = table.account
        self._url = table.url.rstrip("/")
        self._names_url = table.names_url
        self._timeout_s = table.timeout_s
        self._ids = ids
        self._signer = Signer(table.client_id, keys, clock=clock, ids=ids)
        self._client = wire.Client(table.timeout_s)
        self._tokens = Tokens(self._client, table.token_url, self._signer, clock=clock)

    async def send(self, instruction: Instruction) -> Result:
        """Consent first, which moves nothing; then the payment, which may have moved whatever is not denied."""
        try:
            async with asyncio.timeout(self._timeout_s):
                consent = await self._consent(instruction)
        except (Failure, TimeoutError) as error:
            return wire.unavailable(error)
        if not consent.may_be_used:
            return Result(State.declined, "refused")
        try:
            async with asyncio.timeout(self._timeout_s):
                payment = await self._pay(instruction, consent.consent_id)
        except NotTaken as error:
            return wire.unavailable(error)
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

    async def check_name(self, account: ExternalAccount) -> NameAnswer:
        """Ask whose an account is (`unbusy.banks.ChecksNames`), where the roster says that the bank tells."""
        try:
            async with asyncio.timeout(self._timeout_s):
                body = messages.name_question(account)
                told = await self._call("POST", self._names_url, body) if self._names_url else None
                return _read(told, NameVerification).answer
        except (Failure, TimeoutError):
            return NameAnswer(NameMatch.unchecked)

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
        """What the bank says; None when it says that there is no such thing. Raises NotTaken or NoAnswer."""
        return wire.heard(await self._authorised(method, url, body, key), self._signer.is_banks)

    async def _authorised(self, method: str, url: str, body: bytes, key: str) -> wire.Response:
        """The response; with a new token, once, when the bank does not know the one we have."""
        token = await self._tokens.current()
        response = await wire.request(self._client, method, url, body, self._headers(body, key, token))
        if response.status_code == HTTPStatus.UNAUTHORIZED:
            self._tokens.forget(token)
            token = await self._tokens.current()
            response = await wire.request(self._client, method, url, body, self._headers(body, key, token))
        return response

    def _headers(self, body: bytes, key: str, token: str) -> dict[str, str]:
        headers = {"Authorization": f"Bearer {token}", "x-fapi-interaction-id": str(self._ids.new())}
        if body:
            headers |= {"Content-Type": "application/json", "x-jws-signature": self._signer.sign(body)}
        return headers | ({"x-idempotency-key": key} if key else {})


def _read(told: bytes | None, type: type[messages.Form]) -> messages.Form:
    """What an answer is about. Raises NoAnswer when it is not what the standard says."""
    with contextlib.suppress(msgspec.DecodeError, RecursionError):
        if told is not None:
            return msgspec.json.decode(msgspec.json.decode(told, type=_Told).data, type=type)
    raise NoAnswer
