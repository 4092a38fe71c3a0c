"""What the process tells about itself: log lines and metrics.

Every metric carries the label `gateway`, the number of the process that counts it: each process
answers `/metrics` for itself, and whoever reads them adds up.
"""

from __future__ import annotations

from collections.abc import Mapping


def set_up_logging(log_format: str = "console") -> None:
    """Send every log line of this process to the standard error, for people (`console`) or machines (`json`).

    What is secret never gets into a line, whatever it is called by: see `redact`.
    """
    raise NotImplementedError


def count_reason(reason: str, status: int) -> None:
    """An answer with a reason was given: a problem, or a payment that was declined."""
    raise NotImplementedError


def redact(values: Mapping[str, object]) -> dict[str, object]:
    """The same without secrets: passwords, tokens, authorization."""
    raise NotImplementedError
