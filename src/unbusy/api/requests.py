"""A request as our handlers see it: who asks, until when, in which language."""

from __future__ import annotations

from typing import Any, TypeVar, cast

import litestar

from unbusy.api.principals import Principal
from unbusy.api.texts import Language, choose_language
from unbusy.clock import Deadline

Part = TypeVar("Part")

# Keys of the ASGI scope that the edge fills.
REQUEST_ID = "unbusy.request_id"
DEADLINE = "unbusy.deadline"

# The key of the application's state that holds its parts by type.
PARTS = "parts"


class Request(litestar.Request[Any, Any, Any]):
    """Litestar's request, with what every endpoint of ours asks for."""

    __slots__ = ()

    @property
    def principal(self) -> Principal:
        """Who asks. Only on a route that is not open to anyone."""
        return cast("Principal", self.scope["user"])

    @property
    def deadline(self) -> Deadline:
        """The moment after which the caller no longer waits."""
        return cast("Deadline", cast("dict[str, Any]", self.scope)[DEADLINE])

    @property
    def request_id(self) -> str:
        """What the caller and the log call this request."""
        return cast("str", cast("dict[str, Any]", self.scope)[REQUEST_ID])

    @property
    def language(self) -> Language:
        """The language to answer people in, as `Accept-Language` asks."""
        return choose_language(self.headers.get("accept-language", ""))

    def part(self, type: type[Part]) -> Part:
        """One of the application's parts, by its class: `request.part(Payments)`."""
        return self.app.state[PARTS][type]

    async def json(self) -> Any:
        """The body, decoded and checked in one go into the type of the handler's `data`.

        Strictly: a float or a string never becomes an integer, which Litestar's own way would let
        pass. Raises msgspec's errors, which `problems` knows.
        """
        raise NotImplementedError
