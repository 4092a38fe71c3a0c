"""The proofs of funded payments and of verified accounts can fail, and a plain payment pays nothing for them."""

from __future__ import annotations

from typing import cast

from tests.funding.till import Died, Mortal, Till
from tests.payments.bank import Bank
from tests.transits.scripted import SETTLED

from unbusy.db import Tx
from unbusy.ids import Ids
from unbusy.payments import Order, Settlement
from unbusy.settings import Settings

# Lock the wallets, recall, move, store.
STATEMENTS = 4


async def test_the_proof_can_fail(till: Till, bank: Bank) -> None:
    """A funding that says something else than its payment, its pull or the holds is found."""
    ming, shop = await bank.person("ming", 300), await bank.person("shop")
    waiting, paid = await till.pay(ming, shop, 1_000), await till.pay(ming, shop, 50)
    await till.way.go_on(SETTLED, SETTLED)
    taken = "UPDATE transits.transits SET payment_id = NULL WHERE amount = 700 RETURNING 1"
    await bank.as_superuser(taken)
    await till.settle()
    assert (await till.became(ming, waiting), await till.became(ming, paid)) == ("pending", "completed")
    assert "its_transit_names_the_payment_that_waits" in await _found(bank)
    await bank.as_superuser(f"UPDATE transits.transits SET payment_id = '{waiting.id}' WHERE amount = 700 RETURNING 1")
    assert await _found(bank) == set()

    changes = {
        "holds_what_it_waits_with": ("own = own - 1", "own = own + 1", waiting.id),
        "pulls_what_was_missing": ("amount = amount + 1", "amount = amount - 1", paid.id),
        "open_while_its_payment_is_pending": ("ended_at = NULL", "ended_at = now()", paid.id),
        "paid_with_what_came": (f"payout_id = '{paid.id}'", "payout_id = NULL", paid.id),
    }
    for rule, (change, back, id) in changes.items():
        await bank.as_superuser(f"UPDATE funding.fundings SET {change} WHERE payment_id = '{id}' RETURNING 1")
        assert rule in await _found(bank)
        await bank.as_superuser(f"UPDATE funding.fundings SET {back} WHERE payment_id = '{id}' RETURNING 1")
    claimed = "UPDATE transits.bank_accounts SET verified_at = {} RETURNING 1"
    await bank.as_superuser(claimed.format("now() + interval '1 day'"))
    assert await _found(bank) == {"verified_was_proved"}
    await bank.as_superuser(claimed.format("NULL"))


async def test_a_plain_payment_takes_no_statement_more(till: Till, bank: Bank) -> None:
    """Nothing of this is asked about on the way that all payments take."""
    ming, shop = await bank.person("ming", 300), await bank.person("shop", 1)
    settlement = Settlement(ids=Ids(bank.clock), settings=Settings())

    def order(amount: int) -> Order:
        return Order(
            id=till.gateway.ids.new(),
            tenant_id=ming.tenant_id,
            payer_id=ming.person_id,
            payee_id=shop.person_id,
            amount=amount,
            asset="EUR",
            note="",
            key=till.gateway.key(),
            fingerprint=bytes(16),
        )

    # The first finds the wallets and begins to count, once for all that follow.
    await bank.db.run(lambda tx: settlement.settle(tx, [order(1)], bank.clock.now()))

    async def dies_at(statement: int) -> bool:
        async def work(tx: Tx) -> None:
            await settlement.settle(cast("Tx", Mortal(tx, statement)), [order(1)], bank.clock.now())

        try:
            await bank.db.run(work)
        except Died:
            return True
        return False

    assert [await dies_at(number) for number in (STATEMENTS - 1, STATEMENTS)] == [True, False]


async def _found(bank: Bank) -> set[str]:
    return {finding.rule for finding in await bank.findings()}
