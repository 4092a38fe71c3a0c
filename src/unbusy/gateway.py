"""A gateway: one process that answers HTTP, on a socket that may outlive it."""

from __future__ import annotations

import asyncio
import gc
import logging
import resource
import socket
import time
from collections.abc import Callable
from typing import cast

import uvicorn
import uvloop

from unbusy import app
from unbusy.api import MOST_CONNECTIONS, Application, Door
from unbusy.errors import SetupError
from unbusy.settings import Settings

# New objects between two collections: several times what a full batch keeps alive.
_YOUNG_OBJECTS = 50_000
# Connections that wait to be accepted while a gateway is busy or being replaced.
_BACKLOG = 2048
# Longer than balancers keep an idle connection (60 s), so that it is never we who close one that
# is just being used again.
_KEEP_ALIVE_S = 75
# Open files of a process, nearly all of them connections. Many systems begin with 1,024.
_OPEN_FILES = 65_536
# How long a gateway that was told to stop goes on with what is under way.
_FINISH_S = 10


def listen(host: str, port: int) -> socket.socket:
    """A socket for gateways to accept from. Raises SetupError when the address is taken or not ours."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise SetupError(f"cannot listen on {host}:{port}: {error.strerror}; take another --port") from None
    return listener


def address(listener: socket.socket) -> str:
    """The URL under which the socket is reached from this machine."""
    host, port = listener.getsockname()
    return f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}"  # noqa: S104 - compared, not bound


def run(settings: Settings, url: str, secret: bytes, listener: socket.socket, started: Callable[[], None]) -> None:
    """Serve until SIGTERM or SIGINT. `url` is the database's; `started` is called when requests are answered."""
    _allow_many_connections()
    _collect_garbage_rarely()
    uvloop.run(_run(settings, url, secret, listener, started))


def rehearse(settings: Settings, url: str, secret: bytes) -> None:
    """Start and stop a gateway once, where nobody can reach it.

    Whoever forks gateways afterwards has imported and prepared what the first start does by and
    by: the forked ones serve after 0.1 s instead of 0.3 s.
    """
    with listen("127.0.0.1", 0) as stage:
        asyncio.run(_run(settings, url, secret, stage, None))


async def _run(
    settings: Settings, url: str, secret: bytes, listener: socket.socket, started: Callable[[], None] | None
) -> None:
    # Which process started and stopped is told by whoever starts it.
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    application = await app.create(settings, url, secret)
    await Server(configure(application, settings), application, started).serve(sockets=[listener])


def configure(application: Application, settings: Settings) -> uvicorn.Config:
    """How uvicorn serves the application."""
    return uvicorn.Config(
        application,
        http=application.protocol,
        ws="none",
        lifespan="on",
        interface="asgi3",
        backlog=_BACKLOG,
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=settings.trusted_proxies,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_FINISH_S,
    )


def _collect_garbage_rarely() -> None:
    """What exists now lives as long as the process, so it need not be looked at again; and requests
    leave few cycles behind. As Python has it, collecting takes a third of a busy gateway's time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, 50, 100)


def _allow_many_connections() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(_OPEN_FILES, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class Server(uvicorn.Server):
    """uvicorn, telling when it has started and that it is about to stop. With nobody to tell, it stops at once."""

    def __init__(self, config: uvicorn.Config, application: Application, started: Callable[[], None] | None) -> None:
        super().__init__(config)
        self._application = application
        self._tell = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self._tell:
            self._tell()
        else:
            self.should_exit = True

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second. Cut off those who take too long to say what they want."""
        if counter % 10 == 0:
            now = time.monotonic()
            is_crowded = len(self.server_state.connections) > MOST_CONNECTIONS // 2
            for door in cast("list[object]", list(self.server_state.connections)):
                if isinstance(door, Door) and door.is_overdue(now, is_crowded=is_crowded):
                    door.transport.close()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # It waits for every answer that is under way, and an event stream would go on for ever.
        self._application.prepare_to_stop()
        await super().shutdown(sockets)
