"""The phases: each puts one load on the wallet and gives what it measured."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from itertools import accumulate
from statistics import median
from typing import Any

import msgspec

from unbusy.drill import measures, oracle
from unbusy.drill.banks import banks
from unbusy.drill.ground import Event, Ground
from unbusy.drill.lines import Phase
from unbusy.drill.system import KILLS
from unbusy.errors import SetupError
from unbusy.load import Client, Log, reads

# C is this share of the highest rate that holds: room to say no in.
_DECLARED = 0.6
_FIRST_RATE, _CLIMB = 200.0, 1.5
# A machine that is shared stands still now and then: a rate is given up when it failed so often.
_ATTEMPTS = 2
_CLOSER = 2
_STEP_DOWN, _MOST_STEPS = 0.9, 8

_SURGE = 10.0
_READERS = 0.2
_GREED = 100
_IMPATIENT = 3.0
_HOT = 2.0
_QUEUED = 1.5
# Queued payments are waited for at most so long after the last was accepted.
_DRAIN_S = 120.0
_BEFORE_FREEZE_S = 4.0
# From a kill to the next: who was killed is back, and the line forms again. Killed while it recovers, it was not there.
_UNTIL_NEXT_S = {"gateway": 3.0, "worker": 3.0, "postgres": 8.0}
_FIRST_KILL_S = 3.0
# Clients of the control run give up after this, and have connections enough to be many.
_GIVES_UP_S, _MANY = 1.0, 8_192
_SETTLING_S = 2.0
# What a queued payment's answer says beside `finish_by`: by when it will be done, nine times in ten.
_LIKELY_BY = "likely_by"


def calibrate(ground: Ground) -> Phase:
    """Find C: the highest rate with p99 ≤ 100 ms and no refusals, times 0.6."""
    rate = _highest_rate(ground)
    for _ in range(_MOST_STEPS):
        log = ground.run(ground.pays("payments", rate, 0, ground.scale.confirm_s))
        if _holds(log):
            break
        rate *= _STEP_DOWN
    else:
        raise SetupError("no rate was found at which payments are answered within 100 ms; the machine is too slow")
    ground.capacity = min(_DECLARED * rate, ground.scale.most_capacity)
    return ground.phase(
        "calibrate", log, highest=rate, capacity=ground.capacity, p99_ms=measures.latency_ms(log.asks(), 0.99)
    )


def _highest_rate(ground: Ground) -> float:
    good, bad = _FIRST_RATE, _FIRST_RATE * _CLIMB
    while _holds_at(ground, bad):
        good, bad = bad, bad * _CLIMB
        if _DECLARED * good > ground.scale.most_capacity:
            return good
    for _ in range(_CLOSER):
        middle = (good + bad) / 2
        good, bad = (middle, bad) if _holds_at(ground, middle) else (good, middle)
    return good


def _holds_at(ground: Ground, rate: float) -> bool:
    stream = ground.pays("payments", rate, 0, ground.scale.trial_s)
    return any(_holds(ground.run(stream)) for _ in range(_ATTEMPTS))


def _holds(log: Log) -> bool:
    asks = list(log.asks())
    p99 = measures.latency_ms(asks, 0.99)
    return p99 is not None and p99 <= measures.NORMAL_P99_S * 1e3 and all(ask.outcome.is_completed for ask in asks)


def steady(ground: Ground) -> Phase:
    """C, and nothing else."""
    log = ground.run(ground.pays("payments", ground.capacity, 0, ground.scale.calm_s))
    return ground.phase(
        "steady",
        log,
        p50_ms=measures.latency_ms(measures.completed(log), 0.50),
        p99_ms=measures.latency_ms(measures.completed(log), 0.99),
    )


def surge(name: str, factor: float, ground: Ground) -> Phase:
    """`factor` times C; then the crowd goes home, and C goes on until all is as before."""
    ends = ground.scale.surge_s
    usual = ground.pays("usual", ground.capacity, 0, ends + ground.scale.after_s)
    log = ground.run(usual, *ground.crowds((factor - 1) * ground.capacity, ends))
    surging = [ask for ask in log.asks() if ask.at < ends]
    return ground.phase(
        name,
        log,
        goodput=_least(ground, log),
        paid_p99_ms=measures.latency_ms((ask for ask in surging if ask.outcome.is_completed), 0.99),
        line_p99_ms=measures.refused_latency_ms(log, 0.99),
        punctual=measures.punctual(log, ends),
        order=measures.order_kept(log),
        recovery_s=measures.recovery_s(log, ends, "usual"),
    )


def _least(ground: Ground, log: Log, *streams: str) -> float | None:
    """The worst window of a surge, as a share of C."""
    windows = measures.goodput(log, 0, ground.scale.surge_s, ground.scale.window_s, *streams)
    return min(windows) / ground.capacity if windows else None


def read_storm(ground: Ground) -> Phase:
    """Payments at C while reads are at 10 × C."""
    seconds = ground.scale.surge_s
    log = ground.run(
        ground.pays("payments", ground.capacity, 0, seconds), ground.looks(_SURGE * ground.capacity, seconds)
    )
    return ground.phase("reads", log, paid_share=measures.share_completed(log, "payments"))


def read_floor(ground: Ground) -> Phase:
    """Reads while payments are at 10 × C."""
    seconds = ground.scale.surge_s
    log = ground.run(
        *ground.crowds(_SURGE * ground.capacity, seconds), ground.looks(_READERS * ground.capacity, seconds)
    )
    return ground.phase("read-floor", log, read_floor=measures.answered_rate(log, seconds, "reads") / ground.capacity)


def poll_storm(ground: Ground) -> Phase:
    """Payments at C while callers ask at 10 × C what became of payments that are not final."""
    seconds = ground.scale.surge_s
    queued = ground.run(
        ground.pays("queued", _QUEUED * ground.scale.drain_floor, 0, ground.scale.trial_s, is_queued=True)
    )
    assert ground.load
    payers, pairs = ground.crowd.main, ground.load.streams[0].pairs
    numbers = queued.numbers("number")
    polled = [
        (payers[pairs[numbers[want] % len(pairs)][0]], f"/v1/payments/{id}") for want, id in queued.payments.items()
    ]
    if not polled:
        raise SetupError("no payment was queued that could be polled")
    log = ground.run(
        ground.pays("payments", ground.capacity, 0, seconds),
        reads("polls", polled, _SURGE * ground.capacity, 0, seconds),
    )
    return ground.phase("polls", log, paid_share=measures.share_completed(log, "payments"))


def hot_payee(ground: Ground) -> Phase:
    """2 × C, half of it to one account."""
    seconds, rate = ground.scale.surge_s, _HOT * ground.capacity / 2
    log = ground.run(
        ground.pays("to all", rate, 0, seconds), ground.pays("to one", rate, 0, seconds, payee=ground.crowd.main[0])
    )
    return ground.phase("hot-payee", log, goodput=_least(ground, log))


def greedy_tenant(ground: Ground) -> Phase:
    """Every tenant at its share of C; from half-time on one of them at a hundred times that."""
    ends, others = 2 * ground.scale.surge_s, ground.crowd.others
    middle, share = ends / 2, ground.capacity / (len(others) + 1)
    names = [f"tenant {number}" for number in range(2, len(others) + 2)]
    log = ground.run(
        *(ground.pays(name, share, 0, ends, payers=payers) for name, payers in zip(names, others, strict=True)),
        ground.pays("greedy at first", share, 0, middle),
        ground.pays("greedy", _GREED * share, middle, ends),
    )
    goodputs = [sum(measures.goodput(log, middle, ends, ends - middle, name)) for name in names]
    before, after = (measures.waited_ms(log, *span, *names) for span in ((0, middle), (middle, ends - 1)))
    return ground.phase(
        "greedy-tenant",
        log,
        jain=measures.jain(goodputs),
        others_p99=after / before if before and after is not None else None,
        others_goodput=sum(goodputs) / (share * len(others)),
    )


def impatient(ground: Ground) -> Phase:
    """3 × C of clients that answer every refusal with three more requests at once: about ten times C."""
    log = ground.run(ground.pays("impatient", _IMPATIENT * ground.capacity, 0, ground.scale.surge_s, Client.impatient))
    return ground.phase("impatient", log, goodput=_least(ground, log))


def promises(ground: Ground) -> Phase:
    """Payments to be done later, more of them than the queue's floor drains, beside half of C."""
    seconds = ground.scale.surge_s
    log = ground.run(
        ground.pays("queued", _QUEUED * ground.scale.drain_floor, 0, seconds, is_queued=True),
        ground.pays("payments", ground.capacity / 2, 0, seconds),
    )
    give_up_at = time.monotonic() + _DRAIN_S
    while oracle.still_queued(ground.system.url, log) and time.monotonic() < give_up_at:
        time.sleep(1.0)
    done = {payment.key: payment for payment in oracle.stored(ground.system.url, log.name)}
    told = [(msgspec.json.decode(body), done.get(log.key(want))) for want, body in log.answers.items()]
    queued = [(answer, payment) for answer, payment in told if answer.get("status") == "queued"]
    likely = [kept for answer, payment in queued if (kept := _kept(answer, _LIKELY_BY, payment)) is not None]
    finish = [kept for answer, payment in queued if (kept := _kept(answer, "finish_by", payment)) is not None]
    sharp = [ratio for answer, payment in queued if (ratio := _sharpness(answer, payment)) is not None]
    return ground.phase(
        "promises",
        log,
        p90_kept=sum(likely) / len(likely) if likely else None,
        finish_by_kept=sum(finish) / len(finish) if finish else None,
        sharpness=median(sharp) if sharp else None,
        promised=len(queued),
    )


