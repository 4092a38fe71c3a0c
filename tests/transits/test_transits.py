"""Top-ups and payouts against a bank that says what the story needs."""

from __future__ import annotations

import asyncio
import time
from uuid import UUID

import pytest
from tests.payments.bank import Bank, Gateway
from tests.transits.scripted import ACCEPTED, IBAN, SETTLED, UNKNOWN, Way, declined, other

from unbusy import ledger
from unbusy.api import Principal
from unbusy.banks import Direction, Result, State
from unbusy.clock import Deadline
from unbusy.errors import Invalid, KeyReused, NotFound
from unbusy.ledger import AccountState
from unbusy.reasons import Reason
from unbusy.transits import Status

PULL, PUSH = Direction.pull, Direction.push


@pytest.fixture
def way(bank: Bank, gateway: Gateway) -> Way:
    return Way(bank, gateway)


@pytest.fixture
async def ming(bank: Bank) -> Principal:
    return await bank.person("ming", 100)


async def test_money_comes_in(way: Way, ming: Principal) -> None:
    """The wallet has it once the bank has settled it, and not before."""
    topup = await way.begin(ming, PULL, 40)
    assert (topup.status, topup.reference) == (Status.pending, topup.id.hex)
    assert await way.bank.balance(ming) == 100
    assert await way.go_on(SETTLED) == 1
    done = await way.now(ming, topup)
    assert (done.status, done.balance_after) == (Status.completed, 140)
    assert [each.amount for each in way.there.sent] == [40]
    assert await way.owed() == 40
    assert await way.go_on() == 0


async def test_money_goes_out(way: Way, ming: Principal) -> None:
    """It is held at once, cannot be spent twice, and is gone once the bank has settled it."""
    payout = await way.begin(ming, PUSH, 70)
    account = await way.account(ming)
    assert (account.posted, account.held, account.available) == (100, 70, 30)
    assert (await way.begin(ming, PUSH, 40)).reason is Reason.insufficient_funds
    await way.go_on(SETTLED)
    assert (await way.now(ming, payout)).balance_after == 30
    assert await way.owed() == -70


@pytest.mark.parametrize("direction", Direction)
@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("account_closed", Reason.bank_account_closed),
        ("account_unknown", Reason.bank_account_unknown),
        ("name_mismatch", Reason.bank_name_mismatch),
        ("limit", Reason.bank_limit),
        ("refused", Reason.bank_refused),
        ("insufficient_funds", None),
    ],
)
async def test_a_bank_says_no(way: Way, ming: Principal, direction: Direction, answer: str, reason: Reason) -> None:
    """What was held is free again, and the reason is the bank's. That our own account there is short is no
    matter of the customer's."""
    begun = await way.begin(ming, direction, 40)
    await way.go_on(declined(answer))
    short = Reason.bank_insufficient_funds if direction is PULL else Reason.bank_refused
    assert await way.told(ming, begun) == (reason or short)
    account = await way.account(ming)
    assert (account.posted, account.held, account.credits_pending) == (100, 0, 0)
    assert await way.owed() == 0


async def test_no_answer_is_never_sent_again(way: Way, ming: Principal) -> None:
    """After no answer the bank is asked, under the same reference, at growing distances, until it says."""
    payout = await way.begin(ming, PUSH, 40)
    await way.go_on(UNKNOWN)
    assert await way.told(ming, payout) == Status.unknown
    assert await way.go_on() == 0
    for pause in (1, 1, 2, 3):
        assert await way.go_on(UNKNOWN, after_s=pause) == 1
    assert (await way.account(ming)).held == 40
    await way.go_on(SETTLED, after_s=5)
    assert await way.told(ming, payout) == Status.completed
    assert (len(way.there.sent), way.there.asked) == (1, [payout.reference] * 5)


async def test_accepted_is_asked_about(way: Way, ming: Principal) -> None:
    """A bank that has it and is slow leaves it pending, also when an enquiry gets lost."""
    topup = await way.begin(ming, PULL, 40)
    await way.go_on(ACCEPTED)
    await way.go_on(UNKNOWN, after_s=1)
    await way.go_on(declined("unavailable"), after_s=2)
    assert await way.told(ming, topup) == Status.pending
    await way.go_on(SETTLED, after_s=5)
    assert await way.told(ming, topup) == Status.completed


