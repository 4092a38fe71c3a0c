"""Logs that were never measured, for what is computed from them."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

from unbusy.load import Log, Outcome

NEVER = float("inf")
DONE = Outcome(201, "completed", has_wait=False)
IN_LINE = Outcome(503, "in_line", has_wait=True)
LOST = Outcome(0, "lost", has_wait=False)

# want, at, answered, outcome, slot, ticket
Row = tuple[int, float, float, Outcome, float, float]


def log(
    rows: Sequence[Row], *, wants: Sequence[tuple[int, float]] = (), seconds: float = 10, late_ms: float = 0
) -> Log:
    """A log of these asks. `wants` are (stream, intended); when none are given, each ask is one of stream 0."""
    outcomes = list(dict.fromkeys(row[3] for row in rows))
    wanted = wants or [(0, row[1]) for row in rows]
    columns = {
        "want": array("l", [row[0] for row in rows]),
        "at": array("d", [row[1] for row in rows]),
        "answered": array("d", [row[2] for row in rows]),
        "outcome": array("l", [outcomes.index(row[3]) for row in rows]),
        "slot": array("d", [row[4] for row in rows]),
        "ticket": array("d", [row[5] for row in rows]),
        "stream": array("l", [stream for stream, _ in wanted]),
        "number": array("l", range(len(wanted))),
        "intended": array("d", [at for _, at in wanted]),
    }
    return Log(
        name="made",
        streams=["payments", "others"],
        outcomes=outcomes,
        columns={name: column.tobytes() for name, column in columns.items()},
        payments={},
        doubled=[],
        answers={},
        seconds=seconds,
        late_p99_ms=late_ms,
        busy=0.5,
        cost_us=25,
    )


def done(want: int, at: float, took: float = 0.01) -> Row:
    """A payment that was made at once."""
    return (want, at, at + took, DONE, NEVER, NEVER)
