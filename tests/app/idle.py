"""A gateway in a process of its own, many who wait for news from it, and what that costs."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import msgspec
from tests.payments.bank import SECRET, TENANT

from unbusy import people
from unbusy.api import Role
from unbusy.clock import SystemClock
from unbusy.ids import Ids

# Connections that are opened together: the gateway's backlog holds many times as many.
_AT_ONCE = 100
_PATIENCE_S = 30
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class Cost(msgspec.Struct, frozen=True):
    """What a process has used so far: resident memory in bytes, and seconds of CPU."""

    memory: int
    cpu_s: float


class Process:
    """A gateway's process. `port` is where it answers."""

    def __init__(self, pid: int, port: int) -> None:
        self.pid = pid
        self.port = port

    def cost(self) -> Cost:
        """What it has used until now (proc(5))."""
        resident = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        user, system = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
        return Cost(resident * resource.getpagesize(), (int(user) + int(system)) / _TICKS_PER_S)


@contextmanager
def gateway_process(url: str, directory: Path, **settings: str) -> Generator[Process]:
    """`unbusy serve` on this database, until the block ends."""
    variables = {"data": str(directory), "database_url": url, "secret": SECRET.decode(), "port": "0", **settings}
    environment = os.environ | {f"UNBUSY_{name.upper()}": value for name, value in variables.items()}
    with (directory / "gateway.log").open("w+") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "unbusy.cli", "serve"], env=environment, stdout=log, stderr=log, cwd=directory
        )
        try:
            yield Process(child.pid, _port(child, directory / "gateway.log"))
        finally:
            child.send_signal(signal.SIGTERM)
            child.wait(timeout=_PATIENCE_S)


class Crowd:
    """People who have asked for something that has not come yet, each on a connection of their own."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._sockets: list[socket.socket] = []
        clock = SystemClock()
        self._ids = Ids(clock)
        self._tokens = people.AccessTokens(SECRET, clock=clock, life_s=3_600, revoked=())

    def open_streams(self, count: int) -> None:
        """So many people more open their stream of events, and have seen it begin."""
        _allow_connections(count + len(self._sockets))
        while count > 0:
            opened = [self._ask("/v1/events") for _ in range(min(count, _AT_ONCE))]
            for each in opened:
                _read_until(each, b"event: ready")
            self._sockets += opened
            count -= len(opened)

    def heard(self) -> Sequence[bytes]:
        """What each has received since it was last asked."""
        return [_received(each) for each in self._sockets]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.leave(len(self._sockets))

    def leave(self, count: int) -> None:
        """So many hang up."""
        for each in self._sockets[:count]:
            each.close()
        del self._sockets[:count]

    def _ask(self, path: str) -> socket.socket:
        token = self._tokens.issue(TENANT, self._ids.new(), self._ids.new(), Role.customer)
        connection = socket.create_connection(("127.0.0.1", self._port), timeout=_PATIENCE_S)
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
        return connection


def _allow_connections(count: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count + 100:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, count + 100), hard))


def _read_until(connection: socket.socket, wanted: bytes) -> None:
    seen = b""
    while wanted not in seen:
        part = connection.recv(65_536)
        assert part, f"it ended with {seen!r}"
        seen += part
        assert seen.startswith(b"HTTP/1.1 200"), seen.decode()


def _received(connection: socket.socket) -> bytes:
    with contextlib.suppress(BlockingIOError):
        connection.setblocking(False)
        return connection.recv(65_536)
    return b""


def _port(child: subprocess.Popen[bytes], log: Path) -> int:
    """Where it serves, which it says when it does."""
    give_up_at = time.monotonic() + _PATIENCE_S
    while "http://127.0.0.1:" not in (said := log.read_text()):
        assert child.poll() is None, said
        assert time.monotonic() < give_up_at, said
        time.sleep(0.05)
    return int(said.partition("http://127.0.0.1:")[2].split()[0].strip(".,/"))
