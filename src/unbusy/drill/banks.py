"""The banks' phase: money over the edge of the wallet while everything that a bank can do wrong goes wrong.

top-ups and payouts ─▶ one call in five goes wrong, processes are killed, one bank is down for a third of it
                        │ then nothing goes wrong any more
                        ▼
all are final ─▶ the banks' statements are reconciled ─▶ the reckoning
"""

from __future__ import annotations

import itertools
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from functools import partial
from pathlib import Path

from msgspec.structs import replace

from unbusy.banks import sandbox
from unbusy.clock import SystemClock
from unbusy.drill import oracle, reckoning
from unbusy.drill.ground import Event, Ground
from unbusy.drill.lines import Mark, Phase
from unbusy.drill.reckoning import Told, Transit
from unbusy.drill.sandboxes import Sandbox
from unbusy.drill.system import System
from unbusy.errors import SetupError
from unbusy.load import ASSET, Log, Moment, Stream, link, transits

RESOLVE_S = 60
"""By when the drilled wallet promises an end, in seconds: the shortest there is, so that it is met often."""

SETTINGS = {"UNBUSY_BANK_RESOLVE_S": str(RESOLVE_S), "UNBUSY_BANK_CALL_S": "5"}

# Arrivals are chance: so many more are planned that as many as wanted come, surely.
_MORE = 1.03
# Of all calls to a bank.
_FAULTY = 0.2
# One payment in so many is of an amount that goes wrong by itself.
_MAGIC_EVERY = 10
_SECONDS = {
    sandbox.Kind.slow: 0.5,
    sandbox.Kind.pending: 3.0,
    sandbox.Kind.pending_declined: 3.0,
    sandbox.Kind.late: 3.0,
}
_REFERENCE = re.compile(rb"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])")
# Of so many kills of other phases one here, where there is more time between them.
_FEWER = 4
_GLANCE_S = 0.5
# Beyond the last `resolve_by`: what is late then would be late for good.
_GRACE_S = 10.0
_ENOUGH = 0.9
# The generator times nothing here. When it was later than this, the machine stood still, and nobody could be punctual;
# so when a glance took so long.
_MOST_LATE_MS, _LONGEST_GLANCE_S = 1_000.0, 5.0


def trouble(share: float = _FAULTY) -> list[sandbox.Fault]:
    """Faults of every kind, which together spoil this share of the calls."""
    rate = 1 - (1 - share) ** (1 / len(sandbox.Kind))
    return [sandbox.Fault(kind, seconds=_SECONDS.get(kind, 1.0), rate=rate) for kind in sandbox.Kind]


def banks(ground: Ground) -> Phase:
    """Top-ups and payouts at three banks that break; then the reckoning."""
    system, seconds = ground.system, _MORE * ground.scale.transits / ground.scale.transits_per_s
    streams, before, began_on = _streams(ground, seconds), oracle.total(system.url), _today()
    events, marks = _story(ground, seconds)
    _break_all(system.banks, trouble())
    log = ground.run(*streams, events=events)
    _break_all(system.banks, ())
    answers, open_questions = ground.ask_again(log)
    acknowledged = {log.key(want): id for want, id in log.payments.items()} | answers
    longest_glance_s = _wait_out(ground, log)
    told, refused = _reconciled(system, began_on)
    ours = oracle.transits(system.url, log)
    brought = sum(each.amount if each.is_pull else -each.amount for each in ours if each.status == "completed")
    is_off = oracle.total(system.url) != before + brought
    measured = ground.phase(
        "banks",
        log,
        most_late_ms=_MOST_LATE_MS,
        begun=len(ours),
        asked_about=sum(each.tries > 1 for each in ours),
        parked=sum(each.is_parked for each in ours),
        killed=sum(mark.until_s == mark.at_s for mark in marks),
        lost=reckoning.lost(acknowledged, ours, told) + open_questions,
        doubled=reckoning.doubled(ours, told) + len(log.doubled),
        late=reckoning.late(ours),
        apart=reckoning.apart(told),
        uncased=oracle.uncased_lines(system.url) + refused,
        broken=system.findings() + is_off,
    )
    return replace(
        measured,
        void=[*measured.void, *_proves_nothing(ground, ours, longest_glance_s)],
        outcomes=reckoning.outcomes(ours),
        series=reckoning.series(ours),
        standing=reckoning.standing(ours),
        marks=marks,
    )


def _streams(ground: Ground, seconds: float) -> list[Stream]:
    """As many top-ups as payouts, by everybody at every bank."""
    payers, chance = ground.crowd.main, random.Random(1)  # noqa: S311 - a reproducible load, no secret
    accounts = link(ground.system.url, payers, [bank.id for bank in ground.system.banks])
    linked = [(payer, id) for payer, ids in zip(payers, accounts, strict=True) for id in ids]
    magic = [*sandbox.MAGIC_DECLINES, *sandbox.MAGIC_FAULTS]
    usual = [chance.randint(1, 5_000) for _ in range((_MAGIC_EVERY - 1) * len(magic))]
    rate = ground.scale.transits_per_s / 2
    return [
        transits(what, f"/v1/{what}", linked, [*magic, *usual], ASSET, rate, seconds, chance=chance)
        for what in ("topups", "payouts")
    ]


