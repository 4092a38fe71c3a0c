"""What is read out of a log: shares, percentiles, orders. Pure.

A measure is None when there was nothing to measure, which is not the same as zero.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from unbusy.load import Ask, Log, per_window, percentile

# As in the definition of C: what is normal.
NORMAL_P99_S = 0.1
# How late a ticket holder may be served.
PUNCTUAL_S = 1.0
# Recovery is looked for in steps of this, and must last for so many of them.
_STEP_S = 0.5
_STEPS = 4


class Second(msgspec.Struct):
    """One second of a phase, by intended time (completed: by the time of the answer)."""

    at_s: int
    wanted: int = 0
    completed: int = 0
    refused: int = 0
    unanswered: int = 0
    p50_ms: float = 0.0
    p99_ms: float = 0.0


def completed(log: Log, *streams: str) -> list[Ask]:
    """The asks that moved money."""
    return [ask for ask in log.asks(*streams) if ask.outcome.is_completed]


def goodput(log: Log, begins_s: float, ends_s: float, window_s: float, *streams: str) -> list[float]:
    """Completed payments a second, in each whole window, by the time of the answer."""
    return per_window([ask.answered for ask in completed(log, *streams)], begins_s, ends_s, window_s)


def latency_ms(asks: Iterable[Ask], share: float) -> float | None:
    """The latency below which `share` of the answers lie, from the intended time."""
    latencies = [ask.latency for ask in asks if ask.outcome.status]
    return percentile(latencies, share) * 1e3 if latencies else None


def refused_latency_ms(log: Log, share: float) -> float | None:
    """The same for places in line."""
    return latency_ms((ask for ask in log.asks() if math.isfinite(ask.slot)), share)


def unanswered(log: Log) -> float | None:
    """Share of the requests that got no answer at all."""
    asks = [ask.outcome.status for ask in log.asks()]
    return asks.count(0) / len(asks) if asks else None


def bare(log: Log) -> float:
    """How many answers were a server's error that says nothing."""
    return float(sum(ask.outcome.is_bare for ask in log.asks()))


def reasoned(log: Log) -> float:
    """Share of the refusals (429 and 503) that say why and when to come back; of none, all do."""
    refusals = [ask.outcome for ask in log.asks() if ask.outcome.is_refusal]
    return sum(bool(one.word) and one.has_wait for one in refusals) / len(refusals) if refusals else 1.0


def mistaken(log: Log) -> dict[str, int]:
    """Answers that say that the request was wrong, which no request of a drill is."""
    wrong = (ask.outcome for ask in log.asks() if 400 <= ask.outcome.status < 500 and not ask.outcome.is_refusal)  # noqa: PLR2004 - as in HTTP
    return dict(Counter(one.shown for one in wrong))


def punctual(log: Log, ends_s: float) -> float | None:
    """Share of ticket holders who came and were served within a second of the slot they were told first."""
    first: dict[int, float] = {}
    served: set[int] = set()
    for ask in log.asks():
        if math.isinf(ask.ticket):
            continue
        slot = first.setdefault(ask.want, ask.ticket)
        if _is_served(ask) and ask.answered <= slot + PUNCTUAL_S:
            served.add(ask.want)
    due = {want for want, slot in first.items() if slot <= ends_s - PUNCTUAL_S}
    return len(due & served) / len(due) if due else None


def order_kept(log: Log) -> float | None:
    """Rank correlation of when ticket holders first asked and when they were served."""
    intended = log.times("intended")
    served = [(intended[ask.want], ask.answered) for ask in log.asks() if math.isfinite(ask.ticket) and _is_served(ask)]
    return spearman([first for first, _ in served], [last for _, last in served])


def share_completed(log: Log, *streams: str) -> float | None:
    """Share of the payments wanted that were made in the end."""
    wants = sum(1 for _ in log.wants(*streams))
    return len({ask.want for ask in completed(log, *streams)}) / wants if wants else None


def answered_rate(log: Log, seconds: float, *streams: str) -> float:
    """Successful answers a second."""
    return sum(map(_is_served, log.asks(*streams))) / seconds


