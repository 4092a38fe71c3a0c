"""A batch of transfers applied to the accounts it touches: in order, in memory, and pure.

The engine locks the accounts, fills a `Books`, lets it `apply` the transfers and writes down what
it collected. No database, no clock, no asyncio here, and nothing is looked up twice: this runs
tens of thousands of times a second, so it keeps to plain structs and to whole numbers as keys
(the hash of a UUID costs more than all the arithmetic of a transfer).
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from unbusy.ledger.accounts import AccountState
from unbusy.ledger.transfers import Kind, Outcome, Position, Posted, Refusal, Refused, Transfer
from unbusy.money import MAX_AMOUNT

# The most a counter may reach, pending included. An account's balance less its floor (at most
# MAX_AMOUNT either way) then still fits the eight signed bytes of the database.
MAX_COUNTER = 8 * MAX_AMOUNT

_POST, _HOLD, _CAPTURE, _VOID, _EXPIRE = Kind.post, Kind.hold, Kind.capture, Kind.void, Kind.expire
_OPEN = AccountState.open.value
_STATE_AFTER = {_CAPTURE: "captured", _VOID: "voided", _EXPIRE: "expired"}
_HOLD_IS = {"captured": Refusal.hold_captured, "voided": Refusal.hold_voided, "expired": Refusal.hold_expired}
_FIELDS = tuple(name for name in Transfer.__struct_fields__ if name != "id")

# The fields of the database's type `ledger.new_transfer`, in order.
TransferRow = tuple[Any, ...]


class LockedAccount(Struct, gc=False):
    """An account that nobody else can change now. The fields of `sql.lock_accounts`, in order."""

    id: UUID
    tenant_id: int
    asset: str
    state: str
    floor: int | None
    ceiling: int | None
    debits_posted: int
    credits_posted: int
    debits_pending: int
    credits_pending: int
    running_number: int
    posted_at_us: int | None
    is_changed: bool = False


class LockedHold(Struct, gc=False):
    """A hold, locked by its accounts. The fields of `sql.holds`, in order."""

    id: UUID
    tenant_id: int
    debit_id: UUID
    credit_id: UUID
    asset: str
    amount: int
    captured: int
    state: str
    expires_at: datetime | None
    is_new: bool = False
    is_changed: bool = False


# What was asked first under an id, and what was answered.
Answer = tuple[Transfer, Outcome]


class Books:
    """The accounts, holds and earlier answers of one batch, by their ids as whole numbers."""

    __slots__ = (
        "_chain_is_broken",
        "_chain_start",
        "_may_expire",
        "_undo",
        "accounts",
        "answers",
        "at",
        "holds",
        "refused",
        "rows",
    )

    def __init__(
        self,
        accounts: dict[int, LockedAccount],
        holds: dict[int, LockedHold],
        answers: dict[int, Answer],
        at: datetime,
        *,
        may_expire: bool = False,
    ) -> None:
        self.accounts = accounts
        self.holds = holds
        self.answers = answers
        self.rows: list[TransferRow] = []
        self.refused: list[tuple[Transfer, Refusal]] = []
        self.at = at
        self._may_expire = may_expire
        self._chain_start: tuple[int, int] | None = None
        self._chain_is_broken = False
        # While a chain is applied: what each entry of a mapping was before, to put it back.
        self._undo: list[tuple[dict[int, Any], int, Any]] | None = None

    def apply(self, transfers: Sequence[Transfer]) -> list[Outcome]:
        """Apply the transfers in order; one outcome each."""
        outcomes: list[Outcome] = []
        for transfer in transfers:
            if transfer.linked or self._chain_start:
                is_open = transfer.linked and len(outcomes) == len(transfers) - 1
                self._apply_linked(transfer, outcomes, is_open=is_open)
            else:
                outcomes.append(self._earlier(transfer) or self._decide(transfer))
        return outcomes

    # ── chains ───────────────────────────────────────────────────────────────────────────────────

    def _apply_linked(self, transfer: Transfer, outcomes: list[Outcome], *, is_open: bool) -> None:
        """One member of a chain. `is_open`: it asks for a next one, and there is none."""
        if self._chain_start is None:
            self._chain_start, self._chain_is_broken, self._undo = (len(outcomes), len(self.rows)), False, []
        outcome = self._earlier(transfer)
        if outcome is None and is_open:
            outcome = Refused(transfer.id, Refusal.chain_is_open)
        elif outcome is None and self._chain_is_broken:
            outcome = Refused(transfer.id, Refusal.linked_transfer_refused)
        elif outcome is None:
            outcome = self._decide(transfer)
        if not self._chain_is_broken and (is_open or type(outcome) is Refused):
            self._break_chain(outcomes)
        outcomes.append(outcome)
        if not transfer.linked:
            self._chain_start = self._undo = None

    def _break_chain(self, outcomes: list[Outcome]) -> None:
        """Take back what the chain did so far. An answer from before it stands."""
        assert self._chain_start is not None
        assert self._undo is not None
        for mapping, key, before in reversed(self._undo):
            if before is None:
                mapping.pop(key, None)
            else:
                mapping[key] = before
        first_outcome, first_row = self._chain_start
        del self.rows[first_row:]
        for i in range(first_outcome, len(outcomes)):
            outcome = outcomes[i]
            if type(outcome) is Posted and outcome.id.int not in self.answers:
                outcomes[i] = Refused(outcome.id, Refusal.linked_transfer_refused)
        self._chain_is_broken = True

    def _remember(self, mapping: dict[int, Any], key: int) -> None:
        if self._undo is not None:
            self._undo.append((mapping, key, copy(mapping.get(key))))

    # ── one transfer ─────────────────────────────────────────────────────────────────────────────

    def _earlier(self, transfer: Transfer) -> Outcome | None:
        """What this id was answered before, or the field in which this transfer is another one."""
        answer = self.answers.get(transfer.id.int)
        if answer is None:
            return None
        first, outcome = answer
        if field := _first_difference(first, transfer):
            return Refused(transfer.id, Refusal.id_reused, field)
        return outcome if outcome.replayed else replace(outcome, replayed=True)

    def _decide(self, transfer: Transfer) -> Outcome:
        kind = transfer.kind
        outcome = self._move(transfer) if kind is _POST or kind is _HOLD else self._end_hold(transfer)
        if type(outcome) is Posted:
            if self._undo is not None:
                self._remember(self.answers, transfer.id.int)
            self.answers[transfer.id.int] = (transfer, outcome)
        elif type(outcome) is Refused and outcome.refusal.is_sticky and kind is not _EXPIRE:
            # Not undone with its chain: the reason that broke it is the one to be heard again.
            self.answers[transfer.id.int] = (transfer, outcome)
            self.refused.append((transfer, outcome.refusal))
        return outcome

    def _move(self, transfer: Transfer) -> Outcome:
        """New money: a post or a hold."""
        debit_id, credit_id = transfer.debit_id, transfer.credit_id
        expires_at = transfer.expires_at
        if (
            debit_id is None
            or credit_id is None
            or transfer.hold_id is not None
            or (expires_at is not None and transfer.kind is _POST)
        ):
            return Refused(transfer.id, Refusal.malformed, _misplaced(transfer))
        debit_key, credit_key = debit_id.int, credit_id.int
        debit, credit = self.accounts.get(debit_key), self.accounts.get(credit_key)
        if debit is None or credit is None or debit is credit or not 0 < transfer.amount <= MAX_AMOUNT:
            return Refused(transfer.id, self._why_not_begun(transfer, debit))
        if expires_at is not None and expires_at <= self.at:
            return Refused(transfer.id, Refusal.expires_in_the_past)
        refusal = _unfit(transfer, debit, credit)
        if refusal is not None:
            return Refused(transfer.id, refusal)
        amount = _affordable(transfer, debit, credit)
        if isinstance(amount, Refusal):
            return Refused(transfer.id, amount)
        if self._undo is not None:
            self._remember(self.accounts, debit_key)
            self._remember(self.accounts, credit_key)
        if transfer.kind is _POST:
            debit.debits_posted += amount
            credit.credits_posted += amount
        else:
            self._open_hold(transfer, debit, credit, amount)
        return self._record(transfer, debit, credit, amount)

    def _why_not_begun(self, transfer: Transfer, debit: LockedAccount | None) -> Refusal:
        """Which of the first faults it was; told apart only here, off the fast path."""
        if not 0 < transfer.amount <= MAX_AMOUNT:
            return Refusal.amount_out_of_range
        if transfer.debit_id == transfer.credit_id:
            return Refusal.same_account
        if transfer.expires_at is not None and transfer.expires_at <= self.at:
            return Refusal.expires_in_the_past
        return Refusal.debit_account_unknown if debit is None else Refusal.credit_account_unknown

    def _open_hold(self, transfer: Transfer, debit: LockedAccount, credit: LockedAccount, amount: int) -> None:
        debit.debits_pending += amount
        credit.credits_pending += amount
        hold = LockedHold(
            transfer.id,
            transfer.tenant_id,
            debit.id,
            credit.id,
            transfer.asset,
            amount,
            0,
            "open",
            transfer.expires_at,
            is_new=True,
        )
        self._remember(self.holds, transfer.id.int)
        self.holds[transfer.id.int] = hold

    def _end_hold(self, transfer: Transfer) -> Outcome:
        """A capture, a void or an expiry."""
        field = _misplaced(transfer)
        if field is None and transfer.kind is _EXPIRE and not self._may_expire:
            field = "kind"
        if field:
            return Refused(transfer.id, Refusal.malformed, field)
        if not 0 <= transfer.amount <= MAX_AMOUNT:
            return Refused(transfer.id, Refusal.amount_out_of_range)
        assert transfer.hold_id is not None
        hold = self.holds.get(transfer.hold_id.int)
        if hold is None or hold.debit_id.int not in self.accounts:
            return Refused(transfer.id, Refusal.hold_unknown)
        if field := _differs_from_hold(transfer, hold):
            return Refused(transfer.id, Refusal.hold_differs, field)
        debit, credit = self.accounts[hold.debit_id.int], self.accounts[hold.credit_id.int]
        if refusal := self._hold_refuses(transfer, hold, debit, credit):
            return Refused(transfer.id, refusal)
        return self._release(transfer, hold, debit, credit)

    def _hold_refuses(
        self, transfer: Transfer, hold: LockedHold, debit: LockedAccount, credit: LockedAccount
    ) -> Refusal | None:
        is_capture = transfer.kind is _CAPTURE
        if is_capture and transfer.amount > hold.amount:
            return Refusal.capture_exceeds_hold
        if hold.state != "open":
            return _HOLD_IS[hold.state]
        if is_capture and hold.expires_at is not None and hold.expires_at <= self.at:
            return Refusal.hold_expired
        # What is reserved can be given back to a frozen account, but is not moved.
        return _closed_or_frozen(debit, credit) if is_capture else None

    def _release(self, transfer: Transfer, hold: LockedHold, debit: LockedAccount, credit: LockedAccount) -> Posted:
        self._remember(self.accounts, debit.id.int)
        self._remember(self.accounts, credit.id.int)
        self._remember(self.holds, hold.id.int)
        debit.debits_pending -= hold.amount
        credit.credits_pending -= hold.amount
        amount = hold.amount
        if transfer.kind is _CAPTURE:
            amount = transfer.amount or hold.amount
            debit.debits_posted += amount
            credit.credits_posted += amount
            hold.captured = amount
        hold.state = _STATE_AFTER[transfer.kind]
        hold.is_changed = True
        return self._record(transfer, debit, credit, amount)

    def _record(self, transfer: Transfer, debit: LockedAccount, credit: LockedAccount, amount: int) -> Posted:
        """The transfer's row, with both accounts' next number and where they stand now."""
        debit.is_changed = credit.is_changed = True
        debit.running_number = debit_number = debit.running_number + 1
        credit.running_number = credit_number = credit.running_number + 1
        debit_balance = debit.credits_posted - debit.debits_posted
        credit_balance = credit.credits_posted - credit.debits_posted
        floor = debit.floor
        debit_available = None if floor is None else debit_balance - debit.debits_pending - floor
        floor = credit.floor
        credit_available = None if floor is None else credit_balance - credit.debits_pending - floor
        self.rows.append(
            (
                transfer.id,
                debit_number,
                credit_number,
                debit.id,
                credit.id,
                amount,
                transfer.amount,
                debit_balance,
                credit_balance,
                debit_available,
                credit_available,
                transfer.tenant_id,
                transfer.linked,
                transfer.up_to,
                transfer.kind,
                transfer.code,
                transfer.asset,
                transfer.hold_id,
                transfer.expires_at,
            )
        )
        return Posted(
            transfer.id,
            amount,
            Position(debit.id, debit_number, debit_balance, debit_available),
            Position(credit.id, credit_number, credit_balance, credit_available),
            self.at,
        )


def _first_difference(first: Transfer, again: Transfer) -> str | None:
    if first == again:
        return None
    return next((field for field in _FIELDS if _differs(field, first, again)), None)


def _differs(field: str, first: Transfer, again: Transfer) -> bool:
    one, other = getattr(first, field), getattr(again, field)
    # What its hold knows, a capture or void may leave out, the first time or now.
    may_be_left_out = again.hold_id is not None and field in {"debit_id", "credit_id"}
    return one != other and not (may_be_left_out and (one is None or other is None))


def _misplaced(transfer: Transfer) -> str | None:
    """The first field that this kind must have and has not, or has and must not have."""
    is_new_money = transfer.kind is _POST or transfer.kind is _HOLD
    if is_new_money and transfer.debit_id is None:
        return "debit_id"
    if is_new_money and transfer.credit_id is None:
        return "credit_id"
    if is_new_money == (transfer.hold_id is not None):
        return "hold_id"
    if transfer.expires_at is not None and transfer.kind is not _HOLD:
        return "expires_at"
    return "up_to" if transfer.up_to and not is_new_money else None


def _differs_from_hold(transfer: Transfer, hold: LockedHold) -> str | None:
    """The first field in which the transfer contradicts its hold."""
    if transfer.tenant_id != hold.tenant_id:
        return "tenant_id"
    if transfer.debit_id is not None and transfer.debit_id != hold.debit_id:
        return "debit_id"
    if transfer.credit_id is not None and transfer.credit_id != hold.credit_id:
        return "credit_id"
    if transfer.asset != hold.asset:
        return "asset"
    if transfer.kind is not _CAPTURE and transfer.amount not in (0, hold.amount):
        return "amount"
    return None


def _unfit(transfer: Transfer, debit: LockedAccount, credit: LockedAccount) -> Refusal | None:
    """Why these two accounts cannot take part in this transfer."""
    if not debit.tenant_id == credit.tenant_id == transfer.tenant_id:
        return Refusal.tenant_differs
    if not debit.asset == credit.asset == transfer.asset:
        return Refusal.asset_differs
    if debit.state == credit.state == _OPEN:
        return None
    return _closed_or_frozen(debit, credit)


def _closed_or_frozen(debit: LockedAccount, credit: LockedAccount) -> Refusal | None:
    if debit.state == "closed":
        return Refusal.debit_account_closed
    if debit.state == "frozen":
        return Refusal.debit_account_frozen
    if credit.state == "closed":
        return Refusal.credit_account_closed
    if credit.state == "frozen":
        return Refusal.credit_account_frozen
    return None


def _affordable(transfer: Transfer, debit: LockedAccount, credit: LockedAccount) -> int | Refusal:
    """What can be moved: all of it, with `up_to` as much as the limits allow, or why nothing."""
    amount = transfer.amount
    floor, ceiling = debit.floor, credit.ceiling
    if floor is not None:
        available = debit.credits_posted - debit.debits_posted - debit.debits_pending - floor
        if available < amount:
            if not transfer.up_to or available <= 0:
                return Refusal.insufficient_funds
            amount = available
    if ceiling is not None:
        room = ceiling - credit.credits_posted + credit.debits_posted - credit.credits_pending
        if room < amount:
            if not transfer.up_to or room <= 0:
                return Refusal.ceiling_exceeded
            amount = room
    if (
        debit.debits_posted + debit.debits_pending + amount > MAX_COUNTER
        or credit.credits_posted + credit.credits_pending + amount > MAX_COUNTER
    ):
        return Refusal.counter_would_overflow
    return amount
