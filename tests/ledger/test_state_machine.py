"""The ledger and a plain reference do the same, whatever is asked of them.

In the build the same 3,000 steps every time. By hand as many as you like, from a seed:

    UNBUSY_STEPS=100000 pytest tests/ledger/test_state_machine.py --hypothesis-seed=7

Hypothesis then shrinks what differs to the shortest story it can find.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from datetime import timedelta
from itertools import count
from typing import Any, TypeVar
from uuid import UUID

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from tests.ledger.reference import Reference, Side
from tests.ledger.story import NOON, id_of

from unbusy import ledger
from unbusy.db import Database
from unbusy.ledger import AccountRefusal, AccountState, Kind, NewAccount, Outcome, Posted, Transfer

Result = TypeVar("Result")

STEPS = 50
EXAMPLES = int(os.environ.get("UNBUSY_STEPS", "3000")) // STEPS
IS_BUILD = "UNBUSY_STEPS" not in os.environ

# Few of each, so that they meet: accounts (the last is never opened), ids, amounts.
ACCOUNTS = st.sampled_from([0, 1, 2, 2, 3, 3, 4])
IDS = st.integers(0, 30)
AMOUNTS = st.sampled_from([0, 1, 2, 3, 5, 8, 13, 21, 10**18])
LIMITS = st.one_of(st.none(), st.integers(-30, 30))
CHANCE = st.sampled_from([False, False, False, True])
ASSETS = st.sampled_from(["EUR"] * 12 + ["USD"])

NEW_MONEY = st.tuples(
    st.sampled_from([Kind.post, Kind.post, Kind.hold]), IDS, ACCOUNTS, ACCOUNTS, AMOUNTS, ASSETS, CHANCE, CHANCE,
    st.one_of(st.none(), st.integers(-1, 5)),
)  # fmt: skip
ENDS = st.tuples(st.sampled_from([Kind.capture, Kind.void]), IDS, IDS, AMOUNTS, ASSETS, CHANCE)


class LedgerMachine(RuleBasedStateMachine):
    """Does every step to both ledgers and compares what they answer and what they hold."""

    runner: asyncio.Runner
    db: Database
    steps = count()
    examples = count()

    def __init__(self) -> None:
        super().__init__()
        self.now = NOON
        example = next(LedgerMachine.examples)
        self.ids = [id_of(f"example {example}, transfer {number}") for number in range(31)]
        self.accounts = [id_of(f"example {example}, account {number}") for number in range(5)]
        floors = [None, 0, 0, -10]
        opened = self.accounts[:4]
        new = [
            NewAccount(id=id, tenant_id=1, asset="EUR", code="wallet", floor=floor)
            for id, floor in zip(opened, floors, strict=True)
        ]
        self.do(self.db.run(lambda tx: ledger.open_accounts(tx, new)))
        self.reference = Reference({id: Side(floor) for id, floor in zip(opened, floors, strict=True)})
        self.asked: list[Transfer] = []

    def do(self, work: Coroutine[Any, Any, Result]) -> Result:
        return self.runner.run(work)

    @rule(batch=st.lists(st.one_of(NEW_MONEY, NEW_MONEY, ENDS), min_size=1, max_size=6))
    def post(self, batch: list[tuple[Any, ...]]) -> None:
        self._post([self._new_money(*one) if len(one) > 6 else self._end(*one) for one in batch])

    @precondition(lambda self: self.asked)
    @rule(data=st.data())
    def post_again(self, data: st.DataObject) -> None:
        self._post(data.draw(st.lists(st.sampled_from(self.asked), min_size=1, max_size=4)))

    @rule(account=st.integers(0, 3), state=st.sampled_from(AccountState))
    def set_state(self, account: int, state: AccountState) -> None:
        id = self.accounts[account]
        result = self.do(self.db.run(lambda tx: ledger.set_state(tx, id, state)))
        side = self.reference.books.sides[id]
        is_empty = side.posted == side.held == side.coming == 0
        if side.state == "closed" != state:
            assert result is AccountRefusal.account_closed
        elif state == "closed" and not is_empty:
            assert result is AccountRefusal.account_not_empty
        else:
            side.state = state

    @rule(account=st.integers(0, 3), floor=LIMITS, ceiling=LIMITS)
    def set_limits(self, account: int, floor: int | None, ceiling: int | None) -> None:
        id = self.accounts[account]
        result = self.do(self.db.run(lambda tx: ledger.set_limits(tx, id, floor=floor, ceiling=ceiling)))
        side = self.reference.books.sides[id]
        if side.state == "closed":
            assert result is AccountRefusal.account_closed
        elif floor is not None and side.posted - side.held < floor:
            assert result is AccountRefusal.balance_below_floor
        elif ceiling is not None and side.posted + side.coming > ceiling:
            assert result is AccountRefusal.balance_above_ceiling
        else:
            side.floor, side.ceiling = floor, ceiling

    @rule(seconds=st.integers(-2, 4))
    def time_passes(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule()
    def expire(self) -> None:
        # The engine looks for holds of all examples: those of others are long gone by then.
        released = self.do(self.db.run(lambda tx: ledger.expire_holds(tx, self.now)))
        assert released == self.reference.expire(self.now)

    @invariant()
    def same_accounts(self) -> None:
        next(LedgerMachine.steps)
        accounts = self.do(self._accounts())
        for id, side in self.reference.books.sides.items():
            account = accounts[id]
            seen = (account.posted, account.held, account.credits_pending, account.running_number, account.state)
            assert seen == (side.posted, side.held, side.coming, side.number, side.state)

    def teardown(self) -> None:
        assert self.do(self._check()) == []
        # Nothing of this example may be due in the next one.
        self.do(self.db.run(lambda tx: ledger.expire_holds(tx, self.now + timedelta(days=1))))

    async def _accounts(self) -> dict[UUID, ledger.Account]:
        async with self.db.connection() as connection:
            return await ledger.accounts(connection, self.accounts)

    async def _check(self) -> list[object]:
        async with self.db.connection() as connection:
            return list(await ledger.check(connection))

    def _post(self, transfers: list[Transfer]) -> None:
        self.asked += transfers
        outcomes = self.do(self.db.run(lambda tx: ledger.post(tx, transfers, self.now)))
        answers = self.reference.post(transfers, self.now)
        assert [_answer(outcome) for outcome in outcomes] == answers

    def _new_money(
        self, kind: Kind, id: int, debit: int, credit: int, amount: int, asset: str, linked: bool, up_to: bool,
        expires: int | None,
    ) -> Transfer:  # fmt: skip
        return Transfer(
            id=self.ids[id],
            kind=kind,
            tenant_id=1,
            debit_id=self.accounts[debit],
            credit_id=self.accounts[credit],
            amount=amount,
            asset=asset,
            code="any",
            linked=linked,
            up_to=up_to,
            expires_at=None if expires is None or kind is Kind.post else self.now + timedelta(seconds=expires),
        )

    def _end(self, kind: Kind, id: int, hold: int, amount: int, asset: str, linked: bool) -> Transfer:
        return Transfer(
            id=self.ids[id],
            kind=kind,
            tenant_id=1,
            hold_id=self.ids[hold],
            amount=amount,
            asset=asset,
            code="any",
            linked=linked,
        )


def _answer(outcome: Outcome) -> tuple[str, object, str | None, bool]:
    if isinstance(outcome, Posted):
        return ("posted", outcome.amount, None, outcome.replayed)
    return ("refused", outcome.refusal, outcome.field, outcome.replayed)


def test_the_ledger_does_as_the_reference_does(url: str) -> None:
    """Every answer and every counter, after every step, is that of the reference."""
    profile = settings(
        max_examples=EXAMPLES,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        derandomize=IS_BUILD,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    )
    with asyncio.Runner() as runner:
        LedgerMachine.runner = runner
        LedgerMachine.db = runner.run(Database.open(url, size=1))
        try:
            run_state_machine_as_test(LedgerMachine, settings=profile)
        finally:
            runner.run(LedgerMachine.db.close())
    assert next(LedgerMachine.steps) >= 2_000
