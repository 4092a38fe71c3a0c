"""The verbs of a wallet: look, read its statement, put money in from the reserve, freeze, close."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from uuid import UUID, uuid5

from unbusy import ids, ledger
from unbusy.api import Principal
from unbusy.clock import Clock
from unbusy.db import Database, Tx
from unbusy.errors import Conflict, Invalid, NotFound
from unbusy.ids import Ids
from unbusy.ledger import Account, AccountRefusal, AccountState, Entry, NewAccount, Posted, Transfer
from unbusy.people import Payee, People
from unbusy.reasons import Reason
from unbusy.wallets.recent import Recent, Seen

# Makes a system account's id from what it is for, so that every process finds the same one.
_NAMESPACE = UUID("6b1cf1a4-3c3f-5d5e-9d0e-2f6b4a7c8e10")

_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = datetime(9999, 1, 1, tzinfo=UTC)


class Wallets:
    """Wallets as one gateway shows them."""

    def __init__(self, db: Database, reads: Database, people: People, *, clock: Clock) -> None:
        self._db = db
        self._reads = reads
        self._people = people
        self._clock = clock
        self._recent = Recent(clock)

    async def see(self, person: Principal, *, may_be_recent: bool = False) -> Seen:
        """The person's accounts, one per asset, none before the first receipt; and when they were read.

        With `may_be_recent` they may be a few seconds old, without a look at the database, but never
        older than the person's own last payment through this gateway.
        """
        if may_be_recent and (recent := self._recent.get(person.person_id)):
            return recent
        return await self._recent.read(person.person_id, lambda: self._accounts(person.tenant_id, person.person_id))

    def changed(self, person_ids: Iterable[UUID]) -> None:
        """Money of these people was moved, and that is committed."""
        self._recent.forget(person_ids)

    async def see_of(self, operator: Principal, person_id: UUID) -> Seen:
        """The same, as it is now, of somebody in the operator's tenant. Raises NotFound."""
        if await self._people.find(operator.tenant_id, person_id) is None:
            raise NotFound("there is nobody with this id")
        now = self._clock.now()
        return Seen(await self._accounts(operator.tenant_id, person_id), now)

    async def statement(
        self,
        person: Principal,
        asset: str,
        *,
        before: int | None,
        limit: int,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> list[Entry]:
        """What moved the balance of one asset, newest first, at most `limit`. `before` is a running
        number. Without an account in the asset the statement is empty."""
        async with self._reads.transaction() as tx:
            account_id = await self._find(tx, person, asset)
            if account_id is None:
                return []
            return await ledger.statement(
                tx,
                account_id,
                before=before,
                limit=limit,
                since=_within_reach(since) if since else None,
                until=_within_reach(until) if until else None,
            )

    async def balance_at(self, person: Principal, asset: str, at: datetime) -> int:
        """The balance at a time in the past, in minor units; 0 before there was an account."""
        async with self._reads.transaction() as tx:
            account_id = await self._find(tx, person, asset)
            return await ledger.balance_at(tx, account_id, _within_reach(at)) if account_id else 0

    async def counterparties(self, person: Principal, entries: Sequence[Entry]) -> dict[UUID, Payee | None]:
        """Whose the other side of each entry is, by its account; None for the bank's own accounts."""
        async with self._reads.connection() as connection:
            accounts = await ledger.accounts(connection, list({entry.counterparty_id for entry in entries}))
        names = {id: ids.show("per", account.owner_id) for id, account in accounts.items() if account.owner_id}
        found = await self._people.resolve([(person.tenant_id, name) for name in names.values()])
        return {id: found.get((person.tenant_id, names.get(id, ""))) for id in accounts}

    async def set_state(self, operator: Principal, account_id: UUID, state: AccountState) -> Account:
        """Freeze, thaw or close an account of the operator's tenant.

        Raises NotFound, and Conflict when it is closed already or not empty.
        """

        async def work(tx: Tx) -> Account:
            account = (await ledger.accounts(tx, [account_id])).get(account_id)
            if account is None or account.tenant_id != operator.tenant_id:
                raise NotFound("there is no such account")
            changed = await ledger.set_state(tx, account_id, state)
            if changed is AccountRefusal.account_not_empty:
                raise Conflict(Reason.account_not_empty, "only an empty account can be closed")
            if isinstance(changed, AccountRefusal):
                raise Conflict(Reason.account_closed, "this account is closed for good")
            return changed

        account = await self._db.run(work)
        if account.owner_id:
            self.changed([account.owner_id])
        return account

    async def _accounts(self, tenant_id: int, person_id: UUID) -> list[Account]:
        async with self._reads.connection() as connection:
            return await ledger.wallet(connection, tenant_id, person_id)

    async def _find(self, tx: Tx, person: Principal, asset: str) -> UUID | None:
        key = (person.tenant_id, person.person_id, asset)
        return (await ledger.find_wallets(tx, [key])).get(key)


def _within_reach(at: datetime) -> datetime:
    """The time, or the end of ours when it lies beyond: at the ends of the calendar no other zone
    can express it. Nothing was written before the one or will be after the other."""
    return min(max(at, _EARLIEST), _LATEST)


def reserve_of(tenant_id: int, asset: str) -> UUID:
    """The account that stands for the money the tenant keeps at its bank."""
    return uuid5(_NAMESPACE, f"{tenant_id}/{asset}/bank")


async def credit(
    tx: Tx, ids: Ids, tenant_id: int, credits: Sequence[tuple[UUID, int]], asset: str, now: datetime
) -> list[Posted]:
    """Put money from the reserve into wallets, opening those that are not there.

    `credits` is (person, amount in minor units), at most a batch of the ledger's. Raises Invalid
    when the ledger refuses one: then none is made.
    """
    reserve = NewAccount(id=reserve_of(tenant_id, asset), tenant_id=tenant_id, asset=asset, code="bank")
    new = [
        NewAccount(id=ids.new(), tenant_id=tenant_id, asset=asset, code="wallet", owner_id=person_id, floor=0)
        for person_id, _ in credits
    ]
    accounts = await ledger.open_accounts(tx, [reserve, *new])
    transfers = [
        Transfer(
            id=ids.new(),
            tenant_id=tenant_id,
            debit_id=reserve.id,
            credit_id=account.id,
            amount=amount,
            asset=asset,
            code="top_up",
        )
        for account, (_, amount) in zip(accounts[1:], credits, strict=True)
    ]
    outcomes = await ledger.post(tx, transfers, now)
    posted = [outcome for outcome in outcomes if isinstance(outcome, Posted)]
    if len(posted) < len(outcomes):
        refusal = next(outcome.refusal for outcome in outcomes if not isinstance(outcome, Posted))
        raise Invalid(f"the ledger refuses: {refusal}", field="amount")
    return posted
