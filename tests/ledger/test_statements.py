"""A statement is what happened to an account, page by page, and its balance at any time."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from tests.ledger.story import NOON, Story, id_of

from unbusy import ledger
from unbusy.ledger import MAX_ENTRIES, Entry, Kind, Transfer

SECOND = timedelta(seconds=1)
BEGINNING, END = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)

DAY = """
    account BANK
    account A floor=0
    account B floor=0
    post T1 BANK -> A 100 code=top_up      : ok
    wait 1
    hold H2 A -> B 50                      : ok
    capture C3 of H2 20 code=ticket        : ok
    wait 1
    hold H4 B -> A 5                       : ok
    void V5 of H4 -                        : ok
    post T6 B -> A 1                       : ok
"""


async def _statement(story: Story, name: str, **asked: object) -> list[Entry]:
    async with story.db.transaction() as tx:
        return await ledger.statement(tx, id_of(name), **asked)  # pyright: ignore[reportArgumentType] - from a table


async def test_entries_are_newest_first_and_say_what_changed(story: Story) -> None:
    """Each entry has what it changed of the balance and of what is held, and the balance after."""
    await story.act(DAY)
    entries = await _statement(story, "A")
    shown = [(e.number, e.kind, e.code, e.amount, e.held, e.balance, e.counterparty_id) for e in entries]
    bank, b = id_of("BANK"), id_of("B")
    assert shown == [
        (6, "post", "payment", 1, 0, 81, b),
        (5, "void", "payment", 0, 0, 80, b),
        (4, "hold", "payment", 0, 0, 80, b),
        (3, "capture", "ticket", -20, -50, 80, b),
        (2, "hold", "payment", 0, 50, 100, b),
        (1, "post", "top_up", 100, 0, 100, bank),
    ]
    assert entries[5].transfer_id == id_of("T1")
    assert entries[5].at == NOON
    assert [(e.number, e.kind, e.amount, e.held) for e in await _statement(story, "B")][:3] == [
        (5, "post", -1, 0),
        (4, "void", 0, -5),
        (3, "hold", 0, 5),
    ]


async def test_amounts_add_up_to_the_balance(story: Story) -> None:
    """The amounts of a statement from its beginning are the balance, what it held is what is held."""
    await story.act(DAY)
    for name in ("A", "B", "BANK"):
        entries = await _statement(story, name)
        async with story.db.transaction() as tx:
            account = (await ledger.accounts(tx, [id_of(name)]))[id_of(name)]
        assert sum(entry.amount for entry in entries) == account.posted == entries[0].balance
        assert sum(entry.held for entry in entries) == account.held


async def test_pages_follow_each_other_without_gap(story: Story) -> None:
    """The number of the last entry is where the next page begins."""
    await story.act(DAY)
    first = await _statement(story, "A", limit=4)
    second = await _statement(story, "A", before=first[-1].number, limit=4)
    assert [entry.number for entry in first + second] == [6, 5, 4, 3, 2, 1]
    assert await _statement(story, "A", before=second[-1].number) == []
    assert await _statement(story, "A", before=0) == []
    assert await _statement(story, "NOBODY") == []


async def test_a_page_has_its_bounds(story: Story) -> None:
    """A page has at least one entry, and no more than one over a hundred."""
    await story.act("account A")
    for limit in (0, MAX_ENTRIES + 1):
        with pytest.raises(AssertionError):
            await _statement(story, "A", limit=limit)


@pytest.mark.parametrize(
    ("since", "until", "before", "numbers"),
    [
        (NOON, NOON + SECOND, None, [1]),
        (NOON + SECOND, NOON + 2 * SECOND, None, [3, 2]),
        (NOON + SECOND, None, None, [6, 5, 4, 3, 2]),
        (None, NOON + SECOND, None, [1]),
        (NOON + 3 * SECOND, None, None, []),
        (None, NOON, None, []),
        (NOON + 2 * SECOND, NOON + SECOND, None, []),
        (BEGINNING, END, None, [6, 5, 4, 3, 2, 1]),
        (END, BEGINNING, None, []),
        (NOON + SECOND, None, 5, [4, 3, 2]),
        (None, NOON + 2 * SECOND, 3, [2, 1]),
        (None, NOON + SECOND, 5, [1]),
    ],
)
async def test_a_statement_of_a_time(
    story: Story, since: datetime | None, until: datetime | None, before: int | None, numbers: list[int]
) -> None:
    """From `since` on, up to and not including `until`; with a cursor too."""
    await story.act(DAY)
    entries = await _statement(story, "A", since=since, until=until, before=before)
    assert [entry.number for entry in entries] == numbers


async def test_the_balance_at_any_time(story: Story) -> None:
    """What was posted up to and including that moment, as the transfers say one by one."""
    await story.act("account BANK\naccount A floor=0\naccount B")
    chance = random.Random(5)
    balances = {NOON - SECOND: 0}
    for _ in range(60):
        story.now += chance.choice([timedelta(0), timedelta(microseconds=1), SECOND])
        amounts = [chance.randint(1, 9) for _ in range(chance.randint(1, 3))]
        async with story.db.transaction() as tx:
            await ledger.post(tx, [_top_up("A", amount) for amount in amounts], story.now)
            await ledger.post(tx, [_top_up("B", amount) for amount in amounts], story.now)
        balances[story.now] = balances[max(balances)] + sum(amounts)
    async with story.db.transaction() as tx:
        for moment, balance in balances.items():
            assert await ledger.balance_at(tx, id_of("A"), moment) == balance
        assert await ledger.balance_at(tx, id_of("BANK"), story.now + 1000 * SECOND) == -2 * balances[story.now]
        assert await ledger.balance_at(tx, id_of("NOBODY"), story.now) == 0


def _top_up(name: str, amount: int) -> Transfer:
    return Transfer(
        id=uuid4(),
        kind=Kind.post,
        tenant_id=1,
        debit_id=id_of("BANK"),
        credit_id=id_of(name),
        amount=amount,
        asset="EUR",
        code="top_up",
    )


async def test_the_time_of_an_account_never_runs_backwards(story: Story) -> None:
    """A clock that jumped back gives the time of the newest transfer of the accounts involved."""
    await story.act("account BANK\naccount A\naccount B\npost T1 BANK -> A 1 : ok")
    story.now -= timedelta(hours=1)
    await story.act("post T2 A -> B 1 : ok\npost T3 BANK -> B 1 : ok")
    assert {entry.at for entry in await _statement(story, "B")} == {NOON}
