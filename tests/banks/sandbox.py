"""A real sandbox bank in a process of its own, to be broken."""

from __future__ import annotations

import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import httpx

from unbusy.banks import Connector, Direction, ExternalAccount, Instruction, connect
from unbusy.clock import SystemClock
from unbusy.ids import Ids
from unbusy.settings import Settings

_UNBUSY = Path(sys.executable).with_name("unbusy")
ANNA = ExternalAccount(iban="DE89370400440532013000", name="Anna Berg")

_numbers = itertools.count(1)


class Sandbox:
    """The process, what it is told, and what its books say."""

    def __init__(self) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="unbusy-bank-")
        self._data = Path(self._directory.name)
        self._port = _free_port()
        self.address = f"http://127.0.0.1:{self._port}"
        self._process: subprocess.Popen[str] | None = None
        self._http = httpx.Client(base_url=self.address, timeout=60)

    def start(self) -> None:
        """Start, and wait until it is open."""
        command = [_UNBUSY, "sandbox-bank", "--data", self._data, "--port", str(self._port)]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("UNBUSY_")}
        self._process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout
        assert "is open" in self._process.stdout.readline()

    def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it, by force or not."""
        assert self._process
        assert self._process.stdout
        self._process.send_signal(how)
        self._process.wait(30)
        self._process.stdout.close()

    def throw_away(self) -> None:
        self.end(signal.SIGKILL)
        self._http.close()
        self._directory.cleanup()

    def settings(self, *, timeout_s: float = 30.0, only: str = "") -> Settings:
        """Settings that know this bank, or only as one of the roster's, and wait for it so long."""
        home = self._data / "sandbox-bank"
        banks = home / f"banks-{only}-{timeout_s}.toml"
        tables = (home / "banks.toml").read_text().replace("account =", f"timeout_s = {timeout_s}\naccount =")
        banks.write_text("\n\n".join(table for table in tables.split("\n\n") if f"[{only}]" in table or not only))
        return Settings(banks=str(banks))

    def connector(self, bank: str = "sandbox", *, timeout_s: float = 30.0) -> Connector:
        """What speaks to it as the roster's `bank`, in that one's dialect."""
        clock = SystemClock()
        # Reading the others' keys would take longer than most tests.
        return connect(self.settings(timeout_s=timeout_s, only=bank), clock=clock, ids=Ids(clock))[bank]

    def break_with(self, **fault: Any) -> None:
        """From now on this goes wrong."""
        assert self._http.post("/faults", json=fault).status_code == 200

    def mend(self) -> None:
        assert self._http.delete("/faults").json() == []

    def open_account(self, account: ExternalAccount, **more: Any) -> None:
        told = {"iban": account.iban, "asset": "EUR", "name": account.name} | more
        assert self._http.put("/accounts", json=told).status_code == 200

    def executed(self, reference: str) -> int:
        """How often it executed this reference."""
        return len(
            [one for one in self.books()["payments"] if one["reference"] == reference and one["status"] == "ACCC"]
        )

    def balance(self, account: ExternalAccount) -> int:
        """What a customer has there, in cents."""
        (found,) = [one["balance"] for one in self.books()["accounts"] if one["iban"] == account.iban]
        return found

    def books(self) -> dict[str, Any]:
        return json.loads(self._http.get("/books").content)


def instruction(direction: Direction, amount: int = 1_250, account: ExternalAccount = ANNA) -> Instruction:
    """Money to move, under a reference that nobody has used."""
    return Instruction(f"test-{next(_numbers):06}", direction, amount, "EUR", account)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]
