"""What PostgreSQL itself holds: what is posted never changes, and nothing is done twice."""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta
from uuid import UUID, uuid4

import asyncpg
import pytest
from tests.ledger.story import NOON, Story, id_of

from unbusy import ledger
from unbusy.db import Database, Tx
from unbusy.ledger import MAX_BATCH, Kind, NewAccount, Outcome, Posted, Refused, Transfer


def _post(debit: UUID, credit: UUID, amount: int, id: UUID | None = None) -> Transfer:
    return Transfer(
        id=id or uuid4(), tenant_id=1, debit_id=debit, credit_id=credit, amount=amount, asset="EUR", code="payment"
    )


FORBIDDEN = [
    "UPDATE ledger.transfers SET amount = 1",
    "DELETE FROM ledger.transfers",
    "TRUNCATE ledger.transfers",
    "UPDATE ledger.refusals SET refusal = 'none'",
    "DELETE FROM ledger.refusals",
    "TRUNCATE ledger.refusals",
]


@pytest.mark.parametrize("statement", FORBIDDEN)
async def test_what_is_posted_is_never_changed(story: Story, url: str, statement: str) -> None:
    """Not by the role we work under, which has no right to, and not by the superuser either."""
    await story.act(
        "account BANK\naccount A floor=0\npost T1 BANK -> A 1 : ok\npost T2 A -> BANK 2 : insufficient_funds"
    )
    async with story.db.connection() as ours:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await ours.execute(statement)  # pyright: ignore[reportArgumentType] - from a table
    superuser = await asyncpg.connect(url)
    with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="never changed"):
        await superuser.execute(statement)
    await superuser.close()


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM ledger.accounts",
        "UPDATE ledger.accounts SET asset = 'USD'",
        "UPDATE ledger.accounts SET tenant_id = 2",
        "UPDATE ledger.holds SET amount = 1",
        "DELETE FROM ledger.holds",
        "UPDATE ledger.assets SET scale = 3",
    ],
)
async def test_we_have_no_more_rights_than_we_need(tx: Tx, statement: str) -> None:
    """What an account is, what was held and what an asset is never changes either."""
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await tx.execute(statement)  # pyright: ignore[reportArgumentType] - from a table


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ("debits_posted = 101", "floor_is_kept"),
        ("credits_pending = 1", "ceiling_is_kept"),
        ("state = 'closed'", "closed_is_empty"),
        ("state = 'sleeping'", "state_is_known"),
        ("ceiling = NULL, debits_posted = -1", "counters_are_not_negative"),
        ("debits_pending = -1", "pending_is_not_negative"),
        ("ceiling = NULL, credits_posted = 8000000000000000001", "counters_do_not_overflow"),
    ],
)
async def test_the_database_holds_what_must_never_be_false(
    story: Story, url: str, change: str, constraint: str
) -> None:
    """Whoever writes to an account, and however wrong: its rules are the table's own."""
    await story.act("account BANK\naccount A floor=0 ceiling=100\npost T1 BANK -> A 100 : ok")
    superuser = await asyncpg.connect(url)
    with pytest.raises(asyncpg.CheckViolationError) as caught:
        await superuser.execute(f"UPDATE ledger.accounts SET {change} WHERE id = '{id_of('A')}'")
    assert caught.value.constraint_name == constraint
    await superuser.close()


async def test_a_posting_is_undone_with_its_transaction(story: Story) -> None:
    """The ledger joins the caller's transaction: what is not committed was never posted."""
    await story.act("account BANK\naccount A")
    transfer = _post(id_of("BANK"), id_of("A"), 5)

    async def post_and_fail(tx: Tx) -> None:
        await ledger.post(tx, [transfer], NOON)
        raise RuntimeError("something else went wrong")

    with pytest.raises(RuntimeError):
        await story.db.run(post_and_fail)
    async with story.db.transaction() as tx:
        (outcome,) = await ledger.post(tx, [transfer], NOON)
    assert not outcome.replayed
    await story.act("see A posted=5 running_number=1")


async def test_a_batch_has_its_bounds(story: Story) -> None:
    """Nothing is nothing; the most is one call; more is the caller's to split."""
    await story.act("account BANK\naccount A")
    async with story.db.transaction() as tx:
        assert await ledger.post(tx, [], NOON) == []
        most = [_post(id_of("BANK"), id_of("A"), 1) for _ in range(MAX_BATCH)]
        outcomes = await ledger.post(tx, most, NOON)
        assert all(isinstance(outcome, Posted) for outcome in outcomes)
        with pytest.raises(AssertionError):
            await ledger.post(tx, [*most, most[0]], NOON)
    await story.act(f"see A posted={MAX_BATCH}")


