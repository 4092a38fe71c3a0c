"""Wallets: what is in them, what moved it, and what operators do with them."""

from __future__ import annotations

import pytest
from tests.payments.bank import Bank, Gateway, somebody_else

from unbusy import wallets
from unbusy.api import Principal, Role
from unbusy.errors import Conflict, Invalid, NotFound
from unbusy.ledger import AccountState
from unbusy.reasons import Reason


@pytest.fixture
async def ming(bank: Bank) -> Principal:
    return await bank.person("ming", 100, JPY=500)


@pytest.fixture
async def operator(bank: Bank) -> Principal:
    return await bank.person("ops", role=Role.operator)


async def test_one_account_per_asset(bank: Bank, gateway: Gateway, ming: Principal) -> None:
    """A wallet shows every asset once; somebody who never received anything has none."""
    accounts = (await gateway.wallets.see(ming)).accounts
    assert {account.asset: account.available for account in accounts} == {"EUR": 100, "JPY": 500}
    assert (await gateway.wallets.see(await bank.person("mei"))).accounts == []


async def test_credits_come_from_the_reserve(bank: Bank, ming: Principal) -> None:
    """What people hold, the tenant's reserve owes: together they are nothing."""
    mei = await bank.person("mei")
    async with bank.db.transaction() as tx:
        posted = await wallets.credit(
            tx, bank.ids, 1, [(ming.person_id, 5), (mei.person_id, 7), (ming.person_id, 1)], "EUR", bank.clock.now()
        )
    assert [each.credit.balance for each in posted] == [105, 7, 106]
    assert await bank.as_superuser("SELECT sum(credits_posted - debits_posted)::bigint FROM ledger.accounts") == 0


async def test_all_credits_or_none(bank: Bank, ming: Principal) -> None:
    """When the ledger refuses one, none is made."""
    mei = await bank.person("mei")
    await bank.set_state(ming, AccountState.frozen)
    with pytest.raises(Invalid):
        async with bank.db.transaction() as tx:
            await wallets.credit(tx, bank.ids, 1, [(mei.person_id, 7), (ming.person_id, 5)], "EUR", bank.clock.now())
    assert await bank.balance(mei) is None


async def test_statements_by_number_and_time(bank: Bank, gateway: Gateway, ming: Principal) -> None:
    """Newest first, each with the balance after it; `since` is included, `until` is not."""
    mei = await bank.person("mei")
    for amount in (10, 20, 30):
        bank.clock.go(minutes=1)
        await gateway.pay(ming, mei, amount)
    entries = await gateway.wallets.statement(ming, "EUR", before=None, limit=10)
    assert [(entry.number, entry.amount, entry.balance) for entry in entries] == [
        (4, -30, 40),
        (3, -20, 70),
        (2, -10, 90),
        (1, 100, 100),
    ]
    page = await gateway.wallets.statement(ming, "EUR", before=4, limit=2)
    between = await gateway.wallets.statement(
        ming, "EUR", before=None, limit=10, since=entries[2].at, until=entries[0].at
    )
    assert page == between == entries[1:3]
    assert await gateway.wallets.statement(ming, "USD", before=None, limit=10) == []
    named = await gateway.wallets.counterparties(ming, entries)
    others = [named[entry.counterparty_id] for entry in entries]
    assert [other and other.handle for other in others] == ["mei", "mei", "mei", None]


async def test_the_balance_at_any_time(bank: Bank, gateway: Gateway, ming: Principal) -> None:
    """What was there right after each movement, and nothing before the first."""
    mei = await bank.person("mei")
    began = bank.clock.now()
    bank.clock.go(minutes=1)
    payment = await gateway.pay(ming, mei, 30)
    assert payment.completed_at
    assert await gateway.wallets.balance_at(ming, "EUR", began) == 100
    assert await gateway.wallets.balance_at(ming, "EUR", payment.completed_at) == 70
    assert await gateway.wallets.balance_at(mei, "EUR", began) == 0
    assert await gateway.wallets.balance_at(mei, "USD", began) == 0


async def test_freezing_and_closing(bank: Bank, gateway: Gateway, ming: Principal, operator: Principal) -> None:
    """Frozen can be thawed; closed needs an empty account and is for good."""
    account = (await bank.accounts(ming))["JPY"]
    for state in (AccountState.frozen, AccountState.frozen, AccountState.open):
        assert (await gateway.wallets.set_state(operator, account.id, state)).state is state
    with pytest.raises(Conflict) as raised:
        await gateway.wallets.set_state(operator, account.id, AccountState.closed)
    assert raised.value.reason is Reason.account_not_empty
    mei = await bank.person("mei")
    await gateway.pay(ming, mei, 500, "JPY")
    assert (await gateway.wallets.set_state(operator, account.id, AccountState.closed)).state is AccountState.closed
    with pytest.raises(Conflict) as raised:
        await gateway.wallets.set_state(operator, account.id, AccountState.open)
    assert raised.value.reason is Reason.account_closed


async def test_other_tenants_are_not_there(bank: Bank, gateway: Gateway, ming: Principal) -> None:
    """An operator sees and touches nothing of another bank."""
    await bank.as_superuser("INSERT INTO tenants.tenants (id, slug) VALUES (2, 'another-bank')")
    stranger = await bank.person("spy", role=Role.operator, tenant_id=2)
    account = (await bank.accounts(ming))["EUR"]
    for attempt in (
        gateway.wallets.set_state(stranger, account.id, AccountState.frozen),
        gateway.wallets.set_state(stranger, somebody_else(account.id), AccountState.frozen),
        gateway.wallets.see_of(stranger, ming.person_id),
    ):
        with pytest.raises(NotFound):
            await attempt
