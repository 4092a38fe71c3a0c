"""The ways into the project: make lists them, and the build takes no other."""

from __future__ import annotations

import os
import re
import subprocess

from tests.rules.source import ROOT


def test_make_lists_every_target() -> None:
    """`make` alone tells what can be done, each with its sentence."""
    targets = re.search(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    listed = subprocess.run(
        ["make", "--no-print-directory"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert targets
    assert re.findall(r"^  make (\w+) +\S.+[.;]", listed, re.MULTILINE) == targets[1].split()


def test_the_build_does_what_anybody_can_do_by_hand() -> None:
    """`.ci/run` is executable, and runs make targets only."""
    script = ROOT / ".ci/run"
    commands = [line for line in script.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    assert os.access(script, os.X_OK)
    assert commands == ["set -euo pipefail", 'cd "$(dirname "$0")/.."', "make check", "make test"]
