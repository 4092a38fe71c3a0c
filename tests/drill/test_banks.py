"""The banks' phase: a small one with a bank that cheats, and the quick one as it is typed."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from tests.drill.test_drill import drill

from unbusy.banks.sandbox import Kind
from unbusy.clock import SystemClock
from unbusy.drill import sandboxes
from unbusy.drill.banks import SETTINGS, banks, trouble
from unbusy.drill.ground import QUICK, Crowd, Ground
from unbusy.drill.lines import judge
from unbusy.drill.sandboxes import Sandbox
from unbusy.drill.system import started
from unbusy.ids import Ids
from unbusy.load import Moment, furnish, tokens

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
