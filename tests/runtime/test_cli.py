"""The commands, typed as a person types them, in processes of their own."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from pathlib import Path

import asyncpg
import pytest

from unbusy.db.embedded import running_at
from unbusy.db.migrate import migrations
from unbusy.load import furnish

UNBUSY = str(Path(sys.executable).with_name("unbusy"))
SECRET = {"UNBUSY_SECRET": "s" * 32}


def environment(**more: str) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("UNBUSY_")} | more


def type_in(*words: str, directory: Path | None = None, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [UNBUSY, *words], env=environment(**more), cwd=directory or "/", capture_output=True, text=True, check=False
    )


class Wallet:
    """A wallet bank that `unbusy up` runs."""

    def __init__(self, data: Path) -> None:
        self.data = data
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            self.port = str(one.getsockname()[1])
        self.printed = ""

    def start(self, *words: str) -> float:
        """Start, wait for the welcome, and give the seconds that took."""
        began = time.monotonic()
        output = self.data / "printed"
        with output.open("wb") as file:
            command = [UNBUSY, "up", "--data", str(self.data), "--port", self.port, *words]
            self.process = subprocess.Popen(command, env=environment(), cwd="/", stdout=file, stderr=file)
        while "metrics" not in self.printed:
            assert self.process.poll() is None, self.printed
            time.sleep(0.02)
            self.printed = output.read_text()
        took = time.monotonic() - began
        time.sleep(0.2)  # the rest of what it prints
        self.printed = output.read_text()
        return took

    def stop(self, how: signal.Signals = signal.SIGINT) -> int:
        self.process.send_signal(how)
        return self.process.wait(30)


@pytest.fixture(scope="module")
def wallet() -> Generator[Wallet]:
    with tempfile.TemporaryDirectory(prefix="unbusy-test-") as directory:
        Path(directory).chmod(0o755)
        wallet = Wallet(Path(directory))
        wallet.start("--demo")
        yield wallet
        wallet.stop()


@pytest.mark.skipif(not shutil.which("curl"), reason="the printed lines need curl")
def test_the_printed_lines_pay(wallet: Wallet) -> None:
    """A newcomer pastes what is on the screen, and two demo customers have paid each other."""
    lines = [line for line in wallet.printed.splitlines() if re.match(r"    (TOKEN=|curl|  )", line)]
    paid = subprocess.run(["sh", "-c", "\n".join(lines)], capture_output=True, text=True, check=True)
    assert paid.stdout.count('"status":"completed"') == 2, paid.stdout


def test_the_books_are_proved_while_it_runs(wallet: Wallet) -> None:
    """An operator need not stop anything to know."""
    checked = type_in("check", "--data", str(wallet.data))
    assert (checked.returncode, checked.stdout) == (0, "The books are right.\n")


def test_an_operator_is_added_with_a_password_shown_once(wallet: Wallet) -> None:
    """It works at once, and it is strong enough for the sign-in's own rules."""
    added = type_in("operator", "add", "olga@example.org", "--name", "Olga", "--data", str(wallet.data))
    assert added.returncode == 0, added.stderr
    assert re.search(r"signs in as olga@example.org with password \S{16}", added.stdout)


def test_a_second_one_is_refused_and_does_not_disturb_the_first(wallet: Wallet) -> None:
    """Neither on the same directory nor on the same port."""
    metrics = sorted(file.name for file in (wallet.data / "metrics").iterdir())
    same_directory = type_in("up", "--data", str(wallet.data), "--port", "0")
    assert same_directory.returncode == 2
    assert f"in use by process {wallet.process.pid}" in same_directory.stderr
    same_port = type_in("up", "--data", str(wallet.data / "other"), "--port", wallet.port)
    assert same_port.returncode == 2
    assert f"cannot listen on 127.0.0.1:{wallet.port}: Address already in use" in same_port.stderr
    assert set(metrics) <= {file.name for file in (wallet.data / "metrics").iterdir()}


