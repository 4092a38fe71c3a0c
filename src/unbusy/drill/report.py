"""The report: `report.json` for machines, `report.html` for people, in one file that needs no other."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from importlib import resources
from pathlib import Path
from string import Template

import msgspec

from unbusy.drill import charts
from unbusy.drill.lines import Line, Phase, show
from unbusy.drill.run import Result
from unbusy.errors import SetupError

_MOST_OUTCOMES = 6

# What each phase is, in both languages.
_PHASES = {
    "calibrate": ("Calibration", "the highest rate at which everybody is served within 100 ms; C is 0.6 of it",
                  "标定", "所有请求都在 100 毫秒内完成的最高速率；C 取其 0.6"),
    "steady": ("Steady", "C, and nothing else", "平稳", "只有 C 的负载"),
    "surge-2": ("2 × C", "then the crowd goes home and C goes on", "2 倍负载", "随后人群散去，C 继续"),
    "surge-5": ("5 × C", "then the crowd goes home and C goes on", "5 倍负载", "随后人群散去，C 继续"),
    "surge-10": ("10 × C", "then the crowd goes home and C goes on", "10 倍负载", "随后人群散去，C 继续"),
    "reads": ("Read storm", "payments at C, reads at 10 × C", "读取风暴", "支付为 C，读取为 10 倍"),
    "read-floor": ("Read floor", "payments at 10 × C, reads at 0.2 × C", "读取底线", "支付为 10 倍，读取为 0.2 倍"),
    "polls": ("Poll storm", "payments at C, status polls at 10 × C", "轮询风暴", "支付为 C，状态轮询为 10 倍"),
    "hot-payee": ("Hot payee", "2 × C, half of it to one account", "热门收款人", "2 倍负载，一半汇入同一账户"),
    "greedy-tenant": ("Greedy tenant", "eleven tenants; from half-time on one sends 100 × its share",
                      "贪婪租户", "十一个租户；后半程其中一个发送其份额的 100 倍"),
    "impatient": ("Impatient clients", "3 × C, every refusal answered by three more requests at once",
                  "急躁的客户端", "3 倍负载，每次被拒后立即再发三次"),
    "promises": ("Promises", "payments to be done later, faster than the queue's floor drains",
                 "承诺", "延后完成的支付，快于队列的最低处理速度"),
    "frozen": ("Frozen storage", "every process of PostgreSQL stands still for ten seconds",
               "存储冻结", "PostgreSQL 的所有进程停顿十秒"),
    "kills": ("Kills", "kill −9 of gateway, worker and PostgreSQL at 10 × C; then the oracle",
              "强杀进程", "10 倍负载下对网关、后台与 PostgreSQL 执行 kill −9，之后核对"),
    "gate-off": ("Control: gate off", "10 × C without the gate, clients give up after a second",
                 "对照：关闭闸门", "没有闸门的 10 倍负载，客户端一秒后放弃"),
    "banks": ("Banks that break",
              "top-ups and payouts at three banks of which one call in five goes wrong, one bank is down for a third "
              "of the time, and everything is killed in between",
              "银行故障", "三家银行的充值与提现：五分之一的调用出错，一家停机三分之一的时间，期间不断强杀进程"),
    "riders": ("Riders", "people who pay with the Python client through all of it; how each of their calls ended",
               "全程客户", "全程使用 Python 客户端付款的人；每次调用的结局"),
}  # fmt: skip
_VERDICTS = (
    ("holds", "Every line that was run holds.", "所运行的每一条都成立。"),
    ("short", "Some lines fall short.", "有条目未达到要求。"),
    ("void", "Void: this drill proves nothing.", "作废：这次演练不能证明任何事。"),
)
_BANKS = (
    '<p class="legend"><span>not final at 尚无最终结果：</span><span><i style="color:var(--done)"></i>bank-1</span>'
    '<span><i style="color:var(--bad)"></i>bank-2</span><span><i style="color:var(--slow)"></i>bank-3</span>'
    '<span><i style="border-top-style:dotted"></i>killed 强杀</span></p>'
)
_MARKS = {True: ("holds", "holds 成立"), False: ("short", "falls short 未达"), None: ("idle", "not run 未运行")}


def write_report(result: Result, directory: Path) -> None:
    """Write both files. Raises SetupError when the directory cannot be written."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "report.json").write_bytes(msgspec.json.format(msgspec.json.encode(result), indent=2))
        (directory / "report.html").write_text(page(result), encoding="utf-8")
    except OSError as error:
        raise SetupError(f"cannot write the report in {directory}: {error.strerror}") from None


