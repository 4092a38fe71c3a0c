"""People with plenty of money, to make a load with."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID, uuid5

from schwifty import IBAN

from unbusy import ids as identifiers
from unbusy import settings as all_settings
from unbusy import transits, wallets
from unbusy.api import Role
from unbusy.clock import SystemClock
from unbusy.db import Database, Tx
from unbusy.ids import Ids
from unbusy.load import sql
from unbusy.load.model import Payer
from unbusy.payments import Order, Settlement
from unbusy.people import AccessTokens, Person, hash_password, insert_people
from unbusy.settings import PREFIX

ASSET = "EUR"
PASSWORD = "correct horse battery staple"  # noqa: S105 - of people who live as long as the measurement
TENANT = 1
# Longer than any measurement takes.
_TOKEN_S = 6 * 3_600
_PLENTY = 10**12

# So high that no limit is ever met: what is measured is the usual way through.
_NO_LIMIT = 10**12
_LIMITED = (
    "PER_PAYMENT", "PER_DAY", "PER_MONTH",
    "PER_TOPUP", "TOPUPS_PER_DAY", "TOPUPS_PER_MONTH",
    "PER_PAYOUT", "PAYOUTS_PER_DAY", "PAYOUTS_PER_MONTH",
)  # fmt: skip
NO_LIMITS = {f"{PREFIX}LIMIT_{what}": str(_NO_LIMIT) for what in _LIMITED}
_HISTORY_BATCH = 5_000


def furnish(url: str, count: int, history: int, *, tenant_id: int = TENANT, name: str = "customer") -> list[Person]:
    """Put `count` customers with plenty of money in the database, and let them pay each other
    `history` times. Their handles begin with `name`, the password is `PASSWORD`; a tenant that is not
    there yet is made."""
    return asyncio.run(_furnish(url, count, history, tenant_id, name))


def tokens(people: Sequence[Person], secret: bytes) -> list[Payer]:
    """These people with tokens as a sign-in would give them, only faster: a sign-in is slow on purpose."""
    issuer = AccessTokens(secret, clock=SystemClock(), life_s=_TOKEN_S, revoked=())
    return [
        Payer(
            id=identifiers.show("per", person.id),
            token=issuer.issue(person.tenant_id, person.id, uuid5(person.id, "session"), Role(person.role)),
            tenant=person.tenant_id,
        )
        for person in people
    ]


def link(url: str, payers: Sequence[Payer], banks: Sequence[str]) -> list[list[str]]:
    """Link an account of each of these people at each of these banks; gives the ids, as people see them."""
    return asyncio.run(_link(url, payers, banks))


async def _link(url: str, payers: Sequence[Payer], banks: Sequence[str]) -> list[list[str]]:
    clock = SystemClock()
    ids, now = Ids(clock), clock.now()

    async def work(tx: Tx) -> list[list[str]]:
        return [
            [await _linked(tx, ids.new(), payer, number, bank, now) for bank in banks]
            for number, payer in enumerate(payers, 1)
        ]

    db = await Database.open(url, role=None)
    try:
        return await db.run(work)
    finally:
        await db.close()


async def _linked(tx: Tx, id: UUID, payer: Payer, number: int, bank: str, now: datetime) -> str:
    person_id = identifiers.read("per", payer.id)
    assert person_id
    account = transits.BankAccount(
        id=id,
        tenant_id=payer.tenant,
        person_id=person_id,
        bank=bank,
        iban=str(IBAN.generate("GB", bank_code="BUKB", branch_code="202015", account_code=f"{number:08}")),
        holder=f"Customer {number}",
        created_at=now,
    )
    return identifiers.show("ban", (await transits.link(tx, account)).id)


async def _furnish(url: str, count: int, history: int, tenant_id: int, name: str) -> list[Person]:
    clock = SystemClock()
    ids, now = Ids(clock), clock.now()
    customers = [
        Person(
            id=ids.new(),
            tenant_id=tenant_id,
            role="customer",
            name=f"Customer {number}",
            handle=f"{name}_{number}",
            email=f"{name}_{number}@example.com",
            phone=None,
            language="en",
            state="open",
            created_at=now,
        )
        for number in range(count)
    ]
    db = await Database.open(url, role=None)
    try:
        async with db.transaction() as tx:
            await sql.add_tenant(tx, tenant_id, f"tenant-{tenant_id}")
            await insert_people(tx, customers, hash_password(PASSWORD))
            await wallets.credit(tx, ids, tenant_id, [(customer.id, _PLENTY) for customer in customers], ASSET, now)
        await _pay_each_other(db, ids, [customer.id for customer in customers], history)
    finally:
        await db.close()
    return customers


async def _pay_each_other(db: Database, ids: Ids, customers: Sequence[UUID], count: int) -> None:
    """Make a history the way it would have been made: through the same settlement, only in larger batches."""
    clock, chance = SystemClock(), random.Random(7)  # noqa: S311 - a reproducible history, no secret
    settlement = Settlement(ids=ids, settings=all_settings.load(NO_LIMITS))
    for done in range(0, count, _HISTORY_BATCH):
        orders: list[Order] = []
        for _ in range(min(_HISTORY_BATCH, count - done)):
            payer_id, payee_id = chance.sample(customers, 2)
            id = ids.new()
            orders.append(
                Order(
                    id=id,
                    tenant_id=TENANT,
                    payer_id=payer_id,
                    payee_id=payee_id,
                    amount=chance.randint(1, 500),
                    asset=ASSET,
                    note="",
                    key=id.hex,
                    fingerprint=bytes(16),
                )
            )
        async with db.transaction() as tx:
            await settlement.settle(tx, orders, clock.now())
