"""What a process tells about itself: log lines and metrics.

Several gateways share one port, so whoever reads `/metrics` reaches any of them. Each therefore
answers for all: the supervisor names one directory (`PROMETHEUS_MULTIPROC_DIR`) before it starts
them, and every process keeps its counters in a file there. Without the variable a process answers
for itself alone.
"""

from __future__ import annotations

import asyncio
import collections
import logging
import os
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import structlog
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client import exposition as exposition_format
from prometheus_client.multiprocess import (
    MultiProcessCollector,
    mark_process_dead,  # pyright: ignore[reportUnknownVariableType] - the package leaves its argument untyped
)
from structlog.typing import EventDict, Processor, WrappedLogger

MULTIPROCESS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
METRICS_MEDIA_TYPE: Final = CONTENT_TYPE_LATEST

# Seconds. Dense where the goals lie (3 ms at rest, 100 ms at the peak), sparse beyond.
_DURATIONS = (0.001, 0.002, 0.003, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 30)
_BATCH_SIZES = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 8_000)

_SHARPNESS = (0.25, 0.5, 0.75, 1, 1.25, 1.5, 2, 2.5, 3, 5, 10)

_LAG_EVERY_S = 0.25

REQUESTS = Histogram(
    "unbusy_http_request_seconds",
    "Requests by method, route and status, and how long they took.",
    ["method", "route", "status"],
    buckets=_DURATIONS,
)
PROBLEMS = Counter("unbusy_problems", "Requests that were not accepted, by reason and status.", ["reason", "status"])
PAYMENTS = Counter(
    "unbusy_payments", "Answers about payments, by status and, where one is, reason.", ["status", "reason"]
)
BATCH_SIZE = Histogram("unbusy_batch_size", "Payments that shared one commit.", buckets=_BATCH_SIZES)
QUEUE_DEPTH = Gauge("unbusy_queue_depth", "Payments that wait for a batch.", multiprocess_mode="livesum")
PROMISES = Counter("unbusy_promises", "Promises that ended, by class and whether they were kept.", ["class", "outcome"])
LIKELY_TIMES = Counter(
    "unbusy_likely_times",
    "Likely times (nine in ten should be kept) of promises that ended, by class and outcome.",
    ["class", "outcome"],
)
PROMISE_SHARPNESS = Histogram(
    "unbusy_promise_sharpness",
    "How many times the actual wait the likely one was, by class.",
    ["class"],
    buckets=_SHARPNESS,
)
PROMISES_PAUSED = Gauge(
    "unbusy_promises_paused",
    "1 while a queue stands still and no times are promised, by class.",
    ["class"],
    multiprocess_mode="livemax",
)
BACKLOG = Gauge("unbusy_backlog", "Payments that are queued, by class.", ["class"], multiprocess_mode="livemax")
DRAIN = Gauge(
    "unbusy_drain_per_second",
    "Queued payments a second that are settled while there are any, as measured, by class.",
    ["class"],
    multiprocess_mode="livemax",
)
BANK_CALLS = Counter(
    "unbusy_bank_calls", "Calls to banks, by bank, operation and outcome.", ["bank", "operation", "outcome"]
)
BANK_CALL_SECONDS = Histogram(
    "unbusy_bank_call_seconds", "How long calls to banks took.", ["bank", "operation"], buckets=_DURATIONS
)
BANK_STATE = Gauge(
    "unbusy_bank_state",
    "How an operation of a bank fares: 0 operational, 1 degraded, 2 maintenance, 3 down; the worst worker's view.",
    ["bank", "operation"],
    multiprocess_mode="livemax",
)
POOL_WAITING = Gauge("unbusy_pool_waiting", "Callers that wait for a database connection.", multiprocess_mode="livesum")
STREAMS = Gauge("unbusy_event_streams", "Open event streams.", multiprocess_mode="livesum")
LOOP_LAG = Gauge(
    "unbusy_event_loop_lag_seconds",
    "How much later than asked the event loop woke up, the worst gateway's.",
    multiprocess_mode="livemax",
)


ADMISSIONS = Counter(
    "unbusy_admissions", "Decisions of the gate, by class of request and outcome.", ["class_", "outcome"]
)
ADMISSION_RATE = Gauge(
    "unbusy_admission_rate",
    "Requests a second that the gate may let in, by class.",
    ["class_"],
    multiprocess_mode="livesum",
)
CAPACITY = Gauge(
    "unbusy_capacity", "What the gate believes can be done in a second, in payments.", multiprocess_mode="livesum"
)
TICKETS_REFUSED = Gauge(
    "unbusy_tickets_refused",
    "Tickets that were forged, expired, used, somebody else's or of another class.",
    multiprocess_mode="livesum",
)


