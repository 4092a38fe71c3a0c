"""What is the same whatever a bank speaks over HTTP: what a call can end with, and whom to believe."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from functools import cache
from http import HTTPStatus

import httpx
import structlog

from unbusy.banks.port import Result, State

log = structlog.get_logger(__name__)

# An answer is about one payment. More than this nobody needs to say, and nobody here shall have to keep.
_MOST_BYTES = 256 * 1024


class Failure(Exception):
    """No answer that says what became of it."""

    def __init__(self, retry_after: float | None = None, *, is_maintenance: bool = False) -> None:
        super().__init__()
        self.retry_after = retry_after
        self.is_maintenance = is_maintenance


class NotTaken(Failure):
    """Certain: the bank did nothing, because nothing reached it or because it said so itself.

    `retry_after` are the seconds it wants to be left alone, if it said that too; `is_maintenance`
    that it is closed for now.
    """


class NoAnswer(Failure):
    """Whether the bank did it nobody knows."""


def client(timeout_s: float) -> httpx.AsyncClient:
    """Connections to one bank."""
    return httpx.AsyncClient(timeout=timeout_s, verify=trusted())


async def request(
    client: httpx.AsyncClient, method: str, url: str, body: bytes, headers: Mapping[str, str]
) -> httpx.Response:
    """The response, whole. Raises NotTaken or NoAnswer."""
    asked = client.build_request(method, url, content=body, headers={**headers, "accept-encoding": "identity"})
    try:
        response = await client.send(asked, stream=True)
        try:
            body = await _read(response)
            return httpx.Response(response.status_code, headers=response.headers, content=body, request=asked)
        finally:
            await response.aclose()
    # Only these are certain to happen before a byte was sent.
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout):
        raise NotTaken from None
    except httpx.HTTPError:
        raise NoAnswer from None


def heard(response: httpx.Response, is_banks: Callable[[bytes, str], bool]) -> bytes | None:
    """What the bank says, under its signature; None when it says that there is no such thing.

    Raises NotTaken or NoAnswer. A refusal of the message itself (another 4xx) is no answer: it
    says nothing of an earlier try.
    """
    if response.status_code in {HTTPStatus.UNAUTHORIZED, HTTPStatus.TOO_MANY_REQUESTS}:
        raise NotTaken(_retry_after(response))
    if not is_banks(response.content, response.headers.get("x-jws-signature", "")):
        log.warning("bank_answer_not_signed", url=str(response.url), status=response.status_code)
        raise NoAnswer
    if response.status_code == HTTPStatus.SERVICE_UNAVAILABLE:
        raise NotTaken(_retry_after(response), is_maintenance=True)
    if response.status_code == HTTPStatus.NOT_FOUND:
        return None
    if response.is_error:
        raise NoAnswer
    return response.content


def unavailable(error: Failure | TimeoutError) -> Result:
    """The result of a call that certainly did nothing."""
    if isinstance(error, TimeoutError):
        return Result(State.declined, "unavailable")
    return Result(State.declined, "unavailable", retry_after=error.retry_after, is_maintenance=error.is_maintenance)


@cache
def trusted() -> ssl.SSLContext:
    """Whose certificates are good: read once, for it takes longer than a call."""
    return httpx.create_ssl_context()


async def _read(response: httpx.Response) -> bytes:
    # What was packed against our wish is not unpacked: nobody knows how much that would be.
    if response.headers.get("content-encoding", "identity") != "identity":
        raise NoAnswer
    body = bytearray()
    async for part in response.aiter_raw():
        body += part
        if len(body) > _MOST_BYTES:
            raise NoAnswer
    return bytes(body)


def _retry_after(response: httpx.Response) -> float | None:
    """Seconds; a bank that writes a date is asked again when we like."""
    given = response.headers.get("retry-after", "")
    return float(given) if given.isdecimal() else None
