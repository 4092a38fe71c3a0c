"""What the pages tell their reader to type works, and does what they say."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

import pytest
from tests.docs.stories import ADDRESS, Step, run, steps
from tests.rules.documents import Document, documents

STORIES = {document.path: story for document in documents() if (story := steps(document))}
_START_S = 60


@dataclass(frozen=True)
class Wallet:
    """A wallet bank with demo customers, as `make run` starts it."""

    address: str
    data: Path


@pytest.fixture(scope="module")
def wallet() -> Generator[Wallet]:
    """Started once for all pages, on a free port, with a data directory of its own."""
    data = Path(tempfile.mkdtemp(prefix="unbusy-docs-"))
    data.chmod(0o755)
    started = Wallet(f"http://127.0.0.1:{_free_port()}", data)
    command = [Path(sys.executable).with_name("unbusy"), "up", "--demo", "--data", data, "--port", started.address[17:]]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("UNBUSY_")}
    with (data / "printed").open("wb") as printed:
        process = subprocess.Popen(command, cwd=data, env=environment, stdout=printed, stderr=printed)
    try:
        _wait_until_ready(started, process)
        yield started
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(_START_S)
        shutil.rmtree(data, ignore_errors=True)


@pytest.mark.parametrize("path", STORIES)
def test_the_page_works(path: str, wallet: Wallet, tmp_path: Path) -> None:
    """A reader who types what the page says sees what the page says."""
    wrong = run(
        STORIES[path], address=wallet.address, directory=tmp_path, environment={"UNBUSY_DATA": str(wallet.data)}
    )
    assert not wrong, "\n\n".join(wrong)


def test_a_story_can_fail(tmp_path: Path) -> None:
    """Another output than the page's, or a command that fails, is found."""
    for typed, expected in [("echo 1", "2"), ("false", ""), ("echo '{\"a\": 1}'", '{"a": …, "b": …}')]:
        assert run([Step(1, typed, expected)], address=ADDRESS, directory=tmp_path, environment={})


def test_a_story_is_told_to_one_shell(tmp_path: Path) -> None:
    """What one block sets the next may use; `…` and white space are free; what is not run is not run."""
    page = Document(
        "page.md",
        "```console\n$ name=Ming\n```\n"
        '```console\n$ echo "{\\"name\\": \\"$name\\",\n>   \\"id\\": 7}"\n{\n  "name": "Ming",\n  "id": …\n}\n```\n'
        "```python\nprint(1 + 1)\n```\n"
        "<!-- not run: it would never end -->\n```console\n$ sleep 1000\n```\n",
    )
    assert len(steps(page)) == 3
    assert not run(steps(page), address=ADDRESS, directory=tmp_path, environment={})


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def _wait_until_ready(wallet: Wallet, process: subprocess.Popen[bytes]) -> None:
    give_up_at = time.monotonic() + _START_S
    while time.monotonic() < give_up_at and process.poll() is None:
        try:
            with urlopen(f"{wallet.address}/readyz", timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    pytest.fail(f"the wallet did not start:\n{(wallet.data / 'printed').read_text()}")
