"""The verbs of a bank account: link, look, unlink. How it is verified is told in `unbusy.verification`.

linked ──▶ verified          the person told the amount that had been sent there
   └──────────┴──▶ unlinked  for good; to link it again begins anew
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from msgspec.structs import replace

from unbusy import payments
from unbusy.api import Principal
from unbusy.clock import Clock
from unbusy.db import Connection, Database, Tx
from unbusy.errors import NotFound
from unbusy.ids import Ids
from unbusy.transits import numbers, sql
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
            iban=numbers.read_iban(iban),
            holder=holder,
            created_at=self._clock.now(),
        )
        return await self._db.run(lambda tx: _link(tx, new))

    async def list(self, person: Principal) -> list[BankAccount]:
        """The person's newest hundred, newest first."""
        async with self._reads.connection() as connection:
            return await sql.list_bank_accounts(connection, person.person_id)

    async def unlink(self, person: Principal, id: UUID) -> None:
        """Forget it; doing so twice is the same as once. What is on its way from or to it goes on.

        Raises NotFound, also for other people's.
        """
        now = self._clock.now()

        async def work(tx: Tx) -> None:
            if gone := await sql.remove_bank_account(tx, person.person_id, id, now):
                await payments.tell(tx, [gone.told("unlinked", now)])
            elif not await sql.find_bank_accounts(tx, person.person_id, [id]):
                raise NotFound("there is no such bank account")

        await self._db.run(work)


async def link(tx: Tx, new: BankAccount) -> BankAccount:
    """Link a bank account that the operator knows to be its owner's: it needs no other proof. Gives the one that
    is linked when it had been before."""
    return await _link(tx, replace(new, verified_at=new.created_at))


async def _link(tx: Tx, new: BankAccount) -> BankAccount:
    linked = await sql.add_bank_account(tx, new)
    if linked.id == new.id:
        await payments.tell(tx, [linked.told("linked", linked.created_at)])
    return linked


async def find(connection: Connection, person: Principal, id: UUID, *, field: str | None = None) -> BankAccount:
    """One that is linked to the person. Raises NotFound, naming the request's field."""
    account = (await sql.linked(connection, [(person.person_id, id)])).get((person.person_id, id))
    if account is None:
        raise NotFound("there is no such bank account", field=field)
    return account


async def found(connection: Connection, person: Principal, ids: Sequence[UUID]) -> list[BankAccount]:
    """Those of these that are or were the person's."""
    return await sql.find_bank_accounts(connection, person.person_id, ids)


async def verify(tx: Tx, id: UUID, now: datetime) -> BankAccount:
    """It has proved to be its person's."""
    verified = await sql.verify_bank_account(tx, id, now)
    await payments.tell(tx, [verified.told("verified", now)])
    return verified
