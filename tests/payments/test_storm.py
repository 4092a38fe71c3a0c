"""A crowd that pays at random, asks twice, and asks again: the books stay exact."""

from __future__ import annotations

import asyncio
import random
from collections import Counter, defaultdict

from tests.payments.bank import Bank, Gateway

from unbusy.api import Principal
from unbusy.errors import KeyReused
from unbusy.payments import Payment, Status

CLIENTS, WALLETS, EACH = 64, 50, 25
BEGIN = 20_00


async def test_a_storm(bank: Bank) -> None:
    """64 clients, 50 wallets, two gateways, every third request sent again: each key is one payment
    with equal answers, and every balance is what the payments say."""
    gateways = [await bank.gateway(batch_max=40), await bank.gateway(pipeline_lanes=3, batch_max=15)]
    people = [await bank.person(f"person_{number}", BEGIN) for number in range(WALLETS)]
    answers: defaultdict[tuple[Principal, str], list[Payment]] = defaultdict(list)
    await asyncio.gather(*(_client(number, gateways, people, answers) for number in range(CLIENTS)))

    made = {key: payments[0] for key, payments in answers.items()}
    for payments in answers.values():
        assert len({(payment.id, payment.status, payment.balance_after) for payment in payments}) == 1
    assert len({payment.id for payment in made.values()}) == len(made) == await bank.count("payments.payments")
    said = Counter({person.person_id: BEGIN for person in people})
    for payment in made.values():
        if payment.status is Status.completed:
            said[payment.payer_id] -= payment.amount
            said[payment.payee_id] += payment.amount
    assert {person.person_id: await bank.balance(person) for person in people} == said
    assert {payment.status for payment in made.values()} == {Status.completed, Status.declined}


async def _client(
    number: int,
    gateways: list[Gateway],
    people: list[Principal],
    answers: defaultdict[tuple[Principal, str], list[Payment]],
) -> None:
    chance = random.Random(number)
    for turn in range(EACH):
        payer, payee = chance.sample(people, 2)
        amount, key = chance.randint(1, 9_00), f"{number}-{turn}"
        times = chance.choice((1, 1, 2))
        asked = (chance.choice(gateways).answer(payer, payee, amount, key=key) for _ in range(times))
        answers[payer, key] += [payment for payment, _ in await asyncio.gather(*asked)]
        if chance.random() < 0.1:
            answers[payer, key].append((await chance.choice(gateways).answer(payer, payee, amount, key=key))[0])
        if chance.random() < 0.05:
            [refused] = await asyncio.gather(
                chance.choice(gateways).answer(payer, payee, amount + 1, key=key), return_exceptions=True
            )
            assert isinstance(refused, KeyReused)
