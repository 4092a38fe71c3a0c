"""Everything that can go wrong with a request, drawn once, knowing no HTTP.

    UnbusyError
    ├── RequestError            the caller's matter: the same request fails again
    │   ├── Invalid             it can never work; names the field
    │   │   └── InvalidRows     parts of it; names each row and field
    │   ├── NotFound            it is not there, or not yours (the same answer)
    │   ├── KeyReused           this key already stands for another request
    │   ├── Unauthenticated     we do not know who asks
    │   ├── Forbidden           we know, and the answer is no
    │   ├── Conflict            the state forbids it now
    │   └── QuotaExceeded       too many of these from you
    ├── Unavailable             our matter: nothing was begun, or asking again is safe
    │   ├── DeadlineUnreachable the work would not be done while the caller waits
    │   └── LedgerUnavailable   the books cannot be written now
    └── SetupError              an operator's matter: it stops the start with a sentence

A *refusal* (not enough money, a frozen account) is a value and stands in the payment; it is never
raised. A broken invariant is an `assert` and stops the work.
"""

from __future__ import annotations

from collections.abc import Sequence

from unbusy.reasons import Reason


class UnbusyError(Exception):
    """The root. Its text is safe to show to the caller: no secret, no SQL, no path."""


class RequestError(UnbusyError):
    """The caller's matter. `field` is the part of the request that is wrong, where one is."""

    reason: Reason

    def __init__(self, detail: str, *, field: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.field = field


class Invalid(RequestError):
    reason = Reason.invalid


class InvalidRows(Invalid):
    """Parts of what was sent are wrong; `wrong` names each: where, and what is wrong with it."""

    def __init__(self, detail: str, wrong: Sequence[tuple[str, str]]) -> None:
        super().__init__(detail)
        self.wrong = wrong


class NotFound(RequestError):
    reason = Reason.not_found


class KeyReused(RequestError):
    reason = Reason.key_reused


class Unauthenticated(RequestError):
    reason = Reason.unauthenticated


class Forbidden(RequestError):
    reason = Reason.forbidden


class Conflict(RequestError):
    """The state forbids it now; `reason` says which state."""

    def __init__(self, reason: Reason, detail: str, *, field: str | None = None) -> None:
        super().__init__(detail, field=field)
        self.reason = reason


class QuotaExceeded(RequestError):
    """Too many. `retry_after` is in seconds."""

    reason = Reason.quota_exceeded

    def __init__(self, detail: str, *, retry_after: float) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class Unavailable(UnbusyError):
    """Our matter. Asking again with the same key is safe, after `retry_after` seconds."""

    reason: Reason

    def __init__(self, detail: str, *, retry_after: float) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after = retry_after


class DeadlineUnreachable(Unavailable):
    reason = Reason.deadline_unreachable


class LedgerUnavailable(Unavailable):
    reason = Reason.ledger_unavailable


class SetupError(UnbusyError):
    """The installation is wrong: a setting, a data directory, a database."""
