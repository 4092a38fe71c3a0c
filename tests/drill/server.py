"""A tiny HTTP server whose answers a test decides, in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager

# Gets the request's bytes; gives the answer's, or None to close the connection without one.
Answer = Callable[[bytes], Awaitable[bytes | None]]


@contextmanager
def serving(answer: Answer) -> Generator[int]:
    """Serve on a free port, which is given."""
    loop = asyncio.new_event_loop()
    started: list[asyncio.Server] = []
    ready = threading.Event()

    async def serve() -> None:
        started.append(await asyncio.start_server(lambda r, w: _talk(answer, r, w), "127.0.0.1", 0, backlog=512))
        ready.set()

    def live() -> None:
        loop.run_until_complete(serve())
        loop.run_forever()

    thread = threading.Thread(target=live, daemon=True)
    thread.start()
    ready.wait()
    try:
        yield started[0].sockets[0].getsockname()[1]
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.run_until_complete(_end(started[0]))
        loop.close()


def answer(status: str, body: str, *headers: str) -> bytes:
    """An answer with these headers beside its length."""
    lines = [f"HTTP/1.1 {status}", *headers, f"content-length: {len(body)}", "", body]
    return "\r\n".join(lines).encode()


async def _talk(answer: Answer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0] or 0)
            told = await answer(head + await reader.readexactly(length))
            if told is None:
                return
            writer.write(told)
    except (asyncio.IncompleteReadError, ConnectionError):
        return
    finally:
        writer.close()


async def _end(server: asyncio.Server) -> None:
    server.close()
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