def _kept(answer: Mapping[str, Any], promise: str, payment: oracle.Stored | None) -> bool | None:
    """Whether the payment was done by the time promised; None when nothing was promised."""
    if not answer.get(promise):
        return None
    done = payment.completed_at if payment else None
    return done is not None and done <= datetime.fromisoformat(answer[promise]).timestamp()


def _sharpness(answer: Mapping[str, Any], payment: oracle.Stored | None) -> float | None:
    """The wait that was told as likely, to the wait that was."""
    if not answer.get(_LIKELY_BY) or payment is None or payment.completed_at is None:
        return None
    actual = payment.completed_at - payment.created_at
    promised = datetime.fromisoformat(answer[_LIKELY_BY]).timestamp() - payment.created_at
    return promised / actual if actual > 0 else None


def frozen(ground: Ground) -> Phase:
    """C while PostgreSQL stands still for ten seconds."""
    thaws = _BEFORE_FREEZE_S + ground.scale.frozen_s
    thawed: list[float] = []
    began: list[float] = []

    def freeze() -> None:
        began.append(time.monotonic() - _BEFORE_FREEZE_S)
        ground.system.freeze()

    def thaw() -> None:
        ground.system.thaw()
        thawed.append(time.monotonic() - began[0])

    # As long again as recovery may take, so that a slow one is seen.
    ends = thaws + 10 + ground.scale.after_s
    try:
        log = ground.run(
            ground.pays("payments", ground.capacity, 0, ends),
            connections=_MANY,
            events=[Event(_BEFORE_FREEZE_S, freeze), Event(thaws, thaw)],
        )
    finally:
        ground.system.thaw()
    return ground.phase("frozen", log, thaw_s=measures.recovery_s(log, thawed[0]))


