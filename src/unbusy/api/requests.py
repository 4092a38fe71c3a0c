"""A request as our handlers see it: who asks, until when, in which language."""

from __future__ import annotations

from typing import Any, TypeVar, cast

import litestar
from litestar.types import Empty

from unbusy.admission import Admitted
from unbusy.api import bodies, scope
from unbusy.api.gatekeeper import Gatekeeper
from unbusy.api.principals import Principal
from unbusy.api.texts import Language, choose_language
from unbusy.clock import Deadline

Part = TypeVar("Part")

# Where the application keeps its parts, by type.
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
        return scope.deadline(self.scope)

    @property
    def request_id(self) -> str:
        """What the caller and the log call this request."""
        return scope.request_id(self.scope)

    def look_at_payee(self, payee: str) -> None:
        """Before a payment to somebody is begun. Raises TurnedAway when too many pay them at once."""
        decision, gatekeeper = scope.decision(self.scope), self.app.state[PARTS].get(Gatekeeper)
        if gatekeeper and isinstance(decision, Admitted):
            gatekeeper.look_at_payee(decision, self.principal, payee)

    @property
    def is_short_of_reads(self) -> bool:
        """Whether more is to be read than can be: time to answer from memory."""
        gatekeeper = self.app.state[PARTS].get(Gatekeeper)
        return gatekeeper is not None and gatekeeper.is_short_of_reads

    @property
    def language(self) -> Language:
        """The language to answer people in, as `Accept-Language` asks."""
        return choose_language(scope.header(self.scope, b"accept-language"))

    def part(self, type: type[Part]) -> Part:
        """One of the application's parts, by its class: `request.part(Payments)`."""
        return self.app.state[PARTS][type]

    async def decode(self, type: type[Part]) -> Part:
        """The body as `type`, for handlers that take other media types than JSON too."""
        return bodies.decode(self.scope, await self.body(), type)

    @property
    def media_type(self) -> str:
        """What the body is said to be, in small letters and without parameters."""
        return scope.header(self.scope, b"content-type").partition(";")[0].strip().lower()

    async def body(self) -> bytes:
        """The body, of which at most `bodies.MOST_BODY` bytes are taken, or what its route allows."""
        if self._body is Empty:
            self._body = await bodies.read(self.scope, self.receive)
        return self._body

    async def json(self) -> Any:
        """The body, decoded and checked in one go into the type of the handler's `data`.

        Litestar's own way would let a float or a string pass for an integer, and costs twice.
        """
        parameters = self.route_handler.parsed_fn_signature.parameters
        return bodies.decode(self.scope, await self.body(), parameters["data"].annotation)
