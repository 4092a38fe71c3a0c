"""The import contracts of pyproject.toml are kept, and each of them can be broken."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.rules.source import ROOT

# One line too many, in which file, and the contract that it breaks.
BAD = [
    ("layers", "unbusy/ledger/accounts.py", "from unbusy import payments"),
    ("layers", "unbusy/ledger/accounts.py", "from unbusy import people"),
    ("layers", "unbusy/payments/service.py", "from unbusy import app"),
    ("layers", "unbusy/money.py", "from unbusy import db"),
    ("layers", "unbusy/nobody_knows_where.py", "A = 1"),
    ("no-cycles", "unbusy/people/tokens.py", "from unbusy.people import service"),
    ("no-cycles", "unbusy_client/wire.py", "from unbusy_client import call"),
    ("pure-models", "unbusy/payments/model.py", "import asyncio"),
    ("pure-models", "unbusy/payments/model.py", "from unbusy.clock import Clock"),
    ("pure-models", "unbusy/ledger/books.py", "from unbusy.db import Tx"),
    ("client-decides-purely", "unbusy_client/call.py", "import time"),
    ("client-decides-purely", "unbusy_client/refusals.py", "from unbusy_client import transport"),
    ("client-stands-alone", "unbusy_client/views.py", "from unbusy.reasons import Reason"),
    ("pure-models", "unbusy/admission/line.py", "import time"),
    ("layers", "unbusy/admission/gate.py", "from unbusy import db"),
    ("pure-models", "unbusy/banks/port.py", "import asyncio"),
    ("sandbox-stands-alone", "unbusy/banks/sandbox/bank.py", "from unbusy.banks.openbanking import signatures"),
    ("sandbox-stands-alone", "unbusy/banks/sandbox/iso20022.py", "from unbusy.banks.iso20022 import messages"),
    ("sandbox-stands-alone", "unbusy/banks/iso20022/reports.py", "from unbusy.banks.openbanking import messages"),
]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the project that may be spoiled."""
    for package in ("src/unbusy", "sdk/python/src/unbusy_client"):
        shutil.copytree(ROOT / package, tmp_path / Path(package).name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_the_import_contracts_are_kept(copy: Path) -> None:
    """Imports point one way, never in a circle, and models are pure."""
    code, said = _lint(copy)
    assert code == 0, said


@pytest.mark.parametrize(("contract", "file", "line"), BAD, ids=[f"{bad[1]}: {bad[2]}" for bad in BAD])
def test_every_import_contract_can_fail(contract: str, file: str, line: str, copy: Path) -> None:
    """A contract that lets a bad import pass protects nothing."""
    with (copy / file).open("a", encoding="utf-8") as spoiled:
        spoiled.write(f"\n{line}\n")
    assert _lint(copy, contract)[0] == 1


def _lint(directory: Path, *contracts: str) -> tuple[int, str]:
    """Code and words of import-linter about the copy in `directory`, all contracts or these."""
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache"]
    asked = [word for contract in contracts for word in ("--contract", contract)]
    environment = os.environ | {"PYTHONPATH": str(directory)}
    linted = subprocess.run(
        [*command, *asked], cwd=directory, env=environment, capture_output=True, text=True, check=False
    )
    return linted.returncode, linted.stdout + linted.stderr