async def test_a_bank_that_is_not_there(way: Way, ming: Principal) -> None:
    """What certainly did not reach the bank is sent again for half a minute, then declined."""
    both = [await way.begin(ming, PUSH, 10) for _ in range(2)]
    away = declined("unavailable")
    await way.go_on(away, away)
    await way.go_on(SETTLED, away, after_s=2)
    saved, lost = sorted(both, key=lambda each: each.reference != way.there.sent[2].reference)
    assert await way.told(ming, saved) == Status.completed
    await way.go_on(away, after_s=40)
    assert await way.told(ming, lost) == Reason.bank_unavailable
    assert way.there.asked == []
    assert (await way.account(ming)).available == 90


async def test_a_bank_that_never_got_it(way: Way, ming: Principal) -> None:
    """Only the bank can say so, and then it is certain."""
    payout = await way.begin(ming, PUSH, 10)
    await way.go_on(UNKNOWN)
    await way.go_on(declined("not_found"), after_s=1)
    assert await way.told(ming, payout) == Reason.bank_unavailable
    assert (await way.account(ming)).available == 100


@pytest.mark.parametrize("direction", Direction)
async def test_undone_when_the_time_is_up(way: Way, ming: Principal, direction: Direction) -> None:
    """At `resolve_by` it is reversed. A bank that settled it after all is followed in the books, once:
    our account there is what the bank says it is, and the other side waits for a person."""
    begun = await way.begin(ming, direction, 40)
    await way.go_on(UNKNOWN)
    await way.go_on(UNKNOWN, after_s=3_601)
    assert await way.told(ming, begun) == Reason.bank_no_answer
    assert (await way.now(ming, begun)).status is Status.reversed
    account = await way.account(ming)
    assert (account.posted, account.held) == (100, 0)
    await way.go_on(UNKNOWN, after_s=2_000)
    await way.go_on(SETTLED, after_s=5_000)
    moved = 40 if direction is PULL else -40
    assert (await way.owed(), await way.owed("suspense")) == (moved, -moved)
    assert await way.go_on(after_s=1_000_000) == 0
    assert (await way.now(ming, begun)).status is Status.reversed


async def test_final_by_the_time_told(way: Way, ming: Principal) -> None:
    """Also when its bank cannot be asked: shortly before `resolve_by` what the bank may know is reversed, even while it
    is being asked, and what it was never told is declined."""
    told = await way.begin(ming, PUSH, 10)
    await way.go_on(UNKNOWN)

    async def settled_too_late() -> Result:
        assert await way.give_back() == 1
        return SETTLED

    assert await way.give_back(after_s=3_585) == 0
    await way.go_on(settled_too_late, after_s=5)
    assert await way.told(ming, told) == Reason.bank_no_answer
    await way.go_on(SETTLED, after_s=3_600)
    assert (await way.owed(), await way.owed("suspense")) == (-10, 10)
    untold = await way.begin(ming, PULL, 20)
    assert await way.give_back(after_s=3_590) == 1
    assert await way.told(ming, untold) == Reason.bank_unavailable
    assert (await way.account(ming)).credits_pending == 0
    assert await way.give_back(after_s=60) == await way.go_on() == 0


async def test_a_frozen_wallet_is_not_undone(way: Way, ming: Principal) -> None:
    """Its bank may have settled, and is asked first."""
    await way.begin(ming, PUSH, 10)
    await way.bank.set_state(ming, AccountState.frozen)
    await way.go_on(SETTLED)
    assert await way.give_back(after_s=3_600) == 0
    await way.bank.set_state(ming, AccountState.open)
    assert await way.give_back() == 1


async def test_a_bank_that_never_says(way: Way, ming: Principal) -> None:
    """Long after it was reversed nobody asks any more; nor when the bank says that it did nothing."""
    silent, certain = await way.begin(ming, PUSH, 1), await way.begin(ming, PUSH, 2)
    await way.go_on(UNKNOWN, UNKNOWN)
    await way.go_on(UNKNOWN, UNKNOWN, after_s=3_601)
    assert await way.go_on(UNKNOWN, declined("refused"), after_s=4_000) == 2
    assert await way.go_on(UNKNOWN, after_s=8 * 86_400) == 1
    assert await way.go_on(after_s=86_400) == 0
    assert {(await way.now(ming, each)).status for each in (silent, certain)} == {Status.reversed}


