"""Everything a call can end with that is not its answer, drawn once.

    UnbusyError
    ├── Rejected                 the caller's matter: not done, and the same request fails again
    │   ├── Invalid              it can never work; `fields` says what is wrong
    │   ├── NotFound             it is not there, or not yours
    │   ├── KeyReused            this key already stands for another request
    │   ├── Unauthenticated      sign in (again)
    │   ├── Forbidden            not open to you
    │   ├── Conflict             the state forbids it now; `reason` says which
    │   └── QuotaExceeded        too many from you; `retry_after_s` says when the next one may come
    ├── Unavailable              the wallet's matter: not done, and safe to ask again
    │   ├── InLine               your place in line lies beyond your deadline; `ticket` keeps it
    │   ├── LineFull             no place in line; `retry_after_s` says when to come back
    │   ├── DeadlineUnreachable  it would not have been done in time, so it was not begun
    │   ├── LedgerUnavailable    the books cannot be written now
    │   └── Unreachable          no connection, or nothing came back to a question
    ├── Unresolved               it may have been done: ask again with the same `key`
    ├── NotCompleted             raised by `require_completed()` only
    │   ├── Declined             not moved, certain; `reason`, `matter`, `fix`
    │   ├── NeedsAction          the payer has to do something first
    │   ├── Underway             not final yet: queued, scheduled, pending or unknown
    │   └── Ended                cancelled, expired or reversed
    └── InvalidWebhook           a message that was not signed with this secret

Only `Unresolved` and `Underway` say that money may have moved or may yet move. Everything else is
raised where it is certain that the call has changed nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Protocol

from unbusy_client.problems import NO_PROBLEM, FieldError, Problem, Ticket


class UnbusyError(Exception):
    """The root. `key` is the idempotency key to ask again with; None where the call has none.

    `problem` is what the wallet said, where it said something.
    """

    may_have_moved: ClassVar[bool] = False
    """Whether money may have moved, or may yet move, by this call."""

    def __init__(self, detail: str, *, key: str | None = None, problem: Problem = NO_PROBLEM) -> None:
        super().__init__(detail)
        self.detail = detail
        self.key = key
        self.problem = problem

    @property
    def reason(self) -> str:
        """The reason's word, such as `insufficient_funds`; empty when there was no answer."""
        return self.problem.reason

    @property
    def fix(self) -> str:
        """What to do about it, for a person, in the client's language."""
        return self.problem.fix

    @property
    def request_id(self) -> str:
        """By which the wallet's operators find the request."""
        return self.problem.request_id


class Rejected(UnbusyError):
    """The caller's matter: nothing was done, and the same request gets the same answer."""

    @property
    def fields(self) -> Sequence[FieldError]:
        """What is wrong with the request, field by field."""
        return self.problem.errors


class Invalid(Rejected):
    pass


class NotFound(Rejected):
    pass


class KeyReused(Rejected):
    pass


class Unauthenticated(Rejected):
    pass


class Forbidden(Rejected):
    pass


class Conflict(Rejected):
    pass


class _ComeBack(UnbusyError):
    def __init__(
        self,
        detail: str,
        *,
        key: str | None = None,
        problem: Problem = NO_PROBLEM,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(detail, key=key, problem=problem)
        self.retry_after_s = retry_after_s


class QuotaExceeded(_ComeBack, Rejected):
    """Too many from you. `retry_after_s` is counted from when it was said."""


class Unavailable(_ComeBack):
    """The wallet's matter: nothing was done, and asking again is safe, after `retry_after_s` where it is known."""


class InLine(Unavailable):
    """The place in line lies beyond the deadline. Given to the next call, `ticket` keeps the place."""

    def __init__(
        self,
        detail: str,
        *,
        ticket: Ticket,
        key: str | None = None,
        problem: Problem = NO_PROBLEM,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(detail, key=key, problem=problem, retry_after_s=retry_after_s)
        self.ticket = ticket


class LineFull(Unavailable):
    pass


class DeadlineUnreachable(Unavailable):
    pass


class LedgerUnavailable(Unavailable):
    pass


class Unreachable(Unavailable):
    pass


class Unresolved(UnbusyError):
    """Nobody here knows whether it was done. The cause says what came last.

    The same call with the same `key` is always safe, and tells: if it was done, it is not done
    again. `key` is None for the few calls that have none, such as signing up.
    """

    may_have_moved: ClassVar[bool] = True


class Outcome(Protocol):
    """What a payment and a refund both say of themselves."""

    @property
    def id(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def message(self) -> str: ...
    @property
    def reason(self) -> str | None: ...
    @property
    def matter(self) -> str | None: ...
    @property
    def fix(self) -> str | None: ...


class NotCompleted(UnbusyError):
    """What `require_completed()` raises. `about` is the payment or refund as it was answered."""

    def __init__(self, about: Outcome) -> None:
        super().__init__(about.message or f"the payment is {about.status}")
        self.about = about

    @property
    def reason(self) -> str:
        """The reason's word; empty when there is none."""
        return self.about.reason or ""

    @property
    def matter(self) -> str:
        """Whose it is to mend: `payer`, `payee`, `limits`, `risk`, `platform` or `bank:<id>`."""
        return self.about.matter or ""

    @property
    def fix(self) -> str:
        """What to do about it, for a person."""
        return self.about.fix or ""


class Declined(NotCompleted):
    """Certain not to have moved. After the fix a new payment, with a new key, may succeed."""


class NeedsAction(NotCompleted):
    """The payer has to do something first."""


class Underway(NotCompleted):
    """Not final yet: look again, never pay again."""

    may_have_moved: ClassVar[bool] = True


class Ended(NotCompleted):
    """Cancelled, expired or reversed: the money is with its payer."""


class InvalidWebhook(UnbusyError):
    """Not signed with this secret, too old, or not a webhook at all. Do not act on it."""
