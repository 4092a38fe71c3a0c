"""What a call to a bank can end with instead of an answer."""

from __future__ import annotations


class Failure(Exception):
    """No answer that says what became of it."""

    def __init__(self, retry_after: float | None = None) -> None:
        super().__init__()
        self.retry_after = retry_after


class NotTaken(Failure):
    """Certain: the bank did nothing, because nothing reached it or because it said so itself.

    `retry_after` are the seconds it wants to be left alone, if it said that too.
    """


class NoAnswer(Failure):
    """Whether the bank did it nobody knows."""