def _story(ground: Ground, seconds: float) -> tuple[list[Event], list[Mark]]:
    """What happens when: the second bank is dead and then hangs for a third of the time, the first is closed for
    a while, the third takes no payments for a while; and processes are killed all the time."""
    first, second, third = ground.system.banks
    spans: list[tuple[float, float, str, Sandbox, Sequence[sandbox.Fault]]] = [
        (0.08, 0.18, "closed 维护", first, [sandbox.Fault(sandbox.Kind.maintenance)]),
        (1 / 2, 2 / 3, "hangs 无应答", second, [sandbox.Fault(sandbox.Kind.hang)]),
        (
            0.75,
            0.85,
            "takes nothing 拒收",
            third,
            [sandbox.Fault(sandbox.Kind.error, sandbox.Operation.send), *trouble()],
        ),
    ]
    events = [Event(seconds / 3, second.kill), Event(seconds / 2 + 0.001, second.start)]
    marks = [Mark(seconds / 3, seconds / 2, f"{second.id} dead 停机")]
    for begins, ends, what, bank, faults in spans:
        events += [
            Event(seconds * begins, partial(bank.break_with, faults)),
            Event(seconds * ends, partial(bank.break_with, trouble())),
        ]
        marks.append(Mark(seconds * begins, seconds * ends, f"{bank.id} {what}"))
    for at_s, what, kill in _kills(ground, seconds):
        events.append(Event(at_s, kill))
        marks.append(Mark(at_s, at_s, what))
    return sorted(events, key=lambda event: event.at_s), marks


def _kills(ground: Ground, seconds: float) -> Iterator[tuple[float, str, Callable[[], None]]]:
    first, _, third = ground.system.banks
    victims = [
        (what, bank)
        for _, bank in zip(range(max(1, ground.scale.kills // _FEWER)), itertools.cycle((first, third)), strict=False)
        for what in ("worker", bank.id, "gateway", "postgres")
    ]
    for number, (what, bank) in enumerate(victims, 1):
        kill = partial(_restart, bank) if what == bank.id else partial(ground.system.kill, what)
        yield seconds * number / (len(victims) + 1), what, kill


def _restart(bank: Sandbox) -> None:
    bank.kill()
    bank.start()


def _break_all(banks: Sequence[Sandbox], faults: Sequence[sandbox.Fault]) -> None:
    for bank in banks:
        bank.break_with(faults)


def _wait_out(ground: Ground, log: Log) -> float:
    """Wait for every end, until after there should be one; gives how long the longest glance took."""
    if not ground.system.is_ready():
        raise SetupError("the wallet under test serves no more")
    began, longest, glanced_at = time.monotonic(), 0.0, time.monotonic()
    left = oracle.still_open(ground.system.url, log)
    while left and (waited := time.monotonic() - began) < RESOLVE_S + _GRACE_S:
        time.sleep(_GLANCE_S)
        before, left = left, oracle.still_open(ground.system.url, log)
        longest, glanced_at = max(longest, time.monotonic() - glanced_at), time.monotonic()
        ground.tell(Moment(log.seconds + waited, 0, 0, before - left, left, {}, 0, 0))
    return longest


def _reconciled(system: System, since: date) -> tuple[Mapping[str, Told], int]:
    """Have the wallet reconcile what the banks say; gives that, and how many of their files it refused."""
    refused = 0
    lines: dict[str, Counter[str]] = {}
    for number, bank in enumerate(system.banks):
        files = bank.statements(number, since, _today())
        refused += sum(bool(result["refused"]) for result in system.reconcile(bank.id, files))
        lines[bank.id] = shown(files)
    owed = oracle.owed(system.url, list(lines))
    return {bank.id: Told(bank.books(), lines[bank.id], owed[bank.id]) for bank in system.banks}, refused


def shown(files: Sequence[Path]) -> Counter[str]:
    """How often statements show each reference of ours, whatever their format."""
    return Counter(found.decode() for file in files for found in _REFERENCE.findall(file.read_bytes()))


def _proves_nothing(ground: Ground, ours: Sequence[Transit], longest_glance_s: float) -> Iterator[str]:
    """Why, if so: the machine stood still, there was no load, or no trouble."""
    if longest_glance_s > _LONGEST_GLANCE_S:
        yield f"banks: the machine stood still for {longest_glance_s:.0f} s"
    if len(ours) < _ENOUGH * ground.scale.transits:
        yield f"banks: only {len(ours)} of {ground.scale.transits} were begun"
    for status in ("completed", "declined"):
        if all(each.status != status for each in ours):
            yield f"banks: nothing was {status}"
    if all(each.tries <= 1 for each in ours):
        yield "banks: every bank answered at once"


def _today() -> date:
    return SystemClock().now().date()
