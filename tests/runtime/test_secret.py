"""The signing secret: given, or made once and kept to oneself."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from unbusy.errors import SetupError
from unbusy.secret import signing_secret
from unbusy.settings import Settings


def test_it_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    """A new secret would sign everybody out; a readable one would let anybody sign in."""
    settings = Settings(data=str(tmp_path / "new"))
    first = signing_secret(settings)
    assert len(first) >= 32
    assert signing_secret(settings) == first
    assert stat.S_IMODE((tmp_path / "new" / "secret").stat().st_mode) == 0o600
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["secret"]


def test_a_given_one_is_taken(tmp_path: Path) -> None:
    """Several machines share it through their settings."""
    settings = Settings(data=str(tmp_path), secret="s" * 32, database_url="postgresql://host/db")
    assert signing_secret(settings) == b"s" * 32


def test_a_database_of_your_own_needs_one(tmp_path: Path) -> None:
    """Each machine would make its own and refuse the others' tokens."""
    with pytest.raises(SetupError, match="set UNBUSY_SECRET"):
        signing_secret(Settings(data=str(tmp_path), database_url="postgresql://host/db"))


def test_an_empty_one_is_refused(tmp_path: Path) -> None:
    """Tokens signed with nothing could be made by anybody."""
    (tmp_path / "secret").write_text("\n")
    with pytest.raises(SetupError, match="is empty"):
        signing_secret(Settings(data=str(tmp_path)))


def test_of_several_that_make_it_at_once_one_wins(tmp_path: Path) -> None:
    """All processes sign with the same secret, also when they met at the first start."""
    with ThreadPoolExecutor(8) as pool:
        made = set(pool.map(signing_secret, [Settings(data=str(tmp_path))] * 8))
    assert len(made) == 1
