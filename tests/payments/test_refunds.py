"""The payee gives money back."""

from __future__ import annotations

import asyncio

import pytest
from tests.payments.bank import Bank, Gateway, fingerprint, somebody_else

from unbusy.api import Principal
from unbusy.clock import Deadline
from unbusy.errors import Conflict, DeadlineUnreachable, Forbidden, KeyReused, NotFound
from unbusy.ledger import AccountState
from unbusy.payments import Payment, Status
from unbusy.reasons import Reason


@pytest.fixture
async def ming(bank: Bank) -> Principal:
    return await bank.person("ming", 100)


@pytest.fixture
async def mei(bank: Bank) -> Principal:
    return await bank.person("mei")


@pytest.fixture
async def paid(gateway: Gateway, ming: Principal, mei: Principal) -> Payment:
    """Ming has paid Mei 60."""
    return await gateway.pay(ming, mei, 60)


async def refunded(gateway: Gateway, mei: Principal, paid: Payment) -> int:
    return (await gateway.payments.find(mei, paid.id)).refunded


async def test_in_parts_and_the_rest(
    bank: Bank, gateway: Gateway, ming: Principal, mei: Principal, paid: Payment
) -> None:
    """Parts add up on the payment; without an amount, all that is left goes back."""
    part = await gateway.refund(mei, paid, 15)
    assert (part.status, part.amount, part.balance_after) == (Status.completed, 15, 45)
    rest = await gateway.refund(mei, paid)
    assert (rest.status, rest.amount, rest.balance_after) == (Status.completed, 45, 0)
    assert await refunded(gateway, mei, paid) == 60
    assert await bank.balance(ming) == 100
    assert await gateway.payments.refunds(ming, paid.id) == [rest, part]


async def test_more_than_there_was(gateway: Gateway, mei: Principal, paid: Payment) -> None:
    """What the parts would exceed the whole by is declined; when nothing is left, "all of it" cannot be."""
    too_much = await gateway.refund(mei, paid, 61)
    assert (too_much.status, too_much.reason) == (Status.declined, Reason.refund_exceeds_payment)
    await gateway.refund(mei, paid, 60)
    assert (await gateway.refund(mei, paid, 1)).reason is Reason.refund_exceeds_payment
    with pytest.raises(Conflict) as raised:
        await gateway.refund(mei, paid)
    assert raised.value.reason is Reason.payment_not_refundable


async def test_many_at_once(bank: Bank, gateway: Gateway, ming: Principal, mei: Principal, paid: Payment) -> None:
    """Through however many gateways: never more than the whole."""
    other = await bank.gateway()
    await bank.credit(mei, 1_000)
    made = await asyncio.gather(*(each.refund(mei, paid, 7) for each in [gateway, other] * 8))
    assert [refund.status for refund in made].count(Status.completed) == 60 // 7
    assert {refund.reason for refund in made} == {None, Reason.refund_exceeds_payment}
    assert await bank.balance(ming) == 40 + 56


async def test_the_same_key(bank: Bank, gateway: Gateway, ming: Principal, mei: Principal, paid: Payment) -> None:
    """Again, and at once through two gateways, it is the same refund; with another amount it is refused."""
    other = await bank.gateway()
    both = await asyncio.gather(*(each.refund(mei, paid, 10, key="k") for each in (gateway, other)))
    assert both[0] == both[1] == await gateway.refund(mei, paid, 10, key="k")
    with pytest.raises(KeyReused):
        await gateway.refund(mei, paid, 11, key="k")
    assert await bank.balance(ming) == 50


async def test_the_same_key_for_two_payments(
    gateway: Gateway, bank: Bank, ming: Principal, mei: Principal, paid: Payment
) -> None:
    """One key stands for one refund, also when two of different payments arrive together."""
    other = await gateway.pay(ming, mei, 5)
    answers = await asyncio.gather(
        *(gateway.refund(mei, each, 5, key="k") for each in (paid, other)), return_exceptions=True
    )
    assert sorted(isinstance(answer, KeyReused) for answer in answers) == [False, True]
    assert await bank.balance(ming) == 40


async def test_declined_stays_declined(bank: Bank, gateway: Gateway, mei: Principal, paid: Payment) -> None:
    """Under one key the answer is final, also when the reason for it has gone."""
    tao = await bank.person("tao")
    await gateway.pay(mei, tao, 60)
    declined = await gateway.refund(mei, paid, 10, key="k")
    assert (declined.status, declined.reason) == (Status.declined, Reason.insufficient_funds)
    await bank.credit(mei, 100)
    assert await gateway.refund(mei, paid, 10, key="k") == declined
    assert (await gateway.refund(mei, paid, 10)).status is Status.completed


async def test_accounts_that_take_no_part(
    bank: Bank, gateway: Gateway, ming: Principal, mei: Principal, paid: Payment
) -> None:
    """The reason names the side as the money goes: whoever gives back is the payer of a refund."""
    await bank.set_state(mei, AccountState.frozen)
    assert (await gateway.refund(mei, paid, 10)).reason is Reason.payer_account_frozen
    await bank.set_state(mei, AccountState.open)
    await bank.set_state(ming, AccountState.frozen)
    assert (await gateway.refund(mei, paid, 10)).reason is Reason.payee_account_frozen
    assert await refunded(gateway, mei, paid) == 0


async def test_who_may(bank: Bank, gateway: Gateway, ming: Principal, mei: Principal, paid: Payment) -> None:
    """Only whoever was paid; for strangers the payment is not there."""
    tao = await bank.person("tao", 100)
    with pytest.raises(Forbidden):
        await gateway.refund(ming, paid)
    with pytest.raises(NotFound):
        await gateway.refund(tao, paid)
    with pytest.raises(NotFound):
        await gateway.payments.refund(mei, somebody_else(paid.id), None, "", key="k", fingerprint=b"")
    with pytest.raises(NotFound):
        await gateway.payments.refunds(tao, paid.id)


async def test_of_what_moved_no_money(bank: Bank, gateway: Gateway, ming: Principal, mei: Principal) -> None:
    """A queued or declined payment has nothing to give back: its payee does not see it, its payer may not."""
    for payment in (await gateway.queue(ming, mei, 10), await gateway.pay(ming, mei, 1_000)):
        with pytest.raises(NotFound):
            await gateway.refund(mei, payment)
        with pytest.raises(Forbidden):
            await gateway.refund(ming, payment)
    assert await bank.count("payments.refunds") == 0


async def test_not_begun_after_the_deadline(
    bank: Bank, gateway: Gateway, ming: Principal, mei: Principal, paid: Payment
) -> None:
    """Nothing is begun for a caller who no longer waits; the key stays good."""
    gone = Deadline(bank.clock, 0)
    queued = await gateway.queue(ming, mei, 1)
    for attempt in (
        gateway.payments.refund(mei, paid.id, 10, "", key="k", fingerprint=fingerprint(paid.id, 10), deadline=gone),
        gateway.payments.cancel(ming, queued.id, gone),
        gateway.requests.ask(mei, "@ming", 1, "EUR", "", open_for=None, key="k", fingerprint=b"", deadline=gone),
    ):
        with pytest.raises(DeadlineUnreachable):
            await attempt
    assert await bank.count("payments.refunds") + await bank.count("payments.requests") == 0
    assert (await gateway.refund(mei, paid, 10, key="k")).status is Status.completed
