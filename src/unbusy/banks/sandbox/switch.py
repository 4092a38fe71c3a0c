"""The sandbox bank as a switch: connections that stay, with many messages under way, and all that goes wrong on them.

    0800 sign on, sign off, echo    0200 pay    0600 what became of it?    0420 take it back, or never do it

On a connection that is not signed on nothing but 0800 is heard. The end of a payment that was under way is told
with 0220, where its connection is still there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, MutableSet
from itertools import count
from typing import Any, cast

from unbusy.banks.sandbox import iso8583
from unbusy.banks.sandbox.books import PENDING, Books, Unknown
from unbusy.banks.sandbox.faults import Fault, Faults, Kind
from unbusy.banks.sandbox.iso8583 import Asked, Nonsense
from unbusy.banks.sandbox.keys import Keys
from unbusy.banks.sandbox.orders import Wrong
from unbusy.banks.sandbox.sql import Payment
from unbusy.clock import Clock

_SIZE_BYTES, _MOST_BYTES = 2, 2_048
# No message of HTTP begins with a byte so small; each of a switch does, with its length.
_FIRST_BYTES = _MOST_BYTES >> 8

# Faults that are nothing but a code. Those that are done all the same come later.
_REFUSALS = {
    Kind.rate_limit: iso8583.INOPERATIVE,
    Kind.maintenance: iso8583.CUT_OFF,
    Kind.signed_out: iso8583.NOT_SIGNED_ON,
    Kind.error: iso8583.MALFUNCTION,
}


def is_spoken(data: bytes) -> bool:
    """Whether the first bytes of a connection are a switch's."""
    return data[0] <= _FIRST_BYTES


class Switch:
    """Answers messages out of the bank's books."""

    def __init__(self, books: Books, faults: Faults, keys: Keys, *, clock: Clock) -> None:
        self._books = books
        self._keys = keys
        self._clock = clock
        self._traces = count(1)
        self.faults = faults
        self._verbs: Mapping[str, Callable[[Asked, Fault | None], tuple[str, Payment | None]]] = {
            "020": self._pay,
            "060": self._find,
            "040": self._reverse,
            "042": self._reverse,
        }

    def read(self, frame: bytes) -> Asked:
        """A message of the client's. Raises Nonsense."""
        return iso8583.read(frame, self._keys.client_secret)

    def answer(self, asked: Asked, fault: Fault | None = None) -> bytes:
        """Do what is asked, and say what came of it."""
        verb = self._verbs.get(asked.kind)
        if verb is None:
            return self.reply(asked, iso8583.NO_SUCH_MESSAGE)
        try:
            iso8583.check(asked)
            code, payment = verb(asked, fault)
        except Wrong as error:
            return self.reply(asked, iso8583.UNREADABLE, str(error)[:25])
        return iso8583.answer(asked, code, self._keys.bank_secret, payment=payment)

    def reply(self, asked: Asked, code: str, more: str = "") -> bytes:
        """The bank's own word, of which no payment is part."""
        return iso8583.answer(asked, code, self._keys.bank_secret, more=more)

    def advice(self, asked: Asked) -> bytes:
        """How a payment ended."""
        payment = self._books.find(asked.reference, is_pull=asked.is_pull)
        return iso8583.advice(asked, payment, self._clock.now(), next(self._traces), self._keys.bank_secret)

    def is_under_way(self, asked: Asked) -> bool:
        """Whether a payment that was asked for has no end yet."""
        try:
            return self._books.find(asked.reference, is_pull=asked.is_pull).status == PENDING
        except (Unknown, Wrong):
            return False

    def _pay(self, asked: Asked, fault: Fault | None) -> tuple[str, Payment | None]:
        payment = self._books.pay(iso8583.order(asked), fault)
        return iso8583.code(payment), payment

    def _find(self, asked: Asked, fault: Fault | None) -> tuple[str, Payment | None]:
        del fault
        try:
            payment = self._books.find(asked.reference, is_pull=asked.is_pull)
        except Unknown:
            return iso8583.NOWHERE, None
        return iso8583.code(payment), payment

    def _reverse(self, asked: Asked, fault: Fault | None) -> tuple[str, Payment | None]:
        del fault
        is_reversed = self._books.reverse(asked.reference, is_pull=asked.is_pull)
        return (iso8583.APPROVED if is_reversed else iso8583.NOT_TAKEN_BACK), None


