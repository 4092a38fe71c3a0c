"""Performs the steps of flows on the thread that calls: httpx, the machine's clock, sleep."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Generator, Iterator
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


class SyncSteps:
    """For one client, whose calls may come from several threads."""

    def __init__(self, base_url: str, language: str, http: httpx.Client) -> None:
        self._base_url = base_url
        self._language = language
        self._http = http
        # What calls share is changed between two steps only, by one thread at a time.
        self._deciding = threading.Lock()
        self._alone = threading.Lock()

    def run(self, flow: Flow[T]) -> T:
        """The result of a flow, or what it raises."""
        outcome: Outcome | None = None
        while True:
            try:
                step = self._next(flow, outcome)
            except StopIteration as ended:
                return ended.value
            outcome = self.do(step)

    def iterate(self, feed: Feed[T]) -> Iterator[T]:
        """What a feed emits, as it comes."""
        outcome: Outcome | None = None
        with _Stream(self) as stream:
            while True:
                try:
                    step = self._next(feed, outcome)
                except StopIteration:
                    return
                if isinstance(step, Emit):
                    yield step.item
                    outcome = Woken(time.monotonic())
                else:
                    outcome = stream.do(step)

    def stream(self, request: Request, timeout: httpx.Timeout) -> contextlib.AbstractContextManager[httpx.Response]:
        """The answer to a request, its body still to be read."""
        method, url, headers = transport.prepare(self._base_url, self._language, request)
        return self._http.stream(method, url, headers=headers, content=request.body, timeout=timeout)

    def _next(self, flow: Generator[S, Outcome, Any], outcome: Outcome | None) -> S:
        with self._deciding:
            return next(flow) if outcome is None else flow.send(outcome)

    def do(self, step: Step) -> Outcome:
        """What came of a step; a stream is its feed's matter."""
        match step:
            case Wait():
                if step.seconds > 0:
                    time.sleep(step.seconds)
                return Woken(time.monotonic())
            case Send():
                return self._send(step)
            case Alone():
                return self._run_alone(step)
            case Open() | Read():
                raise AssertionError("only a feed reads a stream")

    def _send(self, step: Send) -> Answer | Lost:
        give_up_at = time.monotonic() + step.timeout_s
        try:
            with self.stream(step.request, transport.timeouts(step.timeout_s)) as response:
                body = read_whole(response, give_up_at)
        except httpx.HTTPError as error:
            return transport.lost(error, time.monotonic())
        return transport.answer(response, body, time.monotonic())

    def _run_alone(self, step: Alone) -> Woken | Failed:
        left_s = min(max(0.0, step.give_up_at - time.monotonic()), threading.TIMEOUT_MAX)
        if not self._alone.acquire(timeout=left_s):
            return Failed(time.monotonic(), TimeoutError())
        try:
            self.run(step.flow)
        except UnbusyError as error:
            return Failed(time.monotonic(), error)
        finally:
            self._alone.release()
        return Woken(time.monotonic())


def read_whole(response: httpx.Response, give_up_at: float) -> bytes:
    """The body. Raises httpx.ReadTimeout when it trickles, and httpx.ReadError when it has no end."""
    body = bytearray()
    for piece in response.iter_bytes():
        body += piece
        if time.monotonic() > give_up_at:
            raise httpx.ReadTimeout("the answer came too slowly")
        if len(body) > transport.MOST_ANSWER_BYTES:
            raise httpx.ReadError("the answer is too large to be one")
    return bytes(body)


class _Stream:
    """Performs the steps of one feed, which may keep one answer open and read on in it."""

    def __init__(self, steps: SyncSteps) -> None:
        self._steps = steps
        self._opened = contextlib.ExitStack()
        self._pieces: Iterator[bytes] = iter(())

    def __enter__(self) -> _Stream:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._opened.close()

    def do(self, step: Step) -> Outcome:
        match step:
            case Open():
                return self._open(step)
            case Read():
                return self._read()
            case _:
                return self._steps.do(step)

    def _open(self, step: Open) -> Answer | Lost:
        self._opened.close()
        try:
            timeout = transport.timeouts(step.timeout_s, step.silence_s)
            response = self._opened.enter_context(self._steps.stream(step.request, timeout))
            self._pieces = response.iter_bytes()
            is_open = response.status_code == HTTPStatus.OK
            body = b"" if is_open else read_whole(response, time.monotonic() + step.timeout_s)
        except httpx.HTTPError as error:
            return transport.lost(error, time.monotonic())
        return transport.answer(response, body, time.monotonic())

    def _read(self) -> Chunk | Lost:
        try:
            return Chunk(time.monotonic(), next(self._pieces, b""))
        except httpx.HTTPError as error:
            return transport.lost(error, time.monotonic())
