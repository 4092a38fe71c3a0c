"""What the gate decides: values, small and few, because most are made when there is no time."""

from __future__ import annotations

from enum import IntEnum

import msgspec

from unbusy.admission.classes import CLASSES, Class


class Entry(IntEnum):
    """What let a request in."""

    room = 0
    """There was room."""
    ticket = 1
    """It had a place in line, and its time has come."""
    crowd = 2
    """It had a place in the line of a crowded payee."""


class Admitted(msgspec.Struct, frozen=True, gc=False):
    """Come in. There is one such value for each class and entry."""

    klass: Class
    entry: Entry


class InLine(msgspec.Struct, frozen=True, gc=False):
    """A place in line: come back at `slot_at` (seconds since 1970) with the ticket, not earlier.

    `moved_from` is the slot told before, when capacity fell and this is a later one.
    """

    klass: Class
    ticket: str
    slot_at: float
    moved_from: float | None = None
    is_crowd: bool = False


class Full(msgspec.Struct, frozen=True, gc=False):
    """The line is longer than makes sense: no ticket, ask anew at `come_back_at` (seconds since 1970)."""

    klass: Class
    come_back_at: float


class OverQuota(msgspec.Struct, frozen=True, gc=False):
    """Over one's own quota; the next request is welcome after `wait_s`."""

    klass: Class
    wait_s: float


Decision = Admitted | InLine | Full | OverQuota

ADMITTED = tuple(tuple(Admitted(klass, entry) for entry in Entry) for klass in CLASSES)
"""By class and entry."""
