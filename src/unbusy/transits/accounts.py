"""The verbs of a bank account: link, look, unlink."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from unbusy.api import Principal
from unbusy.clock import Clock
from unbusy.db import Database, Tx
from unbusy.errors import NotFound
from unbusy.ids import Ids
from unbusy.transits import model, sql
from unbusy.transits.model import BankAccount


class BankAccounts:
    """People's accounts at these banks, as one gateway links them."""

    def __init__(self, db: Database, reads: Database, banks: Collection[str], *, clock: Clock, ids: Ids) -> None:
        self._db = db
        self._reads = reads
        self._banks = banks
        self._clock = clock
        self._ids = ids

    async def link(self, person: Principal, bank: str, iban: str, holder: str) -> BankAccount:
        """Link the account of this IBAN at a bank; once linked it is the same account, however often.

        Raises NotFound for a bank that is not connected, and Invalid for what is no IBAN.
        """
        if bank not in self._banks:
            raise NotFound("no such bank is connected", field="bank")
        new = BankAccount(
            id=self._ids.new(),
            tenant_id=person.tenant_id,
            person_id=person.person_id,
            bank=bank,
            iban=model.read_iban(iban),
            holder=holder,
            created_at=self._clock.now(),
        )
        return await self._db.run(lambda tx: link(tx, new))

    async def list(self, person: Principal) -> list[BankAccount]:
        """The person's newest hundred, newest first."""
        async with self._reads.connection() as connection:
            return await sql.list_bank_accounts(connection, person.person_id)

    async def unlink(self, person: Principal, id: UUID) -> None:
        """Forget it; doing so twice is the same as once. What is on its way from or to it goes on.

        Raises NotFound, also for other people's.
        """
        now = self._clock.now()
        if not await self._db.run(lambda tx: sql.remove_bank_account(tx, person.person_id, id, now)):
            raise NotFound("there is no such bank account")


async def link(tx: Tx, new: BankAccount) -> BankAccount:
    """Link a bank account; gives the one that is linked when it had been before."""
    return await sql.add_bank_account(tx, new)
