"""The same idempotency key is the same payment, for ever."""

from __future__ import annotations

import asyncio

import pytest
from tests.payments.bank import Bank, Gateway, statuses

from unbusy.errors import KeyReused
from unbusy.payments import Status


async def test_the_same_key_again(bank: Bank, gateway: Gateway) -> None:
    """A repeated attempt gets the payment that was made, says so, and moves nothing."""
    ming, mei = await bank.person("ming", 100), await bank.person("mei")
    first, second = [await gateway.answer(ming, mei, 30, key="k") for _ in range(2)]
    assert (first[1], second[1]) == (False, True)
    assert first[0] == second[0]
    assert await bank.balance(ming) == 70


async def test_the_answer_is_the_payment_as_it_is_now(bank: Bank, gateway: Gateway) -> None:
    """What has happened to it since shows."""
    ming, mei = await bank.person("ming", 100), await bank.person("mei")
    payment, _ = await gateway.answer(ming, mei, 30, key="k")
    await gateway.refund(mei, payment, 10)
    assert (await gateway.answer(ming, mei, 30, key="k"))[0].refunded == 10


async def test_declined_stays_declined(bank: Bank, gateway: Gateway) -> None:
    """The answer under a key is final, also when the money has come since."""
    ming, mei = await bank.person("ming", 10), await bank.person("mei")
    await gateway.answer(ming, mei, 30, key="k")
    await bank.credit(ming, 100)
    assert (await gateway.answer(ming, mei, 30, key="k"))[0].status is Status.declined
    assert await bank.balance(ming) == 110


async def test_another_body_under_the_key(bank: Bank, gateway: Gateway) -> None:
    """A key stands for one request: with another amount, payee, asset or note it is refused."""
    ming, mei, tao = await bank.person("ming", 100, JPY=100), await bank.person("mei"), await bank.person("tao")
    await gateway.answer(ming, mei, 30, key="k")
    for payee, amount, asset, note in ((mei, 31, "EUR", ""), (tao, 30, "EUR", ""), (mei, 30, "JPY", "")):
        with pytest.raises(KeyReused) as raised:
            await gateway.answer(ming, payee, amount, asset, key="k", note=note)
        assert raised.value.field == "Idempotency-Key"
    assert await bank.count("payments.payments") == 1


async def test_keys_belong_to_their_payer(bank: Bank, gateway: Gateway) -> None:
    """Two people may make up the same key."""
    ming, mei = await bank.person("ming", 100), await bank.person("mei", 100)
    made = [await gateway.answer(*each, 5, key="k") for each in ((ming, mei), (mei, ming))]
    assert [replayed for _, replayed in made] == [False, False]


async def test_twice_in_one_batch(bank: Bank, gateway: Gateway) -> None:
    """Two attempts that arrive together are one payment with two equal answers."""
    ming, _ = await bank.person("ming", 100), await bank.person("mei")
    await gateway.payments.payee(ming, "@mei")
    answers = await asyncio.gather(*(gateway.answer(ming, "@mei", 30, key="k") for _ in range(3)))
    assert [replayed for _, replayed in answers] == [False, True, True]
    assert len({payment.id for payment, _ in answers}) == 1
    assert await bank.balance(ming) == 70


async def test_two_bodies_in_one_batch(bank: Bank, gateway: Gateway) -> None:
    """Of two requests under one key, the first is done and the other refused."""
    ming, _ = await bank.person("ming", 100), await bank.person("mei")
    await gateway.payments.payee(ming, "@mei")
    done, refused = await asyncio.gather(
        *(gateway.answer(ming, "@mei", amount, key="k") for amount in (30, 40)), return_exceptions=True
    )
    assert isinstance(done, tuple)
    assert isinstance(refused, KeyReused)
    assert await bank.balance(ming) == 70


async def test_two_gateways_at_once(bank: Bank) -> None:
    """Whoever asks twice through two gateways gets one payment and two equal answers, every time."""
    first, second = await bank.gateway(), await bank.gateway()
    ming, mei = await bank.person("ming", 100), await bank.person("mei")
    for number in range(15):
        both = await asyncio.gather(*(each.answer(ming, mei, 1, key=f"k{number}") for each in (first, second)))
        assert both[0][0] == both[1][0]
        assert sorted(replayed for _, replayed in both) == [False, True]
    assert await bank.balance(ming) == 85


async def test_one_key_for_two_assets_at_once(bank: Bank) -> None:
    """Even where nothing but the key makes two requests meet, one is done and the other refused."""
    first, second = await bank.gateway(), await bank.gateway()
    ming, mei = await bank.person("ming", 100, JPY=100), await bank.person("mei", 1, JPY=1)
    for number in range(10):
        both = await asyncio.gather(
            first.answer(ming, mei, 1, "EUR", key=f"k{number}"),
            second.answer(ming, mei, 1, "JPY", key=f"k{number}"),
            return_exceptions=True,
        )
        assert {type(answer) for answer in both} == {tuple, KeyReused}
    moved = [100 - (await bank.balance(ming, asset) or 0) for asset in ("EUR", "JPY")]
    assert sum(moved) == 10


async def test_opening_one_account_from_two_gateways(bank: Bank) -> None:
    """Two first receipts at once open one account between them."""
    first, second = await bank.gateway(), await bank.gateway()
    ming, tao = await bank.person("ming", 100), await bank.person("tao", 100)
    for number in range(5):
        mei = await bank.person(f"mei{number}")
        made = await asyncio.gather(first.pay(ming, mei, 1), second.pay(tao, mei, 2))
        assert statuses(made) == ["completed", "completed"]
        assert await bank.balance(mei) == 3
