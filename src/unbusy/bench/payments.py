"""How many payments a second a gateway completes over HTTP, and how long one takes at rest.

rest          a few payments a second: what one waits for when nobody else is there
search        the highest rate at which 99 of 100 answers come within 100 ms
confirm       that rate again, several rounds; the medians are the figures
one by one    the same application, one transaction per payment, on as many connections as
              help: the base of the ratio, measured in the same run
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable
from statistics import median

import msgspec

from unbusy.bench.world import Gateway, temporary_database
from unbusy.load import ASSET, Client, Load, Log, Payer, cores_apart, furnish, generate, payments, percentile, tokens

_GOAL_MS = 100.0
# Of what was offered, how much must complete: less, and the queue grows for as long as it lasts.
_KEEPS_UP = 0.98

_PEOPLE = 1_000
# So many that an arrival never waits for one: with fewer, the load would wait for answers after all.
_CONNECTIONS = 1_024
_REST_RATE, _REST_S, _REST_CONNECTIONS = 40.0, 4.0, 4
_FIRST_RATE, _CLIMB, _TRIAL_S = 500.0, 1.5, 2.5
# A rate is given up when it failed so often: the gate learns the first time how much can be done, and a
# machine that is shared stands still now and then.
_ATTEMPTS = 3
_CLOSER = 2
_WARMING = 2
_CONFIRM_S, _ROUNDS, _STEP_DOWN = 5.0, 3, 0.93

# Answers still out this long after the last request was sent count as never given.
_PATIENCE_S = 5.0

_ONE_BY_ONE = {"UNBUSY_BATCH_MAX": "1", "UNBUSY_PIPELINE_LANES": "16", "UNBUSY_POOL_SIZE": "20"}


class Report(msgspec.Struct):
    """One run. Latencies are in milliseconds from the intended time; `late_p99_ms` is the generator's own."""

    sent: int
    completed: int
    p50_ms: float
    p99_ms: float
    late_p99_ms: float
    took_s: float

    @property
    def per_second(self) -> float:
        """Payments that completed, per second from the first intended time to the last answer."""
        return self.completed / self.took_s if self.took_s else 0.0


class PaymentFigures(msgspec.Struct):
    """Medians over the confirming rounds; latencies in milliseconds from the intended time.

    `ratio` is `payments_per_s` to `one_by_one_per_s`. `generator_late_p99_ms` is the generator's
    own lateness: when it is more than a few milliseconds, the other figures mean nothing.
    """

    payments_per_s: float
    p50_ms: float
    p99_ms: float
    rest_p50_ms: float
    rest_p99_ms: float
    one_by_one_per_s: float
    ratio: float
    generator_late_p99_ms: float
    history: int


def bench_payments(history: int, tell: Callable[[str, float], None]) -> PaymentFigures:
    """Measure on a database of its own that holds `history` payments already; two cores are wanted.

    `tell` hears what is being done, and which share of the whole is behind.
    """
    secret = secrets.token_urlsafe(32)
    # The database is started first: PostgreSQL may run wherever there is room, gateways only apart
    # from the generator, whose own lateness tells whether it was disturbed.
    with temporary_database() as url, cores_apart() as core:
        tell("people and history", 0.0)
        payers = tokens(furnish(url, _PEOPLE, history), secret.encode())
        with Gateway.run(url, secret, {}) as gateway:
            trials = _Trials(gateway.port, payers, core)
            tell("at rest", 0.1)
            for _ in range(_WARMING):  # caches, prepared statements, the first pages, everybody's token
                trials.run(_FIRST_RATE, _TRIAL_S)
            rest = trials.run(_REST_RATE, _REST_S, _REST_CONNECTIONS)
            tell("searching the highest rate", 0.2)
            rounds = _confirmed(trials, lambda share: tell("the highest rate", 0.3 + 0.3 * share))
        with Gateway.run(url, secret, _ONE_BY_ONE) as gateway:
            tell("one transaction per payment", 0.6)
            trials = _Trials(gateway.port, payers, core)
            trials.run(_FIRST_RATE, _TRIAL_S)
            base = _confirmed(trials, lambda share: tell("one transaction per payment", 0.6 + 0.4 * share))
    return _figures(rest, rounds, base, history)


class _Trials:
    """Runs loads against one gateway, each with a seed of its own."""

    def __init__(self, port: int, payers: list[Payer], core: int | None) -> None:
        self._payers = payers
        self._port = port
        self._core = core
        self._seed = 0

    def run(self, rate: float, seconds: float, connections: int = _CONNECTIONS) -> Report:
        self._seed += 1
        chance = random.Random(self._seed)  # noqa: S311 - a reproducible load, no secret
        load = Load(
            name=secrets.token_hex(6),
            host="127.0.0.1",
            port=self._port,
            streams=[payments("payments", self._payers, ASSET, rate, 0, seconds, chance=chance, client=Client.leaves)],
            connections=connections,
            seed=self._seed,
            patience_s=_PATIENCE_S,
        )
        return _report(generate(load, self._core))


def _report(log: Log) -> Report:
    answered = [ask for ask in log.asks() if ask.outcome.status]
    latencies = [ask.latency for ask in answered]
    return Report(
        sent=sum(1 for _ in log.wants()),
        completed=sum(ask.outcome.is_completed for ask in answered),
        p50_ms=percentile(latencies, 0.50) * 1e3,
        p99_ms=percentile(latencies, 0.99) * 1e3,
        late_p99_ms=log.late_p99_ms,
        took_s=max([log.seconds, *(ask.answered for ask in answered)]),
    )


def _confirmed(trials: _Trials, tell: Callable[[float], None]) -> list[Report]:
    """Rounds at the highest rate that holds, stepping down while their median does not."""
    rate = _highest_rate(trials)
    while True:
        rounds: list[Report] = []
        for number in range(_ROUNDS):
            tell(number / _ROUNDS)
            rounds.append(trials.run(rate, _CONFIRM_S))
        if sum(map(_holds, rounds)) > _ROUNDS / 2:
            return rounds
        rate *= _STEP_DOWN


def _highest_rate(trials: _Trials) -> float:
    """Climb until the goal is missed, then come closer from both sides."""
    good, bad = _FIRST_RATE, _FIRST_RATE * _CLIMB
    while _holds_at(trials, bad):
        good, bad = bad, bad * _CLIMB
    for _ in range(_CLOSER):
        middle = (good + bad) / 2
        if _holds_at(trials, middle):
            good = middle
        else:
            bad = middle
    return good


def _holds_at(trials: _Trials, rate: float) -> bool:
    return any(_holds(trials.run(rate, _TRIAL_S)) for _ in range(_ATTEMPTS))


def _holds(report: Report) -> bool:
    return report.p99_ms <= _GOAL_MS and report.completed >= _KEEPS_UP * report.sent


def _figures(rest: Report, rounds: list[Report], base: list[Report], history: int) -> PaymentFigures:
    per_second, base_per_second = (median(report.per_second for report in reports) for reports in (rounds, base))
    return PaymentFigures(
        payments_per_s=round(per_second),
        p50_ms=round(median(report.p50_ms for report in rounds), 2),
        p99_ms=round(median(report.p99_ms for report in rounds), 2),
        rest_p50_ms=round(rest.p50_ms, 2),
        rest_p99_ms=round(rest.p99_ms, 2),
        one_by_one_per_s=round(base_per_second),
        ratio=round(per_second / base_per_second, 1),
        generator_late_p99_ms=round(median(report.late_p99_ms for report in rounds), 2),
        history=history,
    )
