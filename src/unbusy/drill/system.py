"""The wallet under test: one that the drill starts, pins to a core, freezes and kills, or a given one."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from unbusy.db.embedded import running_at
from unbusy.db.privileges import stop_with_parent
from unbusy.drill.sandboxes import Sandbox, write_roster
from unbusy.errors import SetupError
from unbusy.load import NO_LIMITS, free_port, is_ready
from unbusy.settings import PREFIX

_START_TIMEOUT_S = 60.0
_GLANCE_S = 0.01
_LAST_WORDS = 2_000

KILLS = ("gateway", "worker", "postgres")


class System:
    """A wallet: its `address`, the `url` of its database, the `secret` that signs its tokens, and the `banks` that
    it is connected to."""

    def __init__(self, address: str, url: str, secret: bytes, own: _Own | None, banks: Sequence[Sandbox] = ()) -> None:
        self.banks = banks
        self.address = address
        self.url = url
        self.secret = secret
        self._own = own

    @property
    def is_ours(self) -> bool:
        """Whether the drill started it, so that it may be killed."""
        return self._own is not None

    @property
    def port(self) -> int:
        return int(self.address.rstrip("/").rpartition(":")[2])

    @property
    def host(self) -> str:
        return self.address.partition("://")[2].rpartition(":")[0]

    def is_ready(self) -> bool:
        """Whether it serves, or does so soon."""
        return is_ready(self.address, _START_TIMEOUT_S)

    def kill(self, what: str) -> None:
        """Kill −9: a `gateway`, the `worker`, or `postgres`."""
        assert self._own
        record = self._own.record()
        victim = record["gateways"][0] if what == "gateway" else record[what]
        with contextlib.suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)

    def freeze(self) -> None:
        """Stop every process of PostgreSQL, as a storage that hangs would."""
        self._signal_database(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let them go on."""
        self._signal_database(signal.SIGCONT)

    def findings(self) -> int:
        """How many `unbusy check` has, while everything runs."""
        assert self._own
        return len(self._own.told("check")["findings"])

    def reconcile(self, bank: str, files: Sequence[Path]) -> list[dict[str, Any]]:
        """What `unbusy reconcile` makes of a bank's statements, file by file."""
        assert self._own
        return self._own.told("reconcile", *map(str, files), "--bank", bank)

    def _signal_database(self, number: signal.Signals) -> None:
        assert self._own
        postmaster = self._own.record()["postgres"]
        for pid in (postmaster, *_children(postmaster)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)


@contextmanager
def started(core: int | None, settings: Mapping[str, str], banks: Sequence[Sandbox] = ()) -> Generator[System]:
    """`unbusy up` with these banks, in a directory of its own, all of it on one core; thrown away with the block."""
    with tempfile.TemporaryDirectory(prefix="unbusy-drill-") as directory:
        Path(directory).chmod(0o755)
        known = {f"{PREFIX}BANKS": str(write_roster(banks, Path(directory)))} if banks else {}
        own = _Own(Path(directory), {**NO_LIMITS, **known, **settings})
        try:
            own.start(core)
            url = running_at(own.data)
            if url is None:
                raise SetupError("the database of the wallet under test cannot be reached")
            yield System(own.address, url, (own.data / "secret").read_bytes().strip(), own, banks)
        finally:
            own.stop()


class _Own:
    """A data directory, and the processes that run on it."""

    def __init__(self, data: Path, settings: Mapping[str, str]) -> None:
        self.data = data
        self.address = f"http://127.0.0.1:{free_port()}"
        ours = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        self._environment = {**ours, **settings}
        self._printed = data / "printed"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, core: int | None) -> None:
        with self._printed.open("ab") as log:
            self._process = process = subprocess.Popen(  # noqa: S603 - our own program
                [*_UNBUSY, "up", "--data", str(self.data), "--port", self.address.rpartition(":")[2]],
                env=self._environment,
                cwd=self.data,
                stdout=log,
                stderr=log,
                start_new_session=True,
                # However the drill ends, its wallet ends with it.
                preexec_fn=lambda: stop_with_parent(signal.SIGTERM),  # noqa: PLW1509 - no thread runs yet
            )
        if core is not None:
            # At once, before it starts anybody: its children inherit it.
            os.sched_setaffinity(process.pid, [core])
        if not is_ready(self.address, _START_TIMEOUT_S, lambda: process.poll() is None):
            said = self._printed.read_text(errors="replace")[-_LAST_WORDS:]
            raise SetupError(f"the wallet under test did not start: {said}")

    def stop(self) -> None:
        if self._process and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(_START_TIMEOUT_S)

    def told(self, *words: str) -> Any:
        """What a command tells of this wallet, whatever it ends with."""
        done = subprocess.run(  # noqa: S603 - our own program
            [*_UNBUSY, *words, "--json", "--data", str(self.data)],
            env=self._environment,
            cwd=self.data,
            capture_output=True,
            check=False,
        )
        if not done.stdout:
            raise SetupError(f"unbusy {words[0]} said nothing: {done.stderr.decode(errors='replace')}")
        return json.loads(done.stdout)

    def record(self) -> dict[str, Any]:
        """Who runs; waited for while somebody is being replaced."""
        give_up_at = time.monotonic() + _START_TIMEOUT_S
        while time.monotonic() < give_up_at:
            with contextlib.suppress(FileNotFoundError):
                record = json.loads((self.data / "processes.json").read_text())
                if None not in (*record["gateways"], record["worker"], record["postgres"]):
                    return record
            time.sleep(_GLANCE_S)
        raise SetupError("the wallet under test did not replace a process that was killed")


_UNBUSY = (sys.executable, "-m", "unbusy.cli")


def _children(parent: int) -> list[int]:
    """The processes whose parent it is, from /proc (the fourth field of `stat`; the second may hold spaces)."""
    found: list[int] = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            after_name = stat.read_text().rpartition(")")[2].split()
            if int(after_name[1]) == parent:
                found.append(int(stat.parent.name))
    return found
