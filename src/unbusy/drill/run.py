"""A drill from the first person to the last line."""

from __future__ import annotations

import contextlib
import os
import platform
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import msgspec

import unbusy
from unbusy.clock import SystemClock
from unbusy.db.locate import located
from unbusy.drill import oracle, riders, sandboxes
from unbusy.drill.banks import SETTINGS
from unbusy.drill.ground import FULL, QUICK, Crowd, Ground, Scale
from unbusy.drill.lines import Line, Phase, judge
from unbusy.drill.phases import BANKS, GATE_OFF, OURS, PHASES, calibrate
from unbusy.drill.riders import Ride, Trip
from unbusy.drill.system import System, started
from unbusy.errors import SetupError
from unbusy.ids import Ids
from unbusy.load import ASSET, PASSWORD, Moment, cores_apart, furnish, tokens
from unbusy.secret import signing_secret
from unbusy.settings import Settings

_TENANTS, _PEOPLE_OF_EACH = 10, 16
# After a phase, until the next one begins.
_REST_S = 2.0
_CONTROL = {"UNBUSY_GATE": "off"}
_RIDERS = 7
_ONLY_OURS = "only for a wallet that the drill starts itself"
_NO_CLIENT = "who need the client (pip install ./sdk/python)"

GREEN, SHORT, VOID = range(3)


class Machine(msgspec.Struct):
    """What a figure belongs to."""

    processor: str
    cores: int
    memory_gb: int
    system: str
    python: str
    unbusy: str


class Result(msgspec.Struct):
    """All of a drill. `capacity` is C in payments a second; `void` says why it proves nothing, when it does;
    `skipped` says why a phase was not run."""

    capacity: float
    lines: list[Line]
    machine: Machine
    phases: list[Phase]
    void: list[str]
    skipped: dict[str, str]
    is_quick: bool
    began_at: str
    took_s: float

    @property
    def status(self) -> int:
        """The exit status: 2 when void, 1 when a line falls short, else 0."""
        if self.void:
            return VOID
        return SHORT if any(line.ok is False for line in self.lines) else GREEN


class Watcher(Protocol):
    """Hears how a drill goes."""

    def begins(self, phase: str, share: float) -> None:
        """A phase begins; `share` of the whole is behind."""
        ...

    def moment(self, moment: Moment) -> None:
        """Half a second of it has passed."""
        ...

    def ended(self, phase: Phase, capacity: float) -> None:
        """It is over; `capacity` is C."""
        ...


def drill(
    watcher: Watcher,
    settings: Settings,
    *,
    is_quick: bool = False,
    phase: str | None = None,
    address: str | None = None,
    capacity: float | None = None,
) -> Result:
    """Run the phases (or one of them) against a wallet of our own, or against the one at `address`, whose
    database and secret are those of `settings`. `capacity` is C when it need not be measured.

    Raises SetupError when there is no such phase, or when the wallet cannot be reached.
    """
    if phase is not None and phase not in PHASES:
        raise SetupError(f"there is no phase {phase}; there are {', '.join(PHASES)}")
    names = [name for name in PHASES if phase in (None, name)]
    skipped = {name: _ONLY_OURS for name in names if address and name in OURS}
    if list(skipped) == names:
        raise SetupError(f"{', '.join(names)}: only for a wallet that the drill starts itself, so without --address")
    if not riders.have_a_client():
        skipped[riders.NAME] = _NO_CLIENT
    began, clock = time.monotonic(), SystemClock()
    began_at = clock.now().isoformat(timespec="seconds")
    run = _Run(watcher, QUICK if is_quick else FULL, capacity, len(names))
    with cores_apart() as core:
        if address:
            with _given(address, settings) as system:
                run.on(system, core, [name for name in names if name not in skipped])
        else:
            _on_our_own(run, core, names)
    run.arrive()
    return Result(
        capacity=round(run.capacity, 1),
        lines=judge(run.phases),
        machine=machine(),
        phases=run.phases,
        void=[reason for one in run.phases for reason in one.void],
        skipped=skipped,
        is_quick=is_quick,
        began_at=began_at,
        took_s=round(time.monotonic() - began, 1),
    )


