"""Looking and paying do not get into each other's way."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator

from tests.payments.bank import Bank

from unbusy.db import Database
from unbusy.payments import Status


@contextlib.asynccontextmanager
async def all_taken(reads: Database, count: int) -> AsyncGenerator[None]:
    """Somebody holds every connection there is for reads."""
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(count):
            await stack.enter_async_context(reads.connection())
        yield


async def test_no_storm_of_reads_stops_a_payment(bank: Bank) -> None:
    """With every connection for reads taken, people pay, queue, refund and pay requests as ever."""
    reads = await Database.open(bank.url, size=2, is_read_only=True)
    gateway = await bank.gateway(reads=reads)
    ming, mei = await bank.person("ming", 1_000), await bank.person("mei")
    asked = await gateway.ask(mei, ming, 5)
    async with all_taken(reads, 2), asyncio.timeout(5):
        paid = await gateway.pay(ming, mei, 10)
        assert paid.status is Status.completed
        assert (await gateway.queue(ming, mei, 10)).status is Status.queued
        assert (await gateway.refund(mei, paid, 4)).status is Status.completed
        assert (await gateway.pay_request(ming, asked))[0].status is Status.completed
    await gateway.payments.stop()
    await reads.close()


async def test_who_waits_holds_no_connection(bank: Bank) -> None:
    """A long poll holds nothing of the database: ten times as many wait as there are connections, and others look."""
    reads = await Database.open(bank.url, size=2, is_read_only=True)
    gateway = await bank.gateway(reads=reads)
    ming, mei = await bank.person("ming", 1_000), await bank.person("mei")
    queued = await gateway.queue(ming, mei, 10)
    waiting = [asyncio.create_task(gateway.payments.wait(ming, queued.id, 20)) for _ in range(20)]
    await asyncio.sleep(0.2)
    async with all_taken(reads, 2):
        assert not any(task.done() for task in waiting)
    await bank.settle_queued()
    async with asyncio.timeout(5):
        assert {payment.status for payment in await asyncio.gather(*waiting)} == {Status.completed}
    await gateway.payments.stop()
    await reads.close()


async def test_everybody_sees_what_they_did(bank: Bank) -> None:
    """What was acknowledged is there for whoever looks next."""
    gateway = await bank.gateway()
    ming, mei = await bank.person("ming", 1_000), await bank.person("mei")
    for amount in range(1, 11):
        paid = await gateway.pay(ming, mei, amount)
        assert (await gateway.payments.list(ming, None, 1))[0][0].id == paid.id
        assert (await gateway.wallets.see(ming, may_be_recent=True)).accounts[0].posted == paid.balance_after
