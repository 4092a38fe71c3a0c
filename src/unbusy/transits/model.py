"""Transits and bank accounts: data and rules, without a database or a clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple
from uuid import UUID, uuid5

import msgspec
from msgspec.structs import replace

from unbusy.banks import Direction, ExternalAccount, Instruction, Result, State
from unbusy.ledger import Kind, NewAccount, Refusal, Transfer
from unbusy.payments import Limits, Told
from unbusy.reasons import Reason

# Makes a system account's id from what it is for, so that every process finds the same one.
_NAMESPACE = UUID("6b1cf1a4-3c3f-5d5e-9d0e-2f6b4a7c8e10")

# The names under which the two are counted, booked and written about.
NAMES = MappingProxyType({Direction.pull: "topup", Direction.push: "payout"})
CODES = MappingProxyType({Direction.pull: "from_bank", Direction.push: "to_bank"})
# What a wallet holds for a payment until its bank has sent the rest.
KEPT = "for_payment"
OWN, PULLED = "own", "pulled"
_LATE = MappingProxyType({Direction.pull: "late_from_bank", Direction.push: "late_to_bank"})

# A bank that cannot be reached is tried for as long as somebody may wait before the screen; then "no"
# is the better answer, and certain.
PATIENCE = timedelta(seconds=30)
_SHORTEST_PAUSE = timedelta(seconds=1)
_LONGEST_PAUSE = timedelta(minutes=5)
# Before `resolve_by`: when a bank is asked for the last time, so that its answer and two deaths of a worker have room;
# and when what nobody knows by then is undone, so that a database that is just starting again has.
_LAST_LOOK = timedelta(seconds=30)
LAST_MOMENT = timedelta(seconds=10)
# How long after it was reversed a bank is still asked what became of it. Banks answer for what is a week
# old; what is older shows in their statements.
_AFTERMATH = timedelta(days=7)


class Status(StrEnum):
    """Where a transit stands. `pending` and `unknown` are not final."""

    pending = "pending"
    unknown = "unknown"
    completed = "completed"
    declined = "declined"
    reversed = "reversed"


# What people are told: that one has begun, and whenever it stands elsewhere; and of their bank accounts.
ACCOUNT = "bank_account"
KINDS = (
    *(f"{name}.{status}" for name in NAMES.values() for status in Status),
    *(f"{ACCOUNT}.{what}" for what in ("linked", "verified", "unlinked")),
)


class BankAccount(msgspec.Struct, frozen=True):
    """A person's account at a bank, linked here. `bank` is the bank's id in the settings.

    Little may be moved with it until it is verified (`unbusy.verification`).
    """

    id: UUID
    tenant_id: int
    person_id: UUID
    bank: str
    iban: str
    holder: str
    created_at: datetime
    verified_at: datetime | None = None

    def told(self, kind: str, at: datetime) -> Told:
        """That something happened to it, such as `linked`."""
        return Told(self.person_id, self.tenant_id, f"{ACCOUNT}.{kind}", self.id, at)


class Order(NamedTuple):
    """A transit that somebody asks for, under the id that it will have. `amount` is in minor units."""

    id: UUID
    person_id: UUID
    direction: Direction
    bank_account_id: UUID
    amount: int
    asset: str
    key: str
    fingerprint: bytes


class Purse(NamedTuple):
    """What limits are counted for."""

    tenant_id: int
    person_id: UUID
    direction: Direction
    asset: str


class Allowance(msgspec.Struct):
    """How much a person may move one way, and has moved so far; moves forward with each transit of a batch.
    `unverified` is what moved today with bank accounts that nobody has verified."""

    limits: Limits
    unverified_per_day: int
    this_day: int
    this_month: int
    unverified: int

    def refuses(self, amount: int, *, is_verified: bool) -> Reason | None:
        """The limit that `amount` more would break, the narrowest first; that of bank accounts that are not verified
        comes last."""
        if reason := self.limits.refuses(amount, self.this_day, self.this_month):
            return reason
        is_over = not is_verified and self.unverified + amount > self.unverified_per_day
        return Reason.bank_account_unverified if is_over else None

    def spend(self, amount: int, *, is_verified: bool) -> None:
        """So much more has moved; less than nothing takes it back."""
        self.this_day += amount
        self.this_month += amount
        self.unverified += 0 if is_verified else amount


class Transit(msgspec.Struct, frozen=True):
    """Money on its way from a bank account (pull: a top-up) or to one (push: a payout).

    `balance_after` is the wallet's, in minor units, once it moved. What the bank is told is
    `instruction`; the columns behind it are explained in the migration.
    """

    id: UUID
    tenant_id: int
    person_id: UUID
    direction: Direction
    bank: str
    bank_account_id: UUID
    iban: str
    holder: str
    amount: int
    asset: str
    status: Status
    reason: Reason | None
    balance_after: int | None
    key: str
    fingerprint: bytes
    tries: int
    sent_at: datetime | None
    accepted_at: datetime | None
    bank_reference: str
    resolve_by: datetime
    due_at: datetime | None
    parked_id: UUID | None
    created_at: datetime
    updated_at: datetime
    payment_id: UUID | None = None
    is_verification: bool = False

    @property
    def is_final(self) -> bool:
        return self.status not in {Status.pending, Status.unknown}

    @property
    def purse(self) -> Purse:
        return Purse(self.tenant_id, self.person_id, self.direction, self.asset)

    @property
    def events(self) -> tuple[Told, ...]:
        """That it stands where it does now. Of a verification nobody is told: that would tell its amount."""
        kind = f"{NAMES[self.direction]}.{self.status}"
        told = Told(self.person_id, self.tenant_id, kind, self.id, self.updated_at)
        return () if self.is_verification else (told,)

    @property
    def reference(self) -> str:
        """What the bank knows it by."""
        return self.id.hex

    @property
    def instruction(self) -> Instruction:
        account = ExternalAccount(iban=self.iban, name=self.holder)
        return Instruction(self.reference, self.direction, self.amount, self.asset, account)

    def declined(self, reason: Reason, now: datetime) -> Transit:
        return replace(self, status=Status.declined, reason=reason, due_at=None, updated_at=now)


def beginnings(now: datetime) -> tuple[datetime, datetime]:
    """When the day and the month (UTC) of a time began, for limits."""
    day = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return day, day.replace(day=1)


def begun(order: Order, account: BankAccount, now: datetime, resolve_by: datetime) -> Transit:
    """A transit that begins now."""
    return Transit(
        id=order.id,
        tenant_id=account.tenant_id,
        person_id=order.person_id,
        direction=order.direction,
        bank=account.bank,
        bank_account_id=account.id,
        iban=account.iban,
        holder=account.holder,
        amount=order.amount,
        asset=order.asset,
        status=Status.pending,
        reason=None,
        balance_after=None,
        key=order.key,
        fingerprint=order.fingerprint,
        tries=0,
        sent_at=None,
        accepted_at=None,
        bank_reference="",
        resolve_by=resolve_by,
        due_at=now,
        parked_id=None,
        created_at=now,
        updated_at=now,
    )


def ours(transit: Transit, new_id: UUID) -> NewAccount:
    """The account on our side: the person's in the asset, opened under this id when there is none yet; for a
    verification the house's own."""
    if transit.is_verification:
        return _system_account(transit.tenant_id, transit.asset, "verification", "verification")
    owner_id = transit.person_id
    return NewAccount(
        id=new_id, tenant_id=transit.tenant_id, asset=transit.asset, code="wallet", owner_id=owner_id, floor=0
    )


