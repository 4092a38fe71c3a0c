"""Settings: one typed place, and a clear sentence about whatever is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from unbusy import settings
from unbusy.errors import SetupError

NOWHERE = Path("/nonexistent")


def write(directory: Path, text: str) -> Path:
    (directory / settings.FILE_NAME).write_text(text, encoding="utf-8")
    return directory


def test_a_flag_wins_over_the_environment_over_the_file_over_the_default(tmp_path: Path) -> None:
    """The nearer a setting stands to the person who types, the more it counts."""
    directory = write(tmp_path, 'port = 1\nworkers = 1\nhost = "localhost"')
    loaded = settings.load(
        {"UNBUSY_PORT": "2", "UNBUSY_WORKERS": "2"}, directory, flags={"port": 3, "workers": None, "host": None}
    )
    assert (loaded.port, loaded.workers, loaded.host, loaded.default_asset) == (3, 2, "localhost", "EUR")


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        ("UNBUSY_PROT", "1", "unknown setting UNBUSY_PROT; did you mean UNBUSY_PORT?"),
        ("UNBUSY_Port", "1", "unknown setting UNBUSY_Port; did you mean UNBUSY_PORT?"),
        ("unbusy_port", "1", "unknown setting unbusy_port; did you mean UNBUSY_PORT?"),
        ("UNBUSY_XYZZY", "1", "unknown setting UNBUSY_XYZZY (docs/reference/settings.md lists them all)"),
        ("UNBUSY_PORT", "x", "wrong setting UNBUSY_PORT: 'x' will not do; it must be a whole number from 0 to 65535"),
        ("UNBUSY_PORT", "70000", "it must be a whole number from 0 to 65535"),
        ("UNBUSY_PORT", "80.5", "it must be a whole number from 0 to 65535"),
        ("UNBUSY_DEFAULT_ASSET", "eur", "it must be three to twelve capitals and digits, such as EUR"),
        ("UNBUSY_LOG_FORMAT", "xml", "'xml' will not do; it must be console or json"),
        ("UNBUSY_DATA", "", "it must be a text that is not empty"),
        ("UNBUSY_LIMIT_PER_DAY", str(10**15), "it must be a whole number from 1 to 1000000000000"),
    ],
)  # fmt: skip
def test_a_wrong_one_is_named_with_what_is_allowed(variable: str, value: str, sentence: str) -> None:
    """Whoever reads the sentence knows which one to change, and to what."""
    with pytest.raises(SetupError) as told:
        settings.load({variable: value}, NOWHERE)
    assert sentence in str(told.value)


@pytest.mark.parametrize("variable", ["UNBUSY_SECRET", "UNBUSY_DATABASE_URL"])
def test_a_wrong_secret_is_not_shown(variable: str) -> None:
    """What stops the start ends up in logs."""
    with pytest.raises(SetupError) as told:
        settings.load({variable: "hunter2"}, NOWHERE)
    assert variable in str(told.value)
    assert "hunter2" not in str(told.value)


def test_secrets_are_not_in_the_representation() -> None:
    """A traceback or a log line that carries the settings gives nothing away."""
    loaded = settings.load(
        {"UNBUSY_SECRET": "s" * 32, "UNBUSY_DATABASE_URL": "postgresql://me:hunter2@host/db"}, NOWHERE
    )
    assert "hunter2" not in repr(loaded)
    assert "s" * 32 not in repr(loaded)
    assert "port=8080" in repr(loaded)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("port = [1]", "wrong setting port in "),
        ("prot = 1", "did you mean port?"),
        ("port = ", "cannot read "),
        ("[server]\nport = 1", "unknown setting server in "),
    ],
)
def test_a_wrong_file_is_named(tmp_path: Path, text: str, sentence: str) -> None:
    """The sentence says in which file to look."""
    with pytest.raises(SetupError) as told:
        settings.load({}, write(tmp_path, text))
    assert sentence in str(told.value)
    assert str(tmp_path) in str(told.value)


def test_other_variables_are_not_ours() -> None:
    """The environment is full of other programs' settings."""
    assert settings.load({"PORT": "x", "BUSY_PORT": "x"}, NOWHERE) == settings.Settings()


def test_every_setting_is_described() -> None:
    """The reference is made from the declarations; one without meaning or range would be a gap in it."""
    for one in settings.settings():
        assert one.meaning.endswith(".")
        assert one.allowed
        assert f"UNBUSY_{one.name.upper()}" in settings.reference()
