"""Performs the steps of flows on an event loop (asyncio): httpx, the machine's clock, sleep."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Generator
from http import HTTPStatus
from types import TracebackType
from typing import Any, TypeVar

import httpx

from unbusy_client import transport
from unbusy_client.errors import UnbusyError
from unbusy_client.wire import (
    Alone,
    Answer,
    Chunk,
    Emit,
    Failed,
    Feed,
    Flow,
    Lost,
    Open,
    Outcome,
    Read,
    Request,
    Send,
    Step,
    Wait,
    Woken,
)

T = TypeVar("T")
S = TypeVar("S")


class AsyncSteps:
    """For one client, whose calls may come from several tasks of one loop."""

    def __init__(self, base_url: str, language: str, http: httpx.AsyncClient) -> None:
        self._base_url = base_url
        self._language = language
        self._http = http
        self._alone = asyncio.Lock()

    async def run(self, flow: Flow[T]) -> T:
        """The result of a flow, or what it raises."""
        outcome: Outcome | None = None
        while True:
            try:
                step = _next(flow, outcome)
            except StopIteration as ended:
                return ended.value
            outcome = await self.do(step)

    async def iterate(self, feed: Feed[T]) -> AsyncGenerator[T]:
        """What a feed emits, as it comes."""
        outcome: Outcome | None = None
        async with _Stream(self) as stream:
            while True:
                try:
                    step = _next(feed, outcome)
                except StopIteration:
                    return
                if isinstance(step, Emit):
                    yield step.item
                    outcome = Woken(time.monotonic())
                else:
                    outcome = await stream.do(step)

    def stream(
        self, request: Request, timeout: httpx.Timeout
    ) -> contextlib.AbstractAsyncContextManager[httpx.Response]:
        """The answer to a request, its body still to be read."""
        method, url, headers = transport.prepare(self._base_url, self._language, request)
        return self._http.stream(method, url, headers=headers, content=request.body, timeout=timeout)

    async def do(self, step: Step) -> Outcome:
        """What came of a step; a stream is its feed's matter."""
        match step:
            case Wait():
                if step.seconds > 0:
                    await asyncio.sleep(step.seconds)
                return Woken(time.monotonic())
            case Send():
                return await self._send(step)
            case Alone():
                return await self._run_alone(step)
            case Open() | Read():
                raise AssertionError("only a feed reads a stream")

    async def _send(self, step: Send) -> Answer | Lost:
        try:
            async with asyncio.timeout(step.timeout_s):
                async with self.stream(step.request, transport.timeouts(step.timeout_s)) as response:
                    body = await read_whole(response)
        except (httpx.HTTPError, TimeoutError) as error:
            return transport.lost(error, time.monotonic())
        return transport.answer(response, body, time.monotonic())

    async def _run_alone(self, step: Alone) -> Woken | Failed:
        try:
            async with asyncio.timeout(max(0.0, step.give_up_at - time.monotonic())):
                await self._alone.acquire()
        except TimeoutError as error:
            return Failed(time.monotonic(), error)
        try:
            await self.run(step.flow)
        except UnbusyError as error:
            return Failed(time.monotonic(), error)
        finally:
            self._alone.release()
        return Woken(time.monotonic())


async def read_whole(response: httpx.Response) -> bytes:
    """The body. Raises httpx.ReadError when it has no end."""
    body = bytearray()
    async for piece in response.aiter_bytes():
        body += piece
        if len(body) > transport.MOST_ANSWER_BYTES:
            raise httpx.ReadError("the answer is too large to be one")
    return bytes(body)


class _Stream:
    """Performs the steps of one feed, which may keep one answer open and read on in it."""

    def __init__(self, steps: AsyncSteps) -> None:
        self._steps = steps
        self._opened = contextlib.AsyncExitStack()
        self._pieces: AsyncIterator[bytes] | None = None
        self._silence_s = 0.0

    async def __aenter__(self) -> _Stream:
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        await self._opened.aclose()

    async def do(self, step: Step) -> Outcome:
        match step:
            case Open():
                return await self._open(step)
            case Read():
                return await self._read()
            case _:
                return await self._steps.do(step)

    async def _open(self, step: Open) -> Answer | Lost:
        await self._opened.aclose()
        self._silence_s = step.silence_s
        try:
            async with asyncio.timeout(step.timeout_s):
                timeout = transport.timeouts(step.timeout_s, step.silence_s)
                response = await self._opened.enter_async_context(self._steps.stream(step.request, timeout))
                self._pieces = response.aiter_bytes()
                body = b"" if response.status_code == HTTPStatus.OK else await read_whole(response)
        except (httpx.HTTPError, TimeoutError) as error:
            return transport.lost(error, time.monotonic())
        return transport.answer(response, body, time.monotonic())

    async def _read(self) -> Chunk | Lost:
        assert self._pieces is not None, "a stream is opened before it is read"
        try:
            async with asyncio.timeout(self._silence_s):
                return Chunk(time.monotonic(), await anext(self._pieces, b""))
        except (httpx.HTTPError, TimeoutError) as error:
            return transport.lost(error, time.monotonic())


def _next(flow: Generator[S, Outcome, Any], outcome: Outcome | None) -> S:
    return next(flow) if outcome is None else flow.send(outcome)
