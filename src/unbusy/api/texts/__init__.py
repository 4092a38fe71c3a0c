"""What people read, in their language: every reason, and the message of every payment status."""

from __future__ import annotations

from typing import Literal

from unbusy.reasons import Reason

Language = Literal["en", "zh"]


def choose_language(accept_language: str) -> Language:
    """The best of our languages for an `Accept-Language` header (RFC 9110); English when it names none."""
    raise NotImplementedError


def message(subject: str | Reason, language: Language, **params: str) -> str:
    """The sentence for a person about a payment.

    `subject` is a reason when there is one, else the payment's status. `params` fill the
    sentence's blanks: `amount` ("12.50 EUR"), `payee`, `finish_by`, … as `messages.toml` has them.
    """
    raise NotImplementedError
