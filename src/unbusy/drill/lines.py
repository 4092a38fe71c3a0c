"""What must hold, line by line, and whether it did. Pure.

A line may have several measures. Each is taken in one or more phases, and the worst counts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from unbusy.drill.measures import Second


class Mark(msgspec.Struct, frozen=True):
    """Something that happened during a phase, for a time or at once; in seconds since it began."""

    at_s: float
    until_s: float
    what: str


class Phase(msgspec.Struct):
    """What one phase measured. `values` are by the keys of the rules below; None is "nothing to measure".

    `void` says why the phase proves nothing, when it does: then no line is judged by it. `standing` is, for each
    bank, how many top-ups and payouts were not final at the end of each second.
    """

    name: str
    seconds: float = 0.0
    values: dict[str, float | None] = {}
    series: list[Second] = []
    outcomes: dict[str, int] = {}
    void: list[str] = []
    standing: dict[str, list[int]] = {}
    marks: list[Mark] = []
    late_p99_ms: float = 0.0
    busy: float = 0.0
    cost_us: float = 0.0


class Range(NamedTuple):
    """What a value should lie in, both ends included."""

    least: float = -math.inf
    most: float = math.inf

    def has(self, value: float | None) -> bool:
        return value is not None and self.least <= value <= self.most

    def shown(self, unit: str) -> str:
        """As a person writes it: `≥ 90 %`, `0.88–0.97`, `0`."""
        if self.least == self.most:
            return show(self.most, unit)
        if math.isinf(self.least):
            return f"≤ {show(self.most, unit)}"
        if math.isinf(self.most):
            return f"≥ {show(self.least, unit)}"
        return f"{show(self.least, unit)}–{show(self.most, unit)}"

    def worst(self, values: Sequence[float]) -> float:
        """Of several values the one that is furthest outside, or nearest to an edge."""
        return min(values, key=lambda value: min(value - self.least, self.most - value))


class Rule(NamedTuple):
    """One measure of a line: in which phases it is taken, what must hold, and what is aimed at."""

    line: int
    key: str
    measure: str
    measure_zh: str
    phases: tuple[str, ...]
    unit: str
    must: Range
    aim: Range | None = None


class Line(msgspec.Struct):
    """A rule and what came out. `ok` is None when its phases were not run, `value` when there was
    nothing to measure."""

    line: int
    measure: str
    measure_zh: str
    value: float | None
    shown: str
    must: str
    aim: str
    ok: bool | None
    aim_reached: bool | None


SURGES = ("surge-2", "surge-5", "surge-10")
# The phases in which nothing dies, so that every request must be answered.
CALM = ("steady", *SURGES, "reads", "read-floor", "polls", "hot-payee", "greedy-tenant", "impatient", "promises")

RULES = (
    Rule(1, "goodput", "goodput at 2, 5 and 10 × C, every window", "2、5、10 倍负载下每个时间窗的有效吞吐",
         SURGES, "C", Range(least=0.90), Range(least=0.97)),
    Rule(2, "paid_p99_ms", "p99 of a completed payment at 10 × C", "10 倍负载下完成支付的 p99",
         ("surge-10",), "ms", Range(most=250), Range(most=50)),
    Rule(3, "line_p99_ms", "p99 of a place in line at 10 × C", "10 倍负载下给出排队位置的 p99",
         ("surge-10",), "ms", Range(most=50), Range(most=10)),
    Rule(4, "unanswered", "requests without an answer", "没有得到答复的请求",
         (*CALM, "frozen"), "share", Range(most=0.0001), Range(0, 0)),
    Rule(4, "bare", "answers that are a bare 5xx", "没有原因的 5xx 答复",
         (*CALM, "frozen", "kills", "banks"), "count", Range(0, 0)),
    Rule(5, "reasoned", "429 and 503 with reason and Retry-After", "带原因和 Retry-After 的 429 与 503",
         (*CALM, "frozen", "kills", "banks"), "share", Range(1, 1)),
    Rule(6, "punctual", "ticket holders admitted within 1 s of their slot", "持票者在其时刻 1 秒内进入",
         ("surge-10",), "share", Range(least=0.99), Range(least=0.999)),
    Rule(7, "order", "order kept: rank correlation of asking and being served", "先来先服务：请求与服务次序的秩相关",
         ("surge-10",), "", Range(least=0.99)),
    Rule(8, "paid_share", "payments completed while reads and polls are at 10 ×", "读取与轮询达 10 倍时完成的支付",
         ("reads", "polls"), "share", Range(least=0.999), Range(least=0.9999)),
    Rule(9, "read_floor", "reads answered under 10 × payments", "支付达 10 倍时得到答复的读取",
         ("read-floor",), "C", Range(least=0.05)),
    Rule(10, "jain", "one tenant at 100 × its share: Jain index of the others",
         "一个租户超额 100 倍：其余租户的 Jain 指数",
         ("greedy-tenant",), "", Range(least=0.95), Range(least=0.98)),
    Rule(10, "others_p99", "one tenant at 100 × its share: p99 of the others, to before",
         "一个租户超额 100 倍：其余租户 p99 与之前之比",
         ("greedy-tenant",), "×", Range(most=2), Range(most=1.5)),
    Rule(11, "goodput", "half of all payments to one account: goodput", "半数支付汇入同一账户时的有效吞吐",
         ("hot-payee",), "C", Range(least=0.8), Range(least=0.97)),
    Rule(12, "p90_kept", "promises: done by the time told as likely (p90)", "承诺：在告知的可能时刻（p90）前完成",
         ("promises",), "share", Range(0.88, 0.97)),
    Rule(12, "finish_by_kept", "promises: done by finish_by", "承诺：在 finish_by 前完成",
         ("promises",), "share", Range(least=0.995)),
    Rule(12, "sharpness", "promises: promised to actual wait, median", "承诺：承诺等待与实际等待之比（中位数）",
         ("promises",), "×", Range(most=3), Range(most=2)),
    Rule(13, "recovery_s", "back to normal after the surge", "洪峰之后恢复正常",
         ("surge-10",), "s", Range(most=5), Range(most=1)),
    Rule(13, "thaw_s", "back to normal after PostgreSQL froze", "PostgreSQL 冻结之后恢复正常",
         ("frozen",), "s", Range(most=10), Range(most=1)),
    Rule(14, "goodput", "clients that retry three times at once: goodput", "客户端立即重试三次时的有效吞吐",
         ("impatient",), "C", Range(least=0.85)),
    Rule(15, "lost", "killed at 10 × C: acknowledged and lost", "10 倍负载下强杀进程：已确认却丢失",
         ("kills",), "count", Range(0, 0)),
    Rule(15, "doubled", "killed at 10 × C: done twice", "10 倍负载下强杀进程：重复执行",
         ("kills",), "count", Range(0, 0)),
    Rule(15, "broken", "killed at 10 × C: findings in the books", "10 倍负载下强杀进程：账目问题",
         ("kills",), "count", Range(0, 0)),
    Rule(16, "goodput_off", "control run with the gate off: must collapse", "关闭闸门的对照运行：必须崩溃",
         ("gate-off",), "C", Range(most=0.5)),
    Rule(17, "astray", "the client through it all: calls without a final outcome, or with another than told",
         "客户端全程：没有最终结果、或结果与所告知不符的调用",
         ("riders",), "count", Range(0, 0)),
    Rule(17, "paid_twice", "the client through it all: paid twice", "客户端全程：重复付款",
         ("riders",), "count", Range(0, 0)),
    Rule(18, "lost", "banks that break: acknowledged and lost, or moved at one side only",
         "银行故障：已确认却丢失，或只有一方入账", ("banks",), "count", Range(0, 0)),
    Rule(18, "doubled", "banks that break: moved twice", "银行故障：重复入账", ("banks",), "count", Range(0, 0)),
    Rule(19, "late", "banks that break: not final by `resolve_by`", "银行故障：到 resolve_by 时仍无最终结果",
         ("banks",), "count", Range(0, 0)),
    Rule(20, "apart", "our books and the banks', reconciled: apart by", "对账之后我方与银行账簿之差",
         ("banks",), "cents", Range(0, 0)),
    Rule(20, "uncased", "breaks without a case", "没有立案的差异", ("banks",), "count", Range(0, 0)),
    Rule(20, "broken", "banks that break: findings in the books", "银行故障：账目问题",
         ("banks",), "count", Range(0, 0)),
)  # fmt: skip


def judge(phases: Sequence[Phase]) -> list[Line]:
    """Every rule, in order, by what the phases measured."""
    by_name = {phase.name: phase for phase in phases}
    return [_judged(rule, by_name) for rule in RULES]


def show(value: float | None, unit: str) -> str:
    """A value as a person reads it."""
    if value is None:
        return "nothing to measure"
    if math.isinf(value):
        return "never"
    number = {"share": f"{value * 100:.6g} %", "count": f"{value:.0f}", "cents": f"{value:.0f} ct"}.get(unit)
    return number or f"{value:.3g} {unit}".rstrip()


def _judged(rule: Rule, phases: Mapping[str, Phase]) -> Line:
    run = [phases[name] for name in rule.phases if name in phases and not phases[name].void]
    found = [value for phase in run if (value := phase.values.get(rule.key)) is not None]
    value = rule.must.worst(found) if found else None
    is_aimed = rule.aim is not None and bool(run)
    return Line(
        line=rule.line,
        measure=rule.measure,
        measure_zh=rule.measure_zh,
        value=value,
        shown=show(value, rule.unit) if run else "not run",
        must=rule.must.shown(rule.unit),
        aim=rule.aim.shown(rule.unit) if rule.aim else "",
        ok=rule.must.has(value) if run else None,
        aim_reached=rule.aim.has(value) if rule.aim and is_aimed else None,
    )
