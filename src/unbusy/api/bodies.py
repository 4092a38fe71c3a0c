"""Reading a request's body: bounded in size and in time, and strictly the type that is asked for."""

from __future__ import annotations

import asyncio
import re
from functools import cache
from typing import Any, cast

import msgspec
from litestar.types import Receive, Scope

from unbusy.api.scope import deadline, header
from unbusy.clock import Deadline
from unbusy.errors import Invalid

# Bytes. The largest request of ours, with every text at its longest, is a tenth of this.
MOST_BODY = 64 * 1024

# Bytes of a too large body that are still read, and thrown away, so that its sender gets to read
# the answer: closing on somebody who is still sending loses it.
MOST_DRAINED = 16 * 1024 * 1024

MISSING = "a JSON body is missing"

_SWEEP_EVERY_S = 0.5

# Characters of what was sent that a problem repeats.
_MOST_TOLD = 200


class TooLarge(Invalid):
    """The body is larger than its request ever needs to be."""

    def __init__(self, most: int = MOST_BODY) -> None:
        super().__init__(f"the body has more than {most} bytes", field="body")


class HeadTooLarge(Invalid):
    """The head of a request does not end."""

    def __init__(self, most: int) -> None:
        super().__init__(f"the head has more than {most} bytes", field="headers")


class UnsupportedMediaType(Invalid):
    """The body is not JSON, or does not say so."""


async def read(scope: Scope, receive: Receive) -> bytes:
    """The whole body. Raises TooLarge, or Invalid when it does not arrive in time or at all."""
    task = asyncio.current_task()
    assert task is not None
    _reading[task] = deadline(scope)
    try:
        return await _read(receive, most_body(cast("dict[str, Any]", scope).get("route_handler")))
    except asyncio.CancelledError:
        if task in _reading:
            raise
        task.uncancel()
        raise Invalid("the body did not arrive before the deadline", field="body") from None
    finally:
        _reading.pop(task, None)


def most_body(handler: Any) -> int:
    """Bytes that a handler's body may have: `allow(..., most_body=…)`."""
    return (handler.opt.get("most_body") if handler else None) or MOST_BODY


async def _read(receive: Receive, most: int) -> bytes:
    pieces: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            raise Invalid("the connection was closed before the body was complete", field="body")
        piece, more = message["body"], message["more_body"]
        size += len(piece)
        if size > MOST_DRAINED or (size > most and not more):
            raise TooLarge(most)
        if size > most:
            pieces.clear()
        else:
            pieces.append(piece)
    return b"".join(pieces)


# Who is reading, and until when. A timer for each would cost a request more than all its other
# reading does, so one sweep looks after all of them.
_reading: dict[asyncio.Task[Any], Deadline] = {}


async def sweep() -> None:
    """Cut off the bodies that do not arrive, until cancelled. Runs beside the application."""
    while True:
        await asyncio.sleep(_SWEEP_EVERY_S)
        for task in [task for task, until in _reading.items() if until.has_passed]:
            # No longer in the list: that is how `read` knows who cancelled it.
            del _reading[task]
            task.cancel()


def decode(scope: Scope, body: bytes, type: Any) -> Any:
    """The body as `type`. A float or a string never becomes an integer.

    Raises UnsupportedMediaType, or Invalid naming the field that is wrong.
    """
    if not body:
        raise Invalid(MISSING, field="body")
    media_type = header(scope, b"content-type").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise UnsupportedMediaType("send the body as JSON, with 'Content-Type: application/json'", field="body")
    try:
        return decoder(type).decode(body)
    except msgspec.ValidationError as error:
        raise wrong_field(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Invalid("the body is not well-formed JSON in UTF-8", field="body") from None
    except RecursionError:
        raise Invalid("the body is nested too deeply", field="body") from None


@cache
def decoder(type: Any) -> msgspec.json.Decoder[Any]:
    """The decoder of bodies of this type."""
    return msgspec.json.Decoder(type)


_WHERE = re.compile(r"^(?P<what>.*?)(?: - at `(?P<key>key in )?\$(?P<path>.*)`)?$", re.DOTALL)
_WHICH = re.compile(r"field `(?P<name>[^`]*)`$")


def wrong_field(message: str) -> Invalid:
    """What msgspec finds wrong, and with which field of the body.

    It says "Expected `int`, got `float` - at `$.amount`" and "Object missing required field `amount`".
    """
    found = _WHERE.match(message)
    assert found is not None
    what, path = found["what"], cast("str | None", found["path"]) or ""
    if which := _WHICH.search(what):
        path = f"{path}.{which['name']}"
    # Both may repeat what was sent, of which nobody needs to read pages.
    return Invalid(what[:_MOST_TOLD], field=path.lstrip(".")[:_MOST_TOLD] or "body")
