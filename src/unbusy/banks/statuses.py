"""What a status of ISO 20022 means in the words of the port. More than one dialect says it with the same codes."""

from __future__ import annotations

from unbusy.banks.port import Direction, Result, State

# States of a payment (ExternalPaymentTransactionStatus1Code) that are not final, unless they are
# for its direction.
_UNDER_WAY = {"RCVD", "PDNG", "PATC", "ACTC", "ACCP", "ACFC", "ACSP", "ACWC", "ACWP", "ACSC"}
# A push is settled when our account was debited (ACSC): what the other bank returns is another
# payment. A pull is settled only when our account was credited (ACCC).
_SETTLED = {Direction.push: {"ACSC", "ACCC"}, Direction.pull: {"ACCC"}}
_REJECTED, _CANCELLED = "RJCT", "CANC"
# Why a bank declines (ExternalStatusReason1Code), in the words of the port.
_REASONS = {
    "AM04": "insufficient_funds",
    "AC04": "account_closed",
    "AC01": "account_unknown",
    "AC02": "account_unknown",
    "AC03": "account_unknown",
    "BE01": "name_mismatch",
    "AM02": "limit",
    "AM14": "limit",
}
# Declined are a message that the bank had before, and a question about one that it has not got yet: what
# becomes of the payment neither says.
_NO_VERDICT = {"AM05", "DUPL", "DU01", "DU02", "DU03", "DU04", "DU05", "NOOR"}


def is_never(status: str) -> bool:
    """Whether it says that the bank had not got the payment, and will not execute it any more."""
    return status == _CANCELLED


def result(status: str, reason: str, direction: Direction, bank_reference: str) -> Result:
    """`reason` is the code beside the status, if any. A status that the standard does not have is no answer."""
    if status in _SETTLED[direction]:
        return Result(State.settled, bank_reference=bank_reference)
    if status == _REJECTED and reason not in _NO_VERDICT:
        return Result(State.declined, _REASONS.get(reason, "refused"), bank_reference=bank_reference)
    if is_never(status):
        return Result(State.declined, "not_found")
    return Result(State.accepted if status in _UNDER_WAY else State.unknown, bank_reference=bank_reference)
