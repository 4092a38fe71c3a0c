"""The connector: instructions out, results in, and never more certainty than there is."""

from __future__ import annotations

import asyncio
from typing import Annotated

import structlog
from msgspec import Meta

from unbusy.banks import statuses, wire
from unbusy.banks.iso20022 import messages, reports
from unbusy.banks.iso20022.messages import Ends, Money
from unbusy.banks.iso20022.signatures import Signer
from unbusy.banks.port import Direction, Instruction, Result, State
from unbusy.banks.tables import Keys
from unbusy.banks.tables import Table as _Table
from unbusy.banks.wire import Failure, NoAnswer, NotTaken
from unbusy.clock import Clock
from unbusy.ids import Ids

log = structlog.get_logger(__name__)

_UNKNOWN = Result(State.unknown)

_Bic = Annotated[str, Meta(pattern=r"^[A-Z0-9]{4}[A-Z]{2}[A-Z0-9]{2}([A-Z0-9]{3})?$")]


class Table(_Table, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the roster says of such a bank beyond what it says of any: our BIC and the bank's."""

    bic: _Bic
    bank_bic: _Bic


class ISO20022:
    """A bank that speaks ISO 20022 (`unbusy.banks.Connector`)."""

    def __init__(self, bank: str, table: Table, keys: Keys, *, clock: Clock, ids: Ids) -> None:
        self.bank = bank
        self.name = table.name
        self._url = table.url
        self._ends = Ends(table.account, table.bic, table.bank_bic)
        self._timeout_s = table.timeout_s
        self._clock = clock
        self._ids = ids
        self._signer = Signer(keys)
        self._client = wire.Client(table.timeout_s)

    async def send(self, instruction: Instruction) -> Result:
        """A message that breaks its schema is not sent: certain, and the same at every try."""
        try:
            body = messages.payment(instruction, self._ends, self._clock.now())
        except ValueError as error:
            log.warning("bank_message_not_fit", bank=self.bank, reference=instruction.reference, why=str(error))
            return Result(State.declined, "refused")
        try:
            told = await self._exchange(body)
        except NotTaken as error:
            return wire.unavailable(error)
        except (NoAnswer, TimeoutError):
            return _UNKNOWN
        return self._result(told, instruction.reference, instruction.direction, messages.amount(instruction))

    async def enquire(self, reference: str, direction: Direction) -> Result:
        """Ask once: a bank that has not got it says so, and then does not execute it any more."""
        body = messages.enquiry(reference, direction, self._ends, self._clock.now(), self._ids.new().hex)
        try:
            told = await self._exchange(body)
        except Failure as error:
            return Result(State.unknown, retry_after=error.retry_after, is_maintenance=error.is_maintenance)
        except TimeoutError:
            return _UNKNOWN
        return self._result(told, reference, direction)

    async def close(self) -> None:
        """Close the connections to the bank."""
        await self._client.aclose()

    async def _exchange(self, body: bytes) -> bytes:
        """What the bank answers. Raises NotTaken, NoAnswer or TimeoutError."""
        headers = {"content-type": "application/xml", "x-jws-signature": self._signer.sign(body)}
        async with asyncio.timeout(self._timeout_s):
            response = await wire.request(self._client, "POST", self._url, body, headers)
        told = wire.heard(response, self._signer.is_banks)
        if told is None:
            raise NoAnswer
        return told

    def _result(self, told: bytes, reference: str, direction: Direction, meant: Money | None = None) -> Result:
        """What an answer says of a reference, and of the money that was `meant` by it."""
        try:
            report = reports.read(told, reference, self._ends.bic)
            if meant and report.money and not reports.is_same(report.money, meant):
                raise reports.Unfit("it tells of other money")
        except reports.Unfit as error:
            log.warning("bank_answer_not_fit", bank=self.bank, reference=reference, why=str(error))
            return _UNKNOWN
        return statuses.result(report.status, report.reason, direction, report.bank_reference)
