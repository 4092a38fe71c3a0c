"""The embedded server: made from nothing, one at a time, and back after every kind of death."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from pathlib import Path

import asyncpg
import pytest

from unbusy.db import Database
from unbusy.db.embedded import Server, binary, exists_at, running_at
from unbusy.errors import LedgerUnavailable, SetupError

QUICK = {"fsync": "off"}

# The user is changed after the imports, since the interpreter may be out of that user's reach.
START_AND_WAIT = """
import asyncpg, encodings.idna, os, sys, time
from pathlib import Path
from unbusy.db.embedded import Server
if len(sys.argv) > 2:
    os.setgroups([])
    os.setgid(int(sys.argv[2]))
    os.setuid(int(sys.argv[2]))
server = Server.start(Path(sys.argv[1]), options={"fsync": "off"})
print(server.pid, flush=True)
time.sleep(60)
"""

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")


@pytest.fixture(scope="module")
def made() -> Generator[Path]:
    """A data directory with a database in it, which no test leaves running."""
    with tempfile.TemporaryDirectory(prefix="unbusy-test-") as name:
        path = Path(name)
        path.chmod(0o755)
        Server.start(path, options=QUICK).stop()
        yield path


@pytest.fixture
def directory() -> Generator[Path]:
    """An empty directory."""
    with tempfile.TemporaryDirectory(prefix="unbusy-test-") as name:
        path = Path(name)
        path.chmod(0o755)
        yield path


def start_in_another_process(directory: Path, *user: int, **environment: str) -> tuple[subprocess.Popen[str], int]:
    command = [sys.executable, "-c", START_AND_WAIT, str(directory), *map(str, user)]
    process = subprocess.Popen(command, env=os.environ | environment, stdout=subprocess.PIPE, text=True, cwd="/")
    assert process.stdout is not None
    return process, int(process.stdout.readline() or 0)


def end(process: subprocess.Popen[str], how: signal.Signals) -> None:
    process.send_signal(how)
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def answer(url: str) -> int:
    async def ask() -> int:
        connection = await asyncpg.connect(url)
        try:
            return await connection.fetchval("SELECT 42")
        finally:
            await connection.close()

    return asyncio.run(ask())


def test_a_second_start_refuses_and_names_the_first(made: Path) -> None:
    """Two servers on one directory would destroy it."""
    server = Server.start(made, options=QUICK)
    try:
        with pytest.raises(SetupError, match=f"in use by process {os.getpid()}"):
            Server.start(made)
        assert answer(server.url()) == 42
        assert running_at(made) == server.url()
    finally:
        server.stop()
    assert running_at(made) is None
    assert exists_at(made)


def test_it_survives_kill_9_of_the_server(made: Path) -> None:
    """A server that was killed is started again beside its own orphans, on the same address."""
    server = Server.start(made, options=QUICK)
    try:
        for _ in range(3):
            os.kill(server.pid, signal.SIGKILL)
            while server.is_running:
                time.sleep(0.001)
            server.start_again()
            give_up_at = time.monotonic() + 10
            while running_at(made) is None and time.monotonic() < give_up_at:
                time.sleep(0.01)
            assert answer(server.url()) == 42
    finally:
        server.stop()


def test_it_does_not_outlive_its_starter(made: Path) -> None:
    """Kill −9 of whoever started the server leaves no orphan, and the next start works at once."""
    process, postmaster = start_in_another_process(made)
    end(process, signal.SIGKILL)
    server = Server.start(made, options=QUICK)
    try:
        assert answer(server.url()) == 42
        assert server.pid != postmaster
    finally:
        server.stop()


def test_a_stale_pid_file_does_not_hold_up_the_start(made: Path) -> None:
    """Neither one whose process is gone, nor one whose number now belongs to somebody else, who is left alone."""
    bystander = subprocess.Popen(["sleep", "60"])
    try:
        for pid in (bystander.pid, 2**22 - 1):
            for name in ("postmaster.pid", ".s.PGSQL.5432.lock"):
                (made / "postgres" / name).write_text(f"{pid}\n{made}/postgres\n1\n5432\n")
            server = Server.start(made, options=QUICK)
            assert answer(server.url()) == 42
            server.stop()
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_a_half_made_database_is_made_again(directory: Path) -> None:
    """A start that was killed while it initialised left only what the next one throws away."""
    (directory / "postgres.new").mkdir()
    (directory / "postgres.new" / "PG_VERSION").write_text("18")
    server = Server.start(directory, options=QUICK)
    try:
        assert answer(server.url()) == 42
        assert not (directory / "postgres.new").exists()
    finally:
        server.stop()


def test_a_long_directory_has_its_socket_elsewhere(directory: Path) -> None:
    """The path of a socket is limited to about a hundred characters; that of a directory is not."""
    long = directory / ("d" * 60) / ("e" * 60)
    server = Server.start(long, options=QUICK)
    try:
        assert answer(server.url()) == 42
        assert running_at(long) == server.url()
    finally:
        server.stop()


def test_a_directory_that_cannot_be_is_told_in_a_sentence(directory: Path) -> None:
    """A file stands where the directory should be."""
    (directory / "file").write_text("")
    with pytest.raises(SetupError, match="cannot make the data directory"):
        Server.start(directory / "file" / "data")


def test_a_server_that_does_not_come_up_says_why(made: Path) -> None:
    """The sentence carries what PostgreSQL said, and nothing is left running."""
    with pytest.raises(SetupError, match="no_such_parameter"):
        Server.start(made, options={"no_such_parameter": "1"})
    Server.start(made, options=QUICK).stop()


@needs_root
def test_root_gives_the_database_to_somebody_else(made: Path) -> None:
    """PostgreSQL refuses to run as root, and should not."""
    server = Server.start(made, options=QUICK)
    try:
        assert Path(f"/proc/{server.pid}").stat().st_uid != 0
        assert (made / "postgres").stat().st_uid != 0
    finally:
        server.stop()


@needs_root
def test_root_may_keep_the_database_behind_a_closed_door(directory: Path) -> None:
    """A data directory below /root works, although the database's user may not enter /root."""
    directory.chmod(0o700)
    server = Server.start(directory / "wallet", options=QUICK)
    try:
        assert Path(f"/proc/{server.pid}").stat().st_uid != 0
        assert answer(server.url()) == 42
        os.kill(server.pid, signal.SIGKILL)
        while server.is_running:
            time.sleep(0.001)
        server.start_again()
    finally:
        server.stop()


