"""Lines are judged from measurements, both ways."""

from __future__ import annotations

import math

import pytest

from unbusy.drill.lines import RULES, Phase, Rule, judge, show

# A value on the right side of each rule, and one that is not.
GOOD = {
    "goodput": 0.98, "paid_p99_ms": 40, "line_p99_ms": 8, "unanswered": 0, "bare": 0, "reasoned": 1,
    "punctual": 0.9995, "order": 0.999, "paid_share": 0.99995, "read_floor": 0.2, "jain": 0.99, "others_p99": 1.2,
    "p90_kept": 0.92, "finish_by_kept": 1, "sharpness": 1.5, "recovery_s": 0.5, "thaw_s": 1,
    "lost": 0, "doubled": 0, "broken": 0, "goodput_off": 0.1, "astray": 0, "paid_twice": 0, "late": 0, "apart": 0,
    "uncased": 0,
}  # fmt: skip
BAD = {
    "goodput": 0.79, "paid_p99_ms": 251, "line_p99_ms": 51, "unanswered": 0.0002, "bare": 1, "reasoned": 0.999,
    "punctual": 0.98, "order": 0.98, "paid_share": 0.998, "read_floor": 0.04, "jain": 0.94, "others_p99": 2.1,
    "p90_kept": 0.98, "finish_by_kept": 0.99, "sharpness": 3.1, "recovery_s": math.inf, "thaw_s": 11,
    "lost": 1, "doubled": 1, "broken": 1, "goodput_off": 0.6, "astray": 1, "paid_twice": 1, "late": 1, "apart": 1,
    "uncased": 1,
}  # fmt: skip


def phases(values: dict[str, float]) -> list[Phase]:
    names = {name for rule in RULES for name in rule.phases}
    return [Phase(name, values=dict(values)) for name in sorted(names)]


def test_all_lines_are_there() -> None:
    """The table of what must hold has twenty lines, and each is judged by something."""
    assert {rule.line for rule in RULES} == set(range(1, 21))


def test_all_holds() -> None:
    """With good measurements every line holds, and every aim is reached."""
    lines = judge(phases(GOOD))
    assert [line.measure for line in lines if line.ok is not True] == []
    assert [line.measure for line in lines if line.aim_reached is False] == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.line}-{rule.key}")
def test_each_falls_short_by_itself(rule: Rule) -> None:
    """One bad measurement in one of a rule's phases is enough."""
    made = phases(GOOD)
    next(phase for phase in made if phase.name == rule.phases[-1]).values[rule.key] = BAD[rule.key]
    line = judge(made)[RULES.index(rule)]
    assert line.ok is False
    assert line.value == BAD[rule.key]


def test_nothing_to_measure_falls_short() -> None:
    """A phase in which nobody stood in line proves nothing about the line."""
    made = [Phase("surge-10", values={"punctual": None})]
    line = next(line for line in judge(made) if line.line == 6)
    assert (line.ok, line.value, line.shown) == (False, None, "nothing to measure")


def test_what_did_not_run_is_not_judged() -> None:
    """Nor what is void: neither green nor red."""
    void = [Phase("surge-10", values=dict(GOOD), void=["the generator was late itself"])]
    assert {line.ok for line in judge([])} == {None}
    assert {line.ok for line in judge(void)} == {None}


def test_promises_may_be_too_careful() -> None:
    """A p90 that is always kept is no p90: both ends are judged."""
    line = next(line for line in judge([Phase("promises", values={"p90_kept": 0.8})]) if line.line == 12)
    assert line.ok is False
    assert line.must == "88 %–97 %"


def test_values_are_shown_for_people() -> None:
    """Shares in percent, counts whole, and never as a word."""
    assert show(0.99995, "share") == "99.995 %"
    assert show(3, "count") == "3"
    assert show(0.973, "C") == "0.973 C"
    assert show(math.inf, "s") == "never"
