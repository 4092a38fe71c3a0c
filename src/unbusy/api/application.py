"""Puts an application together: Litestar inside, the edge around it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

from litestar import Litestar
from litestar.types import ControllerRouterHandler

from unbusy.api.health import Probe
from unbusy.api.principals import Authenticator
from unbusy.clock import Clock
from unbusy.settings import Settings


class Application:
    """An ASGI application. `litestar` is what stands inside the edge."""

    litestar: Litestar

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        raise NotImplementedError


def create(
    handlers: Sequence[ControllerRouterHandler],
    *,
    authenticator: Authenticator,
    settings: Settings,
    clock: Clock,
    parts: Iterable[object] = (),
    probes: Mapping[str, Probe] | None = None,
    on_startup: Sequence[Callable[[], Awaitable[None]]] = (),
    on_shutdown: Sequence[Callable[[], Awaitable[None]]] = (),
) -> Application:
    """The application of these handlers.

    `parts` are what handlers reach by `request.part(Payments)`. `probes`, by name, are what
    `/readyz` asks. Start-up runs in the order given, shut-down too.
    """
    raise NotImplementedError
