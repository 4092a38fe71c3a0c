"""The connector: instructions out, results in, and never more certainty than there is."""

from __future__ import annotations

import asyncio
from typing import Annotated
from urllib.parse import urlsplit

import structlog
from msgspec import Meta

from unbusy.banks import wire
from unbusy.banks.iso8583 import messages, verdicts
from unbusy.banks.iso8583.line import Address, Line, open_line
from unbusy.banks.iso8583.messages import Ends, Fields
from unbusy.banks.iso8583.seals import Seals
from unbusy.banks.port import Direction, Instruction, Result, State
from unbusy.banks.tables import Table as _Table
from unbusy.banks.wire import Failure, NoAnswer, NotTaken
from unbusy.clock import Clock
from unbusy.ids import Ids

log = structlog.get_logger(__name__)

_UNKNOWN = Result(State.unknown)
_NEVER = Result(State.declined, "not_found")

# As for any bank: in the open only within this machine.
_Url = Annotated[str, Meta(pattern=r"^(tls://[^/:]+|tcp://(127\.0\.0\.1|localhost)):[0-9]{1,5}$")]


class Table(_Table, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the roster says of such a bank beyond what it says of any: `institution` is our number there, and after
    `echo_s` of silence we ask whether it is still there. The keys are secrets that both sides know."""

    url: _Url
    institution: Annotated[str, Meta(pattern=r"^[0-9]{1,11}$")]
    echo_s: Annotated[float, Meta(gt=0, le=600)] = 10.0


class ISO8583:
    """A bank behind a switch (`unbusy.banks.Connector`)."""

    def __init__(self, bank: str, table: Table, seals: Seals, *, clock: Clock, ids: Ids) -> None:
        self.bank = bank
        self.name = table.name
        self._table = table
        self._seals = seals
        self._ends = Ends(table.account, table.institution)
        self._clock = clock
        self._ids = ids
        self._opened: asyncio.Task[Line | NotTaken] | None = None

    async def send(self, instruction: Instruction) -> Result:
        """A message that no field can hold is not sent: certain, and the same at every try."""
        try:
            asked = messages.payment(instruction, self._ends)
            messages.encode(asked, self._seals)
        except ValueError as error:
            log.warning("bank_message_not_fit", bank=self.bank, reference=instruction.reference, why=str(error))
            return Result(State.declined, "refused")
        try:
            told = await self._exchange(asked)
        except NotTaken as error:
            return wire.unavailable(error)
        except (NoAnswer, TimeoutError):
            return _UNKNOWN
        return verdicts.result(told)

    async def enquire(self, reference: str, direction: Direction) -> Result:
        """Ask; and where the bank has never heard of it, reverse it, so that it comes too late if it comes."""
        try:
            told = await self._exchange(messages.enquiry(reference, direction, self._ends))
            if told.get("39") != verdicts.NOWHERE:
                return verdicts.result(told)
            reversed = await self._exchange(messages.reversal(reference, direction, self._ends))
        except Failure as error:
            return Result(State.unknown, retry_after=error.retry_after, is_maintenance=error.is_maintenance)
        except TimeoutError:
            return _UNKNOWN
        return _NEVER if reversed.get("39") == verdicts.DONE else _UNKNOWN

    async def close(self) -> None:
        """Sign off from the bank."""
        if self._opened:
            line = await self._opened
            if isinstance(line, Line):
                await line.close()

    async def _exchange(self, asked: Fields) -> Fields:
        """What the bank answers about the same payment. Raises NotTaken, NoAnswer or TimeoutError."""
        line = await self._line()
        told = await line.ask(asked)
        code = told.get("39", "")
        if code in verdicts.NOT_TAKEN:
            if code == verdicts.SIGNED_OFF and self._opened and self._opened.done():
                self._opened = asyncio.create_task(self._signed_on(line))
            raise NotTaken(verdicts.retry_after(told), is_maintenance=code == verdicts.CLOSED)
        # What the bank leaves out it does not deny; but another amount or reference is another payment.
        if other := [
            name for name in ("3", "4", "49", "63") if name in asked and told.get(name, asked[name]) != asked[name]
        ]:
            log.warning("bank_answer_not_fit", bank=self.bank, reference=asked["63"], why=f"other fields {other}")
            raise NoAnswer
        return told

    async def _line(self) -> Line:
        """The connection, made when there is none. All who wait for it share one try. Raises NotTaken."""
        if self._opened is None or (self._opened.done() and not _is_good(self._opened.result())):
            self._opened = asyncio.create_task(self._open())
        # Whoever gives up does not take it from the others.
        opened = await asyncio.shield(self._opened)
        if isinstance(opened, NotTaken):
            raise opened
        return opened

    async def _open(self) -> Line | NotTaken:
        """As a value, so that a failure that nobody waits for any more is no alarm."""
        table = self._table
        try:
            streams = await open_line(_address(table.url), table.timeout_s)
        except NotTaken as error:
            return error
        line = Line(
            self.bank,
            streams,
            self._ends,
            self._seals,
            clock=self._clock,
            first_trace=self._ids.new().int,
            silence_s=table.echo_s,
            timeout_s=table.timeout_s,
        )
        return await self._signed_on(line)

    async def _signed_on(self, line: Line) -> Line | NotTaken:
        try:
            await line.sign_on()
        except NotTaken as error:
            await line.hang_up()
            return error
        return line


def _is_good(opened: Line | NotTaken) -> bool:
    return isinstance(opened, Line) and not opened.has_ended


def _address(url: str) -> Address:
    parts = urlsplit(url)
    assert parts.hostname
    assert parts.port
    return Address(parts.hostname, parts.port, parts.scheme == "tls")
