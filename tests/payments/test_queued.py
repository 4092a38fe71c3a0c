"""Payments whose payer did not want to wait: a promise, a place, and what becomes of them."""

from __future__ import annotations

import asyncio

import pytest
from tests.payments.bank import Bank, Gateway, statuses

from unbusy.api import Principal
from unbusy.errors import Conflict, DeadlineUnreachable, Forbidden, NotFound
from unbusy.ledger import AccountState
from unbusy.payments import Payment, Status
from unbusy.reasons import Reason


@pytest.fixture
async def gateway(bank: Bank) -> Gateway:
    return await bank.gateway(queue_promise_s=60, queue_drain_floor=1)


@pytest.fixture
async def ming(bank: Bank) -> Principal:
    return await bank.person("ming", 100)


@pytest.fixture
async def mei(bank: Bank) -> Principal:
    return await bank.person("mei")


async def now(gateway: Gateway, payer: Principal, *payments: Payment) -> list[Payment]:
    return [await gateway.payments.find(payer, payment.id) for payment in payments]


async def places(gateway: Gateway, *payments: Payment) -> list[int]:
    standings = await gateway.payments.standings(payments)
    return [standings[payment.id].place for payment in payments]


async def test_queued_with_a_promise(bank: Bank, gateway: Gateway, ming: Principal, mei: Principal) -> None:
    """It says by when it is done and how many come before, moves nothing yet, and its payee does not see it."""
    made = [await gateway.queue(ming, mei, amount) for amount in (10, 20, 30)]
    assert statuses(made) == ["queued"] * 3
    assert all(
        payment.finish_by and 29 < (payment.finish_by - payment.created_at).total_seconds() <= 30 for payment in made
    )
    assert await places(gateway, *made) == [1, 2, 3]
    assert await bank.balance(ming) == 100
    with pytest.raises(NotFound):
        await gateway.payments.find(mei, made[0].id)


async def test_settled_in_order(bank: Bank, gateway: Gateway, ming: Principal, mei: Principal) -> None:
    """The worker takes the oldest first; whoever has waited longest is paid first."""
    made = [await gateway.queue(ming, mei, amount) for amount in (70, 50, 20)]
    assert await bank.settle_queued(limit=2) == 2
    assert statuses(await now(gateway, ming, *made)) == ["completed", "insufficient_funds", "queued"]
    assert await places(gateway, made[2]) == [1]
    assert await bank.settle_queued() == 1
    done = await now(gateway, ming, *made)
    assert statuses(done) == ["completed", "insufficient_funds", "completed"]
    assert [payment.balance_after for payment in done] == [30, None, 10]
    assert await bank.settle_queued() == 0


async def test_the_same_key_is_told_how_it_stands(
    bank: Bank, gateway: Gateway, ming: Principal, mei: Principal
) -> None:
    """A repeated attempt queues nothing more; once it is done, it says so, with or without the wish to wait."""
    payment = await gateway.queue(ming, mei, 10, key="k")
    assert (await gateway.answer(ming, mei, 10, key="k")) == (payment, True)
    await bank.settle_queued()
    again, replayed = await gateway.answer(ming, mei, 10, key="k", is_async=True)
    assert (again.id, again.status, replayed) == (payment.id, Status.completed, True)
    assert await bank.balance(mei) == 10


async def test_cancelled_until_it_begins(bank: Bank, gateway: Gateway, ming: Principal, mei: Principal) -> None:
    """A payer may think again, as often as they like; afterwards it is too late."""
    first, second = await gateway.queue(ming, mei, 10), await gateway.queue(ming, mei, 20)
    cancelled = await gateway.payments.cancel(ming, first.id)
    assert cancelled.status is Status.cancelled
    assert await gateway.payments.cancel(ming, first.id) == cancelled
    await bank.settle_queued()
    assert await now(gateway, ming, first) == [cancelled]
    with pytest.raises(Conflict) as raised:
        await gateway.payments.cancel(ming, second.id)
    assert raised.value.reason is Reason.payment_not_cancellable
    assert await bank.balance(mei) == 20


async def test_only_its_payer_cancels_it(bank: Bank, gateway: Gateway, ming: Principal, mei: Principal) -> None:
    """For its payee a queued payment is not there yet, and a completed one not theirs to cancel."""
    tao = await bank.person("tao")
    payment = await gateway.queue(ming, mei, 10)
    for stranger in (mei, tao):
        with pytest.raises(NotFound):
            await gateway.payments.cancel(stranger, payment.id)
    await bank.settle_queued()
    with pytest.raises(Forbidden):
        await gateway.payments.cancel(mei, payment.id)


