"""One person pays another."""

from __future__ import annotations

import pytest
from tests.payments.bank import Bank, Gateway, settle_together, statuses

from unbusy import ledger
from unbusy.errors import Invalid, NotFound
from unbusy.ledger import AccountState
from unbusy.payments import Status
from unbusy.reasons import Reason


async def test_paying_moves_the_money(bank: Bank, gateway: Gateway) -> None:
    """The answer is final and carries the payer's new balance; both wallets have changed by then."""
    ming, mei = await bank.person("ming", 100_00), await bank.person("mei", 5_00)
    payment = await gateway.pay(ming, "@mei", 12_50)
    assert (payment.status, payment.reason, payment.balance_after) == (Status.completed, None, 87_50)
    assert payment.completed_at == payment.updated_at
    assert (await bank.balance(ming), await bank.balance(mei)) == (87_50, 17_50)


async def test_first_receipt_opens_the_account(bank: Bank, gateway: Gateway) -> None:
    """Nobody has to open an account before being paid, in whatever asset."""
    ming, mei = await bank.person("ming", JPY=500), await bank.person("mei")
    assert (await gateway.pay(ming, mei, 200, "JPY")).status is Status.completed
    assert await bank.balance(mei, "JPY") == 200


async def test_paying_on_within_a_batch(bank: Bank, gateway: Gateway) -> None:
    """Who is paid for the first time can pay it on in the same batch, in the order of arrival."""
    ming, mei, tao = await bank.person("ming", 100), await bank.person("mei"), await bank.person("tao")
    made = await settle_together(gateway, [(ming, mei, 60), (mei, tao, 10)])
    assert statuses(made) == ["completed", "completed"]
    assert await bank.balance(tao) == 10


async def test_paying_before_being_paid(bank: Bank, gateway: Gateway) -> None:
    """Who pays before the account is opened has nothing yet, and disturbs nobody in the batch."""
    ming, mei, tao = await bank.person("ming", 100), await bank.person("mei"), await bank.person("tao")
    made = await settle_together(gateway, [(mei, tao, 10), (ming, mei, 60)])
    assert statuses(made) == ["insufficient_funds", "completed"]
    assert await bank.balance(tao) is None


@pytest.mark.parametrize(("eur", "amount"), [(0, 1), (99, 100)], ids=["without an account", "with too little in it"])
async def test_without_the_money(bank: Bank, gateway: Gateway, eur: int, amount: int) -> None:
    """A payment that the wallet cannot cover is declined and moves nothing."""
    ming, mei = await bank.person("ming", eur), await bank.person("mei", 5)
    payment = await gateway.pay(ming, mei, amount)
    assert (payment.status, payment.reason) == (Status.declined, Reason.insufficient_funds)
    assert payment.balance_after is None
    assert await bank.balance(mei) == 5


async def test_to_the_last_cent(bank: Bank, gateway: Gateway) -> None:
    """All that is there can be paid."""
    ming, mei = await bank.person("ming", 100), await bank.person("mei")
    assert (await gateway.pay(ming, mei, 100)).balance_after == 0


@pytest.mark.parametrize(
    ("who", "state", "reason"),
    [
        ("payer", AccountState.frozen, Reason.payer_account_frozen),
        ("payee", AccountState.frozen, Reason.payee_account_frozen),
        ("payer", AccountState.closed, Reason.payer_account_closed),
        ("payee", AccountState.closed, Reason.payee_account_closed),
    ],
)
async def test_with_an_account_that_takes_no_part(
    bank: Bank, gateway: Gateway, who: str, state: AccountState, reason: Reason
) -> None:
    """A frozen or closed account neither pays nor is paid, and the reason says whose it was."""
    ming, mei = await bank.person("ming", 100), await bank.person("mei", 100)
    affected, other = (ming, mei) if who == "payer" else (mei, ming)
    if state is AccountState.closed:
        await gateway.pay(affected, other, 100)
    await bank.set_state(affected, state)
    before = await bank.balance(ming), await bank.balance(mei)
    payment = await gateway.pay(ming, mei, 1)
    assert (payment.status, payment.reason) == (Status.declined, reason)
    assert (await bank.balance(ming), await bank.balance(mei)) == before


