"""Every reason is produced by some test: a reason that nothing gives is a promise nobody checked.

Looked at when the whole suite ran and passed, but for the tests that run alone. What the small
application of `tests/api` answers does not count, because it can be told to answer anything.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from unbusy import telemetry
from unbusy.reasons import Reason

# Given by a program that is wrong, so no room can be made to give it.
_ONLY_BY_THE_SAMPLE = {Reason.our_mistake}

_PRODUCED = "unbusy.produced"
_produced: set[str] = set()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    """Note the reasons that this test was answered with."""
    telemetry.PROBLEMS.clear()
    telemetry.PAYMENTS.clear()
    yield
    given = telemetry.reasons_given()
    _produced.update(given & _ONLY_BY_THE_SAMPLE if item.nodeid.startswith("tests/api/") else given)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a whole run that leaves a reason out; one of several processes tells the first what it saw."""
    told = getattr(session.config, "workeroutput", None)
    if told is not None:
        told[_PRODUCED] = [*map(str, _produced)]
        return
    missing = sorted(set(Reason) - _produced)
    if _is_whole(session) and missing:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        reporter = session.config.pluginmanager.get_plugin("terminalreporter")
        assert reporter is not None
        reporter.write_line(f"\nno test was answered with: {', '.join(missing)}", red=True)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Hear what another process saw. One that crashed says nothing."""
    _produced.update(map(Reason, getattr(node, "workeroutput", {}).get(_PRODUCED, ())))


def _is_whole(session: pytest.Session) -> bool:
    config = session.config
    everything = config.args_source is pytest.Config.ArgsSource.TESTPATHS and not config.option.keyword
    asked = config.option.markexpr in {"", "not long and not alone"} and not config.option.collectonly
    return everything and asked and session.exitstatus == pytest.ExitCode.OK
