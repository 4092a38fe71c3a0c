"""Pages of a list: at most a hundred items, and a cursor to where the next page begins."""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from typing import Annotated, Generic, TypeVar

import msgspec
from litestar.params import QueryParameter

from unbusy.errors import Invalid

MOST_ITEMS = 100
_LONGEST_CURSOR = 256

Item = TypeVar("Item")
Row = TypeVar("Row")
Position = TypeVar("Position")

Limit = Annotated[int, QueryParameter(ge=1, le=MOST_ITEMS, description="Most items on this page.")]
"""A handler's parameter: `limit: api.Limit = 20`."""

Cursor = Annotated[
    str | None,
    QueryParameter(name="cursor", max_length=_LONGEST_CURSOR, description="`next` of the page before; opaque."),
]
"""A handler's parameter: `cursor: api.Cursor = None`."""


class Page(msgspec.Struct, Generic[Item], frozen=True):
    """One page of a list, newest first unless the list says otherwise."""

    items: Sequence[Item]
    next: str | None = None


class Cursors(Generic[Position]):
    """The cursors of one list. `kind` names the list, `type` is what a position is made of, such as
    `tuple[datetime, UUID]`.

    A cursor is only a position, never a permission: every list is read with its owner's id, so one
    that was tampered with can at most point elsewhere in the caller's own list. It is read
    strictly all the same: what we did not write is refused.
    """

    def __init__(self, kind: str, type: type[Position]) -> None:
        self._kind = kind
        self._decode = msgspec.msgpack.Decoder(tuple[str, type]).decode
        self._encode = msgspec.msgpack.Encoder().encode

    def write(self, position: Position) -> str:
        """The position as text that is safe in a URL."""
        return urlsafe_b64encode(self._encode((self._kind, position))).decode().rstrip("=")

    def read(self, text: str | None) -> Position | None:
        """The position, None when there is none. Raises Invalid (`cursor`) for what is not ours."""
        if text is None:
            return None
        try:
            kind, position = self._decode(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        except (binascii.Error, ValueError, msgspec.MsgspecError):
            raise _not_ours() from None
        # Written again it must be the same text: Base64 and MessagePack both know several ways to
        # say one thing, and we wrote only one.
        if kind != self._kind or self.write(position) != text:
            raise _not_ours()
        return position

    def page(
        self, rows: Sequence[Row], limit: int, show: Callable[[Row], Item], position: Callable[[Row], Position]
    ) -> Page[Item]:
        """The page of `rows`, of which one more than `limit` was read to know whether there is a next."""
        shown = rows[:limit]
        more = len(rows) > limit
        return Page([show(row) for row in shown], self.write(position(shown[-1])) if more else None)


def _not_ours() -> Invalid:
    return Invalid("this is not a cursor of this list; begin without one", field="cursor")
