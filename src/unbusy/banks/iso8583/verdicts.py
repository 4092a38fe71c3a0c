"""What a response code (field 39) means in the words of the port."""

from __future__ import annotations

from unbusy.banks.iso8583.messages import Fields
from unbusy.banks.port import Result, State

DONE, NOWHERE, NOT_SUPPORTED = "00", "25", "12"
# The bank does not know this connection (any more): it wants to be signed on to.
SIGNED_OFF = "58"
CLOSED = "90"
# The bank took nothing, and says so.
NOT_TAKEN = {SIGNED_OFF, CLOSED, "91"}

_UNDER_WAY = "09"
_TAKEN_BACK = "17"
_DECLINES = {
    "51": "insufficient_funds",
    "46": "account_closed",
    "14": "account_unknown",
    "39": "account_unknown",
    "42": "account_unknown",
    "52": "account_unknown",
    "53": "account_unknown",
    "6P": "name_mismatch",
    "13": "limit",
    "61": "limit",
    "65": "limit",
} | dict.fromkeys(
    ("01", "02", "03", "04", "05", "07", "12", "15", "31", "34", "40", "41", "43", "57", "59", "62", "78", "93"),
    "refused",
)


def result(told: Fields) -> Result:
    """What an answer says of the payment that it is about. A code that says nothing for certain is no answer:
    that something went wrong, came too late, was there before, or is new to us."""
    code, bank_reference = told.get("39", ""), told.get("38", "").strip()
    if code == DONE:
        return Result(State.settled, bank_reference=bank_reference)
    if code == _UNDER_WAY:
        return Result(State.accepted, bank_reference=bank_reference)
    if code == _TAKEN_BACK:
        return Result(State.declined, "not_found")
    if code in _DECLINES:
        return Result(State.declined, _DECLINES[code], bank_reference=bank_reference)
    return Result(State.unknown, bank_reference=bank_reference)


def retry_after(told: Fields) -> float | None:
    """Seconds that a bank wants to be left alone, where it says so (field 44)."""
    given = told.get("44", "")
    return float(given) if given.isdecimal() else None