def page(result: Result) -> str:
    """The report as HTML."""
    template = Template(resources.files(__package__ or "").joinpath("report.html").read_text(encoding="utf-8"))
    kind, english, chinese = _VERDICTS[result.status]
    judged = [line.ok for line in result.lines if line.ok is not None]
    machine = result.machine
    return template.substitute(
        verdict=kind,
        verdict_text=english,
        verdict_zh=chinese,
        capacity=f"{result.capacity:,.0f}" if result.capacity else "–",
        held=f"{sum(judged)} / {len(judged)}",
        aimed=f"{sum(line.aim_reached is True for line in result.lines)} / "
        f"{sum(line.aim_reached is not None for line in result.lines)}",
        late=f"{max((phase.late_p99_ms for phase in result.phases), default=0):.1f} ms",
        machine=escape(
            f"{machine.processor}, {machine.cores} cores, {machine.memory_gb} GB, {machine.system}, "
            f"Python {machine.python}, unbusy {machine.unbusy}"
        ),
        run=escape(f"{result.began_at}, {result.took_s:.0f} s" + (", quick" if result.is_quick else "")),
        notes="".join(f'<p class="note">{escape(note)}</p>' for note in _notes(result)),
        lines="".join(map(_line, result.lines)),
        phases="".join(_phase(phase, result.capacity) for phase in result.phases),
    )


def _notes(result: Result) -> Sequence[str]:
    return [*result.void, *(f"skipped: {name}, {why}" for name, why in result.skipped.items())]


def _line(line: Line) -> str:
    kind, mark = _MARKS[line.ok]
    aim = f'<span class="reached">★ {line.aim}</span>' if line.aim_reached else line.aim
    return (
        f'<tr class="{kind}"><td class="number">{line.line}</td>'
        f'<td class="measure">{escape(line.measure)}<small lang="zh">{escape(line.measure_zh)}</small></td>'
        f'<td class="value" data-label="value">{escape(line.shown)}</td><td data-label="must">{escape(line.must)}</td>'
        f'<td data-label="aim">{aim}</td><td class="mark"><span>{mark}</span></td></tr>'
    )


def _phase(phase: Phase, capacity: float) -> str:
    title, about, title_zh, about_zh = _PHASES[phase.name]
    drawn = _drawn(phase, capacity) if phase.series else ""
    void = "".join(f'<p class="note">{escape(reason)}</p>' for reason in phase.void)
    answers = list(phase.outcomes.items())
    shown = [f"{escape(word)} <b>{count:,}</b>" for word, count in answers[:_MOST_OUTCOMES]]
    values = [f"{escape(name)} <b>{escape(show(value, ''))}</b>" for name, value in phase.values.items()]
    return (
        f'<article><h3>{title} <span lang="zh">{title_zh}</span></h3>'
        f'<p class="about">{escape(about)} · <span lang="zh">{about_zh}</span></p>{void}{drawn}'
        f'<p class="facts">{" · ".join(values)}</p>'
        f'<p class="facts">{" · ".join(shown)}</p>{_generator(phase)}</article>'
    )


def _drawn(phase: Phase, capacity: float) -> str:
    """Its charts. Where banks are, C says nothing."""
    drawn = charts.rates(phase.series, None if phase.standing else capacity) + charts.latencies(phase.series)
    return drawn + (charts.standing(phase.standing, phase.marks) + _BANKS if phase.standing else "")


def _generator(phase: Phase) -> str:
    """What it took to make the load; nothing of a phase that was no load."""
    if not phase.series:
        return ""
    return (
        f'<p class="facts">generator: late p99 {phase.late_p99_ms:.1f} ms, {phase.cost_us:.0f} µs a request, '
        f"{phase.busy * 100:.0f} % of its core</p>"
    )
