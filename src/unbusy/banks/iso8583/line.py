"""One connection to a switch: many questions under way at once, and each gets its own answer, in whatever order."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from typing import NamedTuple

import structlog

from unbusy.banks import wire
from unbusy.banks.iso8583 import messages, verdicts
from unbusy.banks.iso8583.messages import MOST_BYTES, Ends, Fields, Key, Unfit
from unbusy.banks.iso8583.seals import Seals
from unbusy.banks.wire import NoAnswer, NotTaken
from unbusy.clock import Clock

log = structlog.get_logger(__name__)

# Questions whose answer may still come. Who gave up has left; the longest of them are forgotten first.
_MOST_ASKED = 10_000
_LAST_TRACE = 999_999
# Nobody should wait long for a bank when leaving.
_SIGN_OFF_S = 1.0
# What a bank says of itself, whether for the first time or again.
_MANAGEMENT, _ADVICE = "080", "022"


class Address(NamedTuple):
    """Where a switch is."""

    host: str
    port: int
    is_secret: bool


class _Asked(NamedTuple):
    reference: str
    at: float
    answer: asyncio.Future[Fields | None]


class Line:
    """A connection that is signed on, until it has ended."""

    def __init__(
        self,
        bank: str,
        streams: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        ends: Ends,
        seals: Seals,
        *,
        clock: Clock,
        first_trace: int,
        silence_s: float,
        timeout_s: float,
    ) -> None:
        self._bank = bank
        self._reader, self._writer = streams
        self._ends = ends
        self._seals = seals
        self._clock = clock
        self._trace = first_trace % _LAST_TRACE
        self._silence_s = silence_s
        self._timeout_s = timeout_s
        self._asked: dict[Key, _Asked] = {}
        self._has_ended = False
        self._listening = asyncio.create_task(self._listen())

    @property
    def has_ended(self) -> bool:
        """Nothing more can be said or heard."""
        return self._has_ended

    async def sign_on(self) -> None:
        """Say who we are. Raises NotTaken: whatever goes wrong with it, no payment was spoken of."""
        try:
            told = await self.ask(messages.management(messages.SIGN_ON, self._ends))
        except (NoAnswer, TimeoutError):
            raise NotTaken from None
        if told.get("39") != verdicts.DONE:
            raise NotTaken(verdicts.retry_after(told), is_maintenance=told.get("39") == verdicts.CLOSED)

    async def ask(self, fields: Fields) -> Fields:
        """The answer to a message, within the time that one step may take.

        Raises NotTaken when nothing was sent, NoAnswer when the connection ended, and TimeoutError;
        what comes after that is still heard.
        """
        if self._has_ended:
            raise NotTaken
        asked = self._stamped(fields)
        answer: asyncio.Future[Fields | None] = asyncio.get_running_loop().create_future()
        self._remember(asked, answer)
        async with asyncio.timeout(self._timeout_s):
            try:
                self._writer.write(messages.encode(asked, self._seals))
                await self._writer.drain()
            except OSError:
                raise NoAnswer from None
            told = await answer
        if told is None:
            raise NoAnswer
        return told

    async def close(self) -> None:
        """Sign off, and hang up."""
        if not self._has_ended:
            with suppress(NotTaken, NoAnswer, TimeoutError):
                async with asyncio.timeout(_SIGN_OFF_S):
                    await self.ask(messages.management(messages.SIGN_OFF, self._ends))
        await self.hang_up()

    async def hang_up(self) -> None:
        """End the connection at once. Who waits for an answer gets none."""
        self._listening.cancel()
        await asyncio.wait([self._listening])

    def _stamped(self, fields: Fields) -> Fields:
        self._trace = self._trace % _LAST_TRACE + 1
        return messages.stamped(fields, self._trace, self._clock.now())

    def _remember(self, asked: Fields, answer: asyncio.Future[Fields | None]) -> None:
        if len(self._asked) >= _MOST_ASKED:
            del self._asked[next(iter(self._asked))]
        key = messages.key_of_answer(asked)
        self._asked[key] = _Asked(asked.get("63", ""), self._clock.monotonic(), answer)

    async def _listen(self) -> None:
        """Until the connection ends: by the bank, by a word that makes no sense, or by a long silence."""
        try:
            while frame := await self._frame():
                self._heed(messages.decode(frame, self._seals))
        except (Unfit, TimeoutError) as error:
            log.warning("bank_line_cut", bank=self._bank, why=str(error) or "the bank fell silent")
        except (OSError, asyncio.IncompleteReadError):
            log.info("bank_line_ended", bank=self._bank)
        finally:
            self._has_ended = True
            self._writer.transport.abort()
            for asked in self._asked.values():
                if not asked.answer.done():
                    asked.answer.set_result(None)
            self._asked.clear()

    async def _frame(self) -> bytes:
        """The next message. Raises Unfit for a length that none has, TimeoutError when the bank is not there."""
        size = int.from_bytes(await self._size(), "big")
        if not 0 < size <= MOST_BYTES:
            raise Unfit(f"a message of {size} bytes")
        async with asyncio.timeout(self._timeout_s):
            return await self._reader.readexactly(size)

    async def _size(self) -> bytes:
        try:
            async with asyncio.timeout(self._silence_s):
                return await self._reader.readexactly(2)
        except TimeoutError:
            self._say(self._stamped(messages.management(messages.ECHO, self._ends)))
        async with asyncio.timeout(self._timeout_s):
            return await self._reader.readexactly(2)

    def _heed(self, told: Fields) -> None:
        if not messages.is_answer(told):
            self._answer(told)
            return
        asked = self._asked.pop(messages.key(told), None)
        about = {"bank": self._bank, "type": told["t"], "reference": told.get("63", ""), "code": told.get("39", "")}
        if asked is None:
            # To an echo nobody waits: that it came was enough.
            if told["t"] != "0810":
                log.warning("bank_answer_unasked", **about)
        elif asked.answer.done():
            took_s = round(self._clock.monotonic() - asked.at, 3)
            log.info("bank_answer_late", bank_reference=told.get("38", ""), took_s=took_s, **about)
        else:
            asked.answer.set_result(told)

    def _answer(self, told: Fields) -> None:
        """The bank asks whether we are there, or tells how a payment ended, which we ask about in its turn anyway."""
        kind, code = told["t"][:3], verdicts.DONE
        if kind == _ADVICE:
            log.info("bank_advised", bank=self._bank, reference=told.get("63", ""), code=told.get("39", ""))
        elif kind != _MANAGEMENT:
            log.warning("bank_message_not_known", bank=self._bank, type=told["t"])
            code = verdicts.NOT_SUPPORTED
        self._say(messages.answer(told, code))

    def _say(self, fields: Fields) -> None:
        self._writer.write(messages.encode(fields, self._seals))


async def open_line(address: Address, timeout_s: float) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection, with TLS where the address says so. Raises NotTaken."""
    secret: ssl.SSLContext | None = wire.trusted() if address.is_secret else None
    try:
        async with asyncio.timeout(timeout_s):
            return await asyncio.open_connection(address.host, address.port, ssl=secret)
    except (OSError, TimeoutError):
        raise NotTaken from None
