"""The banks' phase: its banks and their reckoning; a small one with a bank that cheats; the quick one as typed."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import pytest
from tests.banks.sandbox import ANNA
from tests.drill.test_drill import drill

from unbusy.banks import Direction, Instruction, Result, State, connect
from unbusy.banks.sandbox import Fault, Kind
from unbusy.clock import SystemClock
from unbusy.drill import reckoning, sandboxes
from unbusy.drill.banks import SETTINGS, banks, shown, trouble
from unbusy.drill.ground import QUICK, Crowd, Ground
from unbusy.drill.lines import judge
from unbusy.drill.reckoning import Told, Transit
from unbusy.drill.sandboxes import Sandbox, write_roster
from unbusy.drill.system import started
from unbusy.ids import Ids
from unbusy.load import Moment, furnish, tokens
from unbusy.settings import Settings

_CHEATS = """
CREATE TABLE cheated (reference TEXT NOT NULL);
CREATE TRIGGER cheats AFTER INSERT ON payments WHEN NEW.status = 'ACCC' AND NEW.is_pull AND NEW.amount % 2 = 0
BEGIN
    UPDATE payments SET amount = amount + 1 WHERE reference = NEW.reference;
    INSERT INTO cheated VALUES (NEW.reference);
END
"""


def let_cheat(bank: Sandbox) -> None:
    """Its books have a cent more than it was told of every other payment to us; its answers do not say so."""
    with closing(sqlite3.connect(bank.directory / "sandbox-bank" / "books.sqlite")) as books:
        books.executescript(_CHEATS)


def cheated(bank: Sandbox) -> int:
    """How often it did."""
    with closing(sqlite3.connect(bank.directory / "sandbox-bank" / "books.sqlite")) as books:
        return books.execute("SELECT count(*) FROM cheated").fetchone()[0]


@pytest.mark.long
@pytest.mark.alone
def test_a_bank_that_cheats_is_found_out() -> None:
    """Each cent of it, by two lines; and nothing else falls short, although all that can goes wrong, all are killed
    and each payment of the honest banks is judged too."""
    moments: list[Moment] = []
    with sandboxes.opened(None) as there, started(None, SETTINGS, there) as system:
        let_cheat(there[2])
        crowd = Crowd(tokens(furnish(system.url, 16, 0), system.secret), [])
        scale = QUICK._replace(transits=90, transits_per_s=30, connections=64)
        phase = banks(Ground(system, crowd, scale, None, Ids(SystemClock()), moments.append))
        taken = cheated(there[2])
    assert phase.void == []
    assert taken > 0
    judged = {(line.line, line.measure): line.value for line in judge([phase]) if line.ok is False}
    assert [(line, value) for (line, _), value in judged.items()] == [(18, taken), (20, taken)]
    assert {"worker", "bank-1", "gateway", "postgres"} <= {mark.what for mark in phase.marks}
    assert sum(phase.standing["bank-1"]) > 0
    assert moments[-1].waiting == 0


def in_our_books(bank: Sandbox, instruction: Instruction) -> Transit:
    """What our books would say, had it completed."""
    return Transit(
        id=f"top_{instruction.reference}",
        reference=instruction.reference,
        key=bank.id,
        bank=bank.id,
        is_pull=True,
        iban=instruction.account.iban,
        amount=instruction.amount,
        status="completed",
        reason="",
        is_parked=False,
        tries=1,
        created_at=0,
        resolve_by=60,
        ended=(1,),
    )


@pytest.mark.alone
def test_real_banks_are_reckoned_with(tmp_path: Path) -> None:
    """A wallet is told of three banks that speak what there is to speak; each keeps its books and its faults through a
    kill; and their books and statements are one story with ours, until one of them leaves it."""
    instructions = [Instruction(uuid4().hex, Direction.pull, 70 + number, "EUR", ANNA) for number in range(3)]
    today = SystemClock().now().date()
    with sandboxes.opened(None) as there:
        settings = Settings(banks=str(write_roster(there, tmp_path)))
        results = asyncio.run(send(settings, instructions))
        there[0].break_with([Fault(Kind.error)])
        there[0].kill()
        there[0].start()
        results += asyncio.run(send(settings, instructions[:1]))
        told = {
            bank.id: Told(bank.books(), shown(bank.statements(number, today, SystemClock().now().date())), 70 + number)
            for number, bank in enumerate(there)
        }
        ours = [in_our_books(bank, one) for bank, one in zip(there, instructions, strict=True)]
    assert [result.state for result in results] == [*[State.settled] * 3, State.declined]
    assert {bank.table.get("dialect", "openbanking") for bank in there} >= {"openbanking", "iso20022"}
    acknowledged = {each.key: each.id for each in ours}
    judged = reckoning.lost(acknowledged, ours, told), reckoning.doubled(ours, told), reckoning.apart(told)
    assert judged == (0, 0, 0)
    ours[1] = ours[1]._replace(status="declined")
    told["bank-3"] = told["bank-3"]._replace(lines={ours[2].reference: 2}, owed=70)
    judged = reckoning.lost(acknowledged, ours, told), reckoning.doubled(ours, told), reckoning.apart(told)
    assert judged == (1, 1, 2)


async def send(settings: Settings, instructions: Sequence[Instruction]) -> list[Result]:
    """Tell each bank of one."""
    clock = SystemClock()
    connectors = list(connect(settings, clock=clock, ids=Ids(clock)).values())
    results = [await bank.send(one) for bank, one in zip(connectors, instructions, strict=False)]
    for bank in connectors:
        await bank.close()
    return results


def test_all_kinds_of_trouble() -> None:
    """Each kind of fault as often as any other, and together as often as was said."""
    faults = trouble(0.2)
    assert {fault.kind for fault in faults} == set(Kind)
    spared = 1.0
    for fault in faults:
        spared *= 1 - fault.rate
    assert spared == pytest.approx(0.8)


@pytest.mark.long
@pytest.mark.alone
def test_the_banks_are_drilled(tmp_path: Path) -> None:
    """Every line of it holds, with riders who ride through; C is not measured for it."""
    done = drill("--quick", "--phase", "banks", "--out", "report", "--json", directory=tmp_path)
    told = json.loads(done.stdout)
    assert [phase["name"] for phase in told["phases"]] == ["banks", "riders"]
    assert {line["line"]: line["ok"] for line in told["lines"] if line["line"] >= 17} == dict.fromkeys(
        range(17, 21), True
    )
    assert told["void"] == []
    assert "bank-3" in (tmp_path / "report" / "report.html").read_text()
