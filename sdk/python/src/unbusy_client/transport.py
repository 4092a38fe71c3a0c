"""What both clients ask of httpx, so that both ask the same."""

from __future__ import annotations

from importlib.metadata import version

import httpx

from unbusy_client.wire import Answer, Lost, Request

# A connection that takes so long is none. Told apart from a slow answer, because then nothing was sent.
_CONNECT_S = 5.0

# Raised before a byte of the request has left.
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)

# The largest answer there is, a page of a hundred, has some 100 kB.
MOST_ANSWER_BYTES = 16_000_000


def prepare(base_url: str, language: str, request: Request) -> tuple[str, str, dict[str, str]]:
    """Method, address and headers of a request."""
    headers = {"accept": "application/json", "accept-language": language, "user-agent": _USER_AGENT}
    return request.method, f"{base_url}{request.path}", headers | dict(request.headers)


def timeouts(timeout_s: float, silence_s: float | None = None) -> httpx.Timeout:
    """At most so long for everything; in a stream, at most so long between two pieces."""
    connect_s = min(_CONNECT_S, timeout_s / 2)
    return httpx.Timeout(timeout_s, connect=connect_s, pool=connect_s, read=silence_s or timeout_s)


def answer(response: httpx.Response, body: bytes, at: float) -> Answer:
    """An answer as decisions read it."""
    return Answer(at, response.status_code, {name.lower(): value for name, value in response.headers.items()}, body)


def lost(error: Exception, at: float) -> Lost:
    """An attempt that ended in this."""
    return Lost(
        at, was_sent=not isinstance(error, _NOT_SENT), detail=f"no answer came: {error or type(error).__name__}"
    )


_USER_AGENT = f"unbusy-client/{version('unbusy-client')}"
