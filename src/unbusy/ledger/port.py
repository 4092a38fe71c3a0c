"""The port: what an engine of the ledger promises, whichever it is.

The package itself is the engine *postgres*, which joins the caller's database transaction. An
engine with a server of its own is written last and read first in that transaction; the caller's
ids make doing it again free. `tests/ledger` holds any engine to the same stories.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from unbusy.db import Connection, Tx
from unbusy.findings import Finding
from unbusy.ledger.accounts import Account, AccountRefusal, AccountState, NewAccount
from unbusy.ledger.statements import MAX_ENTRIES, Entry
from unbusy.ledger.transfers import Outcome, Transfer


class Port(Protocol):
    """The verbs of an engine; each is explained where *postgres* has it."""

    async def register_asset(self, tx: Tx, code: str, scale: int) -> None: ...
    async def open_accounts(self, tx: Tx, new: Sequence[NewAccount]) -> list[Account]: ...
    async def accounts(self, tx: Tx, ids: Sequence[UUID]) -> dict[UUID, Account]: ...
    async def set_state(self, tx: Tx, account_id: UUID, state: AccountState) -> Account | AccountRefusal: ...
    async def set_limits(
        self, tx: Tx, account_id: UUID, *, floor: int | None, ceiling: int | None
    ) -> Account | AccountRefusal: ...
    async def post(self, tx: Tx, transfers: Sequence[Transfer], at: datetime) -> list[Outcome]: ...
    async def expire_holds(self, tx: Tx, now: datetime, limit: int = 500) -> int: ...
    async def statement(
        self,
        tx: Tx,
        account_id: UUID,
        *,
        before: int | None = None,
        limit: int = MAX_ENTRIES,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> list[Entry]: ...
    async def balance_at(self, tx: Tx, account_id: UUID, at: datetime) -> int: ...
    async def check(self, connection: Connection) -> list[Finding]: ...
