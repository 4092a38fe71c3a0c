"""Tickets: what they say, and what is none."""

from __future__ import annotations

import base64
import re
from hashlib import blake2b

import pytest
from hypothesis import given
from hypothesis import strategies as some
from tests.admission.world import KEY, START_AT

from unbusy.admission.classes import CLASSES, Class
from unbusy.admission.tickets import Ticket, Tickets

TICKETS = Tickets(KEY)
TOKEN = TICKETS.issue(Class.pay, 2**60, 17.25, START_AT, 2**64 - 1, False)


@given(
    some.sampled_from(CLASSES), some.integers(0, 2**64 - 1), some.floats(0, 1e12),
    some.integers(0, 2**42), some.integers(0, 2**64 - 1), some.booleans(),
)  # fmt: skip
def test_what_is_written_is_read(klass: Class, number: int, tag: float, slot_ms: int, who: int, crowd: bool) -> None:
    """A token says all it was made from, in 68 characters that are safe in a URL."""
    token = TICKETS.issue(klass, number, tag, slot_ms / 1000, who, crowd)
    read = TICKETS.read(token)
    assert read is not None
    assert re.fullmatch(r"[A-Za-z0-9_-]{68}", token)
    assert abs(read.slot_at - slot_ms / 1000) <= 0.0011
    assert read == Ticket(klass, number, tag, read.slot_at, who, crowd)


def test_a_slot_is_never_told_too_early() -> None:
    """A slot between two milliseconds is told as the later one: who comes exactly then is not early."""
    read = TICKETS.read(TICKETS.issue(Class.pay, 1, 1.0, START_AT + 0.0001, 1, False))
    assert read is not None
    assert read.slot_at >= START_AT + 0.0001


@pytest.mark.parametrize("place", range(len(TOKEN)))
def test_no_character_can_be_changed(place: int) -> None:
    """A forged ticket is none, wherever it was changed."""
    other = "A" if TOKEN[place] != "A" else "B"
    assert TICKETS.read(TOKEN[:place] + other + TOKEN[place + 1 :]) is None


@pytest.mark.parametrize("length", range(len(TOKEN)))
def test_a_truncated_ticket_is_none(length: int) -> None:
    """Neither the beginning nor the end of a ticket is a ticket."""
    assert TICKETS.read(TOKEN[:length]) is None
    assert TICKETS.read(TOKEN[len(TOKEN) - length :]) is None


@given(some.one_of(some.text(max_size=80), some.text(min_size=68, max_size=68)))
def test_anything_else_is_none(text: str) -> None:
    """Whatever a stranger sends is no ticket, and no error."""
    assert TICKETS.read(text) is None


def test_one_text_stands_for_one_ticket() -> None:
    """The same bytes written in the other alphabet, or padded, are no second ticket."""
    for n in range(50):
        token = TICKETS.issue(Class.pay, n, 1.0, START_AT, 1, False)
        for other in (token.replace("-", "+").replace("_", "/"), token[:-1] + "=", token + "\n"):
            assert other == token or TICKETS.read(other) is None


def test_another_installation_signs_otherwise() -> None:
    """A ticket of another key is none."""
    assert Tickets(b"another key of thirty-two bytes!").read(TOKEN) is None


def test_the_signature_is_blake2b() -> None:
    """It is keyed BLAKE2b of seventeen bytes, over all that stands before it."""
    raw = base64.urlsafe_b64decode(TOKEN)
    assert blake2b(raw[:-17], key=KEY, digest_size=17).digest() == raw[-17:]
