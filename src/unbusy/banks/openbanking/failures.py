"""What a call to a bank can end with instead of an answer."""

from __future__ import annotations


class Failure(Exception):
    """No answer that says what became of it."""

    def __init__(self, retry_after: float | None = None, *, is_maintenance: bool = False) -> None:
        super().__init__()
        self.retry_after = retry_after
        self.is_maintenance = is_maintenance


class NotTaken(Failure):
    """Certain: the bank did nothing, because nothing reached it or because it said so itself.

    `retry_after` are the seconds it wants to be left alone, if it said that too; `is_maintenance`
    that it is closed for now.
    """


class NoAnswer(Failure):
    """Whether the bank did it nobody knows."""
