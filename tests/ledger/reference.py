"""A second ledger, written for plainness: balances in dictionaries, one transfer at a time.

It knows nothing of the first but its vocabulary. A chain is a copy of everything, thrown away when
a member is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from msgspec.structs import asdict

from unbusy.ledger import Kind, Refusal, Transfer

MOST = 10**18
# (posted or refused, moved or why, the field at fault, whether it is an earlier answer)
Answer = tuple[str, int | Refusal, str | None, bool]


@dataclass
class Side:
    """What the reference knows of an account."""

    floor: int | None
    posted: int = 0
    held: int = 0
    coming: int = 0
    ceiling: int | None = None
    state: str = "open"
    number: int = 0
    newest: datetime | None = None

    @property
    def spendable(self) -> int:
        return MOST if self.floor is None else self.posted - self.held - self.floor

    @property
    def room(self) -> int:
        return MOST if self.ceiling is None else self.ceiling - self.posted - self.coming


@dataclass
class Held:
    """A hold and what became of it."""

    transfer: Transfer
    amount: int
    state: str = "open"


@dataclass
class Books:
    """All that the reference remembers."""

    sides: dict[UUID, Side]
    holds: dict[UUID, Held] = field(default_factory=dict[UUID, Held])
    posted: dict[UUID, tuple[Transfer, int]] = field(default_factory=dict[UUID, tuple[Transfer, int]])
    refused: dict[UUID, tuple[Transfer, Refusal]] = field(default_factory=dict[UUID, tuple[Transfer, Refusal]])


class Reference:
    """The reference ledger: `post`, `expire`, and its accounts to look at in `books.sides`."""

    def __init__(self, sides: dict[UUID, Side]) -> None:
        self.books = Books(sides)

    def post(self, transfers: Sequence[Transfer], now: datetime) -> list[Answer]:
        now = self._not_before(transfers, now)
        answers: list[Answer] = []
        for chain in _chains(transfers):
            answers += self._chain(chain, now) if chain[0].linked else [self._one(chain[0], now)]
        return answers

    def expire(self, now: datetime) -> int:
        due = [h for h in self.books.holds.values() if h.state == "open" and _is_past(h.transfer.expires_at, now)]
        for hold in due:
            self._end(hold, "expired", 0, now)
        return len(due)

    def _not_before(self, transfers: Sequence[Transfer], now: datetime) -> datetime:
        holds = [hold.transfer for t in transfers if t.hold_id and (hold := self.books.holds.get(t.hold_id))]
        sides = [self._side(id) for t in [*transfers, *holds] for id in (t.debit_id, t.credit_id)]
        return max([now, *(side.newest for side in sides if side and side.newest)])

    def _chain(self, chain: list[Transfer], now: datetime) -> list[Answer]:
        before = deepcopy(self.books)
        answers: list[Answer] = []
        is_broken = False
        for number, transfer in enumerate(chain, 1):
            is_open = number == len(chain) and transfer.linked
            answer = self._earlier(transfer)
            if answer is None and is_open:
                answer = ("refused", Refusal.chain_is_open, None, False)
            elif answer is None and is_broken:
                answer = ("refused", Refusal.linked_transfer_refused, None, False)
            elif answer is None:
                answer = self._one(transfer, now)
            answers.append(answer)
            if not is_broken and (answer[0] == "refused" or is_open):
                is_broken = True
                answers = self._fall(before, chain, answers)
        return answers

    def _fall(self, before: Books, chain: list[Transfer], answers: list[Answer]) -> list[Answer]:
        before.refused = self.books.refused
        self.books = before
        fallen: Answer = ("refused", Refusal.linked_transfer_refused, None, False)
        return [
            fallen if answer[0] == "posted" and transfer.id not in before.posted else answer
            for transfer, answer in zip(chain, answers, strict=False)
        ]

    def _one(self, transfer: Transfer, now: datetime) -> Answer:
        if earlier := self._earlier(transfer):
            return earlier
        if transfer.kind in {Kind.post, Kind.hold}:
            refusal, fault = self._why_not(transfer, now)
        else:
            refusal, fault = self._why_not_end(transfer, now)
        if refusal is None:
            moved = self._do(transfer, now)
            self.books.posted[transfer.id] = (transfer, moved)
            return ("posted", moved, None, False)
        if refusal.is_sticky:
            self.books.refused[transfer.id] = (transfer, refusal)
        return ("refused", refusal, fault, False)

    def _earlier(self, transfer: Transfer) -> Answer | None:
        for word, answers in (("posted", self.books.posted), ("refused", self.books.refused)):
            if transfer.id in answers:
                first, what = answers[transfer.id]
                differ = [name for name, value in asdict(first).items() if getattr(transfer, name) != value]
                if differ:
                    return ("refused", Refusal.id_reused, differ[0], False)
                return (word, what, None, True)
        return None

    def _why_not(self, t: Transfer, now: datetime) -> tuple[Refusal | None, str | None]:
        debit, credit = self._side(t.debit_id), self._side(t.credit_id)
        if t.kind is Kind.post and t.expires_at:
            return Refusal.malformed, "expires_at"
        refusal = _first(
            {
                Refusal.amount_out_of_range: not 1 <= t.amount <= MOST,
                Refusal.same_account: t.debit_id == t.credit_id,
                Refusal.expires_in_the_past: _is_past(t.expires_at, now),
                Refusal.debit_account_unknown: debit is None,
                Refusal.credit_account_unknown: credit is None,
                Refusal.asset_differs: t.asset != "EUR",
            }
        )
        if refusal or debit is None or credit is None:
            return refusal, None
        return _asleep(debit, credit) or _short(t, debit, credit), None

    def _why_not_end(self, t: Transfer, now: datetime) -> tuple[Refusal | None, str | None]:
        hold = self.books.holds.get(t.hold_id) if t.hold_id else None
        if hold is None:
            return Refusal.hold_unknown, None
        if t.asset != "EUR":
            return Refusal.hold_differs, "asset"
        if t.kind is Kind.void and t.amount not in {0, hold.amount}:
            return Refusal.hold_differs, "amount"
        is_capture = t.kind is Kind.capture
        refusal = _first(
            {
                Refusal.capture_exceeds_hold: is_capture and t.amount > hold.amount,
                Refusal.hold_captured: hold.state == "captured",
                Refusal.hold_voided: hold.state == "voided",
                Refusal.hold_expired: hold.state == "expired"
                or (is_capture and _is_past(hold.transfer.expires_at, now)),
            }
        )
        debit, credit = self._side(hold.transfer.debit_id), self._side(hold.transfer.credit_id)
        assert debit
        assert credit
        return refusal or (_asleep(debit, credit) if is_capture else None), None

    def _side(self, id: UUID | None) -> Side | None:
        return self.books.sides.get(id) if id else None

    def _do(self, t: Transfer, now: datetime) -> int:
        if t.hold_id:
            hold = self.books.holds[t.hold_id]
            if t.kind is Kind.void:
                return self._end(hold, "voided", 0, now)
            return self._end(hold, "captured", t.amount or hold.amount, now)
        debit, credit = self._side(t.debit_id), self._side(t.credit_id)
        assert debit
        assert credit
        moved = min(t.amount, debit.spendable, credit.room)
        if t.kind is Kind.hold:
            debit.held += moved
            credit.coming += moved
            self.books.holds[t.id] = Held(t, moved)
        else:
            debit.posted -= moved
            credit.posted += moved
        _count(debit, credit, now)
        return moved

    def _end(self, hold: Held, state: str, captured: int, now: datetime) -> int:
        debit, credit = self._side(hold.transfer.debit_id), self._side(hold.transfer.credit_id)
        assert debit
        assert credit
        debit.held -= hold.amount
        credit.coming -= hold.amount
        debit.posted -= captured
        credit.posted += captured
        hold.state = state
        _count(debit, credit, now)
        return captured or hold.amount


def _chains(transfers: Sequence[Transfer]) -> list[list[Transfer]]:
    chains: list[list[Transfer]] = []
    is_linked = False
    for transfer in transfers:
        if is_linked:
            chains[-1].append(transfer)
        else:
            chains.append([transfer])
        is_linked = transfer.linked
    return chains


def _count(debit: Side, credit: Side, now: datetime) -> None:
    for side in (debit, credit):
        side.number += 1
        side.newest = now


def _first(wrong: dict[Refusal, bool]) -> Refusal | None:
    return next((refusal for refusal, is_so in wrong.items() if is_so), None)


def _is_past(moment: datetime | None, now: datetime) -> bool:
    return moment is not None and moment <= now


def _asleep(debit: Side, credit: Side) -> Refusal | None:
    for name, side in (("debit", debit), ("credit", credit)):
        if side.state != "open":
            return Refusal(f"{name}_account_{side.state}")
    return None


def _short(t: Transfer, debit: Side, credit: Side) -> Refusal | None:
    least = 1 if t.up_to else t.amount
    if debit.spendable < least:
        return Refusal.insufficient_funds
    return Refusal.ceiling_exceeded if credit.room < least else None
