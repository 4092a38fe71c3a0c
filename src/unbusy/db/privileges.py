"""Whom the embedded PostgreSQL runs as, and how a child process becomes them.

PostgreSQL refuses to run as root. Started as root (in a container, mostly) we run it as an
unprivileged user, who may then be unable to reach a directory such as `/root/wallet`. For that
case the child keeps one privilege: to pass through directories that are closed to it.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import signal
import stat
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from unbusy.errors import SetupError

# From linux/prctl.h, linux/securebits.h and linux/capability.h.
_PR_SET_PDEATHSIG = 1
_PR_SET_SECUREBITS = 28
_SECBIT_NO_SETUID_FIXUP = 1 << 2
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_CAPABILITY_VERSION_3 = 0x20080522
_CAP_SETPCAP = 8
# The narrow one first; containers usually have only the wide one.
_CAP_DAC_READ_SEARCH = 2
_CAP_DAC_OVERRIDE = 1


class Owner(NamedTuple):
    """An unprivileged user that the database belongs to."""

    name: str
    uid: int
    gid: int


def owner_of_data() -> Owner | None:
    """Whom to become, None when we are unprivileged ourselves. Raises SetupError when nobody fits."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Owner(name, entry.pw_uid, entry.pw_gid)
    raise SetupError("started as root, and there is no user 'postgres' or 'nobody' to run the database as")


def become(
    owner: Owner | None, reach: Iterable[Path | str], *, dies_with_parent: signal.Signals | None = None
) -> Callable[[], None]:
    """What a new child does before its program begins: become `owner`, able to use the paths in `reach`.

    `dies_with_parent` is the signal that the kernel sends it when its parent dies, even by
    kill −9. Raises SetupError, here in the parent, when a path is out of the owner's reach.
    """
    privilege = _privilege_needed(owner, [Path(path) for path in reach]) if owner else None

    def in_the_child() -> None:
        if owner:
            _change_user(owner, privilege)
        if dies_with_parent:  # last, because a change of user clears it
            stop_with_parent(dies_with_parent)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())

    return in_the_child


def stop_with_parent(how: signal.Signals) -> None:
    """Have the kernel send this process `how` when its parent dies."""
    _prctl(_PR_SET_PDEATHSIG, how)


def _privilege_needed(owner: Owner, paths: Iterable[Path]) -> int | None:
    closed = next((folder for path in paths for folder in path.parents if not _may_enter(folder, owner)), None)
    if closed is None:
        return None
    permitted = _permitted()
    for privilege in (_CAP_DAC_READ_SEARCH, _CAP_DAC_OVERRIDE):
        if permitted >> privilege & permitted >> _CAP_SETPCAP & 1:
            return privilege
    raise SetupError(
        f"started as root, the database runs as user {owner.name!r}, who may not enter {closed}: "
        f"take a --data and an installation outside it, or start as an ordinary user"
    )


def _may_enter(folder: Path, owner: Owner) -> bool:
    status = folder.stat()
    if status.st_uid == owner.uid:
        return bool(status.st_mode & stat.S_IXUSR)
    if status.st_gid == owner.gid:
        return bool(status.st_mode & stat.S_IXGRP)
    return bool(status.st_mode & stat.S_IXOTH)


def _permitted() -> int:
    """The capabilities this process may use, as bits."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("CapPrm:"):
            return int(line.split()[1], 16)
    return 0


def _change_user(owner: Owner, privilege: int | None) -> None:
    if privilege is not None:
        # Else the change of user would take the privilege away, and access(2), by which PostgreSQL
        # looks at its own programs, would not count it.
        _prctl(_PR_SET_SECUREBITS, _SECBIT_NO_SETUID_FIXUP)
    os.setgroups([])
    os.setgid(owner.gid)
    os.setuid(owner.uid)
    if privilege is not None:
        _keep_only(privilege)
        _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, privilege)


def _keep_only(privilege: int) -> None:
    """Drop every capability but one, and let that one pass to the program this process becomes."""
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    bit = 1 << privilege
    # Two triples of effective, permitted, inheritable: capabilities 0–31 and 32–63.
    data = (ctypes.c_uint32 * 6)(bit, bit, bit, 0, 0, 0)
    if libc.capset(header, data) != 0:
        raise OSError(ctypes.get_errno(), "capset")


def _prctl(option: int, *arguments: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    words = [ctypes.c_ulong(argument) for argument in (*arguments, 0, 0, 0, 0)[:4]]
    if libc.prctl(option, *words) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
