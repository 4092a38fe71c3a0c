"""A switch that says exactly what a test wants it to: for all that no bank does on purpose."""

from __future__ import annotations

import asyncio
import ssl
from types import TracebackType
from typing import Any

from unbusy.banks import ExternalAccount
from unbusy.banks.iso8583 import ISO8583, Seals, Table, messages
from unbusy.banks.iso8583.messages import Fields
from unbusy.clock import SystemClock
from unbusy.ids import Ids

_OURS, _BANKS = bytes(range(32)), bytes(range(32, 64))
OURS = Seals(_OURS, _BANKS)
BANKS = Seals(_BANKS, _OURS)


class ScriptedSwitch:
    """Signs everybody on, and leaves the rest to the test."""

    def __init__(self, secret: ssl.SSLContext | None = None) -> None:
        self._secret = secret
        self._heard: asyncio.Queue[Fields] = asyncio.Queue()
        self._writers: list[asyncio.StreamWriter] = []
        self.is_talkative = True

    async def __aenter__(self) -> ScriptedSwitch:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._secret)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: Any, trace: TracebackType | None) -> None:
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        await self._server.wait_closed()

    @property
    def lines(self) -> int:
        """How many connections were made to it."""
        return len(self._writers)

    def connector(self, *, timeout_s: float = 5.0, echo_s: float = 60.0) -> ISO8583:
        """What speaks to it."""
        port = self._server.sockets[0].getsockname()[1]
        table = Table(
            name="Scripted Bank",
            url=f"tls://localhost:{port}" if self._secret else f"tcp://127.0.0.1:{port}",
            institution="42017",
            key="",
            bank_key="",
            account=ExternalAccount("GB82WEST12345698765432", "unbusy"),
            timeout_s=timeout_s,
            echo_s=echo_s,
        )
        clock = SystemClock()
        return ISO8583("scripted", table, OURS, clock=clock, ids=Ids(clock))

    async def heard(self) -> Fields:
        """The next message but for management of the connection."""
        async with asyncio.timeout(30):
            return await self._heard.get()

    def say(self, fields: Fields) -> None:
        """On the newest connection, as the bank."""
        self.say_bytes(messages.encode({n: v for n, v in fields.items() if n not in {"p", "1", "64", "128"}}, BANKS))

    def say_bytes(self, told: bytes) -> None:
        self._writers[-1].write(told)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        try:
            while True:
                size = int.from_bytes(await reader.readexactly(2), "big")
                told = messages.decode(await reader.readexactly(size), BANKS)
                if told["t"] != messages.MANAGEMENT or told["70"] == messages.ECHO:
                    self._heard.put_nowait(told)
                if told["t"] == messages.MANAGEMENT and (self.is_talkative or told["70"] != messages.ECHO):
                    self.say(messages.answer(told, "00"))
        except (OSError, asyncio.IncompleteReadError):
            writer.transport.abort()


def approved(asked: Fields, number: str = "ABC123") -> Fields:
    """A yes to what was asked."""
    return messages.answer(asked, "00") | {"38": number}
