"""Puts an application together: Litestar inside, the edge around it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from types import MappingProxyType
from typing import Any, cast

from litestar import Litestar
from litestar.datastructures import State
from litestar.handlers import HTTPRouteHandler
from litestar.types import ControllerRouterHandler

from unbusy import telemetry
from unbusy.api import bodies, documents, health, openapi
from unbusy.api.answers import Answer
from unbusy.api.door import Door
from unbusy.api.edge import Edge
from unbusy.api.events import Hub
from unbusy.api.gatekeeper import Gatekeeper
from unbusy.api.health import Probe, Probes
from unbusy.api.principals import Authenticator, guard
from unbusy.api.problems import exception_handlers
from unbusy.api.requests import PARTS, Request
from unbusy.api.rounds import Rounds
from unbusy.api.short_way import ShortHandler, ShortWay
from unbusy.api.streams import Streams
from unbusy.clock import Clock
from unbusy.settings import Settings

Hook = Callable[[], Awaitable[None]]

NO_SHORT_WAY: Mapping[HTTPRouteHandler, ShortHandler] = MappingProxyType({})


class Application:
    """An ASGI application. `litestar` is what stands inside the edge."""

    def __init__(
        self, litestar: Litestar, edge: Edge, short: ShortWay, gatekeeper: Gatekeeper | None, hub: Hub
    ) -> None:
        self.litestar = litestar
        self._edge = edge
        self._short = short
        self._gatekeeper = gatekeeper
        self._rounds = gatekeeper.rounds if gatekeeper else Rounds()
        self._hub = hub

    @property
    def protocol(self) -> type[asyncio.Protocol]:
        """What uvicorn makes each connection to this application with (`Config(http=...)`).

        It only ever calls it, with names for what it gives; a class is what its types ask for.
        """
        return cast("type[asyncio.Protocol]", partial(Door, self._edge, self._short, self._gatekeeper, self._rounds))

    def prepare_to_stop(self) -> None:
        """Begin what has come already, and end what would otherwise go on for ever."""
        self._rounds.finish()
        self._hub.close()

    # Any, because each server and client has its own names for ASGI's types.
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self._edge(scope, receive, send)


def create(
    handlers: Sequence[ControllerRouterHandler],
    *,
    authenticator: Authenticator,
    settings: Settings,
    clock: Clock,
    hub: Hub,
    parts: Iterable[object] = (),
    probes: Mapping[str, Probe] | None = None,
    short: Mapping[HTTPRouteHandler, ShortHandler] = NO_SHORT_WAY,
    gatekeeper: Gatekeeper | None = None,
    on_startup: Sequence[Hook] = (),
    on_shutdown: Sequence[Hook] = (),
) -> Application:
    """The application of these handlers.

    Event streams wait at `hub`. `parts` are what handlers reach by `request.part(Payments)`.
    `probes`, by name, are what `/readyz` asks, `short` the short handlers (`short_way`).
    Without a `gatekeeper` everybody is let in. Start-up runs in the order given, shut-down too.
    """
    own_parts: dict[type, object] = {
        Clock: clock,
        Streams: Streams(hub, clock),
        Probes: Probes(probes or {}),
        Gatekeeper: gatekeeper,
    }
    litestar = Litestar(
        [*handlers, *health.HANDLERS, *documents.HANDLERS, *openapi.HANDLERS],
        request_class=Request,
        response_class=Answer,
        before_request=guard,
        exception_handlers=exception_handlers(),
        openapi_config=openapi.config(),
        state=State({"authenticator": authenticator, PARTS: own_parts | {type(part): part for part in parts}}),
        lifespan=[_watching],
        on_startup=list(on_startup),
        on_shutdown=list(on_shutdown),
        request_max_body_size=bodies.MOST_BODY,
        # Litestar's own would take over the whole process's log; ours is set up before.
        logging_config=None,
        debug=False,
        pdb_on_exception=False,
    )
    _check_guarded(litestar)
    edge = Edge(
        litestar,
        clock=clock,
        deadline_ms=settings.request_deadline_ms,
        large=_large_bodies(litestar),
        gatekeeper=gatekeeper,
    )
    short_way = ShortWay(litestar, edge, authenticator, gatekeeper, short)
    return Application(litestar, edge, short_way, gatekeeper, hub)


def _large_bodies(litestar: Litestar) -> dict[str, int]:
    """The paths whose bodies may be larger than others. Such a path has no parameters."""
    return {
        route.path: most
        for route in litestar.routes
        for handler in getattr(route, "route_handlers", ())
        if (most := bodies.most_body(handler)) > bodies.MOST_BODY
    }


def _check_guarded(litestar: Litestar) -> None:
    """A handler with a `before_request` of its own would stand in place of the guard."""
    for route in litestar.routes:
        for handler in getattr(route, "route_handlers", ()):
            guarded = isinstance(handler, HTTPRouteHandler) and handler.resolve_before_request() is guard
            assert guarded, f"{handler} is not guarded"


@asynccontextmanager
async def _watching(litestar: Litestar) -> AsyncGenerator[None]:
    streams: Streams = litestar.state[PARTS][Streams]
    tasks = [asyncio.create_task(each) for each in (telemetry.watch_loop(), bodies.sweep(), streams.sweep())]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
