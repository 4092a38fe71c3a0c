"""When more is asked than can be read, a wallet may be a few seconds old, and never older than one's own payment."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from uuid import UUID

import pytest
from tests.payments.bank import Bank, Gateway, MovableClock

from unbusy.api import Principal
from unbusy.ledger import Account, AccountState
from unbusy.wallets import recent
from unbusy.wallets.recent import Recent

SOMEBODY = UUID(int=1)


async def posted(gateway: Gateway, person: Principal) -> int:
    """What somebody sees of their wallet while reads are short."""
    return (await gateway.wallets.see(person, may_be_recent=True)).accounts[0].posted


async def test_a_recent_wallet_is_answered_without_the_database(bank: Bank, gateway: Gateway) -> None:
    """As it was, with the time at which it was; and anew once that is five seconds ago, or reads are not short."""
    ming = await bank.person("ming", 100)
    first = await gateway.wallets.see(ming)
    await bank.credit(ming, 10)
    assert await gateway.wallets.see(ming, may_be_recent=True) == first
    assert (await gateway.wallets.see(ming)).accounts[0].posted == 110
    await bank.credit(ming, 10)
    bank.clock.go(seconds=2)
    assert await posted(gateway, ming) == 110
    bank.clock.go(seconds=3)
    again = await gateway.wallets.see(ming, may_be_recent=True)
    assert again.accounts[0].posted == 120
    assert (again.as_of - first.as_of).total_seconds() >= 5


async def test_never_older_than_ones_own_payment(bank: Bank, gateway: Gateway) -> None:
    """Who has paid, been declined, refunded or paid a request sees it at once."""
    ming, mei = await bank.person("ming", 100), await bank.person("mei", 100)
    assert (await posted(gateway, ming), await posted(gateway, mei)) == (100, 100)
    paid = await gateway.pay(ming, mei, 30)
    assert await posted(gateway, ming) == 70
    await gateway.refund(mei, paid, 10)
    assert await posted(gateway, mei) == 120
    await gateway.pay_request(mei, await gateway.ask(ming, mei, 5))
    assert await posted(gateway, mei) == 115


async def test_a_frozen_account_is_shown_as_frozen(bank: Bank, gateway: Gateway) -> None:
    """Also to whoever looked a moment before."""
    ming, boss = await bank.person("ming", 100), await bank.person("boss")
    seen = await gateway.wallets.see(ming)
    await gateway.wallets.set_state(boss, seen.accounts[0].id, AccountState.frozen)
    again = await gateway.wallets.see(ming, may_be_recent=True)
    assert again.accounts[0].state is AccountState.frozen


async def test_what_was_being_read_while_it_changed_is_not_kept() -> None:
    """A look that began before the payment and ended after it may have seen the wallet as it was before."""
    wallets = Recent(MovableClock())
    goes_on = asyncio.Event()

    async def read_slowly() -> Sequence[Account]:
        await goes_on.wait()
        return []

    looking = asyncio.create_task(wallets.read(SOMEBODY, read_slowly))
    await asyncio.sleep(0)
    wallets.forget([SOMEBODY])
    goes_on.set()
    await looking
    assert wallets.get(SOMEBODY) is None
    await wallets.read(SOMEBODY, read_slowly)
    assert wallets.get(SOMEBODY) is not None


async def test_a_read_that_fails_leaves_nothing() -> None:
    """Neither a wallet nor a trace of the attempt."""
    wallets = Recent(MovableClock())

    async def fail() -> Sequence[Account]:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await wallets.read(SOMEBODY, fail)
    assert wallets.get(SOMEBODY) is None
    assert not wallets._reading  # pyright: ignore[reportPrivateUsage] - looks inside


async def test_so_many_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that was read longest ago is forgotten first."""
    monkeypatch.setattr(recent, "_MOST_WALLETS", 2)
    wallets = Recent(MovableClock())

    async def read() -> Sequence[Account]:
        return []

    people = [UUID(int=number) for number in range(3)]
    for person in (*people[:2], people[0], people[2]):
        await wallets.read(person, read)
    assert [wallets.get(person) is not None for person in people] == [True, False, True]
