"""What people read, in their language: every reason, and the message of every payment status.

reasons.toml    one table per reason: its facts, and title, explanation and fix in each language
messages.toml   one table per payment status
"""

from __future__ import annotations

import tomllib
from functools import cache, lru_cache
from importlib import resources
from typing import Any, Literal, TypeVar

import msgspec

from unbusy.reasons import Reason

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = ("en", "zh")
_DEFAULT: Language = "en"

# Between a title and what follows it, when both become one message.
_FULL_STOP: dict[Language, str] = {"en": ". ", "zh": "。"}

# Nobody speaks more languages than this; what comes after is not read.
_MOST_RANGES = 16
_LONGEST_HEADER = 512

Table = TypeVar("Table")


class ReasonText(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A reason in one language: a few words, what happened, what to do."""

    title: str
    explanation: str
    fix: str


class ReasonPage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All that is known about a reason. `safe` and `same_key` are those of `retry`."""

    matter: Literal["caller", "payer", "payee", "limits", "risk", "bank", "platform"]
    safe: bool
    same_key: bool
    en: ReasonText
    zh: ReasonText

    def text(self, language: Language) -> ReasonText:
        return self.en if language == "en" else self.zh


@cache
def reason_pages() -> dict[Reason, ReasonPage]:
    """Every reason's page. Raises msgspec.ValidationError when one is incomplete."""
    return _load("reasons.toml", dict[Reason, ReasonPage])


@cache
def messages() -> dict[str, dict[Language, str]]:
    """The sentence of every payment status, by language, with blanks to fill."""
    return _load("messages.toml", dict[str, dict[Language, str]])


def message(subject: str | Reason, language: Language, **params: str) -> str:
    """The sentence for a person about a payment.

    `subject` is a reason when there is one, else the payment's status. `params` fill the
    sentence's blanks, which `messages.toml` shows: `amount` ("12.50 EUR"), `payee`, `finish_by`, …
    """
    if isinstance(subject, Reason):
        text = reason_pages()[subject].text(language)
        return text.title + _FULL_STOP[language] + text.fix
    return messages()[subject][language].format_map(params)


@lru_cache(1024)
def choose_language(accept_language: str) -> Language:
    """The best of our languages for an `Accept-Language` header (RFC 9110); English when it names none.

    The highest weight wins, the first of equals; what cannot be understood is passed over.
    """
    best, best_weight = _DEFAULT, 0.0
    for wanted in accept_language[:_LONGEST_HEADER].split(",", _MOST_RANGES)[:_MOST_RANGES]:
        tag, _, parameters = wanted.partition(";")
        language = tag.strip().lower().partition("-")[0]
        weight = _weight(parameters)
        if language in LANGUAGES and weight > best_weight:
            best, best_weight = language, weight
    return best


def _weight(parameters: str) -> float:
    name, _, value = parameters.partition("=")
    if not parameters.strip():
        return 1.0
    # Digits and a point only: float() would also take "nan", "1e9" and "１".
    digits = value.strip()
    if name.strip().lower() != "q" or not digits.isascii() or not digits.replace(".", "", 1).isdigit():
        return 0.0
    return min(1.0, float(digits))


def _load(name: str, type: type[Table]) -> Table:
    text = resources.files(__name__).joinpath(name).read_text(encoding="utf-8")
    tables: dict[str, Any] = tomllib.loads(text)
    return msgspec.convert(tables, type)