async def test_a_promise_that_was_missed(bank: Bank, gateway: Gateway, ming: Principal, mei: Principal) -> None:
    """What was not begun in its time expires and moves nothing; what came later is settled."""
    late = await gateway.queue(ming, mei, 10)
    bank.clock.go(seconds=29)
    in_time = await gateway.queue(ming, mei, 20)
    bank.clock.go(seconds=2)
    await bank.settle_queued()
    assert statuses(await now(gateway, ming, late, in_time)) == ["promise_missed", "completed"]
    assert (await now(gateway, ming, late))[0].status is Status.expired
    assert await bank.balance(mei) == 20


async def test_decided_at_its_turn(bank: Bank, gateway: Gateway, ming: Principal, mei: Principal) -> None:
    """Accounts, funds and limits are as they are then, not as they were."""
    payment = await gateway.queue(ming, mei, 10)
    await bank.as_superuser("INSERT INTO payments.limits VALUES (1, 'EUR', 5, 5, 5)")
    over = await gateway.queue(ming, mei, 5)
    await bank.settle_queued()
    assert statuses(await now(gateway, ming, payment, over)) == ["limit_per_payment", "completed"]
    bank.clock.go(days=31)
    frozen = await gateway.queue(ming, mei, 1)
    await bank.set_state(ming, AccountState.frozen)
    await bank.settle_queued()
    assert statuses(await now(gateway, ming, frozen)) == ["payer_account_frozen"]


async def test_many_workers(bank: Bank, gateway: Gateway, mei: Principal) -> None:
    """However many workers take from the queue, each payment is settled once."""
    payers = [await bank.person(f"payer{number}", 100) for number in range(5)]
    made = [(payer, await gateway.queue(payer, mei, 1)) for payer in payers * 8]
    while sum(await asyncio.gather(*(bank.settle_queued(limit=3) for _ in range(4)))):
        pass
    assert {(await now(gateway, payer, payment))[0].status for payer, payment in made} == {Status.completed}
    assert await bank.balance(mei) == 40


async def test_cancelling_while_workers_settle(bank: Bank, gateway: Gateway, ming: Principal, mei: Principal) -> None:
    """Whoever comes first wins, and both say the same."""
    made = [await gateway.queue(ming, mei, 1) for _ in range(20)]
    cancelled, _ = await asyncio.gather(
        asyncio.gather(*(gateway.payments.cancel(ming, each.id) for each in made), return_exceptions=True),
        asyncio.gather(*(bank.settle_queued(limit=5) for _ in range(4))),
    )
    while await bank.settle_queued():
        pass
    said = ["completed" if isinstance(answer, Conflict) else "cancelled" for answer in cancelled]
    assert statuses(await now(gateway, ming, *made)) == said
    assert await bank.balance(ming) == 100 - said.count("completed")


async def test_no_promise_that_cannot_be_kept(bank: Bank, ming: Principal, mei: Principal) -> None:
    """When more is queued than is settled in the promised time even at the slowest, the answer is no."""
    gateway = await bank.gateway(queue_promise_s=5, queue_drain_floor=1)
    for _ in range(5):
        await gateway.queue(ming, mei, 1)
    with pytest.raises(DeadlineUnreachable):
        await gateway.queue(ming, mei, 1)
    other = await bank.gateway(queue_promise_s=5, queue_drain_floor=1)
    with pytest.raises(DeadlineUnreachable):
        await other.queue(ming, mei, 1)
    assert await bank.count("payments.payments") == 5
    await bank.settle_queued()
    bank.clock.go(seconds=2)
    assert statuses([await gateway.queue(ming, mei, 1)]) == ["queued"]


async def test_waiting_for_the_end(bank: Bank, gateway: Gateway, ming: Principal, mei: Principal) -> None:
    """Whoever waits hears of the end when it comes, and gets the payment as it is when it does not."""
    payment = await gateway.queue(ming, mei, 1)
    assert (await gateway.payments.wait(ming, payment.id, 0.05)).status is Status.queued
    waiting = asyncio.create_task(gateway.payments.wait(ming, payment.id, 10))
    await asyncio.sleep(0.05)
    await bank.settle_queued()
    assert (await asyncio.wait_for(waiting, 5)).status is Status.completed
    assert (await gateway.payments.wait(ming, payment.id, 10)).status is Status.completed
