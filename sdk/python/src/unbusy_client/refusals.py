"""What an answer that is no success, or no answer at all, means for the call: pure, one table each."""

from __future__ import annotations

import re
from http import HTTPStatus

import msgspec

from unbusy_client import errors
from unbusy_client.errors import UnbusyError
from unbusy_client.problems import Problem, Ticket, read_problem
from unbusy_client.server_time import read_date
from unbusy_client.wire import Answer, Lost

# A header's value as we would send it on: what the wallet gives is URL-safe and short.
_TOKEN = re.compile(r"[!-~]{1,200}")
_SECONDS = re.compile(r"[0-9]{1,9}")

_BY_REASON: dict[str, type[UnbusyError]] = {
    "key_reused": errors.KeyReused,
    # Without a ticket that can be read there is no place to wait for.
    "in_line": errors.LineFull,
    "payee_crowded": errors.LineFull,
    "line_full": errors.LineFull,
    "deadline_unreachable": errors.DeadlineUnreachable,
    "ledger_unavailable": errors.LedgerUnavailable,
}
_BY_STATUS: dict[int, type[UnbusyError]] = {
    HTTPStatus.BAD_REQUEST: errors.Invalid,
    HTTPStatus.UNAUTHORIZED: errors.Unauthenticated,
    HTTPStatus.FORBIDDEN: errors.Forbidden,
    HTTPStatus.NOT_FOUND: errors.NotFound,
    HTTPStatus.METHOD_NOT_ALLOWED: errors.Invalid,
    HTTPStatus.CONFLICT: errors.Conflict,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: errors.Invalid,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: errors.Invalid,
    HTTPStatus.UNPROCESSABLE_ENTITY: errors.Invalid,
    HTTPStatus.TOO_MANY_REQUESTS: errors.QuotaExceeded,
}

# Said before anything is begun. After any other answer of the five hundreds, a bare one of a proxy
# included, the payment may be there: `ledger_unavailable` may come after a commit that was not heard of.
_NOT_BEGUN = frozenset({"in_line", "payee_crowded", "line_full", "deadline_unreachable"})


class Refusal(msgspec.Struct, frozen=True):
    """Why there is no result yet, and what may be done about it.

    `is_certain` says that this attempt has changed nothing; `may_repeat` that the same request with
    the same key may be sent again, after `after_s` where the wallet said so. With a `ticket` it is
    sent at its slot.
    """

    error: UnbusyError
    may_repeat: bool
    is_certain: bool
    after_s: float | None = None
    ticket: Ticket | None = None


def judge(outcome: Answer | Lost) -> Refusal:
    """What it means that an attempt ended so."""
    if isinstance(outcome, Lost):
        return Refusal(errors.Unreachable(outcome.detail), may_repeat=True, is_certain=not outcome.was_sent)
    problem = read_problem(outcome.body)
    after_s = _retry_after(outcome, problem)
    is_certain = outcome.status < HTTPStatus.INTERNAL_SERVER_ERROR or problem.reason in _NOT_BEGUN
    if ticket := _ticket(outcome, problem):
        error = errors.InLine(_said(outcome, problem), ticket=ticket, problem=problem, retry_after_s=after_s)
        return Refusal(error, may_repeat=True, is_certain=is_certain, after_s=after_s, ticket=ticket)
    is_passing = outcome.status == HTTPStatus.TOO_MANY_REQUESTS or outcome.status >= HTTPStatus.INTERNAL_SERVER_ERROR
    return Refusal(
        _error(outcome, problem, after_s),
        # Where another key is needed, the answer under this one is final: a new payment is the caller's to make.
        may_repeat=is_passing and problem.retry.safe and problem.retry.same_key,
        is_certain=is_certain,
        after_s=after_s,
    )


def _error(answer: Answer, problem: Problem, after_s: float | None) -> UnbusyError:
    otherwise = errors.Rejected if answer.status < HTTPStatus.INTERNAL_SERVER_ERROR else errors.Unavailable
    kind = _BY_REASON.get(problem.reason) or _BY_STATUS.get(answer.status, otherwise)
    if issubclass(kind, errors.Unavailable | errors.QuotaExceeded):
        return kind(_said(answer, problem), problem=problem, retry_after_s=after_s)
    return kind(_said(answer, problem), problem=problem)


def _said(answer: Answer, problem: Problem) -> str:
    return problem.detail or problem.title or f"the answer was HTTP {answer.status}, and nothing that can be read"


def _ticket(answer: Answer, problem: Problem) -> Ticket | None:
    """The ticket, if it may be used: a time without a zone cannot be waited for."""
    ticket = problem.ticket
    if answer.status != HTTPStatus.SERVICE_UNAVAILABLE or ticket is None or not problem.retry.safe:
        return None
    return ticket if ticket.slot_at.tzinfo and _TOKEN.fullmatch(ticket.token) else None


def _retry_after(answer: Answer, problem: Problem) -> float | None:
    """Seconds to wait, from the header (RFC 9110, section 10.2.3: a number or a date), else from the body."""
    header = answer.headers.get("retry-after", "")
    if _SECONDS.fullmatch(header):
        return float(header)
    until, date = read_date(header), read_date(answer.headers.get("date"))
    if until and date:
        return max(0.0, (until - date).total_seconds())
    after = problem.retry.after
    return after if after is not None and 0 <= after < float("inf") else None
