"""Which of ours a bank's lines are. Pure, and the same whatever order the lines come in.

    reference     our reference stands in the line, and the amount is ours; or several do, and their sum is
    counterparty  the amount, the other side's IBAN and the time are ours
    sum           the line is the sum of all that went the same way on a day
    similar       the amount is ours, and the reference but for a few signs

The first pass that explains a line wins. Each but the first explains a line only where one of ours
fits it and it fits no other line: a pass that had to choose would depend on who came first.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple, TypeVar
from uuid import UUID

from rapidfuzz import fuzz

from unbusy.statements.model import Break, Line

# A bank books at the earliest on the day we heard of it, give or take a time zone, and at the latest after a
# long weekend.
BEFORE, AFTER = timedelta(days=1), timedelta(days=5)

_REFERENCE = re.compile(r"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])")
# Two references of the same hour share some ten signs of 32, and chance adds a few: a score of 60 at most. A
# reference in which a bank spoilt or cut a few signs stays above 80.
_SIMILAR, _MARGIN = 80, 15
_SHORTEST_REMAINS = 16
# Lines times transits of one amount that are compared letter by letter; above it takes too long, and says little.
_MOST_COMPARED = 20_000


_Other = TypeVar("_Other", bound=Hashable)


class Ours(NamedTuple):
    """A transit as a bank would book it: `amount` above zero comes in. `is_free` while no line is it."""

    id: UUID
    amount: int
    iban: str
    at: datetime
    status: str
    is_free: bool


class Verdict(NamedTuple):
    """What a line is: these of ours by this pass, or a case about one of ours, if any. `why` explains it."""

    line_id: UUID
    ours: tuple[Ours, ...]
    by: str
    case: Break | None
    about: UUID | None
    why: str


def references(line: Line) -> list[UUID]:
    """Our references that stand in a line, each once."""
    found = _REFERENCE.findall(f"{line.reference} {line.text}".lower())
    return [UUID(hex=one) for one in dict.fromkeys(found)]


def match(lines: Mapping[UUID, Line], ours: Iterable[Ours]) -> list[Verdict]:
    """A verdict on each line. `ours` are all that a line names, and all completed ones that are free and near."""
    known = {one.id: one for one in ours}
    passes = _Passes(lines, known)
    passes.by_reference()
    passes.by_counterparty()
    passes.by_sum()
    passes.by_similarity()
    return [passes.verdicts.get(id) or _unexplained(id, line, known, passes.taken) for id, line in lines.items()]


class _Passes:
    """What is explained so far."""

    def __init__(self, lines: Mapping[UUID, Line], known: Mapping[UUID, Ours]) -> None:
        # By content, and not by when it came: of two lines for one transit, the same one is always it.
        self._lines = sorted(lines.items(), key=lambda pair: (pair[1], pair[0]))
        self._known = known
        self.verdicts: dict[UUID, Verdict] = {}
        self.taken = {id for id, one in known.items() if not one.is_free}

    def by_reference(self) -> None:
        for id, line in self._lines:
            named = [self._known[one] for one in references(line) if one in self._known]
            fits = all(one.status in {"completed", "reversed"} and one.id not in self.taken for one in named)
            if named and fits and sum(one.amount for one in named) == line.amount:
                case = Break.reversed_here if any(one.status == "reversed" for one in named) else None
                self._explain(id, named, "reference", "our reference and the amount", case)

    def by_counterparty(self) -> None:
        near: dict[Hashable, list[Ours]] = defaultdict(list)
        for one in self._free():
            near[one.amount, one.iban].append(one)
        pairs = [
            (id, one.id)
            for id, line in self._open()
            if line.iban
            for one in near[line.amount, line.iban]
            if _is_near(line.booked_on, one.at)
        ]
        for id, transit_id in _only(pairs):
            self._explain(
                id, [self._known[transit_id]], "counterparty", "the amount, the other side's IBAN and the time"
            )

    def by_sum(self) -> None:
        days: dict[tuple[date, bool], list[Ours]] = defaultdict(list)
        for one in self._free():
            days[one.at.date(), one.amount > 0].append(one)
        sums: dict[int, list[tuple[date, bool]]] = defaultdict(list)
        for day, all_of_it in days.items():
            if len(all_of_it) > 1:
                sums[sum(one.amount for one in all_of_it)].append(day)
        pairs = [
            (id, day)
            for id, line in self._open()
            for day in sums[line.amount]
            if timedelta() <= line.booked_on - day[0] <= AFTER
        ]
        for id, day in _only(pairs):
            why = f"the sum of all {len(days[day])} that went this way on {day[0]}"
            self._explain(id, days[day], "sum", why)

    def by_similarity(self) -> None:
        lines: dict[int, list[tuple[UUID, Line]]] = defaultdict(list)
        for id, line in self._open():
            lines[line.amount].append((id, line))
        ours: dict[int, list[Ours]] = defaultdict(list)
        for one in self._free():
            ours[one.amount].append(one)
        pairs = [
            pair
            for amount, some in lines.items()
            if len(some) * len(ours[amount]) <= _MOST_COMPARED
            for pair in _similar(some, ours[amount])
        ]
        for id, transit_id in _only(pairs):
            self._explain(
                id, [self._known[transit_id]], "similar", f"the amount, and a reference like {transit_id.hex}"
            )

    def _open(self) -> Iterable[tuple[UUID, Line]]:
        """Lines that are not explained, and name none of ours: one that does is a matter of its own."""
        for id, line in self._lines:
            if id not in self.verdicts and not any(one in self._known for one in references(line)):
                yield id, line

    def _free(self) -> Iterable[Ours]:
        return (one for one in self._known.values() if one.status == "completed" and one.id not in self.taken)

    def _explain(self, id: UUID, ours: Sequence[Ours], by: str, why: str, case: Break | None = None) -> None:
        about = ours[0].id if case else None
        self.taken.update(one.id for one in ours)
        self.verdicts[id] = Verdict(id, tuple(ours), by, case, about, why)


def _only(pairs: Sequence[tuple[UUID, _Other]]) -> list[tuple[UUID, _Other]]:
    """The pairs of which neither side has another partner."""
    left: dict[UUID, int] = defaultdict(int)
    right: dict[Hashable, int] = defaultdict(int)
    for one, other in pairs:
        left[one] += 1
        right[other] += 1
    return [(one, other) for one, other in pairs if left[one] == right[other] == 1]


def _is_near(booked_on: date, at: datetime) -> bool:
    return -BEFORE <= booked_on - at.date() <= AFTER


def _similar(lines: Sequence[tuple[UUID, Line]], ours: Sequence[Ours]) -> Iterable[tuple[UUID, UUID]]:
    """Each line with the one whose reference it is like, if it is like no other by a margin."""
    for id, line in lines:
        remains = re.sub(r"[^0-9a-z]", "", f"{line.reference}{line.text}".lower())
        near = [one for one in ours if _is_near(line.booked_on, one.at)]
        if len(remains) < _SHORTEST_REMAINS or not near:
            continue
        scored = sorted(((fuzz.partial_ratio(one.id.hex, remains), one.id) for one in near), reverse=True)
        best, second = scored[0], scored[1][0] if scored[1:] else 0.0
        if best[0] >= _SIMILAR and best[0] - second >= _MARGIN:
            yield id, best[1]


def _unexplained(id: UUID, line: Line, known: Mapping[UUID, Ours], taken: set[UUID]) -> Verdict:
    """Why a line is none of ours, or which of ours it contradicts."""
    named = [known[one] for one in references(line) if one in known]
    if not named:
        return Verdict(id, (), "", Break.unknown_line, None, "nothing of ours fits it, or more than one")
    case, why = _contradicts(line, named, taken)
    return Verdict(id, (), "", case, named[0].id, f"{why} ({named[0].id.hex})")


def _contradicts(line: Line, named: Sequence[Ours], taken: set[UUID]) -> tuple[Break, str]:
    amount = sum(one.amount for one in named)
    statuses = {one.status for one in named}
    if line.amount == -amount:
        return Break.returned, "it goes the other way as ours of this reference"
    if line.amount != amount:
        return Break.amount_differs, "it has our reference, and another amount"
    if statuses & {"pending", "unknown"}:
        return Break.not_final_here, "the bank has executed what is not final here"
    if "declined" in statuses:
        return Break.declined_here, "the bank has executed what was declined here"
    assert any(one.id in taken for one in named), "else the reference would have explained it"
    return Break.duplicate, "another line is ours of this reference"
