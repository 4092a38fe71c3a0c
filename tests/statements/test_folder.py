"""A bank's folder: whatever order and state its files come in, each is taken once and moved out of the way."""

from __future__ import annotations

import asyncio
import fcntl
from pathlib import Path

import pytest
from tests.banks.sandbox import Sandbox
from tests.payments.bank import TENANT
from tests.statements.desk import OURS, camt, entry
from tests.transits.scripted import Way

from unbusy import cli
from unbusy.errors import SetupError
from unbusy.ids import Ids
from unbusy.statements import FileResult, Folder, Statements

FIRST = camt([entry(100)], 0, 100)
SECOND = camt([entry(50)], 100, 150, number=2, day="2026-03-11")


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    return tmp_path / "from-the-bank"


@pytest.fixture
def folder(way: Way, inbox: Path) -> Folder:
    clock = way.bank.clock
    taker = Statements(way.bank.db, "scripted", OURS, TENANT, clock=clock, ids=Ids(clock))
    inbox.mkdir()
    return Folder(inbox, taker)


def names(folder: Path) -> list[str]:
    """What is there, but for our lock."""
    return sorted(file.name for file in folder.iterdir() if not file.name.startswith(".unbusy"))


def outcomes(results: list[FileResult]) -> list[str]:
    """What came of each file, in order."""
    return ["refused" if one.refused else "parked" if one.is_parked else "taken" for one in results]


async def test_files_come_in_any_order(way: Way, folder: Folder, inbox: Path) -> None:
    """A statement after a gap stays, and is not tried again and again; the missing one brings it along."""
    third = camt([], 150, 150, number=3, day="2026-03-12")
    (inbox / "1.xml").write_text(FIRST)
    (inbox / "2.xml").write_text(third)
    assert outcomes(await folder.empty()) == ["taken", "parked"]
    assert await folder.empty() == []
    assert names(inbox) == ["2.xml", "taken"]
    (inbox / "3.xml").write_text(SECOND)
    assert outcomes(await folder.empty()) == ["taken", "taken"]
    assert (names(inbox), names(inbox / "taken")) == (["taken"], ["1.xml", "2.xml", "3.xml"])
    assert await way.owed() == 150


async def test_what_is_not_whole_is_left_alone(way: Way, folder: Folder, inbox: Path) -> None:
    """Until it has its name: then it is taken, and what has another's name keeps both."""
    for name in (".1.xml", "1.xml.part", "1.XML.FILEPART", "1.tmp"):
        (inbox / name).write_text(FIRST[:100])
    (inbox / "a folder").mkdir()
    assert await folder.empty() == []
    (inbox / "1.xml.part").write_text(FIRST)
    (inbox / "1.xml.part").rename(inbox / "1.xml")
    assert outcomes(await folder.empty()) == ["taken"]
    (inbox / "1.xml").write_text(SECOND)
    assert outcomes(await folder.empty()) == ["taken"]
    assert names(inbox / "taken") == ["1.xml", "1.xml.2"]


async def test_what_came_twice_is_taken_once(way: Way, folder: Folder, inbox: Path) -> None:
    """Under whatever name, also when we died after it was taken and before it was moved; the reason lies beside it."""
    (inbox / "1.xml").write_text(FIRST)
    await folder.empty()
    (inbox / "1-again.xml").write_text(FIRST)
    (inbox / "broken.xml").write_text(SECOND[:-40])
    assert outcomes(await folder.empty()) == ["refused", "refused"]
    refused = inbox / "refused"
    assert names(refused) == ["1-again.xml", "1-again.xml.reason", "broken.xml", "broken.xml.reason"]
    assert (refused / "1-again.xml.reason").read_text() == "statement 'S1' was taken in already\n"
    assert "this is no XML" in (refused / "broken.xml.reason").read_text()
    assert await way.owed() == 100


async def test_one_process_at_a_time(folder: Folder, inbox: Path) -> None:
    """Another one that finds the folder in use leaves it alone."""
    (inbox / "1.xml").write_text(FIRST)
    with (inbox / ".unbusy.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert await folder.empty() == []
    assert outcomes(await folder.empty()) == ["taken"]


def with_folder(banks: str) -> Path:
    """A file of banks beside this one, in which the first bank has a folder."""
    file = Path(banks)
    other = file.with_name("with-folder.toml")
    other.write_text(file.read_text().replace("timeout_s", 'folder = "in/sandbox"\ntimeout_s', 1))
    return other


async def test_a_folder_stands_in_the_file_of_banks(
    way: Way, sandbox: Sandbox, url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Beside that file, in the bank's table, and one command empties it; without any there is nothing to do."""
    settings = sandbox.settings()
    monkeypatch.setenv("UNBUSY_DATABASE_URL", url)
    monkeypatch.setenv("UNBUSY_BANKS", settings.banks)
    with pytest.raises(SetupError, match="no bank"):
        await asyncio.to_thread(cli.app, ["collect", "--once"], result_action="return_value")
    banks = with_folder(settings.banks)
    monkeypatch.setenv("UNBUSY_BANKS", str(banks))
    inbox = banks.parent / "in" / "sandbox"
    inbox.mkdir(parents=True)
    (inbox / "1.xml").write_text(FIRST)
    await asyncio.to_thread(cli.app, ["collect", "--once"], result_action="return_value")
    assert names(inbox / "taken") == ["1.xml"]
    assert "S1" in capsys.readouterr().out
    assert await way.bank.count("statements.statements") == 1
