"""A connection, as our own code sees it: few verbs, and SQL that is written down literally.

`LiteralString` makes the type checker refuse SQL that was put together when the program ran, so
that no input can ever become part of a statement.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, LiteralString, Protocol


class Row(Protocol):
    """One row of an answer: `row["amount"]`, `row[0]` or, for several columns, `row[8:]`."""

    def __getitem__(self, key: str | int | slice, /) -> Any: ...
    def items(self) -> Iterable[tuple[str, Any]]: ...
    def values(self) -> Iterable[Any]: ...


class Connection(Protocol):
    """A connection to the database. The verbs are asyncpg's, which implements them."""

    async def fetch(self, query: LiteralString, /, *args: object) -> Sequence[Row]:
        """Every row of the answer."""
        ...

    async def fetchrow(self, query: LiteralString, /, *args: object) -> Row | None:
        """The first row, or None."""
        ...

    async def fetchval(self, query: LiteralString, /, *args: object) -> Any:
        """The first column of the first row, or None."""
        ...

    async def execute(self, query: LiteralString, /, *args: object) -> str:
        """Run it; the answer is PostgreSQL's command tag, such as `UPDATE 3`."""
        ...

    def transaction(
        self, *, isolation: str | None = None, readonly: bool = False
    ) -> AbstractAsyncContextManager[Any, bool | None]:
        """A block that is committed when it ends well and undone otherwise; nested, a savepoint."""
        ...


# A connection inside a transaction. The same type; the name says what its holder may rely on.
Tx = Connection
