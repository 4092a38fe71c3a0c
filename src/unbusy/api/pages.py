"""Pages of a list: at most a hundred items, and a cursor to where the next page begins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Generic, TypeVar

import msgspec
from litestar.params import QueryParameter

MOST_ITEMS = 100

Item = TypeVar("Item")
Row = TypeVar("Row")
Position = TypeVar("Position")

Limit = Annotated[int, QueryParameter(ge=1, le=MOST_ITEMS, description="Most items on this page.")]
"""A handler's parameter: `limit: api.Limit = 20`."""

Cursor = Annotated[
    str | None,
    QueryParameter(name="cursor", max_length=512, description="`next` of the page before; opaque."),
]
"""A handler's parameter: `cursor: api.Cursor = None`."""


class Page(msgspec.Struct, Generic[Item], frozen=True):
    """One page of a list, newest first unless the list says otherwise."""

    items: Sequence[Item]
    next: str | None = None


class Cursors(Generic[Position]):
    """The cursors of one list. `kind` names the list, `type` is what a position is made of.

    A cursor is only a position, never a permission: every list is read with its owner's id, so one
    that was tampered with can at most point elsewhere in the caller's own list. It is read
    strictly all the same: what we did not write is refused.
    """

    def __init__(self, kind: str, type: type[Position]) -> None:
        raise NotImplementedError

    def write(self, position: Position) -> str:
        """The position as text that is safe in a URL."""
        raise NotImplementedError

    def read(self, text: str | None) -> Position | None:
        """The position, None when there is none. Raises Invalid (`cursor`) for what is not ours."""
        raise NotImplementedError

    def page(
        self, rows: Sequence[Row], limit: int, show: Callable[[Row], Item], position: Callable[[Row], Position]
    ) -> Page[Item]:
        """The page of `rows`, of which the reader asked for one more than `limit`, to know whether there is a next."""
        raise NotImplementedError
