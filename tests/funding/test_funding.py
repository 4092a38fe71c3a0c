"""Paying with what the wallet has and what the bank sends: one payment, one outcome, whatever happens between."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from tests.funding.till import Died, Till
from tests.payments.bank import Bank, Gateway
from tests.transits.scripted import ACCEPTED, SETTLED, UNKNOWN, declined

from unbusy.api import Event, Principal
from unbusy.errors import Conflict, Invalid, KeyReused
from unbusy.ledger import AccountState


@pytest.fixture
async def ming(bank: Bank) -> Principal:
    return await bank.person("ming", 300)


@pytest.fixture
async def shop(bank: Bank) -> Principal:
    return await bank.person("shop", 1)


async def test_what_is_missing_comes_from_the_bank(till: Till, ming: Principal, shop: Principal) -> None:
    """Pending while the bank is asked for the difference, everything for it held; then the shop has it all."""
    payment = await till.pay(ming, shop, 1_000)
    assert (payment.status, await till.purse(ming), await till.purse(shop)) == ("pending", (300, 300), (1, 0))
    assert payment.finish_by
    funding = await till.funding(payment)
    assert (funding.amount, funding.payout) == (700, None)
    assert funding.message.startswith("7.00 EUR is being pulled from your account at Scripted Bank")
    assert await till.settle() == 0

    await till.way.go_on(SETTLED)
    assert [each.amount for each in till.way.there.sent] == [700]
    assert (await till.now(ming, payment)).status == "pending"
    assert await till.purse(ming) == (1_000, 1_000), "nobody spends it before the payment does"
    assert (await till.settle(), await till.settle()) == (1, 0)
    done = await till.now(ming, payment)
    assert (done.status, done.balance_after, await till.purse(ming), await till.purse(shop)) == (
        "completed",
        0,
        (0, 0),
        (1_001, 0),
    )
    assert (await till.funding(payment, "zh")).message == "其中 7.00 EUR 来自您在Scripted Bank的账户。"


async def test_the_bank_is_left_alone_when_there_is_enough(till: Till, ming: Principal, shop: Principal) -> None:
    """Then it is a payment like any other, done before the answer, and later bank accounts are not told of it."""
    payment = await till.pay(ming, shop, 300, key="k")
    assert (payment.status, payment.balance_after) == ("completed", 0)
    assert await till.fundings.show([payment.id], "en") == {}
    assert await till.answer(ming, shop, 300, key="k") == (payment, True)
    assert await till.way.go_on() == 0


@pytest.mark.parametrize("reason", ["insufficient_funds", "account_closed", "refused"])
async def test_declined_when_the_bank_declines(till: Till, ming: Principal, shop: Principal, reason: str) -> None:
    """For the bank's reason; nothing is kept, and what was held is free again."""
    payment = await till.pay(ming, shop, 1_000)
    await till.way.go_on(declined(reason))
    await till.settle()
    assert (await till.became(ming, payment), await till.purse(ming)) == (f"bank_{reason}", (300, 0))
    assert "has not come" in (await till.funding(payment)).message


async def test_declined_when_the_bank_says_nothing(till: Till, ming: Principal, shop: Principal) -> None:
    """By the end of the pull; what the bank turns out to have sent after all is put right by a person."""
    payment = await till.pay(ming, shop, 1_000)
    await till.way.go_on(UNKNOWN)
    assert await till.settle() == 0
    await till.way.go_on(UNKNOWN, after_s=3_601)
    await till.settle()
    assert (await till.became(ming, payment), await till.purse(ming)) == ("bank_no_answer", (300, 0))
    await till.way.go_on(SETTLED, after_s=4_000)
    assert await till.settle() == 0
    assert (await till.purse(ming), await till.way.owed("suspense")) == ((300, 0), -700)


