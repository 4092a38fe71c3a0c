"""Transfers: what is asked of the books, and what they answer.

The numbered list of refusals, with their precedence, stands in the package's own docstring.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from msgspec import Struct

# The most transfers one call may post: what one statement writes in a fraction of a second, and
# what TigerBeetle takes in one message. Who has more, splits.
MAX_BATCH = 8_000


class Kind(StrEnum):
    """What a transfer does.

    *post* moves money. *hold* reserves it. *capture* moves all or part of what was reserved and
    releases the rest. *void* releases by choice, *expire* by time (only `expire_holds` makes it).
    """

    post = "post"
    hold = "hold"
    capture = "capture"
    void = "void"
    expire = "expire"


class Transfer(Struct, frozen=True, gc=False, kw_only=True):
    """One debit and one credit of the same amount, asked for under an id of the caller's choice.

    `debit_id` gives, `credit_id` receives; a capture or a void may leave them None, its hold
    knows them. `amount` is in smallest units of `asset`; for a capture 0 means all of the hold,
    for a void it is 0 or the hold's own. `code` says what for ("payment", "refund", "top_up").
    `expires_at` is for holds, `hold_id` for captures and voids.

    `linked` chains it to the next one in the call: a chain stands or falls together. With
    `up_to`, it moves as much of the amount as the debit's floor and the credit's ceiling allow.
    """

    id: UUID
    kind: Kind = Kind.post
    tenant_id: int
    debit_id: UUID | None = None
    credit_id: UUID | None = None
    amount: int
    asset: str
    code: str
    hold_id: UUID | None = None
    expires_at: datetime | None = None
    linked: bool = False
    up_to: bool = False


class Position(Struct, frozen=True, gc=False):
    """Where one account stood right after a transfer.

    `number` is the account's running number, `balance` what was posted, `available` what of it
    could be spent (None: without limit).
    """

    account_id: UUID
    number: int
    balance: int
    available: int | None


class Posted(Struct, frozen=True, gc=False):
    """It is in the books. `amount` is what moved (a hold: was reserved; a void: was released).

    `replayed` when this id had been posted before: then all the rest is what was answered then.
    """

    id: UUID
    amount: int
    debit: Position
    credit: Position
    at: datetime
    replayed: bool = False


class Refusal(StrEnum):
    """Why not. The closed list, in order of precedence: of two that apply, the first is answered."""

    id_reused = "id_reused"
    chain_is_open = "chain_is_open"
    linked_transfer_refused = "linked_transfer_refused"
    malformed = "malformed"
    amount_out_of_range = "amount_out_of_range"
    same_account = "same_account"
    expires_in_the_past = "expires_in_the_past"
    debit_account_unknown = "debit_account_unknown"
    credit_account_unknown = "credit_account_unknown"
    hold_unknown = "hold_unknown"
    tenant_differs = "tenant_differs"
    asset_differs = "asset_differs"
    hold_differs = "hold_differs"
    capture_exceeds_hold = "capture_exceeds_hold"
    hold_captured = "hold_captured"
    hold_voided = "hold_voided"
    hold_expired = "hold_expired"
    debit_account_closed = "debit_account_closed"
    debit_account_frozen = "debit_account_frozen"
    credit_account_closed = "credit_account_closed"
    credit_account_frozen = "credit_account_frozen"
    insufficient_funds = "insufficient_funds"
    ceiling_exceeded = "ceiling_exceeded"
    counter_would_overflow = "counter_would_overflow"

    @property
    def is_sticky(self) -> bool:
        """Whether the id keeps this answer for ever, whatever becomes of the accounts.

        So is every refusal that a change of the books, or the passing of time, could undo: who
        was told "no" must not find the money moved by a late retry. The others depend on the
        request alone and come out the same each time without being remembered.
        """
        return self not in _DECIDED_BY_THE_REQUEST


_DECIDED_BY_THE_REQUEST = frozenset(
    {
        Refusal.id_reused,
        Refusal.chain_is_open,
        Refusal.linked_transfer_refused,
        Refusal.malformed,
        Refusal.amount_out_of_range,
        Refusal.same_account,
        Refusal.tenant_differs,
        Refusal.asset_differs,
        Refusal.hold_differs,
        Refusal.capture_exceeds_hold,
    }
)


class Refused(Struct, frozen=True, gc=False):
    """It is not in the books and never disturbed its neighbours.

    `field` names the part of the request at fault where one is (for `id_reused` the first that
    differs from the first time). `replayed` when this id had been refused before.
    """

    id: UUID
    refusal: Refusal
    field: str | None = None
    replayed: bool = False


Outcome = Posted | Refused
