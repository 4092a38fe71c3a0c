"""Which tickets were used, so that each lets in once: by any gateway, within its life.

Every gateway writes what it admitted itself and reads what all did. Two gateways that get the same
ticket within the same microseconds may both admit it; as the money is held by the idempotency key,
that costs one request and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from unbusy.admission.shared import BUCKETS, WAYS
from unbusy.admission.tickets import LIFE_S

# A used ticket is forgotten after one to two of these.
_GENERATION_S: Final = LIFE_S + 4.0
# Spreads numbers that follow each other over the buckets (Knuth's multiplicative hashing).
_SPREAD: Final = 0x9E3779B97F4A7C15
_WORD: Final = (1 << 64) - 1
_SHIFT: Final = 64 - BUCKETS.bit_length() + 1

Generations = Sequence[memoryview]


class Used:
    """The memory of one gateway, `own`, among those of `everybody`, its own included."""

    def __init__(self, own: Generations, everybody: Sequence[Generations], now: float) -> None:
        self._own = own
        self._everybody = [generation for one in everybody for generation in one]
        self._recent: list[memoryview] = []
        self._current = own[0] if own[0][0] >= own[1][0] else own[1]
        self.tick(now)

    def has(self, number: int) -> bool:
        """Whether any gateway has admitted the ticket with this number."""
        first = _first(number)
        return any(number in generation[first : first + WAYS].tolist() for generation in self._recent)

    def add(self, number: int) -> None:
        """Remember it. In a full bucket the one added longest ago is forgotten."""
        first = _first(number)
        kept = self._current[first : first + WAYS].tolist()
        for way, value in enumerate([number, *kept[: WAYS - 1]]):
            self._current[first + way] = value

    def tick(self, now: float) -> None:
        """Begin another generation when this one is over, or its time is nonsense; see which others have begun."""
        if not 0 <= now - self._current[0] < _GENERATION_S:
            first, second = self._own
            self._current = second if self._current is first else first
            self._current[:] = memoryview(bytes(self._current.nbytes)).cast("Q")
            self._current[0] = int(now)
        self._recent = [generation for generation in self._everybody if generation[0]]


def _first(number: int) -> int:
    """Where the number's bucket begins."""
    return 1 + (number * _SPREAD & _WORD) // (1 << _SHIFT) * WAYS