@pytest.mark.parametrize(
    ("who", "state", "reason"),
    [
        ("shop", AccountState.closed, "payee_account_closed"),
        ("shop", AccountState.frozen, "payee_account_frozen"),
        ("limit", None, "limit_per_day"),
    ],
)
async def test_given_back_when_it_cannot_be_made_any_more(
    till: Till, bank: Bank, ming: Principal, shop: Principal, who: str, state: AccountState | None, reason: str
) -> None:
    """The payment is declined for what came between; what the bank sent goes back there, and the rest is free."""
    payment = await till.pay(ming, shop, 1_000)
    if state:
        await till.gateway.pay(shop, ming, 1)
        await bank.set_state(shop, state)
    if who == "limit":
        await bank.as_superuser("INSERT INTO payments.limits VALUES (1, 'EUR', 1000, 999, 9999)")
    own = (await till.purse(ming))[0]
    await till.way.go_on(SETTLED)
    await till.settle()
    assert (await till.became(ming, payment), await till.purse(ming)) == (reason, (own + 700, 700))
    funding = await till.funding(payment)
    assert funding.payout
    assert "is sent back there" in funding.message
    await till.way.go_on(SETTLED)
    assert [(each.direction, each.amount) for each in till.way.there.sent] == [("pull", 700), ("push", 700)]
    assert (await till.purse(ming), await till.way.owed()) == ((own, 0), 0)


async def test_what_cannot_be_given_back_stays(till: Till, ming: Principal, shop: Principal, bank: Bank) -> None:
    """A bank that does not take it back leaves it in the wallet; nothing is held for it any more."""
    payment = await till.pay(ming, shop, 1_000)
    await till.gateway.pay(shop, ming, 1)
    await bank.set_state(shop, AccountState.closed)
    await till.way.go_on(SETTLED)
    await till.settle()
    await till.way.go_on(declined("account_closed"))
    assert (await till.became(ming, payment), await till.purse(ming)) == ("payee_account_closed", (1_001, 0))


async def test_no_bank_is_asked_for_what_cannot_be_paid(
    till: Till, bank: Bank, ming: Principal, shop: Principal
) -> None:
    """Declined at once, for limits and for payees who take nothing; a pull over a limit is one too."""
    assert (await till.pay(ming, shop, 500_001)).reason == "limit_per_payment"
    mei = await bank.person("mei", 1)
    await bank.set_state(mei, AccountState.frozen)
    assert (await till.pay(ming, mei, 500)).reason == "payee_account_frozen"
    await bank.as_superuser("INSERT INTO transits.limits VALUES (1, 'pull', 'EUR', 100, 100, 100)")
    assert (await till.pay(ming, shop, 500)).reason == "limit_per_payment"
    with pytest.raises(Invalid):
        await till.pay(ming, shop, 500, asset="BTC")
    assert (await till.way.go_on(), await till.purse(ming)) == (0, (300, 0))


async def test_its_time_ends_even_if_the_bank_never_ends(
    till: Till, bank: Bank, ming: Principal, shop: Principal
) -> None:
    """A pull that the bank settled and a frozen wallet cannot take keeps no payment open beyond `finish_by`; what it
    brings later is a top-up."""
    payment = await till.pay(ming, shop, 1_000)
    await bank.set_state(ming, AccountState.frozen)
    await till.way.go_on(SETTLED)
    assert (await till.expire(), await till.became(ming, payment)) == (0, "pending")
    bank.clock.go(seconds=3_600 + 601)
    assert (await till.expire(), await till.became(ming, payment)) == (1, "promise_missed")
    await bank.set_state(ming, AccountState.open)
    await till.way.go_on(SETTLED)
    assert (await till.settle(), await till.purse(ming)) == (0, (1_000, 0))
    assert (await till.funding(payment)).message.endswith("It is in your wallet.")