async def test_a_full_wallet(bank: Bank, gateway: Gateway) -> None:
    """What would carry the payee's balance over its ceiling is declined."""
    ming, mei = await bank.person("ming", 100), await bank.person("mei", 95)
    account = (await bank.accounts(mei))["EUR"]
    async with bank.db.transaction() as tx:
        await ledger.set_limits(tx, account.id, floor=0, ceiling=100)
    assert (await gateway.pay(ming, mei, 6)).reason is Reason.payee_balance_limit
    assert (await gateway.pay(ming, mei, 5)).status is Status.completed


async def test_a_counter_that_cannot_grow(bank: Bank, gateway: Gateway) -> None:
    """At the end of what a counter holds, the answer is a refusal and not an accident."""
    most = 10**18
    await bank.as_superuser(f"INSERT INTO payments.limits VALUES (1, 'EUR', {most}, {9 * most}, {9 * most})")
    ming, mei, tao = await bank.person("ming", most), await bank.person("mei"), await bank.person("tao", 1)
    for there_and_back in [(ming, mei), (mei, ming)] * 7 + [(ming, mei)]:
        assert (await gateway.pay(*there_and_back, most)).status is Status.completed
    assert (await gateway.pay(tao, mei, 1)).reason is Reason.payee_balance_limit


async def test_whoever_does_not_exist(bank: Bank, gateway: Gateway) -> None:
    """A payee who is not there is not found, whatever was typed, and nothing is written."""
    ming = await bank.person("ming", 100)
    for payee in ("@nobody", "per_" + "0" * 32, "ming", "@", "per_", "", "@Mi\x00ng", "@ming' --", "@名"):
        with pytest.raises(NotFound) as raised:
            await gateway.pay(ming, payee, 1)
        assert raised.value.field == "payee"
    assert await bank.count("payments.payments") == 0


async def test_oneself(bank: Bank, gateway: Gateway) -> None:
    """Nobody pays oneself, by handle or by id."""
    ming = await bank.person("ming", 100)
    for payee in ("@ming", "@MING", ming):
        with pytest.raises(Invalid, match="oneself"):
            await gateway.pay(ming, payee, 1)


async def test_an_asset_that_does_not_exist(bank: Bank, gateway: Gateway) -> None:
    """An asset is a currency, or registered; else the request names a wrong field."""
    ming, _ = await bank.person("ming", 100), await bank.person("mei")
    for asset in ("XYZ", "POINTS", "EUR\n", "XXX"):
        with pytest.raises(Invalid) as raised:
            await gateway.pay(ming, "@mei", 1, asset)
        assert raised.value.field == "asset"


async def test_a_registered_asset(bank: Bank, gateway: Gateway) -> None:
    """What a tenant registered moves like money, from the moment it is registered."""
    ming, mei = await bank.person("ming", 100), await bank.person("mei")
    async with bank.db.transaction() as tx:
        await ledger.register_asset(tx, "POINTS", 0)
    await bank.credit(ming, 50, "POINTS")
    assert (await gateway.pay(ming, mei, 20, "POINTS")).balance_after == 30


async def test_who_sees_a_payment(bank: Bank, gateway: Gateway) -> None:
    """Its payer always, its payee once it has completed; for everybody else it is not there."""
    ming, mei, tao = [await bank.person(name, 100) for name in ("ming", "mei", "tao")]
    done, declined = await gateway.pay(ming, mei, 10), await gateway.pay(ming, mei, 1_000)
    assert await gateway.payments.find(mei, done.id) == await gateway.payments.find(ming, done.id) == done
    assert [each for each, _ in await gateway.payments.list(ming, None, 10)] == [declined, done]
    assert [each for each, _ in await gateway.payments.list(mei, None, 10)] == [done]
    for person, payment in ((tao, done), (mei, declined)):
        with pytest.raises(NotFound):
            await gateway.payments.find(person, payment.id)


async def test_pages_of_payments(bank: Bank, gateway: Gateway) -> None:
    """A list read in pages gives each payment once, newest first."""
    ming, mei = await bank.person("ming", 100), await bank.person("mei", 100)
    made = [await gateway.pay(*each, 1) for each in [(ming, mei), (mei, ming)] * 4]
    first = await gateway.payments.list(ming, None, 5)
    rest = await gateway.payments.list(ming, first[-1][1], 5)
    assert [payment.id for payment, _ in [*first, *rest]] == [payment.id for payment in reversed(made)]
