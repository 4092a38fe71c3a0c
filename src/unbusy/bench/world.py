"""A world to measure in: a database of its own, and a gateway over HTTP."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

from unbusy.db import migrate
from unbusy.db.embedded import Server
from unbusy.errors import SetupError
from unbusy.load import NO_LIMITS, is_ready

_START_TIMEOUT_S = 20.0


@contextmanager
def temporary_database() -> Generator[str]:
    """A durable embedded server with a migrated database, gone at the end. Gives its URL."""
    directory = Path(tempfile.mkdtemp(prefix="unbusy-bench-"))
    directory.chmod(0o755)
    server = Server.start(directory)
    try:
        asyncio.run(migrate(server.url()))
        yield server.url()
    finally:
        server.stop()
        shutil.rmtree(directory, ignore_errors=True)


class Gateway:
    """A gateway in a process of its own, with the settings of the moment."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self._process = process
        self.port = port

    @classmethod
    @contextmanager
    def run(cls, url: str, secret: str, settings: Mapping[str, str]) -> Generator[Gateway]:
        """Start it, wait until it answers, and end it with the block."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = int(free.getsockname()[1])
        own = {"UNBUSY_DATABASE_URL": url, "UNBUSY_SECRET": secret, "UNBUSY_PORT": str(port)}
        process = subprocess.Popen(
            [sys.executable, "-m", "unbusy.cli", "serve"],
            env={**os.environ, **NO_LIMITS, **own, **settings},
            stdout=subprocess.DEVNULL,
        )
        try:
            if not is_ready(f"http://127.0.0.1:{port}", _START_TIMEOUT_S, lambda: process.poll() is None):
                raise SetupError("the gateway to be measured did not start")
            yield cls(process, port)
        finally:
            process.terminate()
            process.wait()
