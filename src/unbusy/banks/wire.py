"""What is the same whatever a bank speaks over HTTP: what a call can end with, and whom to believe."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from functools import cache
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import structlog

from unbusy.banks.port import Result, State

log = structlog.get_logger(__name__)

# An answer is about one payment. More than this nobody needs to say, and nobody here shall have to keep.
_MOST_BYTES = 256 * 1024
# Seconds an idle connection is kept: a bank may close one in the moment in which it is used again, and then
# nobody knows whether it heard. Banks keep them for longer than this.
_KEEP_ALIVE_S = 5.0


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


class Response(NamedTuple):
    """What came back, whole. Names of headers are looked up in any case."""

    url: str
    status_code: int
    headers: Mapping[str, str]
    content: bytes


class Client:
    """Connections to one bank, opened when needed. To connect, and each part of an answer, may take `timeout_s`."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._session: aiohttp.ClientSession | None = None

    @property
    def session(self) -> aiohttp.ClientSession:
        """Made by the first call: only then there is a loop to wait in."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=trusted(), keepalive_timeout=_KEEP_ALIVE_S),
                timeout=aiohttp.ClientTimeout(connect=self._timeout_s, sock_read=self._timeout_s),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
            )
        return self._session

    async def aclose(self) -> None:
        """Close them."""
        if self._session:
            await self._session.close()


async def request(client: Client, method: str, url: str, body: bytes, headers: Mapping[str, str]) -> Response:
    """The response, whole. Raises NotTaken or NoAnswer."""
    headers = {**headers, "accept-encoding": "identity"}
    asked = client.session.request(
        method, url, data=body or None, headers=headers, proxy=_proxy(url), allow_redirects=False
    )
    try:
        async with asked as response:
            return Response(url, response.status, response.headers, await _read(response))
    # Only these are certain to happen before a byte was sent.
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
        raise NotTaken from None
    except aiohttp.ClientError:
        raise NoAnswer from None


def heard(response: Response, is_banks: Callable[[bytes, str], bool]) -> bytes | None:
    """What the bank says, under its signature; None when it says that there is no such thing.

    Raises NotTaken or NoAnswer. A refusal of the message itself (another 4xx) is no answer: it
    says nothing of an earlier try.
    """
    if response.status_code in {HTTPStatus.UNAUTHORIZED, HTTPStatus.TOO_MANY_REQUESTS}:
        raise NotTaken(_retry_after(response))
    if not is_banks(response.content, response.headers.get("x-jws-signature", "")):
        log.warning("bank_answer_not_signed", url=response.url, status=response.status_code)
        raise NoAnswer
    if response.status_code == HTTPStatus.SERVICE_UNAVAILABLE:
        raise NotTaken(_retry_after(response), is_maintenance=True)
    if response.status_code == HTTPStatus.NOT_FOUND:
        return None
    if response.status_code >= HTTPStatus.BAD_REQUEST:
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
    return ssl.create_default_context()


def _proxy(url: str) -> str | None:
    """The proxy that the environment names for such an address."""
    to = urlsplit(url)
    return _known_proxy(to.scheme, to.hostname or "")


@cache
def _known_proxy(scheme: str, host: str) -> str | None:
    """Looked up once: it may ask the name server."""
    return None if proxy_bypass(host) else getproxies().get(scheme)


async def _read(response: aiohttp.ClientResponse) -> bytes:
    # What was packed against our wish is not unpacked: nobody knows how much that would be.
    if response.headers.get("content-encoding", "identity") != "identity":
        raise NoAnswer
    body = bytearray()
    async for part in response.content.iter_any():
        body += part
        if len(body) > _MOST_BYTES:
            raise NoAnswer
    return bytes(body)


def _retry_after(response: Response) -> float | None:
    """Seconds; a bank that writes a date is asked again when we like."""
    given = response.headers.get("retry-after", "")
    return float(given) if given.isdecimal() else None
