"""The supervisor: children that die are replaced, and nothing is left behind.

Each test runs a small supervisor of its own in another process, whose gateways answer every
connection with their process id.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

SMALL = """
import os, signal, socket, sys, time
from pathlib import Path
from unbusy import telemetry
from unbusy.errors import SetupError
from unbusy.supervisor import Child, Supervisor

telemetry.set_up_logging()
data, behaviour = Path(sys.argv[1]), sys.argv[2]
listener = socket.create_server(("127.0.0.1", 0), backlog=100)

def gateway(started):
    if behaviour == "stillborn":
        raise RuntimeError("cannot begin")
    if behaviour == "broken later" and (data / "broken").exists():
        (data / "tries").open("a").write("x")
        sys.exit(3)
    if behaviour == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    started()
    while True:
        connection, _ = listener.accept()
        connection.sendall(str(os.getpid()).encode())
        connection.close()

def worker(started):
    started()
    while True:
        time.sleep(60)

supervisor = Supervisor(
    gateways=[Child("gateway 1", gateway)],
    worker=Child("worker", worker),
    bank=Child("bank", worker),
    server=None,
    data=data,
)
try:
    supervisor.run(lambda: print(listener.getsockname()[1], flush=True))
except SetupError as error:
    print(error, flush=True)
    sys.exit(2)
print("clean", flush=True)
"""


class Small:
    """A running supervisor."""

    def __init__(self, data: Path, behaviour: str) -> None:
        self._record = data / "processes.json"
        self.process = subprocess.Popen(
            [sys.executable, "-c", SMALL, str(data), behaviour],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self.process.stdout is not None
        self.said = self.process.stdout.readline().strip()

    @property
    def record(self) -> dict[str, Any]:
        return json.loads(self._record.read_text())

    def ask(self) -> int:
        """Which gateway answers. A connection may wait, but is never refused; a gateway may die in the middle."""
        give_up_at = time.monotonic() + 10
        while time.monotonic() < give_up_at:
            connection = socket.create_connection(("127.0.0.1", int(self.said)), timeout=10)
            with connection, contextlib.suppress(ConnectionResetError):
                if told := connection.recv(20):
                    return int(told)
        raise TimeoutError

    def end(self, how: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        """Its code, and what it said at last."""
        self.process.send_signal(how)
        said, _ = self.process.communicate(timeout=30)
        return self.process.returncode, said.strip()


@pytest.fixture
def small(tmp_path: Path, request: pytest.FixtureRequest) -> Generator[Small]:
    started = Small(tmp_path, getattr(request, "param", ""))
    yield started
    if started.process.poll() is None:
        started.end(signal.SIGKILL)
    for stream in (started.process.stdout, started.process.stderr):
        assert stream is not None
        stream.close()


def is_alive(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def test_a_killed_gateway_is_replaced_at_once(small: Small) -> None:
    """Again and again, without a refused connection, and each time within a second."""
    for _ in range(5):
        killed = small.ask()
        os.kill(killed, signal.SIGKILL)
        began = time.monotonic()
        assert small.ask() != killed
        assert time.monotonic() - began < 1


@pytest.mark.parametrize("who", ["worker", "bank"])
def test_whoever_was_killed_is_replaced(small: Small, who: str) -> None:
    """The record says who took its place."""
    killed = small.record[who]
    os.kill(killed, signal.SIGKILL)
    give_up_at = time.monotonic() + 5
    while small.record[who] in {killed, None} and time.monotonic() < give_up_at:
        time.sleep(0.01)
    assert small.record[who] not in {killed, None}


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_everything(small: Small, how: signal.Signals) -> None:
    """It stops cleanly, with everybody, and takes its record away."""
    children = [*small.record["gateways"], small.record["worker"], small.record["bank"]]
    assert small.end(how) == (0, "clean")
    assert not any(is_alive(pid) for pid in children)
    with pytest.raises(FileNotFoundError):
        _ = small.record


def test_kill_9_leaves_nobody_behind(small: Small) -> None:
    """The kernel ends the children of a supervisor that could not."""
    children = [*small.record["gateways"], small.record["worker"], small.record["bank"]]
    small.end(signal.SIGKILL)
    give_up_at = time.monotonic() + 5
    while any(is_alive(pid) for pid in children) and time.monotonic() < give_up_at:
        time.sleep(0.01)
    assert not any(is_alive(pid) for pid in children)


@pytest.mark.parametrize("small", ["stubborn"], indirect=True)
def test_whoever_asks_twice_does_not_wait(small: Small) -> None:
    """A gateway that does not end by itself is given its time, unless a second signal says now."""
    small.process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    assert small.process.poll() is None
    began = time.monotonic()
    assert small.end() == (0, "clean")
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("small", ["stillborn"], indirect=True)
def test_a_gateway_that_cannot_begin_stops_the_start(small: Small) -> None:
    """Whatever is wrong will not get better by trying; what it was is on the screen."""
    assert small.said == "gateway 1 did not start; what it said is above"
    said = small.process.communicate(timeout=10)[1]
    assert "RuntimeError: cannot begin" in said
    assert small.process.returncode == 2


@pytest.mark.parametrize("small", ["broken later"], indirect=True)
def test_one_that_can_no_longer_begin_is_tried_with_growing_pauses(small: Small, tmp_path: Path) -> None:
    """The machine is not kept busy with attempts, and the service comes back when the cause is gone."""
    (tmp_path / "broken").touch()
    os.kill(small.ask(), signal.SIGKILL)
    time.sleep(1.2)
    assert 2 <= len((tmp_path / "tries").read_text()) <= 5
    (tmp_path / "broken").unlink()
    assert small.ask()