@pytest.mark.parametrize("direction", Direction)
async def test_a_wallet_frozen_meanwhile(way: Way, ming: Principal, direction: Direction) -> None:
    """What the bank has settled stays held while the wallet is frozen, and moves once it is open."""
    begun = await way.begin(ming, direction, 40)
    await way.bank.set_state(ming, AccountState.frozen)
    await way.go_on(SETTLED)
    assert await way.told(ming, begun) == Status.pending
    await way.go_on(SETTLED, after_s=400)
    await way.bank.set_state(ming, AccountState.open)
    await way.go_on(SETTLED, after_s=400)
    assert await way.told(ming, begun) == Status.completed
    assert len(way.there.sent) == 1


@pytest.mark.parametrize("direction", Direction)
async def test_a_wallet_that_cannot(way: Way, ming: Principal, direction: Direction) -> None:
    """A frozen, closed or full wallet declines it before the bank hears of it."""
    await way.bank.set_state(ming, AccountState.frozen)
    assert (await way.begin(ming, direction, 1)).reason is Reason.wallet_frozen
    await way.bank.set_state(ming, AccountState.open)
    async with way.bank.db.transaction() as tx:
        await ledger.set_limits(tx, (await way.account(ming)).id, floor=0, ceiling=120)
    room, more = await way.begin(ming, PULL, 15), await way.begin(ming, PULL, 10)
    assert (room.status, more.reason) == (Status.pending, Reason.wallet_full)
    await way.go_on(SETTLED)
    await way.begin(ming, PUSH, 115)
    await way.go_on(SETTLED)
    await way.bank.set_state(ming, AccountState.closed)
    assert (await way.begin(ming, direction, 1)).reason is Reason.wallet_closed
    assert len(way.there.sent) == 2


async def test_the_same_key(way: Way, ming: Principal) -> None:
    """One key is one transit, also asked with many times at once; another body under it is refused."""
    made = await asyncio.gather(*(way.begin(ming, PUSH, 10, key="k") for _ in range(5)))
    assert len({each.id for each in made}) == 1
    with pytest.raises(KeyReused):
        await way.begin(ming, PUSH, 11, key="k")
    with pytest.raises(KeyReused):
        await way.begin(ming, PULL, 10, key="k")
    assert await way.go_on(SETTLED) == 1
    assert await way.bank.balance(ming) == 90


async def test_begun_together(way: Way, ming: Principal) -> None:
    """What is begun in one moment shares one commit, and each gets its own answer: who has too little, or names an
    account that is not linked, disturbs no other."""
    account = await way.link(ming)

    async def begin(direction: Direction, amount: int, key: str, account_id: UUID = account.id) -> str:
        begun, replayed = await way.transits.begin(
            ming,
            direction,
            account_id,
            amount,
            "EUR",
            key=key,
            fingerprint=b"one",
            deadline=Deadline(way.bank.clock, 10),
        )
        return "again" if replayed else begun.reason or begun.status

    answers = await asyncio.gather(
        begin(PUSH, 40, "a"),
        begin(PUSH, 70, "b"),
        begin(PUSH, 60, "c"),
        begin(PULL, 5, "d", other(account.id)),
        begin(PULL, 5, "e"),
        begin(PULL, 5, "e"),
        return_exceptions=True,
    )
    assert [str(each) for each in answers] == [
        "pending",
        "insufficient_funds",
        "pending",
        "there is no such bank account",
        "pending",
        "again",
    ]
    assert await way.bank.as_superuser("SELECT count(DISTINCT xmin::text) FROM transits.transits") == 1
    assert (await way.account(ming)).available == 0


async def test_a_late_answer_is_passed_over(way: Way, ming: Principal) -> None:
    """Whoever stood still until somebody else took it up writes nothing: what it heard may be old."""
    payout = await way.begin(ming, PUSH, 10)
    second = way.new_lane()

    async def stand_still() -> Result:
        way.bank.clock.go(seconds=10)
        way.there.answers.append(UNKNOWN)
        await second.go_on(way.bank.clock.now())
        await second.finish()
        return declined("unavailable")

    await way.go_on(stand_still)
    assert await way.told(ming, payout) == Status.unknown
    await way.go_on(SETTLED, after_s=10)
    assert (await way.told(ming, payout), len(way.there.sent)) == (Status.completed, 1)


