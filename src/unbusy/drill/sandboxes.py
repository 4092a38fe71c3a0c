"""The banks of a drill: sandbox banks in processes of their own, to be broken, killed and left dead."""

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
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any, cast

import httpx
import msgspec

from unbusy.banks import sandbox
from unbusy.db.privileges import stop_with_parent
from unbusy.errors import SetupError
from unbusy.load import free_port
from unbusy.settings import PREFIX

COUNT = 3
_START_TIMEOUT_S = 60.0
_GLANCE_S = 0.02
_PATIENCE_S = 30.0
_NICER = 4
# How long the wallet waits for a bank's answer: most of a drill's hangs are over while it lasts.
_TIMEOUT_S = 2
_FORMATS = {"camt.053": "xml", "mt940": "sta"}


class Booked(msgspec.Struct, frozen=True):
    """A payment as a bank's books have it: `amount` in minor units, `status` of ISO 20022."""

    reference: str
    is_pull: bool
    iban: str
    asset: str
    amount: int
    status: str

    @property
    def is_executed(self) -> bool:
        return self.status == "ACCC"

    @property
    def moved(self) -> int:
        """What it brought to the operator's account there."""
        if not self.is_executed:
            return 0
        return self.amount if self.is_pull else -self.amount


class _Books(msgspec.Struct):
    payments: list[Booked]


class Sandbox:
    """One bank. `id` is what the wallet calls it, `table` what the wallet is told of it; `directory` is the bank's."""

    def __init__(self, id: str, directory: Path, core: int | None) -> None:
        self.id = id
        self.table: Mapping[str, Any] = {}
        self.directory = directory
        self._core = core
        self._port = free_port()
        self._http = httpx.Client(base_url=f"http://127.0.0.1:{self._port}", timeout=_PATIENCE_S)
        self._faults: Sequence[sandbox.Fault] = ()
        self._process: subprocess.Popen[bytes] | None = None
        # A thread that lives as long as this: to the kernel it is the process's parent, with which that ends.
        self._starter = ThreadPoolExecutor(1)

    def begin(self) -> None:
        """Begin to start."""
        self._process = self._starter.submit(self._started).result()
        if self._core is not None:
            os.sched_setaffinity(self._process.pid, [self._core])
        # The generator has the same core, and is to be late for nobody.
        os.setpriority(os.PRIO_PROCESS, self._process.pid, os.getpriority(os.PRIO_PROCESS, 0) + _NICER)

    def _started(self) -> subprocess.Popen[bytes]:
        ours = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        return subprocess.Popen(  # noqa: S603 - our own program
            [*_UNBUSY, "sandbox-bank", "--data", str(self.directory), "--port", str(self._port)],
            env=ours,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=lambda: stop_with_parent(signal.SIGKILL),  # noqa: PLW1509 - one call of the system, no lock
        )

    def open(self) -> None:
        """Wait until it is open; what went wrong with it before goes wrong again. Raises SetupError."""
        # So many glances, not so many seconds: a machine that stood still has not had them.
        for _ in range(int(_START_TIMEOUT_S / _GLANCE_S)):
            if self._process is None or self._process.poll() is not None:
                break
            with contextlib.suppress(httpx.TransportError):
                self._tell_faults()
                return
            time.sleep(_GLANCE_S)
        raise SetupError(f"the sandbox bank {self.id} did not start")

    def start(self) -> None:
        """Start it, and wait until it is open."""
        self.begin()
        self.open()

    def kill(self) -> None:
        """Kill −9. It stays dead."""
        if self._process:
            self._process.kill()
            self._process.wait()

    def break_with(self, faults: Sequence[sandbox.Fault]) -> None:
        """From now on these go wrong, and no others; also after it was killed."""
        self._faults = faults
        if self._process and self._process.poll() is None:
            self._tell_faults()

    def books(self) -> list[Booked]:
        """Every payment that it was ever asked for, in order."""
        return msgspec.json.decode(self._get("/books"), type=_Books, strict=False).payments

    def statements(self, number: int, since: date, until: date) -> list[Path]:
        """Its statements of these days, oldest first, in a format that the number says."""
        format, ending = list(_FORMATS.items())[number % len(_FORMATS)]
        days = [since + timedelta(days=passed) for passed in range((until - since).days + 1)]
        files = [self.directory / f"{day}.{ending}" for day in days]
        for day, file in zip(days, files, strict=True):
            account = self.table["account"]["iban"]
            file.write_bytes(self._get(f"/statement?format={format}&day={day}&account={account}"))
        return files

    def read_table(self, number: int) -> None:
        """Find what a wallet is told of it: of what the bank offers, the one that the number says."""
        home = self.directory / "sandbox-bank"
        offered = msgspec.toml.decode((home / "banks.toml").read_bytes(), type=dict[str, dict[str, Any]])
        table = list(offered.values())[number % len(offered)]
        keys = {name: str(home / table[name]) for name in ("key", "bank_key")}
        self.table = {**table, **keys, "name": f"Bank {self.id}", "timeout_s": _TIMEOUT_S}

    def close(self) -> None:
        """End it."""
        self.kill()
        self._http.close()
        self._starter.shutdown()

    def _tell_faults(self) -> None:
        self._http.delete("/faults").raise_for_status()
        for fault in self._faults:
            self._http.post("/faults", content=msgspec.json.encode(fault)).raise_for_status()

    def _get(self, path: str) -> bytes:
        return self._http.get(path).raise_for_status().content


@contextmanager
def opened(core: int | None) -> Generator[list[Sandbox]]:
    """Three banks on this core, each in another dialect as far as there are such."""
    with tempfile.TemporaryDirectory(prefix="unbusy-banks-") as directory:
        banks = [Sandbox(f"bank-{number + 1}", Path(directory) / str(number), core) for number in range(COUNT)]
        try:
            for bank in banks:
                bank.begin()
            for number, bank in enumerate(banks):
                bank.open()
                bank.read_table(number)
            yield banks
        finally:
            for bank in banks:
                bank.close()


def write_roster(banks: Sequence[Sandbox], directory: Path) -> Path:
    """Write the file that tells a wallet of them."""
    roster = directory / "banks.toml"
    roster.write_text("".join(f"[{bank.id}]\n{_lines(bank.table)}\n" for bank in banks))
    return roster


_UNBUSY = (sys.executable, "-m", "unbusy.cli")


def _lines(table: Mapping[str, Any]) -> str:
    return "".join(f"{name} = {_value(value)}\n" for name, value in table.items())


def _value(value: Any) -> str:
    """As TOML, which writes texts and numbers as JSON does."""
    if not isinstance(value, dict):
        return json.dumps(value)
    fields = cast("Mapping[str, Any]", value).items()
    return f"{{ {', '.join(f'{name} = {_value(field)}' for name, field in fields)} }}"
