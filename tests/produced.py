"""Every reason is produced by some test: a reason that nothing gives is a promise nobody checked.

Looked at when the whole suite ran and passed. What the small application of `tests/api` answers
does not count, because it can be told to answer anything.
"""

from __future__ import annotations

from collections.abc import Generator

import pytest

from unbusy import telemetry
from unbusy.reasons import Reason

# Given by a program that is wrong, so no room can be made to give it.
_ONLY_BY_THE_SAMPLE = {Reason.our_mistake}

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
    """Fail a whole run that leaves a reason out."""
    missing = sorted(set(Reason) - _produced)
    if _is_whole(session) and missing:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        reporter = session.config.pluginmanager.get_plugin("terminalreporter")
        assert reporter is not None
        reporter.write_line(f"\nno test was answered with: {', '.join(missing)}", red=True)


def _is_whole(session: pytest.Session) -> bool:
    config = session.config
    everything = config.args_source is pytest.Config.ArgsSource.TESTPATHS and not config.option.keyword
    asked = config.option.markexpr in {"", "not long"} and not config.option.collectonly
    return everything and asked and session.testsfailed == 0 and session.testscollected > 0
