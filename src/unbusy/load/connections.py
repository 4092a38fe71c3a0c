"""Many keep-alive connections with at most one request under way on each, replaced when they die."""

from __future__ import annotations

import select
import socket
from collections import deque

from unbusy.load.answers import is_whole
from unbusy.load.model import NEVER

_MOST_AT_ONCE = 65_536
_CLOSES = b"\r\nconnection: close\r\n"
# Before a server that takes no connections is tried again.
_PAUSE_S = 0.05
_NOTHING = -1


class Connections:
    """Connections to one address, known by their file descriptors."""

    def __init__(self, host: str, port: int, epoll: select.epoll) -> None:
        self._address = (host, port)
        self._epoll = epoll
        self._sockets: dict[int, socket.socket] = {}
        # The ask that is under way on each.
        self._asks: dict[int, int] = {}
        self._parts: dict[int, bytes] = {}
        self._connecting: set[int] = set()
        self._missing = 0
        self.idle: deque[int] = deque()
        self.mend_at = NEVER
        # How many requests are under way.
        self.asking = 0

    def open(self, count: int) -> None:
        """Open so many, and wait until they are. Raises OSError when nobody listens."""
        for _ in range(count):
            self._add(socket.create_connection(self._address, timeout=10))

    def send(self, request: bytes, ask: int) -> int:
        """Send on an idle connection, and give its descriptor; −1 when it turned out to be closed."""
        fd = self.idle.popleft()
        try:
            sent = self._sockets[fd].send(request)
        except OSError:
            self.replace(fd)
            return _NOTHING
        assert sent == len(request), "an idle connection takes a request whole"
        self._asks[fd] = ask
        self.asking += 1
        return fd

    def asked(self, fd: int) -> int:
        """The ask under way on a connection; −1 when there is none."""
        return self._asks.get(fd, _NOTHING)

    def receive(self, fd: int) -> tuple[int, bytes] | None:
        """The ask and its answer when that is whole. None when there is more to come, or the connection is gone."""
        if fd not in self._sockets or fd in self._connecting:
            self._connected(fd)
            return None
        try:
            data = self._sockets[fd].recv(_MOST_AT_ONCE)
        except BlockingIOError:
            return None
        except OSError:
            data = b""
        if not data:
            self.replace(fd)
            return None
        if fd in self._parts:
            data = self._parts.pop(fd) + data
        if not is_whole(data):
            self._parts[fd] = data
            return None
        ask = self._asks.pop(fd, _NOTHING)
        if ask == _NOTHING:  # an answer to nobody, such as 408
            self.replace(fd)
            return None
        self.asking -= 1
        if _CLOSES in data:
            self.replace(fd)
        else:
            self.idle.append(fd)
        return ask, data

    def replace(self, fd: int) -> None:
        """Close it, whatever is under way, and open another."""
        self._drop(fd)
        self._connect()

    def mend(self, now: float) -> None:
        """Try again for those that could not be opened."""
        if not self._missing:
            return
        if self.mend_at == NEVER:
            self.mend_at = now + _PAUSE_S
        elif now >= self.mend_at:
            self.mend_at, missing, self._missing = NEVER, self._missing, 0
            for _ in range(missing):
                self._connect()

    def close(self) -> None:
        """Close all."""
        for one in self._sockets.values():
            one.close()

    def _drop(self, fd: int) -> None:
        self._parts.pop(fd, None)
        if self._asks.pop(fd, _NOTHING) != _NOTHING:
            self.asking -= 1
        elif fd in self._connecting:
            self._connecting.remove(fd)
        elif fd in self.idle:
            self.idle.remove(fd)
        # Closing takes it out of the epoll, too.
        self._sockets.pop(fd).close()

    def _connect(self) -> None:
        one = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        one.setblocking(False)
        one.connect_ex(self._address)
        self._connecting.add(one.fileno())
        self._add(one, select.EPOLLOUT)

    def _connected(self, fd: int) -> None:
        if fd not in self._sockets:  # closed since the news came
            return
        if self._sockets[fd].getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self._drop(fd)
            self._missing += 1
            return
        self._connecting.remove(fd)
        self._epoll.modify(fd, select.EPOLLIN)
        self.idle.append(fd)

    def _add(self, one: socket.socket, events: int = select.EPOLLIN) -> None:
        one.setblocking(False)
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sockets[one.fileno()] = one
        self._epoll.register(one, events)
        if events == select.EPOLLIN:
            self.idle.append(one.fileno())
