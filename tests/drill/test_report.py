"""The report, and the verdict that the exit status tells."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from tests.drill.made import IN_LINE, NEVER, done, log

from unbusy.clock import SystemClock
from unbusy.drill import measures
from unbusy.drill.ground import FULL, Crowd, Ground
from unbusy.drill.lines import Mark, Phase, judge
from unbusy.drill.phases import OURS, PHASES
from unbusy.drill.report import page, write_report
from unbusy.drill.run import GREEN, SHORT, VOID, Result, machine
from unbusy.drill.system import System
from unbusy.ids import Ids
from unbusy.load import Outcome


def result(*phases: Phase) -> Result:
    return Result(
        capacity=2_600,
        lines=judge(phases),
        machine=machine(),
        phases=list(phases),
        void=[reason for phase in phases for reason in phase.void],
        skipped={},
        is_quick=True,
        began_at="2026-01-02T03:04:05+00:00",
        took_s=240,
    )


def surge(**values: float | None) -> Phase:
    made = log([*(done(want, want / 100) for want in range(900)), (900, 9.5, 9.6, IN_LINE, 60, NEVER)])
    return Phase("surge-10", 10, values, measures.series(made), measures.outcomes(made), late_p99_ms=1, cost_us=25)


GOOD = {
    "goodput": 0.98, "paid_p99_ms": 40, "line_p99_ms": 8, "unanswered": 0, "bare": 0, "reasoned": 1, "punctual": 1,
    "order": 1, "recovery_s": 0.5,
}  # fmt: skip


def test_the_verdict_is_the_exit_status() -> None:
    """Green when all that ran holds, 1 when a line falls short, 2 when the drill is void, whatever its lines say."""
    assert result(surge(**GOOD)).status == GREEN == 0
    assert result(surge(**{**GOOD, "goodput": 0.5})).status == SHORT == 1
    void = surge(**GOOD)
    void.void = ["surge-10: the generator was late itself"]
    assert result(void).status == VOID == 2


def ground() -> Ground:
    system = System("http://127.0.0.1:1", "", b"", None)
    return Ground(system, Crowd([], []), FULL, None, Ids(SystemClock()), lambda _: None)


def test_a_late_generator_makes_a_phase_void() -> None:
    """What was measured by somebody who could not keep up is void, not green."""
    assert ground().phase("steady", log([done(0, 1)], late_ms=19)).void == []
    assert "late" in ground().phase("steady", log([done(0, 1)], late_ms=21)).void[0]


def test_a_wrong_request_makes_a_phase_void() -> None:
    """A wallet that finds the drill's requests wrong was not loaded with payments; a refusal is no such answer."""
    wrong = (1, 2.0, 2.1, Outcome(400, "invalid", has_wait=False), NEVER, NEVER)
    told = (2, 2.0, 2.1, Outcome(429, "quota_exceeded", has_wait=True), NEVER, NEVER)
    assert ground().phase("steady", log([done(0, 1), wrong, told])).void == ["steady: 1 requests were answered invalid"]


def test_both_files_are_written(tmp_path: Path) -> None:
    """The one for machines has lines, machine and phases; the one for people is a page of its own."""
    write_report(result(surge(**GOOD)), tmp_path / "there")
    told = json.loads((tmp_path / "there" / "report.json").read_text())
    assert {"line", "measure", "value", "must", "aim", "ok", "aim_reached"} <= set(told["lines"][0])
    assert told["machine"]["cores"] >= 1
    assert len(told["phases"][0]["series"]) == 10
    assert (tmp_path / "there" / "report.html").read_text().startswith("<!doctype html>")


def test_the_page_needs_no_other() -> None:
    """No script, no style and no picture comes from elsewhere; every tag that is opened is closed."""
    text = page(result(surge(**GOOD)))
    assert not re.search(r"<script|<link|<img|src=|url\(|https?://", text)
    assert _open_tags(text) == []


def test_the_page_says_what_came_out() -> None:
    """The verdict, the measures that fell short and those that reached their aim, and why it is void."""
    short = page(result(surge(**{**GOOD, "goodput": 0.5})))
    assert "Some lines fall short." in short
    assert "0.5 C" in short
    assert short.count("★") == 5
    void = surge(**GOOD)
    void.void = ["a <b>reason</b>"]
    assert "a &lt;b&gt;reason&lt;/b&gt;" in page(result(void))


@pytest.mark.parametrize("name", ["calibrate", *PHASES, "riders"])
def test_every_phase_can_be_shown(name: str) -> None:
    """Also one that broke before anything was measured."""
    shown = page(result(Phase(name, void=["it broke"])))
    assert "it broke" in shown
    assert shown.count("<article>") == 1


def test_the_page_draws_the_banks() -> None:
    """How many were not final at each, and behind it what happened: a shade for what lasted, a line for a kill."""
    seconds = [measures.Second(number, wanted=3, completed=2) for number in range(4)]
    marks = [Mark(1, 2, "bank-2 <dead>"), Mark(3, 3, "worker")]
    phase = Phase("banks", 4, series=seconds, standing={"bank-1": [0, 1, 2, 0], "bank-2": [1, 1, 1, 1]}, marks=marks)
    shown = page(result(phase))
    assert shown.count('class="bank-1"') == shown.count('class="bank-2"') == 1
    assert (shown.count('class="trouble"'), shown.count('class="kill"')) == (1, 1)
    assert "bank-2 &lt;dead&gt;" in shown
    assert 'class="level-name"' not in shown
    assert _open_tags(shown) == []


def test_what_is_only_for_our_own() -> None:
    """The phases that a given wallet is spared exist."""
    assert set(OURS) <= set(PHASES)


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in {"meta", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def _open_tags(text: str) -> list[str]:
    tags = _Tags()
    tags.feed(re.sub(r"<(\w+)([^<>]*)/>", r"<\1\2></\1>", text))
    return tags.open