async def test_taken_up_again_after_a_crash(way: Way, ming: Principal) -> None:
    """A worker that dies in the middle of a call leaves it for the next, who asks instead of sending."""
    payout = await way.begin(ming, PUSH, 10)
    dying = asyncio.Event()

    async def die() -> Result:
        dying.set()
        await asyncio.sleep(0)
        raise asyncio.CancelledError

    way.there.answers.append(die)
    await way.lane.go_on(way.bank.clock.now())
    await dying.wait()
    await asyncio.gather(way.lane.finish(), return_exceptions=True)
    assert await way.go_on() == 0
    await way.go_on(SETTLED, after_s=4)
    assert await way.told(ming, payout) == Status.completed
    assert (len(way.there.sent), len(way.there.asked)) == (1, 1)


async def test_a_bank_that_hangs(way: Way, ming: Principal) -> None:
    """Ties up its own lane for so long as a call may take, and no more calls than that has room for. Then
    nothing new is told to it before it has answered a question that moves no money; and first only one."""
    for _ in range(40):
        await way.begin(ming, PULL, 1)

    async def hang() -> Result:
        await asyncio.sleep(60)
        raise AssertionError

    way.there.answers.extend([hang] * 32)
    assert await way.lane.go_on(way.bank.clock.now()) == 32
    assert await way.lane.go_on(way.bank.clock.now()) == 0
    await way.lane.finish()
    await way.look(declined("unavailable"), after_s=6)
    assert await way.go_on(*[ACCEPTED] * 32) == 32
    assert (len(way.there.sent), len(way.there.asked)) == (32, 33)
    await way.look(declined("not_found"), after_s=6)
    assert await way.go_on(*[SETTLED] * 32) == 32
    assert len(way.there.sent) == 33
    while await way.go_on(*[SETTLED] * 7, after_s=2):
        way.there.answers.clear()
    assert await way.bank.balance(ming) == 140


async def test_waiting_for_a_bank_that_is_down(way: Way, ming: Principal) -> None:
    """What is new is not told to it; after half a minute it is declined, and certainly not moved."""
    early = [await way.begin(ming, PUSH, 1) for _ in range(4)]
    await way.go_on(*[UNKNOWN] * 4)
    late = await way.begin(ming, PUSH, 1)
    assert await way.go_on() == 0
    for _ in range(4):
        await way.look(UNKNOWN, after_s=8)
        await way.go_on(*[UNKNOWN] * 4)
    assert await way.told(ming, late) == Reason.bank_unavailable
    assert [each.reference for each in way.there.sent] == [each.reference for each in early]
    assert (await way.account(ming)).held == 4


async def test_never_more_calls_than_a_bank_allows(way: Way, ming: Principal) -> None:
    """Evenly spaced, also over several workers and with enquiries among them; each is two calls to the bank."""
    for _ in range(12):
        await way.begin(ming, PULL, 1)
    lanes = [way.new_lane(calls_per_s=40) for _ in range(3)]
    times: list[float] = []

    async def answer() -> Result:
        times.append(time.monotonic())
        return SETTLED

    way.there.answers.extend([answer] * 15)
    while len(way.there.sent) < 12:
        await asyncio.gather(*(lane.go_on(way.bank.clock.now()) for lane in lanes))
        await asyncio.gather(*(lane.look_after(way.bank.clock.now()) for lane in lanes))
        await asyncio.sleep(0.01)
    await asyncio.gather(*(lane.finish() for lane in lanes))
    assert len(times) / 20 <= times[-1] - times[0] + 2 / 20
    assert await way.bank.balance(ming) == 112


