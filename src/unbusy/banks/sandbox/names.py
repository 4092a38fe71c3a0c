"""What the sandbox bank says of a holder's name, in the shape of Pay.UK's Confirmation of Payee."""

from __future__ import annotations

from difflib import SequenceMatcher

# As much alike as "Ana Berg" and "Anna Berg", or "A Berg" and "Anna Berg" are.
_CLOSE = 0.75


def verified(holder: str, asked: str) -> dict[str, object]:
    """Whether an account of this holder is in the name that was asked for."""
    ours, theirs = _plain(holder), _plain(asked)
    if ours == theirs:
        return {"VerificationReport": {"Matched": True}}
    is_close = SequenceMatcher(None, ours, theirs).ratio() >= _CLOSE
    code = "MBAM" if is_close else "ANNM"
    return {"VerificationReport": {"Matched": False, "ReasonCode": code, "Name": masked(holder)}}


def masked(name: str) -> str:
    """So much of a name that its owner knows it, and nobody learns it: `A*** B***`."""
    return " ".join(f"{word[0]}***" for word in name.split())


def _plain(name: str) -> str:
    return " ".join(name.casefold().replace(".", " ").split())
