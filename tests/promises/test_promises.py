"""Promises of real payments: written with them, kept with them, revised openly, told to everybody."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from tests.app.site import Site, reason
from tests.payments.bank import Bank, Gateway, statuses

from unbusy import telemetry
from unbusy.api import Principal
from unbusy.errors import DeadlineUnreachable, KeyReused
from unbusy.payments import Payment, Status
from unbusy.promises import Standing


@pytest.fixture
async def ming(bank: Bank) -> Principal:
    return await bank.person("ming", 1_000)


@pytest.fixture
async def mei(bank: Bank) -> Principal:
    return await bank.person("mei")


async def standing(gateway: Gateway, payment: Payment) -> Standing:
    return (await gateway.payments.standings([payment]))[payment.id]


async def promise(bank: Bank, payment: Payment, column: str) -> Any:
    return await bank.as_superuser(f"SELECT {column} FROM promises.promises WHERE payment_id = '{payment.id}'")


async def test_written_and_kept(bank: Bank, ming: Principal, mei: Principal) -> None:
    """A promise begins with its payment and ends with it; one that is taken back is neither kept nor broken."""
    gateway = await bank.gateway()
    kept, withdrawn = await gateway.queue(ming, mei, 1), await gateway.queue(ming, mei, 2)
    assert await promise(bank, kept, "finish_by") == await promise(bank, kept, "promised_by") == kept.finish_by
    await gateway.payments.cancel(ming, withdrawn.id)
    await bank.settle_queued()
    assert [await promise(bank, each, "outcome") for each in (kept, withdrawn)] == ["kept", "withdrawn"]
    assert await bank.as_superuser("SELECT kept * 10 + broken FROM promises.hours") == 10


async def test_paused_until_somebody_drains(bank: Bank, ming: Principal, mei: Principal) -> None:
    """Without a word from a worker only finish_by is promised; with one there are times; then it falls silent."""
    gateway = await bank.gateway()
    first = await gateway.queue(ming, mei, 1)
    assert await promise(bank, first, "likely_by") is None
    assert (await standing(gateway, first)).paused_since
    await bank.settle_queued()
    await bank.tell()
    bank.clock.go(seconds=2)
    second = await gateway.queue(ming, mei, 1)
    seen = await standing(gateway, second)
    assert seen.expected_at
    assert seen.likely_by
    assert second.created_at < seen.expected_at < seen.likely_by < (second.finish_by or seen.likely_by)
    assert seen.paused_since is None
    bank.clock.go(seconds=10)
    await bank.tell()  # it is alive, and no batch has got through for ten seconds
    paused = await standing(gateway, second)
    assert (paused.expected_at, paused.likely_by) == (None, None)
    assert paused.paused_since
    await bank.settle_queued()


async def test_overdue_counts_at_once_and_is_revised(bank: Bank, ming: Principal, mei: Principal) -> None:
    """A likely time that has passed is a broken one before its payment is done; its payer sees another."""
    gateway = await bank.gateway()
    await bank.settle_queued()
    await bank.tell()
    payment = await gateway.queue(ming, mei, 1)
    before = await standing(gateway, payment)
    assert before.likely_by
    bank.clock.go(seconds=2)
    await bank.tell()
    seen = await standing(gateway, payment)
    assert seen.revised_at
    assert seen.likely_by
    assert seen.likely_by > before.likely_by
    assert await bank.as_superuser("SELECT likely_by FROM promises.revisions") == before.likely_by
    assert (await gateway.payments.find(ming, payment.id)).finish_by == payment.finish_by
    await bank.settle_queued()
    assert await bank.as_superuser("SELECT kept * 100 + likely_missed * 10 + likely_kept FROM promises.hours") == 110


async def test_a_finish_by_that_cannot_be_kept_is_moved_before_it_is_missed(
    bank: Bank, ming: Principal, mei: Principal
) -> None:
    """Once, openly, with an event; the payment is done all the same, and the promise counts as broken."""
    gateway = await bank.gateway(queue_promise_s=40, queue_drain_floor=1)
    bank.worker = bank.new_worker(queue_promise_s=40, queue_drain_floor=1)
    await bank.settle_queued()
    await bank.tell()
    made = [await gateway.queue(ming, mei, 1) for _ in range(40)]
    last = made[-1]
    bank.clock.go(seconds=25)
    await bank.settle_queued(limit=12)
    await bank.tell()
    # As after a bad minute: one a second, so that the last comes after its time. It is overdue already.
    await bank.as_superuser("UPDATE promises.queues SET learnt = learnt || '{\"drain_per_s\": 1}' RETURNING 1")
    await bank.as_superuser("UPDATE promises.promises SET likely_by = made_at WHERE ended_at IS NULL RETURNING 1")
    await bank.tell()
    moved = await gateway.payments.find(ming, last.id)
    assert last.finish_by
    assert moved.finish_by
    assert moved.finish_by > last.finish_by
    assert (await standing(gateway, last)).revised_at
    assert await bank.as_superuser(f"SELECT count(*) FROM payments.events WHERE subject_id = '{last.id}'") == 2
    bank.clock.go(seconds=(last.finish_by - bank.clock.now()) / timedelta(seconds=1) + 1)
    while await bank.settle_queued():
        pass
    assert (await gateway.payments.find(ming, last.id)).status is Status.completed
    assert await promise(bank, last, "outcome") == "broken"


async def test_a_full_queue_still_tells_what_was_made(bank: Bank, ming: Principal, mei: Principal) -> None:
    """Who repeats a request gets the earlier answer, and no newcomer is taken."""
    gateway = await bank.gateway(queue_promise_s=3, queue_drain_floor=1)
    first = await gateway.queue(ming, mei, 1, key="first")
    for _ in range(2):
        await gateway.queue(ming, mei, 1)
    with pytest.raises(DeadlineUnreachable):
        await gateway.queue(ming, mei, 1)
    assert await gateway.answer(ming, mei, 1, key="first", is_async=True) == (first, True)
    with pytest.raises(KeyReused):
        await gateway.answer(ming, mei, 2, key="first", is_async=True)
    await bank.settle_queued()
    assert statuses([(await gateway.answer(ming, mei, 1, key="first", is_async=True))[0]]) == ["completed"]


async def test_places_far_back_are_estimates(bank: Bank, ming: Principal, mei: Principal) -> None:
    """The first five hundred are counted; further back it is where one began, less who was drained since."""
    gateway = await bank.gateway()
    made = [await gateway.queue(ming, mei, 1) for _ in range(3)]
    ahead = "UPDATE promises.promises SET ahead = 4_000 WHERE payment_id = '{}' RETURNING 1"
    await bank.as_superuser(ahead.format(made[2].id))
    assert (await standing(gateway, made[2])).place == 3
    # A crowd before them: ids that sort before every other.
    await bank.as_superuser(f"""
        INSERT INTO promises.promises (payment_id, tenant_id, class, ahead, made_at, promised_by, finish_by)
        SELECT lpad(number::text, 32, '0')::uuid, tenant_id, class, 0, made_at, finish_by, finish_by
          FROM promises.promises, generate_series(1, 600) AS number WHERE payment_id = '{made[0].id}' RETURNING 1
    """)
    assert (await standing(gateway, made[2])).place == 4_001
    crowd = "DELETE FROM promises.promises WHERE payment_id < '00000000-0000-0000-0000-0000ffffffff' RETURNING 1"
    await bank.as_superuser(crowd)
    await bank.settle_queued()


async def test_what_the_worker_learns_outlives_it(bank: Bank, ming: Principal, mei: Principal) -> None:
    """The next one goes on with the pace and the lessons of the one before."""
    gateway = await bank.gateway()
    await bank.settle_queued()
    await bank.tell()
    for _ in range(60):
        await gateway.queue(ming, mei, 1)
    await bank.settle_queued()
    await bank.tell()
    pace = "SELECT (learnt->>'drain_per_s')::float FROM promises.queues"
    learnt = await bank.as_superuser(pace)
    assert learnt != 300
    bank.worker = bank.new_worker()
    await bank.settle_queued()
    await bank.tell()
    assert await bank.as_superuser(pace) == learnt


async def test_a_payment_without_its_promise_is_found(bank: Bank, ming: Principal, mei: Principal) -> None:
    """What is queued has an open promise and nothing else has one; `check` sees both."""
    gateway = await bank.gateway()
    first, second = await gateway.queue(ming, mei, 1), await gateway.queue(ming, mei, 1)
    end = "UPDATE promises.promises SET ended_at = {at}, outcome = {how} WHERE payment_id = '{id}' RETURNING 1"
    await bank.as_superuser(end.format(at="now()", how="'kept'", id=first.id))
    assert [(each.rule, each.subject) for each in await bank.findings()] == [("queued_has_its_promise", str(first.id))]
    await bank.as_superuser(end.format(at="NULL", how="NULL", id=first.id))
    await bank.settle_queued()
    await bank.as_superuser(end.format(at="NULL", how="NULL", id=second.id))
    assert [(each.rule, each.subject) for each in await bank.findings()] == [("queued_has_its_promise", str(second.id))]
    await bank.as_superuser(end.format(at="now()", how="'kept'", id=second.id))


async def test_told_to_everybody(site: Site) -> None:
    """Kept and broken by class and hour, with coverage and sharpness, without signing in; and as metrics."""
    ming, _ = await site.person("ming", 100), await site.person("mei")
    anybody = await site.client()
    await site.bank.settle_queued()
    await site.bank.tell()
    assert (await anybody.get("/v1/promises")).json()["classes"] == []
    telemetry.PROMISES.clear()
    for _ in range(3):
        queued = (await ming.pay("@mei", 1, prefer="respond-async")).json()
        assert queued["created_at"] < queued["expected_at"] < queued["likely_by"] < queued["finish_by"]
    await site.bank.settle_queued()
    site.bank.clock.go(seconds=61)
    await ming.pay("@mei", 1, prefer="respond-async")
    site.bank.clock.go(seconds=61)
    await site.bank.settle_queued()
    await asyncio.sleep(1)  # what was read is good for a second
    answer = await anybody.get("/v1/promises")
    body = answer.json()
    assert answer.headers["cache-control"] == "public, max-age=1"
    [queued] = body["classes"]
    assert (queued["class"], queued["kept"], queued["broken"]) == ("queued", 3, 1)
    assert 0 < queued["coverage"] <= 1
    assert queued["sharpness"] > 1
    assert sum(hour["kept"] for hour in body["hours"]) == 3
    metrics = (await anybody.get("/metrics")).text
    assert 'unbusy_promises_total{class="queued",outcome="kept"} 3.0' in metrics


class TestLooking:
    """A storm of polls costs no payment its place."""

    async def test_too_early_too_often(self, site: Site) -> None:
        """What is not final says when to look again. Three early looks are free, the next is refused from
        memory; waiting is free."""
        ming, _ = await site.person("ming", 100), await site.person("mei")
        queued = await ming.pay("@mei", 1, prefer="respond-async")
        where, again = queued.headers["location"], queued.json()["next_check_after"]
        assert int(queued.headers["retry-after"]) >= 1
        for _ in range(3):
            looked = await ming.get(where)
            assert (looked.json()["next_check_after"], looked.headers["retry-after"]) == (again, "1")
        async with site.bank.db.transaction() as tx:
            await tx.execute("SELECT FROM payments.payments FOR UPDATE")
            refused = await ming.get(where)
        assert reason(refused) == (429, "quota_exceeded")
        assert int(refused.headers["retry-after"]) >= 1
        assert (await ming.get(where, params={"wait": 1})).status_code == 200
        await site.bank.settle_queued()
        done = await ming.get(where, params={"wait": 1})
        assert done.json()["status"] == "completed"
        assert "retry-after" not in done.headers
        for _ in range(5):
            assert (await ming.get(where)).status_code == 200

    async def test_when_its_time_has_come(self, site: Site) -> None:
        """Who looks when told to is always answered; who looks at another's payment takes nothing from them."""
        ming, mei = await site.person("ming", 100), await site.person("mei")
        where = (await ming.pay("@mei", 1, prefer="respond-async")).headers["location"]
        for _ in range(6):
            assert reason(await mei.get(where)) == (404, "not_found")
        for _ in range(2):
            looked = await ming.get(where, params={"wait": 1})
            assert (looked.status_code, looked.json()["status"]) == (200, "queued")
            assert (await ming.get(where)).status_code == 200
        await site.bank.settle_queued()