async def test_an_answer_that_cannot_be_written(way: Way, ming: Principal) -> None:
    """Keeps back none of those that came with it, and is asked for again."""
    odd, fine = await way.begin(ming, PUSH, 10), await way.begin(ming, PULL, 20)
    await way.go_on(declined("a word that no bank says"), SETTLED)
    assert [await way.told(ming, each) for each in (odd, fine)] == [Status.pending, Status.completed]
    await way.go_on(SETTLED, after_s=4)
    assert await way.told(ming, odd) == Status.completed
    assert await way.bank.balance(ming) == 110


async def test_what_a_bank_wants(way: Way, ming: Principal) -> None:
    """A bank that asks to be left alone for some time is."""
    payout = await way.begin(ming, PUSH, 10)
    await way.go_on(Result(State.unknown, retry_after=20))
    assert await way.go_on(after_s=15) == 0
    await way.go_on(SETTLED, after_s=6)
    assert await way.told(ming, payout) == Status.completed


async def test_linked_accounts(way: Way, ming: Principal) -> None:
    """Linked once, however often; removed, it takes no new money, and what is under way goes on."""
    first, second = await way.link(ming), await way.link(ming)
    assert (first.id, first.iban) == (second.id, IBAN)
    payout = await way.begin(ming, PUSH, 10)
    mei = await way.bank.person("mei")
    with pytest.raises(NotFound):
        await way.accounts.unlink(mei, first.id)
    for _ in range(2):
        await way.accounts.unlink(ming, first.id)
    assert await way.accounts.list(ming) == []
    assert (await way.link(ming)).id != first.id
    await way.go_on(SETTLED)
    assert await way.told(ming, payout) == Status.completed
    with pytest.raises(NotFound):
        await way.accounts.link(ming, "nobody", IBAN, "Ming Li")
    for iban in ("GB33BUKB20201555555556", "ZZ33BUKB20201555555555", "GB33 BUKB", "１" * 20):
        with pytest.raises(Invalid):
            await way.accounts.link(ming, "scripted", iban, "Ming Li")


async def test_other_peoples_are_not_there(way: Way, ming: Principal) -> None:
    """Nor is a payout among the top-ups."""
    payout, mei = await way.begin(ming, PUSH, 10), await way.bank.person("mei")
    for person, direction, id in ((mei, PUSH, payout.id), (ming, PULL, payout.id), (ming, PUSH, other(payout.id))):
        with pytest.raises(NotFound):
            await way.transits.find(person, direction, id)
    with pytest.raises(Invalid):
        await way.begin(ming, PULL, 10, asset="POINTS")
    await way.go_on(SETTLED)


async def test_waiting_for_the_end(way: Way, ming: Principal) -> None:
    """Who waits is told when it is final, and as it is when that takes too long."""
    payout = await way.begin(ming, PUSH, 10)
    assert (await way.transits.wait(ming, PUSH, payout.id, 0.3)).status is Status.pending
    waiting = asyncio.create_task(way.transits.wait(ming, PUSH, payout.id, 10))
    await asyncio.sleep(0.05)
    await way.go_on(SETTLED)
    async with asyncio.timeout(5):
        assert (await waiting).status is Status.completed


async def test_the_proof_can_fail(way: Way, ming: Principal) -> None:
    """A transit that says something else than the ledger is found, and so is a hold without one."""
    payout = await way.begin(ming, PUSH, 10)
    await way.go_on(SETTLED)

    async def found() -> set[str]:
        return {finding.rule for finding in await way.bank.findings()}

    completed = "status = 'completed', reason = NULL, balance_after = 90, due_at = NULL, parked_id = NULL"
    changes = {
        "hold_ended_as_the_transit_did": ("status = 'pending', due_at = now(), balance_after = NULL", completed),
        "holds_what_it_says": ("amount = 11", "amount = 10"),
        "is_between_wallet_and_bank": ("direction = 'pull'", "direction = 'push'"),
        "hold_has_its_transit": ("id = gen_random_uuid()", f"id = '{payout.id}'"),
        "parked_has_its_transfer": (
            "status = 'reversed', reason = 'x', balance_after = NULL, parked_id = gen_random_uuid()",
            completed,
        ),
    }
    for rule, (change, back) in changes.items():
        await way.bank.as_superuser(f"UPDATE transits.transits SET {change} RETURNING 1")
        assert rule in await found()
        await way.bank.as_superuser(f"UPDATE transits.transits SET {back} RETURNING 1")
    assert await found() == set()
