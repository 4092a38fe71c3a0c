"""Accounts and assets: opened once, found again, limited."""

from __future__ import annotations

import asyncio
from uuid import UUID, uuid4

import pytest
from msgspec.structs import replace
from tests.ledger.story import Story, id_of

from unbusy import ledger
from unbusy.db import Database, Tx
from unbusy.errors import Invalid
from unbusy.ledger import Account, AccountState, NewAccount

MING, ANNA = id_of("ming"), id_of("anna")


def wallet_of(owner: UUID, asset: str = "EUR") -> NewAccount:
    return NewAccount(id=uuid4(), tenant_id=1, asset=asset, code="wallet", owner_id=owner, floor=0)


async def test_an_account_begins_empty_and_open(tx: Tx) -> None:
    """A new account is what was asked for, with nothing in it."""
    new = wallet_of(MING)
    (account,) = await ledger.open_accounts(tx, [new])
    assert account == Account(
        id=new.id,
        tenant_id=1,
        asset="EUR",
        code="wallet",
        owner_id=MING,
        floor=0,
        ceiling=None,
        state=AccountState.open,
        debits_posted=0,
        credits_posted=0,
        debits_pending=0,
        credits_pending=0,
        running_number=0,
    )
    assert (account.posted, account.held, account.available) == (0, 0, 0)


async def test_opening_again_finds_the_one_that_exists(tx: Tx) -> None:
    """By its id, or as the owner's account of that asset; the answers are in the order asked."""
    first, other, bank = wallet_of(MING), wallet_of(ANNA), replace(wallet_of(MING), owner_id=None, code="bank")
    opened = await ledger.open_accounts(tx, [first, bank])
    again = await ledger.open_accounts(tx, [other, bank, replace(first, id=uuid4()), first, other])
    assert [account.id for account in again] == [other.id, bank.id, first.id, first.id, other.id]
    assert again[1:3] == [opened[1], opened[0]]


async def test_an_owner_has_one_account_of_each_asset(tx: Tx) -> None:
    """Wallets are found by owner and asset; who has none is absent."""
    euro, yen = await ledger.open_accounts(tx, [wallet_of(MING), wallet_of(MING, "JPY")])
    keys = [(1, MING, "JPY"), (1, MING, "EUR"), (1, MING, "USD"), (1, ANNA, "EUR"), (2, MING, "EUR")]
    assert await ledger.find_wallets(tx, keys) == {keys[0]: yen.id, keys[1]: euro.id}
    assert await ledger.find_wallets(tx, []) == {}
    assert await ledger.wallet(tx, 1, MING) == [euro, yen]
    assert await ledger.wallet(tx, 1, ANNA) == []


async def test_the_id_of_another_account_is_not_taken_for_it(tx: Tx) -> None:
    """An id stands for one account; asking for another one under it stops the work."""
    (account,) = await ledger.open_accounts(tx, [wallet_of(MING)])
    with pytest.raises(AssertionError):
        await ledger.open_accounts(tx, [replace(wallet_of(ANNA), id=account.id)])


async def test_many_open_the_same_wallets_at_once(db: Database) -> None:
    """Whoever comes first opens it; everybody gets the same one."""
    owners = [uuid4() for _ in range(20)]

    async def open_all(order: int) -> set[UUID]:
        new = [wallet_of(owner) for owner in (owners if order % 2 else reversed(owners))]
        return {account.id for account in await db.run(lambda tx: ledger.open_accounts(tx, new))}

    opened = await asyncio.gather(*(open_all(order) for order in range(8)))
    assert len(opened[0]) == len(owners)
    assert all(ids == opened[0] for ids in opened)


@pytest.mark.parametrize(("floor", "ceiling"), [(1, None), (None, -1), (-(10**18) - 1, None), (None, 10**18 + 1)])
async def test_a_new_account_is_empty_so_its_limits_allow_that(tx: Tx, floor: int | None, ceiling: int | None) -> None:
    """A limit that nothing would break stops the work: it is a mistake of our own."""
    with pytest.raises(AssertionError):
        await ledger.open_accounts(tx, [replace(wallet_of(MING), floor=floor, ceiling=ceiling)])


async def test_limits_beyond_the_range_are_invalid(story: Story) -> None:
    """A limit has the same range as an amount, either way."""
    await story.act("account A floor=0")
    async with story.db.transaction() as tx:
        for floor, ceiling, field in ((-(10**18) - 1, None, "floor"), (None, 10**18 + 1, "ceiling")):
            with pytest.raises(Invalid) as caught:
                await ledger.set_limits(tx, id_of("A"), floor=floor, ceiling=ceiling)
            assert caught.value.field == field


async def test_iso_currencies_are_known_by_themselves(tx: Tx) -> None:
    """Every currency of ISO 4217 has its scale without anybody registering it."""
    assert [await ledger.scale_of(tx, code) for code in ("EUR", "JPY", "KWD", "NOPE")] == [2, 0, 3, None]
    await ledger.open_accounts(tx, [wallet_of(MING, "KWD")])
    assert await ledger.scale_of(tx, "KWD") == 3


async def test_other_assets_are_registered_with_their_scale_for_ever(tx: Tx) -> None:
    """An asset can be used once it is registered; its scale never changes."""
    with pytest.raises(Invalid) as caught:
        await ledger.open_accounts(tx, [wallet_of(MING, "POINTS")])
    assert caught.value.field == "asset"
    await ledger.register_asset(tx, "POINTS", 1)
    await ledger.register_asset(tx, "POINTS", 1)
    await ledger.open_accounts(tx, [wallet_of(MING, "POINTS")])
    assert await ledger.scale_of(tx, "POINTS") == 1
    with pytest.raises(Invalid):
        await ledger.register_asset(tx, "POINTS", 2)


@pytest.mark.parametrize(
    ("code", "scale", "field"),
    [("EUR", 3, "scale"), ("points", 2, "asset"), ("BIG", 19, "scale"), ("BIG", -1, "scale")],
)
async def test_an_asset_that_cannot_be(tx: Tx, code: str, scale: int, field: str) -> None:
    """ISO 4217 has the last word on its own codes; a code is capitals; a scale is 0 to 18."""
    with pytest.raises(Invalid) as caught:
        await ledger.register_asset(tx, code, scale)
    assert caught.value.field == field