def suspense(tenant_id: int, asset: str) -> NewAccount:
    """Where money waits that moved although nobody here counted on it any more."""
    return _system_account(tenant_id, asset, "suspense", "suspense")


def nostro(tenant_id: int, asset: str, bank: str) -> NewAccount:
    """The account that stands for what the bank owes the tenant."""
    return _system_account(tenant_id, asset, "nostro", f"nostro/{bank}")


def nostro_of(transit: Transit) -> NewAccount:
    """That account for the bank which a transit comes from or goes to."""
    return nostro(transit.tenant_id, transit.asset, transit.bank)


def _system_account(tenant_id: int, asset: str, code: str, purpose: str) -> NewAccount:
    id = uuid5(_NAMESPACE, f"{tenant_id}/{asset}/{purpose}")
    return NewAccount(id=id, tenant_id=tenant_id, asset=asset, code=code)


# ── what the ledger is asked for ─────────────────────────────────────────────────────────────────


def kept(transit: Transit, wallet_id: UUID, amount: int, part: str) -> Transfer:
    """Holds money in the wallet for the payment that waits for a transit: its `own`, or what was `pulled`."""
    return Transfer(
        id=uuid5(transit.id, part),
        kind=Kind.hold,
        tenant_id=transit.tenant_id,
        debit_id=wallet_id,
        credit_id=nostro_of(transit).id,
        amount=amount,
        asset=transit.asset,
        code=KEPT,
    )


