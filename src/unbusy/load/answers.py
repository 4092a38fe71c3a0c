"""Reading answers by searching bytes: a parser would cost more than everything else. Pure."""

from __future__ import annotations

from datetime import datetime

from unbusy.load.model import NEVER, NO_ANSWER, Outcome

_END = b"\r\n\r\n"


class Reader:
    """Tells answers apart; each kind gets a number when it is first met (`outcomes`)."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = list(NO_ANSWER)
        self._numbers: dict[tuple[bytes, bytes, bool], int] = {}
        self._seconds: dict[bytes, float] = {}

    def outcome(self, data: bytes) -> int:
        """The number of what this whole answer says."""
        status = data[9:12]
        word = text(data, b'"status":"' if status < b"300" else b'"reason":"')
        has_wait = status >= b"429" and header(data, b"retry-after") is not None
        kind = (status, word, has_wait)
        number = self._numbers.get(kind)
        if number is None:
            number = self._numbers[kind] = len(self.outcomes)
            self.outcomes.append(Outcome(int(status), word.decode(errors="replace"), has_wait))
        return number

    def ticket(self, data: bytes) -> tuple[bytes, float] | None:
        """The token and the slot (seconds since 1970) of the ticket in a refusal."""
        token, slot = text(data, b'"token":"'), text(data, b'"slot_at":"')
        return (token, self.when(slot)) if token and slot else None

    def when(self, shown: bytes) -> float:
        """Seconds since 1970 of a time as the API writes it. Whole seconds are remembered: a line moves through few."""
        whole = self._seconds.get(shown[:19])
        if whole is None:
            whole = self._seconds[shown[:19]] = datetime.fromisoformat(shown[:19].decode() + "+00:00").timestamp()
        fraction = shown[19:].rstrip(b"Z")
        return whole + (float(fraction) if fraction.startswith(b".") else 0.0)


def is_whole(data: bytes) -> bool:
    """Whether all of the answer has arrived."""
    end = data.find(_END)
    if end < 0:
        return False
    length = header(data, b"content-length")
    return len(data) >= end + len(_END) + int(length or 0)


def wait(data: bytes) -> float:
    """Seconds to wait, from Retry-After; for ever when it is not said."""
    value = header(data, b"retry-after")
    return float(value) if value and value.isdigit() else NEVER


def text(data: bytes, opening: bytes) -> bytes:
    """The JSON text that begins right after `opening`; empty when there is none."""
    begin = data.find(opening)
    if begin < 0:
        return b""
    begin += len(opening)
    return data[begin : data.find(b'"', begin)]


def header(data: bytes, name: bytes) -> bytes | None:
    """A header's value. Nearly every server writes names in small letters; others are read, too."""
    opening = b"\r\n" + name + b": "
    begin = data.find(opening)
    if begin < 0:
        begin = data.partition(_END)[0].lower().find(opening)
        if begin < 0:
            return None
    begin += len(opening)
    return data[begin : data.find(b"\r\n", begin)]