def waited_ms(log: Log, begins_s: float, ends_s: float, *streams: str) -> float | None:
    """p99 of the whole wait of those who wanted something in this span, from the first asking to the payment;
    infinite when more than one in a hundred got none."""
    wants = [want for want, at in log.wants(*streams) if begins_s <= at < ends_s]
    intended, done = log.times("intended"), {ask.want: ask.answered for ask in completed(log, *streams)}
    waits = [done.get(want, math.inf) - intended[want] for want in wants]
    return percentile(waits, 0.99) * 1e3 if waits else None


def recovery_s(log: Log, since_s: float, *streams: str) -> float:
    """Seconds from `since_s` until it is as if nothing had happened: for two seconds whoever asks is
    answered, nobody is refused, and p99 is within 100 ms. Infinite when that was not seen."""
    steps: dict[int, list[Ask]] = {}
    for ask in log.asks(*streams):
        if since_s <= ask.at < log.seconds:
            steps.setdefault(int((ask.at - since_s) / _STEP_S), []).append(ask)
    good = 0
    for step in range(int((log.seconds - since_s) / _STEP_S)):
        good = good + 1 if _is_normal(steps.get(step, [])) else 0
        if good == _STEPS:
            return (step + 1 - _STEPS) * _STEP_S
    return math.inf


def jain(values: Sequence[float]) -> float | None:
    """Jain's index of fairness: 1 when all are equal, 1/n when one has everything (Jain, Chiu and Hawe, 1984)."""
    squares = sum(value * value for value in values)
    return sum(values) ** 2 / (len(values) * squares) if squares else None


def spearman(xs: Sequence[float], ys: Sequence[float]) -> float | None:
    """Spearman's rank correlation; equal values share their rank."""
    if len(xs) < 2:  # noqa: PLR2004 - one thing has no order
        return None
    a, b = _ranks(xs), _ranks(ys)
    mean = (len(xs) - 1) / 2
    spread = math.sqrt(sum((x - mean) ** 2 for x in a) * sum((y - mean) ** 2 for y in b))
    return sum((x - mean) * (y - mean) for x, y in zip(a, b, strict=True)) / spread if spread else None


def series(log: Log) -> list[Second]:
    """The run, second by second."""
    seconds = [Second(number) for number in range(math.ceil(log.seconds))]
    latencies: list[list[float]] = [[] for _ in seconds]
    for _, at in log.wants():
        seconds[int(at)].wanted += 1
    for ask in log.asks():
        asked, done = int(ask.at), ask.answered
        if asked < len(seconds):
            seconds[asked].refused += ask.outcome.is_refusal
            seconds[asked].unanswered += not ask.outcome.status
        if ask.outcome.is_completed and done < len(seconds):
            seconds[int(done)].completed += 1
            latencies[int(done)].append(ask.latency * 1e3)
    for second, found in zip(seconds, latencies, strict=True):
        second.p50_ms, second.p99_ms = round(percentile(found, 0.5), 2), round(percentile(found, 0.99), 2)
    return seconds


def outcomes(log: Log) -> dict[str, int]:
    """How many answers of each kind, most frequent first."""
    counted = Counter(ask.outcome.shown for ask in log.asks())
    return dict(counted.most_common())


def _is_served(ask: Ask) -> bool:
    return 200 <= ask.outcome.status < 300  # noqa: PLR2004 - as in HTTP


def _is_normal(asks: Sequence[Ask]) -> bool:
    return (
        bool(asks)
        and all(_is_served(ask) for ask in asks)
        and percentile([ask.latency for ask in asks], 0.99) <= NORMAL_P99_S
    )


def _ranks(values: Sequence[float]) -> list[float]:
    order = sorted(range(len(values)), key=values.__getitem__)
    ranks = [0.0] * len(values)
    begin = 0
    while begin < len(order):
        end = begin
        while end < len(order) and values[order[end]] == values[order[begin]]:
            end += 1
        for place in order[begin:end]:
            ranks[place] = (begin + end - 1) / 2
        begin = end
    return ranks