def no_longer_kept(transit: Transit, part: str) -> Transfer:
    """Releases what was held for the payment that waited for a transit."""
    return Transfer(
        id=uuid5(transit.id, f"{part}/void"),
        kind=Kind.void,
        tenant_id=transit.tenant_id,
        amount=0,
        asset=transit.asset,
        code=KEPT,
        hold_id=uuid5(transit.id, part),
    )


def hold(transit: Transit, wallet_id: UUID) -> Transfer:
    """Reserves the amount while the bank is asked: in the wallet for a payout; for a top-up, room in it."""
    debit_id, credit_id = _sides(transit.direction, wallet_id, nostro_of(transit).id)
    return Transfer(
        id=transit.id,
        kind=Kind.hold,
        tenant_id=transit.tenant_id,
        debit_id=debit_id,
        credit_id=credit_id,
        amount=transit.amount,
        asset=transit.asset,
        code=CODES[transit.direction],
    )


def end_of_hold(transit: Transit) -> Transfer:
    """Moves what was reserved when it completed, and releases it otherwise.

    A frozen wallet refuses a capture, and the ledger keeps that answer: so each try has an id of its own.
    """
    kind = Kind.capture if transit.status is Status.completed else Kind.void
    return Transfer(
        id=uuid5(transit.id, f"{kind}/{transit.tries}"),
        kind=kind,
        tenant_id=transit.tenant_id,
        amount=0,
        asset=transit.asset,
        code=CODES[transit.direction],
        hold_id=transit.id,
    )


def parking(transit: Transit) -> Transfer:
    """Follows the bank, which settled what was reversed here: against suspense, for a person to look into."""
    debit_id, credit_id = _sides(
        transit.direction, suspense(transit.tenant_id, transit.asset).id, nostro_of(transit).id
    )
    return Transfer(
        id=uuid5(transit.id, "late"),
        tenant_id=transit.tenant_id,
        debit_id=debit_id,
        credit_id=credit_id,
        amount=transit.amount,
        asset=transit.asset,
        code=_LATE[transit.direction],
    )


def _sides(direction: Direction, ours: UUID, the_banks: UUID) -> tuple[UUID, UUID]:
    """Debit and credit."""
    return (the_banks, ours) if direction is Direction.pull else (ours, the_banks)


_REASON_OF_REFUSAL = MappingProxyType(
    {
        Refusal.debit_account_closed: Reason.wallet_closed,
        Refusal.credit_account_closed: Reason.wallet_closed,
        Refusal.debit_account_frozen: Reason.wallet_frozen,
        Refusal.credit_account_frozen: Reason.wallet_frozen,
        Refusal.insufficient_funds: Reason.insufficient_funds,
        Refusal.ceiling_exceeded: Reason.wallet_full,
        Refusal.counter_would_overflow: Reason.wallet_full,
    }
)


def reason_of(refusal: Refusal) -> Reason:
    """The reason a person is given for what the ledger refused to hold. Nothing else can happen to a hold of ours."""
    return _REASON_OF_REFUSAL[refusal]


# ── what the bank's answers mean ─────────────────────────────────────────────────────────────────

_REASON_OF_DECLINE = MappingProxyType(
    {
        "insufficient_funds": Reason.bank_insufficient_funds,
        "account_closed": Reason.bank_account_closed,
        "account_unknown": Reason.bank_account_unknown,
        "name_mismatch": Reason.bank_name_mismatch,
        "limit": Reason.bank_limit,
        "refused": Reason.bank_refused,
        "unavailable": Reason.bank_unavailable,
        "not_found": Reason.bank_unavailable,
    }
)