def count_problem(reason: str, status: int, count: int = 1) -> None:
    """Requests were not accepted."""
    PROBLEMS.labels(reason, str(status)).inc(count)


def count_payments(outcomes: Iterable[tuple[str, str | None]]) -> None:
    """These payments got these outcomes: (status, reason where there is one) of each."""
    for (status, reason), count in collections.Counter(outcomes).items():
        PAYMENTS.labels(status, reason or "").inc(count)


def count_promises(
    name: str, *, kept: int, broken: int, likely_kept: int, likely_missed: int, sharpness: Iterable[float]
) -> None:
    """So many promises of this class ended, by `finish_by` and by `likely_by`."""
    for counter, outcome, count in (
        (PROMISES, "kept", kept),
        (PROMISES, "broken", broken),
        (LIKELY_TIMES, "kept", likely_kept),
        (LIKELY_TIMES, "missed", likely_missed),
    ):
        counter.labels(name, outcome).inc(count)
    histogram = PROMISE_SHARPNESS.labels(name)
    for ratio in sharpness:
        histogram.observe(ratio)


def show_queue(name: str, *, backlog: int, drain_per_s: float, is_paused: bool) -> None:
    """How the queue of this class fares."""
    BACKLOG.labels(name).set(backlog)
    DRAIN.labels(name).set(drain_per_s)
    PROMISES_PAUSED.labels(name).set(is_paused)


def count_bank_call(bank: str, operation: str, outcome: str, took_s: float) -> None:
    """A call to a bank has ended."""
    BANK_CALLS.labels(bank, operation, outcome).inc()
    BANK_CALL_SECONDS.labels(bank, operation).observe(took_s)


def reasons_given() -> set[str]:
    """Every reason this process has answered with, of problems and payments."""
    samples = (sample for counter in (PROBLEMS, PAYMENTS) for family in counter.collect() for sample in family.samples)
    return {sample.labels["reason"] for sample in samples if sample.labels.get("reason")}


def exposition() -> bytes:
    """All metrics in Prometheus' text format; of all gateways when they keep them in one directory."""
    if MULTIPROCESS_VARIABLE not in os.environ:
        return exposition_format.generate_latest(REGISTRY)
    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    return exposition_format.generate_latest(registry)


def forget_process(pid: int) -> None:
    """Drop the gauges of a gateway that has ended; what it counted stays. For the supervisor."""
    if MULTIPROCESS_VARIABLE in os.environ:
        mark_process_dead(pid)


def empty_directory(directory: Path) -> None:
    """Make the metrics' directory, without what an earlier run left in it. For the supervisor."""
    directory.mkdir(parents=True, exist_ok=True)
    for file in directory.glob("*.db"):
        file.unlink()


async def watch_loop() -> None:
    """Measure how late the event loop wakes up, until cancelled."""
    while True:
        asked = time.monotonic()
        await asyncio.sleep(_LAG_EVERY_S)
        LOOP_LAG.set(time.monotonic() - asked - _LAG_EVERY_S)


# Log lines

# Whatever is called so, or ends so, is not written. An idempotency key is no secret: it is how a
# caller and we find the same payment.
_SECRET_WORDS = ("authorization", "password", "secret", "token", "cookie", "api_key", "credential")
REDACTED = "[redacted]"


def redact(_logger: WrappedLogger | None, _method: str, event: EventDict) -> EventDict:
    """A structlog processor that takes secrets out, at any depth, by the name they are logged under."""
    return {name: _redacted(name, value) for name, value in event.items()}


def _redacted(name: str, value: object) -> object:
    if any(word in name.lower() for word in _SECRET_WORDS):
        return REDACTED
    if isinstance(value, dict):
        return {str(key): _redacted(str(key), inner) for key, inner in value.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] - a log line may hold anything
    return value


def set_up_logging(log_format: str = "console") -> None:
    """Send every log line of this process to the standard error, for people (`console`) or machines (`json`).

    Lines of libraries, which use the standard library's `logging`, take the same way.
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        redact,
    ]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=_last_steps(log_format))
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.INFO)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        cache_logger_on_first_use=True,
    )


def _last_steps(log_format: str) -> list[Processor]:
    steps: list[Processor] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    if log_format == "json":
        return [*steps, structlog.processors.format_exc_info, structlog.processors.JSONRenderer(sort_keys=True)]
    # A traceback with the values of its variables would show what people sent us, so the plain one.
    return [*steps, structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
