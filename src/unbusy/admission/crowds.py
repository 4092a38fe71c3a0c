"""Crowded payees: one to whom so many pay at once that others would wait because of it.

Who is paid stands in the body, so this is asked after the gate has let a request in and its body was
read. Payees are counted by Misra and Gries' sketch (1982): a few counters are enough to find everybody
who has more than a given part of all arrivals, whoever they are.

A crowded payee has a line of its own, in time: the next slot is one spacing after the last one given.
Its rate is the largest that leaves the others what they ask for, and at least its floor.
"""

from __future__ import annotations

from typing import Final

# Finds whoever has more than a thirty-second of all arrivals.
_COUNTERS: Final = 32
_WINDOW_S: Final = 1.0
# Part of a class's arrivals from which on a payee is crowded, and what its line gets at least.
CROWDED: Final = 0.2
FLOOR: Final = 0.25
# Fewer arrivals in a window say nothing about anybody.
_LEAST_COUNT: Final = 40
_BURST_S: Final = 0.05


class Crowds:
    """Who was paid in the last second, and the lines of those who are crowded."""

    def __init__(self) -> None:
        self._counts: dict[bytes, int] = {}
        self._total = 0
        self._began_at = 0.0
        self._shares: dict[bytes, float] = {}
        self._last_slots: dict[bytes, float] = {}
        self._rates: dict[bytes, float] = {}

    def count(self, payee: bytes) -> None:
        """Somebody is about to be paid."""
        counts = self._counts
        self._total += 1
        if payee in counts:
            counts[payee] += 1
        elif len(counts) < _COUNTERS:
            counts[payee] = 1
        else:
            # Each of the others loses one with it: what is left belongs to those who have many.
            self._counts = {one: count - 1 for one, count in counts.items() if count > 1}

    def slot(self, payee: bytes, now: float) -> float:
        """When this payee can be paid next (seconds since 1970): `now` unless it is crowded. Takes that slot."""
        rate = self._rates.get(payee)
        if rate is None:
            return now
        slot = self._last_slots[payee] = max(now - _BURST_S, self._last_slots.get(payee, 0.0)) + 1 / rate
        return max(now, slot)

    def give_back(self, payee: bytes) -> None:
        """The slot just taken is not used after all."""
        self._last_slots[payee] -= 1 / self._rates[payee]

    def tick(self, now: float, offered: float, rate: float, *, is_short: bool) -> None:
        """Divide anew. `offered` and `rate` are the class's, a second; while it is not short nobody is crowded."""
        if not 0 <= now - self._began_at < _WINDOW_S:
            self._began_at = now
            total = self._total
            self._shares = {
                payee: count / total
                for payee, count in self._counts.items()
                if total >= _LEAST_COUNT and count > CROWDED * total
            }
            self._counts, self._total = {}, 0
        if not is_short:
            self._shares = {}
        self._rates = {
            payee: max(FLOOR * rate, rate - (1 - share) * offered, 1.0) for payee, share in self._shares.items()
        }
        self._last_slots = {payee: slot for payee, slot in self._last_slots.items() if slot > now}