def _on_our_own(run: _Run, core: int | None, names: Sequence[str]) -> None:
    """The gate is off, and there are banks, only in wallets of their own, after the others. What those measured is
    not lost when one of these breaks."""
    ours = None if core is None else min(os.sched_getaffinity(0))
    together = [name for name in names if name not in {GATE_OFF, BANKS}]
    if together or (GATE_OFF in names and not run.capacity):
        with started(ours, run.scale.settings) as system:
            run.on(system, core, together)
    if GATE_OFF in names:
        with run.breaking(GATE_OFF), started(ours, {**run.scale.settings, **_CONTROL}) as system:
            run.on(system, core, [GATE_OFF])
    if BANKS in names:
        with (
            run.breaking(BANKS),
            sandboxes.opened(core) as banks,
            started(ours, {**run.scale.settings, **SETTINGS}, banks) as system,
        ):
            run.on(system, core, [BANKS])


@contextmanager
def _given(address: str, settings: Settings) -> Generator[System]:
    with located(settings) as url:
        system = System(address, url, signing_secret(settings), None)
        if not system.is_ready():
            raise SetupError(f"nobody serves at {address}")
        yield system


class _Run:
    """The phases so far."""

    def __init__(self, watcher: Watcher, scale: Scale, capacity: float | None, count: int) -> None:
        self.scale = scale
        self.capacity = capacity or 0.0
        self.phases: list[Phase] = []
        # None while nobody has ridden.
        self._rides: list[Ride] | None = None
        self._found: list[oracle.Stored] = []
        self._watcher = watcher
        self._count = count + 1

    def on(self, system: System, core: int | None, names: Sequence[str]) -> None:
        """Run these phases on a wallet, after C is known where they need it; the riders ride through all of them."""
        ids = Ids(SystemClock())
        ground = Ground(system, _people(system, self.scale), self.scale, core, ids, self._watcher.moment)
        if not self.capacity and names != [BANKS]:
            self._one("calibrate", calibrate, ground)
            self.capacity = ground.capacity
            if not self.capacity:
                return
        ground.capacity = self.capacity
        if not names:
            return
        with self._riding(system, core):
            for name in names:
                time.sleep(_REST_S)
                self._one(name, PHASES[name], ground)

    def arrive(self) -> None:
        """Nobody rides any more: judge what the riders were told."""
        if self._rides is not None:
            self._ended(riders.judged(self._rides, self._found), self.capacity)

    @contextmanager
    def _riding(self, system: System, core: int | None) -> Generator[None]:
        """Inside, riders ride. Without a client there are none."""
        if not riders.have_a_client():
            yield
            return
        mark = Ids(SystemClock()).new().hex
        people = furnish(system.url, _RIDERS, 0, name=f"r{mark[:12]}")
        trip = Trip(system.address, mark, [person.handle for person in people], PASSWORD, ASSET)
        with riders.riding(trip, core) as riding:
            yield
            try:
                rides, found = riding.end(), oracle.stored(system.url, mark)
            except SetupError as error:
                self.broke(riders.NAME, error)
            else:
                self._rides = [*(self._rides or ()), *rides]
                self._found += found

    def _one(self, name: str, measure: Callable[[Ground], Phase], ground: Ground) -> None:
        self._watcher.begins(name, len(self.phases) / self._count)
        try:
            phase = measure(ground)
        except SetupError as error:
            self.broke(name, error)
        else:
            self._ended(phase, ground.capacity)

    @contextmanager
    def breaking(self, name: str) -> Generator[None]:
        """What cannot be run inside makes the drill void, and no more."""
        try:
            yield
        except SetupError as error:
            self.broke(name, error)

    def broke(self, name: str, error: SetupError) -> None:
        """A phase could not be run: the drill is void."""
        self._ended(Phase(name, void=[f"{name}: {error}"]), self.capacity)

    def _ended(self, phase: Phase, capacity: float) -> None:
        self.phases.append(phase)
        self._watcher.ended(phase, capacity)


def _people(system: System, scale: Scale) -> Crowd:
    """New people in the wallet's database; their names are theirs alone, however often it is drilled."""
    mark = Ids(SystemClock()).new().hex[:12]

    main = tokens(furnish(system.url, scale.people, 0, name=f"d{mark}"), system.secret)
    others = [
        tokens(furnish(system.url, _PEOPLE_OF_EACH, 0, tenant_id=tenant_id, name=f"d{mark}"), system.secret)
        for tenant_id in range(2, _TENANTS + 2)
    ]
    return Crowd(main, others)


def machine() -> Machine:
    """This machine."""
    processor = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                processor = line.partition(":")[2].strip()
                break
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return Machine(
        processor=processor,
        cores=os.cpu_count() or 1,
        memory_gb=round(pages / 1e9),
        system=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        unbusy=unbusy.__version__,
    )
