"""What happened to a person, told in order, nothing left out, nothing twice."""

from __future__ import annotations

import asyncio
import random

import msgspec
import pytest
from tests.payments.bank import Bank, Gateway

from unbusy import payments
from unbusy.api import Event, Principal
from unbusy.db import Database
from unbusy.errors import Invalid
from unbusy.payments import KINDS


async def told(gateway: Gateway, person: Principal, place: str) -> list[str]:
    return [event.type for event in await gateway.events.after(person, place, "en")]


async def test_both_sides_hear_of_all(bank: Bank, gateway: Gateway) -> None:
    """Every change of payments, refunds and requests is told to whom it concerns, in the order it happened."""
    ming, mei = await bank.person("ming", 1_000), await bank.person("mei")
    begin = await gateway.events.place(None)
    paid = await gateway.pay(ming, mei, 100)
    await gateway.pay(ming, mei, 10_000)
    await gateway.refund(mei, paid, 10)
    await gateway.refund(mei, paid, 1_000)
    await gateway.pay_request(ming, await gateway.ask(mei, "@ming", 20))
    await gateway.requests.decline(ming, (await gateway.ask(mei, "@ming", 20)).id)
    await gateway.requests.withdraw(mei, (await gateway.ask(mei, "@ming", 20)).id)
    await gateway.ask(mei, "@ming", 20)
    await gateway.payments.cancel(ming, (await gateway.queue(ming, mei, 1)).id)
    await gateway.queue(ming, mei, 1)
    await bank.settle_queued()
    await gateway.queue(ming, mei, 1)
    bank.clock.go(days=15)
    await bank.settle_queued()
    await bank.db.run(lambda tx: payments.expire_requests(tx, bank.clock.now(), 10))
    heard_by_ming = await told(gateway, ming, begin)
    heard_by_mei = await told(gateway, mei, begin)
    assert heard_by_mei == [
        "payment.completed",
        "refund.completed",
        "refund.declined",
        "request.open",
        "request.paid",
        "payment.completed",
        "request.open",
        "request.declined",
        "request.open",
        "request.cancelled",
        "request.open",
        "payment.completed",
        "request.expired",
    ]
    only_the_payer = ["payment.declined", "payment.queued", "payment.cancelled", "payment.expired"]
    assert [kind for kind in heard_by_ming if kind not in only_the_payer] == [
        kind for kind in heard_by_mei if kind != "refund.declined"
    ]
    # `payment.pending` is told where a bank is asked for the money (tests/funding).
    assert {*heard_by_ming, *heard_by_mei, "ready", "payment.pending"} == set(KINDS)


async def test_an_event_shows_what_it_is_about(bank: Bank, gateway: Gateway) -> None:
    """Its data are what a look at the thing would show, in the reader's language, for the reader's eyes."""
    ming, mei = await bank.person("ming", 100), await bank.person("mei")
    begin = await gateway.events.place(None)
    await gateway.pay(ming, mei, 30)
    mine, hers = [
        msgspec.json.decode((await gateway.events.after(person, begin, "zh"))[0].data)["payment"]
        for person in (ming, mei)
    ]
    assert (mine["balance"], mine["message"]) == (70, "您已向Mei支付 0.30 EUR。")
    assert "balance" not in hers
    assert hers["message"] == "Ming向您支付了 0.30 EUR。"
    assert mine["receipt"]["number"] == hers["receipt"]["number"]


async def test_reading_on_from_anywhere(bank: Bank, gateway: Gateway) -> None:
    """From every event on, what follows is the same; pages are of a hundred."""
    ming, mei = await bank.person("ming", 1_000), await bank.person("mei")
    begin = await gateway.events.place(None)
    await asyncio.gather(*(gateway.pay(ming, mei, 1) for _ in range(120)))
    first = await gateway.events.after(ming, begin, "en")
    rest = await gateway.events.after(ming, first[-1].id, "en")
    assert (len(first), len(rest)) == (100, 20)
    assert len({event.id for event in [*first, *rest]}) == 120
    for index in (0, 42, 99):
        following = await gateway.events.after(ming, await gateway.events.place(first[index].id), "en")
        assert following[0].id == [*first, *rest][index + 1].id
    assert await told(gateway, ming, rest[-1].id) == []


async def test_a_place_that_is_not_ours(bank: Bank, gateway: Gateway) -> None:
    """Whatever stands in `Last-Event-ID` but was not given by us is refused."""
    for place in ("", "x", "1", "1-", "-1-1", "1-1-1", f"{10**18}-1", f"1-{10**18}", "１-１", "1-1\n"):
        with pytest.raises(Invalid) as raised:
            await gateway.events.place(place)
        assert raised.value.field == "Last-Event-ID"


async def test_nobody_hears_of_others(bank: Bank, gateway: Gateway) -> None:
    """A stream is one person's."""
    ming, mei, tao = [await bank.person(name, 100) for name in ("ming", "mei", "tao")]
    begin = await gateway.events.place(None)
    await gateway.pay(ming, mei, 1)
    assert await told(gateway, tao, begin) == []


async def test_nothing_is_missed_while_many_write(bank: Bank, gateway: Gateway) -> None:
    """Commits come in another order than they began; a reader who follows by id sees each event once."""
    ming, mei = await bank.person("ming", 1_000), await bank.person("mei")
    begin = await gateway.events.place(None)
    own = await Database.open(bank.url, size=8)
    writers = asyncio.gather(*(_write_slowly(own, ming, mei, number) for number in range(8)))
    seen: list[str] = []
    place = begin
    while not writers.done() or await told(gateway, ming, place):
        for event in await gateway.events.after(ming, place, "en"):
            seen.append(event.id)
            place = event.id
        await asyncio.sleep(0)
    await writers
    await own.close()
    assert len(seen) == len(set(seen)) == 8 * 15
    assert seen == [event.id for event in await _all(gateway, ming, begin)]


async def _write_slowly(db: Database, person: Principal, asked: Principal, writer: int) -> None:
    """Requests written by hand, each in a transaction that begins and ends when it likes."""
    for number in range(15):
        async with db.transaction() as tx:
            await tx.execute(
                """
                WITH stored AS (
                    INSERT INTO payments.requests
                    SELECT gen_random_uuid(), 1, $1, $3, 1, 'EUR', '', 'open', NULL, $2, '\\x00',
                           now(), now(), now()
                    RETURNING *
                )
                INSERT INTO payments.events (person_id, tenant_id, kind, subject_id, at)
                SELECT requester_id, 1, 'request.open', id, now() FROM stored
                """,
                person.person_id,
                f"{writer}-{number}",
                asked.person_id,
            )
            await asyncio.sleep(random.uniform(0, 0.02))


async def _all(gateway: Gateway, person: Principal, place: str) -> list[Event]:
    events: list[Event] = []
    while page := await gateway.events.after(person, place, "en"):
        events += page
        place = page[-1].id
    return events
