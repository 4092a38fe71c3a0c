"""The drill itself, as it is typed: short, and on a wallet of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.alone

UNBUSY = str(Path(sys.executable).with_name("unbusy"))


def drill(*words: str, directory: Path) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("UNBUSY_")}
    return subprocess.run(
        [UNBUSY, "drill", *words], env=environment, cwd=directory, capture_output=True, text=True, check=False
    )


def test_a_phase_is_drilled(tmp_path: Path) -> None:
    """A wallet is started, people are put in, load is put on, riders ride, lines are judged, the report is written.

    Whether they hold is the machine's matter here: what did not run is not judged, and what is void is not green.
    """
    done = drill("--quick", "--phase", "steady", "--capacity", "50", "--out", "report", "--json", directory=tmp_path)
    assert done.stdout, done.stderr
    told = json.loads(done.stdout)
    assert (tmp_path / "report" / "report.html").exists()
    assert json.loads((tmp_path / "report" / "report.json").read_text()) == told
    assert [phase["name"] for phase in told["phases"]] == ["steady", "riders"]
    assert {line["line"] for line in told["lines"] if line["ok"] is not None} <= {4, 5, 17}
    fell_short = any(line["ok"] is False for line in told["lines"])
    assert done.returncode == (2 if told["void"] else 1 if fell_short else 0), done.stderr
    assert told["phases"][0]["outcomes"]["completed"] > 100


def judged(phase: str, line: int, capacity: int, directory: Path) -> list[tuple[bool | None, float | None]]:
    """Run a quick phase until it proves something: whether this line held, and its value, of each attempt.

    On a machine that others use a run may be void, or stand still for half of its time.
    """
    found: list[tuple[bool | None, float | None]] = []
    words = ("--quick", "--phase", phase, "--capacity", str(capacity), "--json")
    for _ in range(3):
        told = json.loads(drill(*words, directory=directory).stdout)
        if not told["void"]:
            found += [(one["ok"], one["value"]) for one in told["lines"] if one["line"] == line]
        if any(is_held for is_held, _ in found):
            break
    return found


@pytest.mark.long
def test_at_ten_times_the_load_as_much_is_done(tmp_path: Path) -> None:
    """Goodput in every window (line 1)."""
    found = judged("surge-10", 1, 400, tmp_path)
    assert any(is_held for is_held, _ in found), found


def test_without_its_gate_it_collapses(tmp_path: Path) -> None:
    """The control run (line 16): else the drill would prove nothing.

    Ten times this is more than twice as fast a machine could read, so that only a gate would help.
    """
    found = judged("gate-off", 16, 800, tmp_path)
    assert any(is_held for is_held, _ in found), found


def test_an_unknown_phase_is_told(tmp_path: Path) -> None:
    """With the names of those there are."""
    done = drill("--phase", "lunch", directory=tmp_path)
    assert done.returncode == 2
    assert "there is no phase lunch" in done.stderr
    assert "surge-10" in done.stderr


def test_a_given_wallet_is_not_killed(tmp_path: Path) -> None:
    """A phase that kills is refused for a wallet that the drill did not start."""
    done = drill("--phase", "kills", "--address", "http://127.0.0.1:1", directory=tmp_path)
    assert done.returncode == 2
    assert "without --address" in done.stderr
