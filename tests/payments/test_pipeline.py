"""The line before the books: bounded, honest about deadlines, and no order hurts another."""

from __future__ import annotations

import asyncio
import random

import msgspec
import pytest
from tests.payments.bank import Bank, Gateway, fingerprint, settle_together, shown, statuses

from unbusy import db as database
from unbusy.api import Principal
from unbusy.clock import Deadline
from unbusy.errors import DeadlineUnreachable, LedgerUnavailable, NotFound
from unbusy.payments import Order, Payment, Status


def order(gateway: Gateway, payer: Principal, payee: Principal, amount: int) -> Order:
    return Order(
        id=gateway.ids.new(),
        tenant_id=payer.tenant_id,
        payer_id=payer.person_id,
        payee_id=payee.person_id,
        amount=amount,
        asset="EUR",
        note="",
        key=gateway.key(),
        fingerprint=fingerprint(amount),
    )


async def test_a_batch_may_mix_tenants(bank: Bank, gateway: Gateway) -> None:
    """Two banks share a batch and nothing else."""
    await bank.as_superuser("INSERT INTO tenants.tenants (id, slug) VALUES (2, 'another-bank')")
    await bank.as_superuser("INSERT INTO payments.limits VALUES (2, 'EUR', 5, 5, 5)")
    ming, mei = await bank.person("ming", 100), await bank.person("mei")
    ann, bob = await bank.person("ann", 100, tenant_id=2), await bank.person("bob", tenant_id=2)
    made = await settle_together(gateway, [(ming, mei, 6), (ann, bob, 6), (ann, bob, 5)])
    assert statuses(made) == ["completed", "limit_per_payment", "completed"]
    assert [payment.tenant_id for payment in made] == [1, 2, 2]
    for payee in ("@mei", shown(mei)):
        with pytest.raises(NotFound):
            await gateway.pay(ann, payee, 1)


async def test_a_bad_order_hurts_nobody(bank: Bank, gateway: Gateway, caplog: pytest.LogCaptureFixture) -> None:
    """A batch that breaks is settled one by one: only the order that breaks it is left without an answer."""
    ming, mei = await bank.person("ming", 100), await bank.person("mei")
    good = [order(gateway, ming, mei, 10) for _ in range(4)]
    bad = [msgspec.structs.replace(good[1], note="\0"), msgspec.structs.replace(good[2], key="x" * 65)]
    answers = await asyncio.gather(
        *(gateway.payments.submit(each, Deadline(bank.clock, 10)) for each in [good[0], *bad, good[3]]),
        return_exceptions=True,
    )
    assert [type(answer) is tuple for answer in answers] == [True, False, False, True]
    assert await bank.balance(mei) == 20
    assert "a batch of payments broke" in caplog.text
    assert (await gateway.pay(ming, mei, 1)).status is Status.completed


async def test_a_full_line(bank: Bank) -> None:
    """Whoever finds the line full is told at once, and nothing of theirs is done."""
    gateway = await bank.gateway(pipeline_queue=2)
    ming, mei = await bank.person("ming", 100), await bank.person("mei")
    await gateway.pay(ming, mei, 1)
    async with bank.standing_still():
        first = asyncio.create_task(gateway.pay(ming, mei, 10))
        await bank.begun()
        waiting = [asyncio.create_task(gateway.pay(ming, mei, 10)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(DeadlineUnreachable, match="too many"):
            await gateway.pay(ming, mei, 10)
    assert statuses(await asyncio.gather(first, *waiting)) == ["completed"] * 3
    assert await bank.balance(mei) == 31


async def test_not_begun_after_the_deadline(bank: Bank, gateway: Gateway) -> None:
    """Who waits behind a batch that takes too long is told in time that nothing was done, and nothing is."""
    ming, mei = await bank.person("ming", 100), await bank.person("mei")
    await gateway.pay(ming, mei, 1)
    async with bank.standing_still():
        first = asyncio.create_task(gateway.pay(ming, mei, 10))
        await bank.begun()
        with pytest.raises(DeadlineUnreachable):
            await asyncio.wait_for(gateway.answer(ming, mei, 10, within=0.1, key="late"), 5)
    await first
    payment, replayed = await gateway.answer(ming, mei, 10, key="late")
    assert (payment.status, replayed) == (Status.completed, False)


async def test_a_deadline_that_passes_during_the_work(bank: Bank, gateway: Gateway) -> None:
    """Then nobody knows: the same key tells, and finds what was done."""
    ming, mei = await bank.person("ming", 100), await bank.person("mei")
    await gateway.pay(ming, mei, 1)
    async with bank.standing_still():
        late = asyncio.create_task(gateway.answer(ming, mei, 10, within=0.2, key="late"))
        await bank.begun()
        with pytest.raises(LedgerUnavailable, match="same key"):
            await asyncio.wait_for(late, 5)
    payment, replayed = await gateway.answer(ming, mei, 10, key="late")
    assert (payment.status, replayed) == (Status.completed, True)
    assert await bank.balance(mei) == 11


async def test_whoever_has_gone_is_not_served(bank: Bank, gateway: Gateway) -> None:
    """Work whose caller has gone before it began is not begun."""
    ming, mei = await bank.person("ming", 100), await bank.person("mei")
    await gateway.pay(ming, mei, 1)
    async with bank.standing_still():
        first = asyncio.create_task(gateway.pay(ming, mei, 10))
        await bank.begun()
        gone = asyncio.create_task(gateway.pay(ming, mei, 20))
        await asyncio.sleep(0)
        gone.cancel()
    await first
    await gateway.pay(ming, mei, 1)
    assert await bank.balance(mei) == 12


async def test_stopping_finishes_what_was_submitted(bank: Bank, gateway: Gateway) -> None:
    """A gateway that is told to stop answers all who wait before it does."""
    ming, mei = await bank.person("ming", 100), await bank.person("mei")
    await gateway.payments.payee(ming, "@mei")
    waiting = [asyncio.create_task(gateway.pay(ming, "@mei", 1)) for _ in range(20)]
    await asyncio.sleep(0)
    await gateway.payments.stop()
    assert all(task.done() for task in waiting)
    assert await bank.balance(mei) == 20


async def test_connections_that_break_in_the_middle(bank: Bank) -> None:
    """However often the database drops its connections, each payment is made once and its answer is right."""
    own = await database.Database.open(bank.url, size=4)
    gateway = await bank.gateway(own)
    ming, mei = await bank.person("ming", 100_000), await bank.person("mei")
    dropping = asyncio.create_task(_drop_connections(bank))
    answers: list[Payment] = []
    while not dropping.done():
        keys = [f"k{len(answers) + number}" for number in range(10)]
        answers += await asyncio.gather(*(_insist(gateway, ming, mei, key) for key in keys))
    assert {payment.status for payment in answers} == {Status.completed}
    assert len({payment.id for payment in answers}) == len(answers) == await bank.balance(mei)
    await bank.close()
    await own.close()


async def _drop_connections(bank: Bank) -> None:
    """Ten times in a second or two, at moments that nobody expects."""
    for _ in range(10):
        await bank.as_superuser(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = 'unbusy'"
        )
        await asyncio.sleep(random.uniform(0.05, 0.15))


async def _insist(gateway: Gateway, payer: Principal, payee: Principal, key: str) -> Payment:
    """Ask again with the same key for as long as the answer is in doubt."""
    while True:
        try:
            return (await gateway.answer(payer, payee, 1, key=key))[0]
        except (LedgerUnavailable, DeadlineUnreachable):
            await asyncio.sleep(0.01)