async def test_one_key_is_one_payment(till: Till, ming: Principal, shop: Principal) -> None:
    """However many ask at once, and whenever they ask again; another body under the key is refused."""
    answers = await asyncio.gather(*(till.answer(ming, shop, 1_000, key="k") for _ in range(6)))
    [first] = {payment.id for payment, _ in answers}
    assert sorted(replayed for _, replayed in answers) == [False] + [True] * 5
    with pytest.raises(KeyReused):
        await till.pay(ming, shop, 999, key="k")
    await till.way.go_on(SETTLED)
    await till.settle()
    again, replayed = await till.answer(ming, shop, 1_000, key="k")
    assert (again.id, again.status, replayed, len(till.way.there.sent)) == (first, "completed", True, 1)


async def test_what_is_pending_cannot_be_cancelled(till: Till, ming: Principal, shop: Principal) -> None:
    """The bank is asked already: nobody could say what a cancelled payment's money does."""
    payment = await till.pay(ming, shop, 1_000)
    with pytest.raises(Conflict):
        await till.gateway.payments.cancel(ming, payment.id)


async def test_two_at_once_take_nothing_from_each_other(till: Till, ming: Principal, shop: Principal) -> None:
    """Each holds what it counts on: the second pulls all of its own, and neither waits for the other."""
    first, second = await till.pay(ming, shop, 1_000), await till.pay(ming, shop, 500)
    assert [(await till.funding(each)).amount for each in (first, second)] == [700, 500]
    assert (await till.gateway.pay(ming, shop, 1)).reason == "insufficient_funds"
    await till.way.go_on(SETTLED, ACCEPTED)
    await till.settle()
    assert [await till.became(ming, each) for each in (first, second)] == ["completed", "pending"]
    await till.way.go_on(SETTLED, after_s=5)
    await till.settle()
    assert (await till.became(ming, second), await till.purse(shop)) == ("completed", (1_501, 0))


async def test_both_hear_of_it(till: Till, gateway: Gateway, ming: Principal, shop: Principal) -> None:
    """The payer of each step, the payee of what arrived; once each."""
    begin = await gateway.events.place(None)
    await till.pay(ming, shop, 1_000)
    await till.way.go_on(SETTLED)
    await till.settle()
    assert await _heard(gateway, ming, begin) == [
        "topup.pending",
        "payment.pending",
        "topup.completed",
        "payment.completed",
    ]
    assert await _heard(gateway, shop, begin) == ["payment.completed"]


async def _heard(gateway: Gateway, person: Principal, place: str) -> list[str]:
    events: list[Event] = list(await gateway.events.after(person, place, "en"))
    types = [msgspec.json.decode(event.data)["type"] for event in events]
    return [each for each in types if not each.startswith("bank_account")]


async def test_dying_between_any_two_statements(till: Till, bank: Bank, ming: Principal, shop: Principal) -> None:
    """Whenever the worker dies while it ends payments, all is as it was before, and the next one ends them."""
    made = [await till.pay(ming, shop, 1_000), await till.pay(ming, shop, 100), await till.pay(ming, shop, 50)]
    closed = await bank.person("closed", 1)
    made.append(await till.pay(ming, closed, 20))
    await till.gateway.pay(closed, shop, 1)
    await bank.set_state(closed, AccountState.closed)
    await till.way.go_on(SETTLED, declined("refused"), SETTLED, SETTLED)
    before = await till.purse(ming), await till.purse(shop)
    dies_at = 0
    while True:
        try:
            ended = await till.settle(dies_at=dies_at)
        except Died:
            dies_at += 1
            assert (await till.purse(ming), await till.purse(shop)) == before
            assert {await till.became(ming, each) for each in made} == {"pending"}
        else:
            break
    assert (ended, dies_at > 10) == (4, True)
    assert [await till.became(ming, each) for each in made] == [
        "completed",
        "bank_refused",
        "completed",
        "payee_account_closed",
    ]
    assert (await till.purse(ming), await till.purse(shop)) == ((20, 20), (1_052, 0))
