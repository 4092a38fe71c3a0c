"""One person asks another for money."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from tests.payments.bank import Bank, Gateway, somebody_else

from unbusy import payments
from unbusy.api import Principal
from unbusy.errors import Conflict, Forbidden, Invalid, KeyReused, NotFound
from unbusy.payments import Status
from unbusy.payments.model import MoneyRequest, RequestStatus
from unbusy.reasons import Reason


@pytest.fixture
async def ming(bank: Bank) -> Principal:
    return await bank.person("ming", 100)


@pytest.fixture
async def mei(bank: Bank) -> Principal:
    return await bank.person("mei")


@pytest.fixture
async def asked(gateway: Gateway, ming: Principal, mei: Principal) -> MoneyRequest:
    """Mei asks Ming for 30."""
    return await gateway.ask(mei, "@ming", 30)


async def status(gateway: Gateway, person: Principal, request: MoneyRequest) -> RequestStatus:
    return (await gateway.requests.find(person, request.id)).status


async def test_asking_and_paying(
    bank: Bank, gateway: Gateway, ming: Principal, mei: Principal, asked: MoneyRequest
) -> None:
    """Both see the request; once it is paid it names its payment, and the payment names it."""
    assert asked.expires_at - asked.created_at == timedelta(days=14)
    assert await gateway.requests.list(ming, None, 5) == await gateway.requests.list(mei, None, 5) == [asked]
    payment, replayed = await gateway.pay_request(ming, asked, key="k")
    assert (payment.status, payment.request_id, replayed) == (Status.completed, asked.id, False)
    paid = await gateway.requests.find(mei, asked.id)
    assert (paid.status, paid.payment_id) == (RequestStatus.paid, payment.id)
    assert await bank.balance(mei) == 30
    assert await gateway.pay_request(ming, asked, key="k") == (payment, True)
    with pytest.raises(Conflict) as raised:
        await gateway.pay_request(ming, asked)
    assert raised.value.reason is Reason.request_not_open


async def test_paid_once_by_two_gateways(
    bank: Bank, gateway: Gateway, ming: Principal, mei: Principal, asked: MoneyRequest
) -> None:
    """However often it is paid at once, under keys of their own, the money moves once."""
    other = await bank.gateway()
    answers = await asyncio.gather(
        *(each.pay_request(ming, asked) for each in [gateway, other] * 4), return_exceptions=True
    )
    assert sorted(type(answer).__name__ for answer in answers) == ["Conflict"] * 7 + ["tuple"]
    assert await bank.balance(mei) == 30


async def test_declined_for_want_of_money(
    bank: Bank, gateway: Gateway, ming: Principal, mei: Principal, asked: MoneyRequest
) -> None:
    """A payment that is declined leaves the request open, for a new one under a new key."""
    await gateway.pay(ming, mei, 80)
    declined, _ = await gateway.pay_request(ming, asked, key="k")
    assert declined.reason is Reason.insufficient_funds
    assert await status(gateway, mei, asked) is RequestStatus.open
    await bank.credit(ming, 10)
    assert (await gateway.pay_request(ming, asked, key="k"))[0].status is Status.declined
    assert (await gateway.pay_request(ming, asked))[0].status is Status.completed


async def test_two_attempts_in_one_batch(
    bank: Bank, gateway: Gateway, ming: Principal, mei: Principal, asked: MoneyRequest
) -> None:
    """Under one key they are one payment; under two, both are answered truly when neither can be done."""
    both = await asyncio.gather(*(gateway.pay_request(ming, asked, key="k") for _ in range(2)))
    assert both[0][0] == both[1][0]
    poor = await gateway.ask(mei, "@ming", 1_000)
    both = await asyncio.gather(*(gateway.pay_request(ming, poor) for _ in range(2)))
    assert [payment.reason for payment, _ in both] == [Reason.insufficient_funds] * 2
    assert await status(gateway, ming, poor) is RequestStatus.open


async def test_declining(gateway: Gateway, ming: Principal, mei: Principal, asked: MoneyRequest) -> None:
    """Whoever was asked may say no, as often as they like; then it can be neither paid nor withdrawn."""
    declined = await gateway.requests.decline(ming, asked.id)
    assert declined.status is RequestStatus.declined
    assert await gateway.requests.decline(ming, asked.id) == declined
    for late in (gateway.pay_request(ming, asked), gateway.requests.withdraw(mei, asked.id)):
        with pytest.raises(Conflict):
            await late


async def test_withdrawing(gateway: Gateway, ming: Principal, mei: Principal, asked: MoneyRequest) -> None:
    """Whoever asked may take it back; then it can be neither paid nor declined."""
    assert (await gateway.requests.withdraw(mei, asked.id)).status is RequestStatus.cancelled
    for late in (gateway.pay_request(ming, asked), gateway.requests.decline(ming, asked.id)):
        with pytest.raises(Conflict):
            await late


async def test_paying_while_it_is_withdrawn(bank: Bank, gateway: Gateway, ming: Principal, mei: Principal) -> None:
    """Whoever comes first wins; what both hear agrees with where the money is."""
    other = await bank.gateway()
    paid = 0
    for _ in range(8):
        asked = await gateway.ask(mei, "@ming", 1)
        payment, withdrawn = await asyncio.gather(
            gateway.pay_request(ming, asked), other.requests.withdraw(mei, asked.id), return_exceptions=True
        )
        assert isinstance(payment, Conflict) != isinstance(withdrawn, Conflict)
        paid += isinstance(withdrawn, Conflict)
    assert await bank.balance(ming) == 100 - paid


async def test_expiring(bank: Bank, gateway: Gateway, ming: Principal, mei: Principal, asked: MoneyRequest) -> None:
    """What nobody answered in its time can no longer be paid, and is then told to have expired."""
    longer = await gateway.ask(mei, "@ming", 5, days=15)
    bank.clock.go(days=14)
    with pytest.raises(Conflict):
        await gateway.pay_request(ming, asked)
    expired = [await bank.db.run(lambda tx: payments.expire_requests(tx, bank.clock.now(), 100)) for _ in range(2)]
    assert expired == [1, 0]
    assert await status(gateway, mei, asked) is RequestStatus.expired
    assert (await gateway.pay_request(ming, longer))[0].status is Status.completed


async def test_only_the_two_of_them(
    bank: Bank, gateway: Gateway, ming: Principal, mei: Principal, asked: MoneyRequest
) -> None:
    """For everybody else there is no such request, and each side does only its own part."""
    tao = await bank.person("tao", 100)
    for attempt in (
        gateway.requests.find(tao, asked.id),
        gateway.pay_request(tao, asked),
        gateway.requests.decline(tao, asked.id),
        gateway.requests.withdraw(tao, asked.id),
        gateway.requests.find(ming, somebody_else(asked.id)),
        gateway.requests.decline(ming, somebody_else(asked.id)),
    ):
        with pytest.raises(NotFound):
            await attempt
    for attempt in (
        gateway.pay_request(mei, asked),
        gateway.requests.decline(mei, asked.id),
        gateway.requests.withdraw(ming, asked.id),
    ):
        with pytest.raises(Forbidden):
            await attempt
    assert await gateway.requests.list(tao, None, 5) == []


async def test_asking_the_wrong_way(bank: Bank, gateway: Gateway, ming: Principal, mei: Principal) -> None:
    """Oneself and whoever is not there cannot be asked; the field at fault is the payer."""
    with pytest.raises(Invalid) as raised:
        await gateway.ask(mei, "@mei", 1)
    assert raised.value.field == "payer"
    with pytest.raises(NotFound) as missing:
        await gateway.ask(mei, "@nobody", 1)
    assert missing.value.field == "payer"
    assert await bank.count("payments.requests") == 0


async def test_the_same_key(bank: Bank, ming: Principal, mei: Principal, gateway: Gateway) -> None:
    """Asking twice, also at once through two gateways, asks once; another body is refused."""
    other = await bank.gateway()
    both = await asyncio.gather(*(each.ask(mei, "@ming", 5, key="k") for each in (gateway, other)))
    assert both[0] == both[1] == await gateway.ask(mei, "@ming", 5, key="k")
    with pytest.raises(KeyReused):
        await gateway.ask(mei, "@ming", 6, key="k")
    assert await bank.count("payments.requests") == 1