def kills(ground: Ground) -> Phase:
    """10 × C while processes are killed in turn; then the oracle."""
    victims = [what for _ in range(ground.scale.kills) for what in KILLS]
    *times, ends = accumulate([_FIRST_KILL_S, *(_UNTIL_NEXT_S[what] for what in victims)])
    events = [Event(at, partial(ground.system.kill, what)) for at, what in zip(times, victims, strict=True)]
    before = oracle.total(ground.system.url)
    log = ground.run(*ground.crowds(_SURGE * ground.capacity, ends), events=events)
    told = {log.key(want): id for want, id in log.payments.items()}
    answers, open_questions = ground.ask_again(log)
    found = oracle.stored(ground.system.url, log.name)
    verdict = oracle.verdict({**told, **answers}, len(log.doubled), found)
    moved = int(oracle.total(ground.system.url) != before)
    return ground.phase(
        "kills",
        log,
        killed=len(victims),
        acknowledged=len(told),
        asked_again=len(answers),
        lost=verdict.lost + open_questions,
        doubled=verdict.doubled,
        broken=ground.system.findings() + moved,
    )


def gate_off(ground: Ground) -> Phase:
    """The control run: 10 × C on a wallet whose gate is off, by clients that give up after a second."""
    seconds = ground.scale.surge_s
    log = ground.run(
        ground.pays("payments", _SURGE * ground.capacity, 0, seconds, Client.leaves),
        connections=_MANY,
        gives_up_s=_GIVES_UP_S,
    )
    in_time = [ask.answered for ask in measures.completed(log) if ask.latency <= _GIVES_UP_S]
    settled = [at for at in in_time if _SETTLING_S <= at < seconds]
    return ground.phase("gate-off", log, goodput_off=len(settled) / (seconds - _SETTLING_S) / ground.capacity)


PHASES: Mapping[str, Callable[[Ground], Phase]] = {
    "steady": steady,
    "surge-2": partial(surge, "surge-2", 2.0),
    "surge-5": partial(surge, "surge-5", 5.0),
    "surge-10": partial(surge, "surge-10", _SURGE),
    "reads": read_storm,
    "read-floor": read_floor,
    "polls": poll_storm,
    "hot-payee": hot_payee,
    "greedy-tenant": greedy_tenant,
    "impatient": impatient,
    "promises": promises,
    "frozen": frozen,
    "kills": kills,
    "gate-off": gate_off,
    "banks": banks,
}
# Only for a wallet that the drill started itself.
OURS = ("frozen", "kills", "gate-off", "banks")
# And these each for one that was started for it alone.
GATE_OFF, BANKS = "gate-off", "banks"
