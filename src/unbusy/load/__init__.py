"""Load: many people who want something at times that do not wait for answers. For `bench` and `drill`.

    furnish ─▶ people with money ─▶ streams of requests ─▶ Load ─▶ generate ─▶ Log

A load is planned before the clock runs, and its log says of every request when it was meant to leave,
when the answer came and what that said. The generator tells how late it was itself.
"""

from unbusy.load.model import (
    Ask,
    Client,
    Load,
    Log,
    Moment,
    Outcome,
    Payer,
    Stream,
    per_window,
    percentile,
)
from unbusy.load.people import ASSET, NO_LIMITS, PASSWORD, TENANT, furnish, link, tokens
from unbusy.load.process import cores_apart, free_port, generate, is_ready
from unbusy.load.requests import payments, reads, transits

__all__ = [
    "ASSET",
    "NO_LIMITS",
    "PASSWORD",
    "TENANT",
    "Ask",
    "Client",
    "Load",
    "Log",
    "Moment",
    "Outcome",
    "Payer",
    "Stream",
    "cores_apart",
    "free_port",
    "furnish",
    "generate",
    "is_ready",
    "link",
    "payments",
    "per_window",
    "percentile",
    "reads",
    "tokens",
    "transits",
]