async def test_the_first_answer_comes_back_whole(story: Story) -> None:
    """A replay is equal to the first answer in everything, but that it says so."""
    await story.act("account BANK\naccount A floor=-3\npost T0 BANK -> A 50 : ok\nhold H A -> BANK 7 : ok")
    transfers = [
        _post(id_of("A"), id_of("BANK"), 10),
        Transfer(id=uuid4(), kind=Kind.capture, tenant_id=1, amount=0, asset="EUR", code="x", hold_id=id_of("H")),
        _post(id_of("A"), id_of("BANK"), 1000),
        _post(id_of("nobody"), id_of("BANK"), 1),
    ]
    async with story.db.transaction() as tx:
        first = await ledger.post(tx, transfers, NOON)
    await story.act("post T9 A -> BANK 1 : ok\nlimits A floor=-20 : ok")
    async with story.db.transaction() as tx:
        again = await ledger.post(tx, transfers, NOON + timedelta(hours=1))
    assert [_without_replay(outcome) for outcome in again] == [_without_replay(outcome) for outcome in first]
    assert [outcome.replayed for outcome in first + again] == [False] * 4 + [True] * 4


def _without_replay(outcome: Outcome) -> tuple[object, ...]:
    if isinstance(outcome, Refused):
        return (outcome.id, outcome.refusal, outcome.field)
    return (outcome.id, outcome.amount, outcome.debit, outcome.credit, outcome.at)


async def test_many_workers_release_each_hold_once(story: Story) -> None:
    """Two that look for holds that are due at the same time do not release one twice."""
    await story.act("account A\naccount B\n" + "\n".join(f"hold H{i} A -> B 1 expires=1 : ok" for i in range(40)))
    later = NOON + timedelta(seconds=1)

    async def work() -> int:
        return sum([await story.db.run(lambda tx: ledger.expire_holds(tx, later, 15)) for _ in range(4)])

    assert sum(await asyncio.gather(*(work() for _ in range(6)))) == 40
    await story.act("see A held=0")


async def test_a_capture_and_a_release_at_once_end_a_hold_once(story: Story) -> None:
    """Whoever gets the accounts first ends the hold; the other is told how it ended."""
    await story.act("account A\naccount B\n" + "\n".join(f"hold H{i} A -> B 1 expires=1 : ok" for i in range(20)))
    captures = [
        Transfer(id=uuid4(), kind=Kind.capture, tenant_id=1, amount=0, asset="EUR", code="x", hold_id=id_of(f"H{i}"))
        for i in range(20)
    ]
    outcomes, released = await asyncio.gather(
        story.db.run(lambda tx: ledger.post(tx, captures, NOON)),
        story.db.run(lambda tx: ledger.expire_holds(tx, NOON + timedelta(seconds=1))),
    )
    captured = sum(isinstance(outcome, Posted) for outcome in outcomes)
    assert captured + released == 20
    await story.act(f"see A held=0 posted=-{captured}" if captured else "see A held=0 posted=0")


class Writers:
    """Many who post at once among few accounts, now and then the same transfers as another one."""

    def __init__(self, db: Database, accounts: list[UUID], seed: int) -> None:
        self.db = db
        self.accounts = accounts
        self.chance = random.Random(seed)
        self.answers: dict[UUID, list[Outcome]] = {}
        self.asked: list[Transfer] = []

    async def write(self, batches: int) -> None:
        for _ in range(batches):
            batch = [self._transfer() for _ in range(self.chance.randint(1, 25))]
            outcomes = await self.db.run(lambda tx, batch=batch: ledger.post(tx, batch, NOON))
            for transfer, outcome in zip(batch, outcomes, strict=True):
                self.answers.setdefault(transfer.id, []).append(outcome)

    def _transfer(self) -> Transfer:
        if self.asked and self.chance.random() < 0.3:
            return self.chance.choice(self.asked)
        debit, credit = self.chance.sample(self.accounts, 2)
        self.asked.append(_post(debit, credit, self.chance.randint(1, 400)))
        return self.asked[-1]


async def test_many_writers_on_few_accounts(db: Database) -> None:
    """Books stay exact, every id is one transfer, and whoever asks for it gets the same answer."""
    people = [uuid4() for _ in range(6)]
    new = [NewAccount(id=id, tenant_id=1, asset="EUR", code="wallet", owner_id=id, floor=0) for id in people]
    bank = NewAccount(id=uuid4(), tenant_id=1, asset="EUR", code="bank")
    async with db.transaction() as tx:
        await ledger.open_accounts(tx, [*new, bank])
        await ledger.post(tx, [_post(bank.id, person, 1_000) for person in people], NOON)

    writers = Writers(db, people, seed=11)
    await asyncio.gather(*(writers.write(batches=15) for _ in range(12)))

    for answers in writers.answers.values():
        assert len({_without_replay(answer) for answer in answers}) == 1
        assert sum(not answer.replayed for answer in answers) == 1
    posted = sum(isinstance(answers[0], Posted) for answers in writers.answers.values())
    async with db.connection() as connection:
        accounts = await ledger.accounts(connection, people)
        assert sum(account.posted for account in accounts.values()) == 6_000
        assert sum(account.running_number for account in accounts.values()) == 2 * posted + 6
        assert min(account.posted for account in accounts.values()) >= 0
        assert 0 < posted < len(writers.answers)
        assert await ledger.check(connection) == []