class Line(asyncio.Protocol):
    """One connection. It keeps itself among the server's, which are told when the bank closes."""

    def __init__(self, switch: Switch, lines: MutableSet[Any]) -> None:
        self._switch = switch
        self._lines = lines
        self._heard = bytearray()
        self._is_signed_on = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._lines.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._lines.discard(self)

    def shutdown(self) -> None:
        """The bank closes."""
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        self._heard += data
        try:
            while frame := self._frame():
                self._handle(self._switch.read(frame))
        except Nonsense:
            self._transport.abort()

    def _frame(self) -> bytes | None:
        """The next message, when all of it has come. Raises Nonsense for a length that none has."""
        if len(self._heard) < _SIZE_BYTES:
            return None
        size = int.from_bytes(self._heard[:_SIZE_BYTES], "big")
        if not 0 < size <= _MOST_BYTES:
            raise Nonsense("no length of a message")
        end = _SIZE_BYTES + size
        if len(self._heard) < end:
            return None
        frame = bytes(self._heard[_SIZE_BYTES:end])
        del self._heard[:end]
        return frame

    def _handle(self, asked: Asked) -> None:
        fault = self._switch.faults.strike(asked.operation, asked.amount) if asked.operation else None
        if fault and fault.kind in _REFUSALS:
            self._is_signed_on = self._is_signed_on and fault.kind is not Kind.signed_out
            more = f"{fault.seconds:.0f}" if fault.kind in {Kind.rate_limit, Kind.maintenance} else ""
            self._say(self._switch.reply(asked, _REFUSALS[fault.kind], more))
        elif fault and fault.kind is Kind.reset:
            self._transport.abort()
        elif fault and fault.kind is Kind.late:
            asyncio.get_running_loop().call_later(fault.seconds, self._switch.answer, asked)
        elif fault and fault.kind is Kind.slow:
            asyncio.get_running_loop().call_later(fault.seconds, lambda: self._say(self._answer(asked, fault)))
        elif not (fault and fault.kind is Kind.hang):
            self._do(asked, fault)

    def _do(self, asked: Asked, fault: Fault | None) -> None:
        """And let the way spoil what is answered."""
        if asked.is_answer:
            return
        answer = self._answer(asked, fault)
        match fault.kind if fault else None:
            case Kind.lost:
                self._transport.abort()
            case Kind.lost_error:
                self._say(self._switch.reply(asked, iso8583.TOO_LATE))
            case Kind.garbled:
                half = answer[2 : len(answer) // 2]
                self._say(len(half).to_bytes(2, "big") + half)
            case Kind.twice:
                self._say(answer + self._answer(asked, fault))
            case Kind.forged:
                self._say(answer[:-1] + bytes([answer[-1] ^ 1]))
            case _:
                self._say(answer)
        if fault and self._switch.is_under_way(asked):
            asyncio.get_running_loop().call_later(fault.seconds, lambda: self._say(self._switch.advice(asked)))

    def _answer(self, asked: Asked, fault: Fault | None) -> bytes:
        if asked.kind == "080":
            return self._managed(asked)
        if not self._is_signed_on:
            return self._switch.reply(asked, iso8583.NOT_SIGNED_ON)
        return self._switch.answer(asked, fault)

    def _managed(self, asked: Asked) -> bytes:
        what = asked.fields.get("70")
        if what not in {iso8583.SIGN_ON, iso8583.SIGN_OFF, iso8583.ECHO}:
            return self._switch.reply(asked, iso8583.NO_SUCH_MESSAGE)
        if what != iso8583.ECHO:
            self._is_signed_on = what == iso8583.SIGN_ON
        return self._switch.reply(asked, iso8583.APPROVED)

    def _say(self, frame: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(frame)
