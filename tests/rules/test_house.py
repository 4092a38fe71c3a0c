"""The rules of the house hold, and each of them can fail."""

from __future__ import annotations

import pytest
from tests.rules import house
from tests.rules.house import RULES, Rule
from tests.rules.source import ROOT, Source, sources

SOURCES = sources()

# For each rule, a file that breaks it.
BAD: dict[Rule, tuple[str, str]] = {
    house.sql_has_its_home: ("src/unbusy/people/service.py", 'QUERY = "SELECT name FROM people.people"'),
    house.sql_shouts: ("src/unbusy/people/sql.py", 'QUERY = "select name from people.people"'),
    house.packages_have_a_front_door: ("src/unbusy/payments/service.py", "from unbusy.people.sql import find"),
    house.names_say_something: ("src/unbusy/people/helpers.py", ""),
    house.functions_fit_a_screen: ("src/unbusy/ids.py", "def long() -> None:\n" + "    long()\n" * 60),
    house.files_stay_short: ("src/unbusy/ids.py", "A = 1\n" * 501),
    house.silence_gives_a_reason: ("src/unbusy/ids.py", "import os  # noqa: F401"),
    house.nothing_is_left_for_later: ("src/unbusy/ids.py", "# TO" + "DO: make it work"),
    house.public_things_are_explained: ("src/unbusy/ids.py", '"""Ids."""\ndef read() -> None: ...'),
    house.time_and_chance_are_passed_in: ("src/unbusy/payments/model.py", "now = datetime.datetime.now(UTC)"),
    house.money_is_never_a_float: ("src/unbusy/payments/model.py", "class Payment:\n    amount: float | None"),
    house.nobody_is_told_busy: ("src/unbusy/api/problems.py", 'DETAIL = "The system is busy, please try again later."'),
    house.tests_say_their_rule: ("tests/people/test_sign_in.py", "async def test_sign_in() -> None: ..."),
    house.nothing_is_mocked: ("tests/people/test_sign_in.py", "from unittest.mock import AsyncMock"),
}

# Code that looks like a breach and is none.
GOOD: list[tuple[str, str]] = [
    ("src/unbusy/people/sql.py", '"""People."""\nQUERY = "SELECT name FROM people.people -- from where?"'),
    ("src/unbusy/people/service.py", '"""Select a person from those we know, or insert into none."""'),
    ("src/unbusy/payments/service.py", '"""Pay."""\nfrom unbusy import people\nfrom unbusy.payments.sql import find'),
    ("src/unbusy/app.py", '"""App."""\nfrom unbusy.people.routes import routes'),
    ("src/unbusy/ids.py", '"""Ids."""\nimport os  # noqa: F401 - imported for its side effect'),
    ("src/unbusy/errors.py", '"""Errors."""\nclass Gone(Exception):\n    reason = "gone"'),
    ("src/unbusy/clock.py", '"""Time."""\nnow = datetime.now(UTC)'),
    ("src/unbusy/payments/model.py", '"""Pay."""\namount: int = 3\nwait_s: float = 0.5\nrng = random.Random(7)'),
    ("src/unbusy/api/openapi.py", '"""About."""\nTITLE = "unbusy"'),
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_house_keeps_its_rules(rule: Rule) -> None:
    """No file of the project breaks a rule of the house."""
    breaches = [str(breach) for source in SOURCES for breach in rule(source)]
    assert not breaches, f"{rule.__doc__}\n" + "\n".join(breaches)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_every_rule_can_fail(rule: Rule) -> None:
    """A rule that finds nothing wrong with a bad file protects nothing."""
    assert list(rule(Source(*BAD[rule])))


@pytest.mark.parametrize("good", GOOD, ids=lambda good: good[0])
def test_no_rule_cries_wolf(good: tuple[str, str]) -> None:
    """Good code passes every rule."""
    assert not [str(breach) for rule in RULES for breach in rule(Source(*good))]


def test_exceptions_are_needed() -> None:
    """An exception whose file is gone goes with it."""
    assert not [path for path in (*house.SQL_HOMES, *house.ORIGINS) if not (ROOT / path).exists()]