def after_sending(transit: Transit, result: Result, now: datetime) -> Transit:
    """Where a transit stands after the bank was told of it for the first time.

    `unavailable` is certain here, because no earlier try can have come through: it may be told again.
    """
    if result.reason == "unavailable" and now < transit.created_at + PATIENCE:
        return replace(transit, sent_at=None, due_at=_next(transit, result, now), updated_at=now)
    return _after(transit, result, now)


def after_enquiring(transit: Transit, result: Result, now: datetime) -> Transit:
    """Where a transit stands after the bank was asked what became of it.

    `unavailable` says nothing here: the enquiry did not come through. What is not known when its time
    has run out is reversed.
    """
    if result.reason == "unavailable":
        result = replace(result, state=State.unknown, reason="")
    after = _after(transit, result, now)
    return after if after.is_final or now < transit.resolve_by - LAST_MOMENT else run_out(after, now)


def run_out(transit: Transit, now: datetime) -> Transit:
    """Where a transit stands that is not final, when its time has run out: what the bank may know is reversed,
    and asked about further; what it was never told is declined."""
    if transit.sent_at is None:
        return transit.declined(Reason.bank_unavailable, now)
    reversed = replace(transit, status=Status.reversed, reason=Reason.bank_no_answer, updated_at=now)
    return replace(reversed, due_at=_next_after_all(reversed, now))


def _after(transit: Transit, result: Result, now: datetime) -> Transit:
    told = replace(transit, bank_reference=result.bank_reference or transit.bank_reference, updated_at=now)
    match result.state:
        case State.settled:
            return replace(told, status=Status.completed, due_at=None)
        case State.declined:
            return told.declined(_why(transit, result), now)
        case State.accepted:
            accepted_at = transit.accepted_at or now
            due_at = _next(transit, result, now)
            return replace(told, status=Status.pending, accepted_at=accepted_at, due_at=due_at)
        case State.unknown:
            # A bank that has accepted it still has it, whatever becomes of an enquiry.
            status = Status.pending if transit.accepted_at else Status.unknown
            return replace(told, status=status, due_at=_next(transit, result, now))


def _why(transit: Transit, result: Result) -> Reason:
    if result.reason == "insufficient_funds" and transit.direction is Direction.push:
        # It is the operator's account there that is short, which is nothing the customer can mend.
        return Reason.bank_refused
    return _REASON_OF_DECLINE[result.reason]


def after_all(transit: Transit, result: Result, now: datetime) -> Transit:
    """Where a reversed transit stands after the bank was asked once more: it stays reversed, and is asked
    about until the bank says for certain what became of it. What it settled is parked."""
    match result.state:
        case State.settled:
            return replace(transit, parked_id=parking(transit).id, due_at=None, updated_at=now)
        case State.declined if result.reason != "unavailable":
            return replace(transit, due_at=None, updated_at=now)
        case _:
            return replace(transit, due_at=_next_after_all(transit, now))


def waiting_for_the_wallet(transit: Transit, now: datetime) -> Transit:
    """The bank has settled it and the wallet is frozen: the money stays held until it is open again."""
    held = replace(transit, accepted_at=transit.accepted_at or now, status=Status.pending, updated_at=now)
    return replace(held, due_at=now + _LONGEST_PAUSE)


def _next(transit: Transit, result: Result, now: datetime) -> datetime:
    """When to call again: after half as long as it has taken so far, and not before the bank wants it.

    Not later than the last look before `resolve_by`.
    """
    pause = min(max((now - transit.created_at) / 2, _SHORTEST_PAUSE), _LONGEST_PAUSE)
    wanted = timedelta(seconds=result.retry_after or 0)
    soonest = now + max(pause, wanted)
    last = transit.resolve_by - _LAST_LOOK
    return min(soonest, last) if now < last else soonest


def _next_after_all(transit: Transit, now: datetime) -> datetime | None:
    if now >= transit.resolve_by + _AFTERMATH:
        return None
    return now + max((now - transit.created_at) / 2, _SHORTEST_PAUSE)
