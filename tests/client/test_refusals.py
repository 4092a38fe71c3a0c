"""What an answer that is no success means: a table."""

from __future__ import annotations

import json
from typing import Any

import pytest

from unbusy_client import errors
from unbusy_client.refusals import judge
from unbusy_client.wire import Answer, Lost

TICKET = {"token": "a.ticket", "slot_at": "2026-03-10T12:00:07.250Z", "expires_at": None, "class": "pay"}

# Status, reason, what else is said; the error, whether it may be repeated, whether nothing was done for certain.
ANSWERS: list[tuple[int, str, dict[str, Any], type[errors.UnbusyError], bool, bool]] = [
    (400, "invalid", {"retry": {"safe": False}}, errors.Invalid, False, True),
    (401, "unauthenticated", {}, errors.Unauthenticated, False, True),
    (403, "forbidden", {}, errors.Forbidden, False, True),
    (404, "not_found", {}, errors.NotFound, False, True),
    (409, "payment_not_cancellable", {}, errors.Conflict, False, True),
    (413, "invalid", {}, errors.Invalid, False, True),
    (422, "key_reused", {"retry": {"safe": False, "same_key": False}}, errors.KeyReused, False, True),
    (422, "invalid", {}, errors.Invalid, False, True),
    (418, "a_word_of_a_newer_wallet", {}, errors.Rejected, False, True),
    (302, "", {}, errors.Rejected, False, True),
    (429, "quota_exceeded", {}, errors.QuotaExceeded, True, True),
    (503, "in_line", {"ticket": TICKET}, errors.InLine, True, True),
    (503, "payee_crowded", {"ticket": TICKET}, errors.InLine, True, True),
    (503, "in_line", {}, errors.LineFull, True, True),
    (503, "in_line", {"ticket": {"token": "a b", "slot_at": TICKET["slot_at"]}}, errors.LineFull, True, True),
    (503, "in_line", {"ticket": {"token": "a", "slot_at": "2026-03-10T12:00:07"}}, errors.LineFull, True, True),
    (503, "in_line", {"ticket": {"token": "a" * 201, "slot_at": TICKET["slot_at"]}}, errors.LineFull, True, True),
    (503, "in_line", {"ticket": "garbage"}, errors.LineFull, True, True),
    (503, "line_full", {}, errors.LineFull, True, True),
    (503, "deadline_unreachable", {}, errors.DeadlineUnreachable, True, True),
    (503, "ledger_unavailable", {}, errors.LedgerUnavailable, True, False),
    (503, "a_word_of_a_newer_wallet", {}, errors.Unavailable, True, False),
    (503, "ledger_unavailable", {"retry": {"safe": False}}, errors.LedgerUnavailable, False, False),
    (503, "promise_missed", {"retry": {"safe": True, "same_key": False}}, errors.Unavailable, False, False),
    (500, "our_mistake", {}, errors.Unavailable, True, False),
]


@pytest.mark.parametrize(("status", "reason", "more", "kind", "may_repeat", "is_certain"), ANSWERS)
def test_what_an_answer_means(
    status: int, reason: str, more: dict[str, Any], kind: type[errors.UnbusyError], may_repeat: bool, is_certain: bool
) -> None:
    """Each answer is one error, may be repeated or not, and is certain or not."""
    body = json.dumps({"reason": reason, "detail": "because", "fix": "do this", "request_id": "r-1"} | more).encode()
    refusal = judge(Answer(0, status, {}, body))
    assert type(refusal.error) is kind
    assert (refusal.may_repeat, refusal.is_certain) == (may_repeat, is_certain)
    assert (refusal.error.reason, refusal.error.fix, refusal.error.request_id) == (reason, "do this", "r-1")
    assert str(refusal.error) == "because"
    assert (refusal.ticket is not None) == (kind is errors.InLine)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"7",
        b'"x"',
        b"\xff\xfe",
        b'{"reason": "\xff"}',
        b"[" * 100_000,
        b'{"retry": 7, "errors": {}}',
    ],
)
def test_what_cannot_be_read(body: bytes) -> None:
    """A proxy's page is no problem of ours: it may be repeated, and nothing is certain."""
    refusal = judge(Answer(0, 502, {}, body))
    assert type(refusal.error) is errors.Unavailable
    assert (refusal.may_repeat, refusal.is_certain, refusal.error.reason) == (True, False, "")
    assert "502" in str(refusal.error)


def test_no_answer() -> None:
    """It is certain that nothing was done only where nothing was sent."""
    for was_sent in (True, False):
        refusal = judge(Lost(0, was_sent, "cut off"))
        assert type(refusal.error) is errors.Unreachable
        assert (refusal.may_repeat, refusal.is_certain) == (True, not was_sent)


DATE = "Tue, 10 Mar 2026 12:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "after", "expected"),
    [
        ({"retry-after": "7"}, 3, 7),
        ({"retry-after": "Tue, 10 Mar 2026 12:00:05 GMT", "date": DATE}, None, 5),
        ({"retry-after": "Tue, 10 Mar 2026 11:00:00 GMT", "date": DATE}, None, 0),
        ({"retry-after": "Tue, 10 Mar 2026 12:00:05 GMT"}, 2, 2),
        ({"retry-after": "soon"}, 2, 2),
        ({"retry-after": "-1"}, None, None),
        ({}, 4, 4),
        ({}, -4, None),
        ({}, None, None),
    ],
)
def test_when_to_come_back(headers: dict[str, str], after: float | None, expected: float | None) -> None:
    """A number of seconds, a date, or what the body says; nonsense is nothing."""
    body = json.dumps({"reason": "line_full", "retry": {"safe": True, "same_key": True, "after": after}}).encode()
    refusal = judge(Answer(0, 503, headers, body))
    assert refusal.after_s == expected
    assert isinstance(refusal.error, errors.LineFull)
    assert refusal.error.retry_after_s == expected


def test_only_two_errors_say_that_money_may_move() -> None:
    """Everything else is raised where it is certain that nothing was done."""
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.UnbusyError)]
    assert {kind for kind in kinds if kind.may_have_moved} == {errors.Unresolved, errors.Underway}