def test_commands_find_the_database_whether_it_runs_or_not(wallet: Wallet) -> None:
    """Stopped, it is started for as long as the command takes; and the wallet is open again soon after."""
    assert wallet.stop() == 0
    assert running_at(wallet.data) is None
    checked = type_in("check", "--json", "--data", str(wallet.data))
    assert (checked.returncode, json.loads(checked.stdout)) == (0, {"clean": True, "findings": []})
    assert running_at(wallet.data) is None
    assert wallet.start() < 15  # a second or two on a machine with nothing else to do


def test_a_broken_book_is_found(url: str) -> None:
    """The code is 1, and the finding says where."""
    furnish(url, 2, 0)
    _execute(url, "UPDATE ledger.accounts SET credits_posted = credits_posted + 1 WHERE code = 'bank'")
    checked = type_in("check", "--json", UNBUSY_DATABASE_URL=url)
    assert checked.returncode == 1
    findings = json.loads(checked.stdout)["findings"]
    assert {finding["room"] for finding in findings} == {"ledger"}
    shown = type_in("check", UNBUSY_DATABASE_URL=url)
    assert shown.returncode == 1
    for finding in findings:
        assert f"ledger: {finding['rule']} at {finding['subject']}\n  {finding['detail']}\n" in shown.stdout


def test_migrate_says_what_it_did(url: str) -> None:
    """The second time, that there was nothing to do."""
    _execute(url, "DELETE FROM unbusy_migrations")
    assert type_in("migrate", UNBUSY_DATABASE_URL=url).returncode == 2  # somebody tampered with it
    with tempfile.TemporaryDirectory(prefix="unbusy-test-") as data:
        first = type_in("migrate", "--data", data)
        assert first.stdout.splitlines() == [f"applied {migration.name}" for migration in migrations()], first.stderr
        assert type_in("migrate", "--data", data).stdout == "The database is up to date.\n"


@pytest.mark.parametrize("command", ["serve", "work"])
def test_one_process_runs_on_a_database_of_ones_own(command: str, url: str) -> None:
    """For who spreads them over machines; SIGTERM ends it."""
    words = ["--port", "0"] if command == "serve" else []
    process = subprocess.Popen(
        [UNBUSY, command, *words],
        env=environment(UNBUSY_DATABASE_URL=url, **SECRET),
        cwd="/",
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    with process.stdout as printed:
        assert any("open at" in line or "works" in line for line in iter(printed.readline, ""))
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) in {0, -signal.SIGTERM}


@pytest.mark.parametrize(
    ("words", "variables", "sentence"),
    [
        (["up"], {"UNBUSY_PROT": "1"}, "unknown setting UNBUSY_PROT; did you mean UNBUSY_PORT?"),
        (["up", "--workers", "0"], {}, "--workers: 0 will not do; it must be a whole number from 1 to 64"),
        (["check", "--data", "/nonexistent"], {}, "there is no database in /nonexistent; 'unbusy up' makes one"),
        (["serve", "--port", "0"], {"UNBUSY_DATABASE_URL": "postgresql://me@/x?host=/nowhere"}, "cannot be reached"),
        (["up", "--data", "/dev/null/x"], {}, "cannot write in /dev/null/x/metrics: Not a directory"),
        (["up", "--port", "0"], {"UNBUSY_HOST": "192.0.2.1"}, "192.0.2.1:0: Cannot assign requested address"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_in_a_sentence(
    words: list[str], variables: dict[str, str], sentence: str, tmp_path: Path
) -> None:
    """Code 2, on the standard error, without a traceback."""
    told = type_in(*words, directory=tmp_path, **variables)
    assert (told.returncode, told.stdout) == (2, ""), told.stderr
    assert told.stderr.startswith("unbusy: ")
    assert sentence in told.stderr
    assert "Traceback" not in told.stderr


def _execute(url: str, statement: str) -> None:
    async def execute() -> None:
        connection = await asyncpg.connect(url)
        await connection.execute(statement)
        await connection.close()

    asyncio.run(execute())
