"""People with plenty of money, to make a load with."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from uuid import UUID, uuid5

from unbusy import ids as identifiers
from unbusy import settings as all_settings
from unbusy import wallets
from unbusy.api import Role
from unbusy.clock import SystemClock
from unbusy.db import Database
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
NO_LIMITS = {f"{PREFIX}LIMIT_PER_{span}": str(_NO_LIMIT) for span in ("PAYMENT", "DAY", "MONTH")}
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
