"""What a process tells about itself holds no secret, and adds up over several processes."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest
import structlog

from unbusy import telemetry


@pytest.fixture
def own_logging() -> Generator[None]:
    """Whatever the test sets up is as before afterwards."""
    root, before = logging.getLogger(), structlog.get_config()
    handlers, level = root.handlers, root.level
    yield
    root.handlers, root.level = handlers, level
    structlog.configure(**before)


@pytest.mark.usefixtures("own_logging")
class TestLog:
    """Lines for people or machines, without secrets."""

    def test_for_machines(self, capsys: pytest.CaptureFixture[str]) -> None:
        """One JSON object a line, of ours and of libraries alike."""
        telemetry.set_up_logging("json")
        structlog.get_logger("unbusy.test").info("paid", request_id="r-1", amount=1250)
        logging.getLogger("library").warning("slow %s", "answer")
        ours, theirs = (json.loads(line) for line in capsys.readouterr().err.splitlines())
        assert (ours["event"], ours["request_id"], ours["level"], ours["logger"]) == (
            "paid",
            "r-1",
            "info",
            "unbusy.test",
        )
        assert (theirs["event"], theirs["logger"]) == ("slow answer", "library")
        assert ours["timestamp"].endswith("Z")

    @pytest.mark.parametrize("log_format", ["console", "json"])
    def test_no_secrets(self, capsys: pytest.CaptureFixture[str], log_format: str) -> None:
        """Whatever is called like a secret is not written, however deep; a key is no secret."""
        telemetry.set_up_logging(log_format)
        secrets = {"Authorization": "s3cret", "body": {"refresh_token": "s3cret", "name": "Ming"}}
        structlog.get_logger().info("signed in", password="s3cret", request=secrets, idempotency_key="k-1")
        line = capsys.readouterr().err
        assert "s3cret" not in line
        assert "Ming" in line
        assert "k-1" in line

    @pytest.mark.parametrize("log_format", ["console", "json"])
    def test_a_traceback_shows_no_variables(self, capsys: pytest.CaptureFixture[str], log_format: str) -> None:
        """Where it happened, not what anybody sent."""
        telemetry.set_up_logging(log_format)
        sent = "".join(["ming", "@", "example.org"])
        try:
            raise ValueError(len(sent))
        except ValueError:
            structlog.get_logger().exception("our mistake")
        text = capsys.readouterr().err
        assert "ValueError: 16" in text
        assert "ming@example.org" not in text


COUNT = """
from unbusy import telemetry
telemetry.count_payments([("declined", "limit_per_day")])
telemetry.QUEUE_DEPTH.set(3)
"""

READ = """
import sys
from unbusy import telemetry
for pid in sys.argv[1:]:
    telemetry.forget_process(int(pid))
sys.stdout.buffer.write(telemetry.exposition())
"""


def test_several_processes_add_up(tmp_path: Path) -> None:
    """Any gateway tells what all of them counted; the gauges of one that has ended go with it."""
    environment = {**os.environ, telemetry.MULTIPROCESS_VARIABLE: str(tmp_path)}
    (tmp_path / "counter_1.db").touch()
    telemetry.empty_directory(tmp_path)
    gateways = [subprocess.Popen([sys.executable, "-c", COUNT], env=environment) for _ in range(2)]
    assert [gateway.wait(20) for gateway in gateways] == [0, 0]
    ended = str(gateways[0].pid)
    text = subprocess.run(
        [sys.executable, "-c", READ, ended], env=environment, stdout=subprocess.PIPE, check=True
    ).stdout
    assert b'unbusy_payments_total{reason="limit_per_day",status="declined"} 2.0' in text
    assert b"unbusy_queue_depth 3.0" in text


async def test_a_loop_that_is_held_up_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever blocks the event loop shows in the lag."""
    monkeypatch.setattr(telemetry, "_LAG_EVERY_S", 0.01)
    watching = asyncio.create_task(telemetry.watch_loop())
    await asyncio.sleep(0)
    deadline = asyncio.get_running_loop().time() + 0.08
    while asyncio.get_running_loop().time() < deadline:
        pass
    await asyncio.sleep(0.001)
    watching.cancel()
    assert _value("unbusy_event_loop_lag_seconds") > 0.04


def _value(name: str) -> float:
    lines = telemetry.exposition().decode().splitlines()
    return next(float(line.split()[-1]) for line in lines if line.startswith(f"{name} "))
