"""The riders: a few people who pay with the client (`sdk/python`) all through a drill, at a steady low rate.

    wants to pay ─▶ pays, or has it queued ─▶ a payment: looked after until it is final
                          ▲       │
                          │       ├─▶ certain that nothing was done: leaves
                          └───────┴─▶ may have been done: asks again under the same key

Whatever happens to the wallet meanwhile, every call ends in an answer or in one of the client's own
errors, and in the end the database has of each want exactly what its rider was told. They ride in a process
of their own (`unbusy.drill.rider`), on the generator's core.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import contextmanager

import msgspec

from unbusy.drill.lines import Phase
from unbusy.drill.oracle import Stored
from unbusy.errors import SetupError

NAME = "riders"
_CLIENT = "unbusy_client"
# A small part of any C that is worth a drill, and yet some hundreds of payments in a quick one.
_PER_S = 2.0


class Trip(msgspec.Struct):
    """Where to ride, and who: people with these handles and `password`. Their keys begin with `name`.

    `per_s` is how many payments are wanted each second, by all of them together.
    """

    address: str
    name: str
    handles: list[str]
    password: str
    asset: str
    per_s: float = _PER_S


class Ride(msgspec.Struct):
    """One payment that somebody wanted. `ends` says how each call for it ended: a status, or an error's name.

    `id` and `status` are of the payment as it was told last; empty when it was told that there is none.
    `broke` is what was raised that is no error of the client. A ride that `is_over` was told its end.
    """

    key: str
    id: str = ""
    status: str = ""
    ends: list[str] = []
    broke: str = ""
    is_over: bool = False


class Riders:
    """Those who are riding now."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def end(self) -> list[Ride]:
        """Let them finish what they began, and give every ride. Raises SetupError when they broke."""
        written, _ = self._process.communicate()
        if self._process.returncode:
            raise SetupError("the riders failed; what they said is above")
        return msgspec.msgpack.decode(written, type=list[Ride])


@contextmanager
def riding(trip: Trip, core: int | None) -> Generator[Riders]:
    """They ride inside, on this core. Raises SetupError when they cannot sign in."""
    process = subprocess.Popen(
        [sys.executable, "-m", "unbusy.drill.rider"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin
    assert process.stdout
    if core is not None:
        os.sched_setaffinity(process.pid, [core])
    try:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(msgspec.json.encode(trip) + b"\n")
            process.stdin.flush()
        if not process.stdout.readline():
            raise SetupError("the riders did not start; what they said is above")
        yield Riders(process)
    finally:
        process.kill()
        process.communicate()


def have_a_client() -> bool:
    """Whether the client is installed: it is a project of its own, and the wallet does without."""
    return importlib.util.find_spec(_CLIENT) is not None


def judged(rides: Sequence[Ride], found: Sequence[Stored]) -> Phase:
    """What the riders were told, compared with all payments `found` under their keys."""
    made: dict[str, list[Stored]] = {}
    for payment in found:
        made.setdefault(payment.key, []).append(payment)
    astray = Counter(why for ride in rides if (why := _astray(ride, made.get(ride.key, ()))))
    ends = Counter(end for ride in rides for end in ride.ends)
    return Phase(
        NAME,
        values={
            "calls": float(ends.total()),
            "paid": float(sum(ride.status == "completed" for ride in rides)),
            "astray": float(astray.total()) if rides else None,
            "paid_twice": float(sum(len(payments) > 1 for payments in made.values())) if rides else None,
        },
        outcomes=_most_first(astray) | _most_first(ends),
    )


def _astray(ride: Ride, found: Sequence[Stored]) -> str:
    """What is wrong with a ride; empty when nothing is."""
    if ride.broke:
        return f"astray: {ride.broke}"
    if not ride.is_over:
        return f"astray: no end after {ride.ends[-1] if ride.ends else 'nothing'}"
    told = [(ride.id, ride.status)] if ride.id else []
    if told == [(payment.id, payment.status) for payment in found]:
        return ""
    stored = ", ".join(payment.status for payment in found)
    return f"astray: told {ride.status or 'not done'}, stored {stored or 'nothing'}"


def _most_first(counted: Counter[str]) -> dict[str, int]:
    return dict(counted.most_common())
