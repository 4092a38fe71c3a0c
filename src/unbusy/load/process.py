"""The generator's own process, on its own core."""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from unbusy.errors import SetupError
from unbusy.load.model import Load, Log, Moment

_GLANCE_S = 0.02


def generate(load: Load, core: int | None, tell: Callable[[Moment], None] | None = None) -> Log:
    """Run a load, and give its log. `tell` hears how it goes, twice a second. Raises SetupError when it breaks."""
    with tempfile.TemporaryDirectory(prefix="unbusy-load-") as directory:
        load.log = str(Path(directory) / "log")
        process = subprocess.Popen(
            [sys.executable, "-m", "unbusy.load.generator"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert process.stdin
        assert process.stdout
        if core is not None:
            os.sched_setaffinity(process.pid, [core])
        try:
            process.stdin.write(msgspec.msgpack.encode(load))
            process.stdin.close()
            for line in process.stdout:
                if tell:
                    tell(msgspec.json.decode(line, type=Moment))
        except BaseException:
            process.kill()
            raise
        finally:
            process.wait()
            process.stdout.close()
        if process.returncode:
            raise SetupError("the load generator failed; what it said is above")
        return msgspec.msgpack.decode(Path(load.log).read_bytes(), type=Log)


@contextmanager
def cores_apart() -> Generator[int | None]:
    """What is started inside runs on all cores but one, which is given: the generator's.

    None where there is only one core, or where the system does not let us choose.
    """
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if len(cores) < 2:  # noqa: PLR2004 - one for each side
        yield None
        return
    os.sched_setaffinity(0, cores[:-1])
    try:
        yield cores[-1]
    finally:
        os.sched_setaffinity(0, cores)


def is_ready(address: str, within_s: float, goes_on: Callable[[], bool] = lambda: True) -> bool:
    """Wait until the wallet at `address` says that it serves. False when it did not, or when it does
    not go on and there is no sense in waiting."""
    host, _, port = address.removeprefix("http://").rstrip("/").partition(":")
    give_up_at = time.monotonic() + within_s
    while time.monotonic() < give_up_at and goes_on():
        connection = http.client.HTTPConnection(host, int(port or 80), timeout=5)
        with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
            connection.request("GET", "/readyz")
            if connection.getresponse().status == http.HTTPStatus.OK:
                return True
        time.sleep(_GLANCE_S)
    return False


def free_port() -> int:
    """One of this machine that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]
