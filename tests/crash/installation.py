"""A real `unbusy up` in a process of its own, to be killed."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx

_START_TIMEOUT_S = 60.0
_UNBUSY = Path(sys.executable).with_name("unbusy")

# So high that no limit and no expiry gets in the way of a payment.
_SETTINGS = {
    "UNBUSY_ACCESS_TOKEN_S": "3600",
    "UNBUSY_LIMIT_PER_PAYMENT": str(10**12),
    "UNBUSY_CUSTOMER_PER_S": "10000",
    "UNBUSY_CUSTOMER_BURST": "10000",
    "UNBUSY_LIMIT_PER_DAY": str(10**12),
    "UNBUSY_LIMIT_PER_MONTH": str(10**12),
}


class Installation:
    """A data directory, and the processes that run on it, so many gateways among them."""

    def __init__(self, gateways: int = 1) -> None:
        self._gateways = str(gateways)
        self._directory = tempfile.TemporaryDirectory(prefix="unbusy-crash-")
        self.data = Path(self._directory.name)
        self.data.chmod(0o755)
        self.address = f"http://127.0.0.1:{_free_port()}"
        self._log = (self.data / "printed").open("ab")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> float:
        """Start, wait until requests are answered, and give the seconds that took."""
        began = time.monotonic()
        command = [_UNBUSY, "up", "--data", self.data, "--port", self.address.rpartition(":")[2]]
        command += ["--workers", self._gateways]
        self._process = subprocess.Popen(
            command, env=_environment(), stdout=self._log, stderr=self._log, start_new_session=True
        )
        while not self._is_ready():
            assert self._process.poll() is None, self.printed
            assert time.monotonic() - began < _START_TIMEOUT_S, self.printed
            time.sleep(0.02)
        return time.monotonic() - began

    def stop(self) -> None:
        """End cleanly, and throw everything away."""
        if self._process and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(_START_TIMEOUT_S)
        self._log.close()
        self._directory.cleanup()

    def kill(self, what: str) -> None:
        """Kill −9: a `gateway`, the `worker`, `postgres`, or `everything` at once."""
        record = self._record()
        children = [*record["gateways"], record["worker"]]
        victims = {
            "gateway": record["gateways"][:1],
            "worker": [record["worker"]],
            "postgres": [record["postgres"]],
            "everything": [record["supervisor"], record["postgres"], *children],
        }
        for pid in victims[what]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if what == "everything":
            assert self._process
            self._process.wait()

    def check(self) -> dict[str, Any]:
        """What `unbusy check --json` says about the books, while everything runs."""
        checked = subprocess.run(
            [_UNBUSY, "check", "--json", "--data", self.data], env=_environment(), capture_output=True, check=False
        )
        assert checked.stdout, checked.stderr.decode()
        return json.loads(checked.stdout)

    @property
    def printed(self) -> str:
        return (self.data / "printed").read_text(errors="replace")[-4_000:]

    def _is_ready(self) -> bool:
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(f"{self.address}/readyz", timeout=5).status_code == 200
        return False

    def _record(self) -> dict[str, Any]:
        """Who runs; waited for while somebody is being replaced."""
        give_up_at = time.monotonic() + 10
        while time.monotonic() < give_up_at:
            with contextlib.suppress(FileNotFoundError):
                record = json.loads((self.data / "processes.json").read_text())
                if None not in (*record["gateways"], record["worker"], record["postgres"]):
                    return record
            time.sleep(0.01)
        raise AssertionError(self.printed)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("UNBUSY_")} | _SETTINGS
