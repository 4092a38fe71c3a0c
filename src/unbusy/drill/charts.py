"""Charts as SVG: no script, no picture from elsewhere; colours come from the page's style. Pure."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from html import escape

from unbusy.drill.lines import Mark
from unbusy.drill.measures import NORMAL_P99_S, Second

_WIDTH, _LEFT, _RIGHT = 640, 64, 18
_TOP, _BOTTOM = 10, 22
_RATES_HEIGHT, _LATENCY_HEIGHT, _STANDING_HEIGHT = 190, 110, 170
_MOST_TICKS_X = 10
# Milliseconds; the scale is logarithmic.
_DECADES = (1, 10, 100, 1_000, 10_000, 100_000)
_STEPS = (1, 2, 2.5, 5, 10)

Scale = Callable[[float], float]


def rates(series: Sequence[Second], capacity: float | None) -> str:
    """What was wanted, completed and refused, in each second; C, where it is of interest, is a line across."""
    most = max([capacity or 0.0, *(max(one.wanted, one.completed, one.refused) for one in series)]) * 1.05 or 1.0
    x, y = _across(len(series)), _up(_RATES_HEIGHT, 0, most)
    ticks = [step * number for step in (_step(most / 4),) for number in range(int(most / step) + 1)]
    parts = [
        _grid([(y(tick), f"{tick:,.0f}") for tick in ticks]),
        _seconds(len(series), x, _RATES_HEIGHT),
        _area("completed", [one.completed for one in series], x, y),
        _line("wanted", [one.wanted for one in series], x, y),
        _line("refused", [one.refused for one in series], x, y),
        _across_at(y(capacity), "C") if capacity else "",
    ]
    return _svg(parts, _RATES_HEIGHT, "wanted, completed and refused in each second")


def latencies(series: Sequence[Second]) -> str:
    """p50 and p99 of completed payments, in each second, on a logarithmic scale."""
    most = max([1_000.0, *(one.p99_ms for one in series)])
    scale = _up(_LATENCY_HEIGHT, 0, math.log10(most))
    x = _across(len(series))

    def y(value: float) -> float:
        return scale(math.log10(max(1.0, value)))

    ticks = [(y(tick), f"{tick / 1000:g} s" if tick >= 1_000 else f"{tick} ms") for tick in _DECADES if tick <= most]  # noqa: PLR2004 - milliseconds
    parts = [
        _grid(ticks),
        _seconds(len(series), x, _LATENCY_HEIGHT),
        _line("p50", [one.p50_ms for one in series], x, y),
        _line("p99", [one.p99_ms for one in series], x, y),
        _across_at(y(NORMAL_P99_S * 1e3), ""),
    ]
    return _svg(parts, _LATENCY_HEIGHT, "p50 and p99 of completed payments in each second")


def standing(open: Mapping[str, Sequence[int]], marks: Sequence[Mark]) -> str:
    """How many were not final at the end of each second, by their bank; what happened meanwhile stands behind."""
    count = max(map(len, open.values()))
    most = max([1, *itertools.chain(*open.values())]) * 1.05
    x, y = _across(count), _up(_STANDING_HEIGHT, 0, most)
    ticks = [step * number for step in (_step(most / 4),) for number in range(int(most / step) + 1)]
    parts = [
        *(_mark(mark, number, x) for number, mark in enumerate(marks)),
        _grid([(y(tick), f"{tick:,.0f}") for tick in ticks]),
        _seconds(count, x, _STANDING_HEIGHT),
        *(_line(bank, open[bank], x, y) for bank in open),
    ]
    return _svg(parts, _STANDING_HEIGHT, "top-ups and payouts that were not final, by bank")


def _mark(mark: Mark, number: int, x: Scale) -> str:
    """A shade with its name for what lasted, a line for what did not."""
    title, left, right = f"<title>{escape(mark.what)}, {mark.at_s:.0f} s</title>", x(mark.at_s), x(mark.until_s)
    below = _STANDING_HEIGHT - _BOTTOM
    if mark.at_s == mark.until_s:
        return f'<line class="kill" x1="{left:.1f}" x2="{left:.1f}" y1="{_TOP}" y2="{below}">{title}</line>'
    name = f'<text class="tick" x="{left + 3:.1f}" y="{_TOP + 10 + 11 * (number % 4)}">{escape(mark.what)}</text>'
    shade = f'x="{left:.1f}" y="{_TOP}" width="{right - left:.1f}" height="{below - _TOP}"'
    return f'<rect class="trouble" {shade}>{title}</rect>{name}'


def _svg(parts: Sequence[str], height: int, title: str) -> str:
    body = "".join(parts)
    return f'<svg viewBox="0 0 {_WIDTH} {height}" role="img"><title>{title}</title>{body}</svg>'


def _across(count: int) -> Scale:
    return lambda value: _LEFT + (_WIDTH - _LEFT - _RIGHT) * value / max(1, count)


def _up(height: int, least: float, most: float) -> Scale:
    room = height - _TOP - _BOTTOM
    return lambda value: height - _BOTTOM - room * (value - least) / (most - least)


def _step(wanted: float) -> float:
    """The roundest step that is not smaller."""
    power = 10.0 ** math.floor(math.log10(max(wanted, 1e-9)))
    return next(step * power for step in _STEPS if step * power >= wanted)


def _points(values: Sequence[float], x: Scale, y: Scale) -> list[str]:
    """Each second's value at its middle."""
    return [f"{x(number + 0.5):.1f},{y(value):.1f}" for number, value in enumerate(values)]


def _line(name: str, values: Sequence[float], x: Scale, y: Scale) -> str:
    return f'<polyline class="{name}" points="{" ".join(_points(values, x, y))}"/>'


def _area(name: str, values: Sequence[float], x: Scale, y: Scale) -> str:
    if not values:
        return ""
    points = " ".join(_points(values, x, y))
    begin, end = f"{x(0.5):.1f},{y(0):.1f}", f"{x(len(values) - 0.5):.1f},{y(0):.1f}"
    return f'<polygon class="{name}" points="{begin} {points} {end}"/>' + _line(f"{name}-edge", values, x, y)


def _grid(ticks: Sequence[tuple[float, str]]) -> str:
    return "".join(
        f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>'
        f'<text class="tick" x="{_LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{label}</text>'
        for at, label in ticks
    )


def _seconds(count: int, x: Scale, height: int) -> str:
    every = max(1, round(_step(count / _MOST_TICKS_X)))
    return "".join(
        f'<text class="tick" x="{x(second):.1f}" y="{height - 6}" text-anchor="middle">{second} s</text>'
        for second in range(0, count + 1, every)
    )


def _across_at(at: float, label: str) -> str:
    line = f'<line class="level" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>'
    text = f'<text class="level-name" x="{_WIDTH - _RIGHT - 4}" y="{at - 4:.1f}" text-anchor="end">{label}</text>'
    return line + (text if label else "")
