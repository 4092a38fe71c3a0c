"""Server-sent events (HTML Standard, section 9.2) taken apart: bytes in, events out, pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from unbusy_client.problems import UNREADABLE
from unbusy_client.views import Happened

_LINE_END = re.compile(rb"\r\n|\n|\r(?!\Z)")
_MILLISECONDS = re.compile(r"[0-9]{1,6}")

# Until the wallet says otherwise.
_RETRY_S = 2.0


class EventReader:
    """Reads one stream after another. `last_id` is where the next one goes on, `retry_s` when."""

    def __init__(self, last_id: str | None) -> None:
        self.last_id = last_id
        self.retry_s = _RETRY_S
        self._rest = b""
        self._fields: dict[str, str] = {}

    def begin(self) -> None:
        """Another stream: what the last one left unfinished comes again, whole."""
        self._rest = b""
        self._fields = {}

    def feed(self, data: bytes) -> Iterator[Happened]:
        """The events that are whole with these bytes. An event's id counts once it was taken."""
        *lines, self._rest = _LINE_END.split(self._rest + data)
        for line in lines:
            if line:
                self._take(line.decode("utf-8", "replace"))
            elif "data" in self._fields:
                happened = _happened(self._fields)
                self.last_id = happened.id or self.last_id
                self._fields = {}
                yield happened
            else:
                self._fields = {}

    def _take(self, line: str) -> None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "retry" and _MILLISECONDS.fullmatch(value):
            self.retry_s = int(value) / 1000
        elif name == "data" and "data" in self._fields:
            self._fields["data"] += "\n" + value
        elif name:
            self._fields[name] = value


def _happened(fields: dict[str, str]) -> Happened:
    """The event. One whose data cannot be read still says what kind it is, and its place."""
    kind, id = fields.get("event", ""), fields.get("id", "")
    try:
        told = msgspec.convert({"type": kind} | msgspec.json.decode(fields["data"], type=dict), Happened)
    except UNREADABLE:
        told = Happened(type=kind)
    return msgspec.structs.replace(told, id=id)