@needs_root
def test_root_may_keep_everything_behind_a_closed_door(directory: Path) -> None:
    """Also where PostgreSQL itself is installed below /root, as after a clone into root's home."""
    package = binary("postgres").parents[2]
    for folder in package.parent.glob(f"{package.name}*"):
        shutil.copytree(folder, directory / "installed" / folder.name)
    directory.chmod(0o700)
    process, postmaster = start_in_another_process(
        directory / "wallet", PYTHONPATH=str(directory / "installed"), PYTHONDONTWRITEBYTECODE="1"
    )
    try:
        assert Path(f"/proc/{postmaster}").stat().st_uid != 0
        assert str(directory / "installed").encode() in Path(f"/proc/{postmaster}/cmdline").read_bytes()
    finally:
        end(process, signal.SIGTERM)


@needs_root
def test_an_ordinary_user_runs_it_too(directory: Path) -> None:
    """Without root there is nobody to become, and nothing to give away."""
    nobody = pwd.getpwnam("nobody").pw_uid
    os.chown(directory, nobody, nobody)
    if not all(folder.stat().st_mode & stat.S_IXOTH for folder in binary("postgres").parents):
        pytest.skip("the installation itself is out of an ordinary user's reach")
    process, postmaster = start_in_another_process(directory, nobody)
    try:
        assert Path(f"/proc/{postmaster}").stat().st_uid == nobody
        assert answer(running_at(directory) or "") == 42
    finally:
        end(process, signal.SIGTERM)


@needs_root
def test_a_directory_one_may_not_write_in_is_told_in_a_sentence(directory: Path) -> None:
    """An ordinary user who points at somebody else's directory is told so, without a traceback."""
    code = """
import os, sys
from pathlib import Path
from unbusy.db.embedded import Server
from unbusy.errors import SetupError
os.setuid(65534)
try:
    Server.start(Path(sys.argv[1]))
except SetupError as error:
    print(error)
"""
    told = subprocess.run([sys.executable, "-c", code, str(directory)], capture_output=True, text=True, check=True)
    assert "cannot write in the data directory" in told.stdout


def test_callers_come_through_an_outage(made: Path) -> None:
    """While the server is away every call says so; within a second of its return all places work again."""
    server = Server.start(made, options=QUICK)
    try:
        asyncio.run(_live_through_outages(server))
    finally:
        server.stop()


async def _live_through_outages(server: Server) -> None:
    db = await Database.open(server.url(), size=4, role=None)

    async def call() -> bool:
        try:
            return await db.run(lambda tx: tx.fetchval("SELECT true FROM pg_sleep(0.005)"))
        except LedgerUnavailable:
            return False

    async def crowd() -> list[bool]:
        return await asyncio.gather(*(call() for _ in range(20)))

    for _ in range(3):
        assert all(await crowd())
        os.kill(server.pid, signal.SIGKILL)
        while server.is_running:
            time.sleep(0.001)  # noqa: ASYNC251 - the next calls should find connections that they do not know are dead
        assert not any(await crowd())
        server.start_again()
        await _until_it_answers(server)
        await asyncio.sleep(0.1)
        assert all(await crowd())
    await db.close()


async def _until_it_answers(server: Server) -> None:
    async with asyncio.timeout(10):
        while True:
            try:
                await (await asyncpg.connect(server.url())).close()
            except (asyncpg.PostgresError, OSError):
                await asyncio.sleep(0.01)
            else:
                return
