"""What every connector must do, whatever the bank does: said against a real bank process."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Generator

import pytest
from tests.banks.sandbox import ANNA, Sandbox, instruction

from unbusy.banks import DECLINES, Connector, Direction, ExternalAccount, Result, State
from unbusy.banks.sandbox import Kind

both = pytest.mark.parametrize("direction", list(Direction))
# What a connector makes of a fault is the same code both ways: the second way is for the long tests.
either = pytest.mark.parametrize("direction", [Direction.push, pytest.param(Direction.pull, marks=pytest.mark.long)])

# Not every dialect has every step: what cannot be called cannot go wrong.
STEPS = {
    "sandbox": {"token", "consent", "send", "enquire", "withdraw"},
    "partner": {"send", "enquire"},
    "switch": {"token", "send", "enquire", "withdraw"},
}


def at(*operations: str) -> pytest.MarkDecorator:
    """With each bank, at each of these steps that its dialect has."""
    steps = [(bank, operation) for bank, known in STEPS.items() for operation in operations if operation in known]
    return pytest.mark.parametrize(("bank", "operation"), steps, indirect=["bank"])


# What a fault lets the connector know for certain, and what an enquiry brings to light.
ACCEPTED_THEN = {Kind.pending: State.settled, Kind.pending_declined: State.declined}
NOT_TAKEN = {Kind.rate_limit, Kind.maintenance, Kind.signed_out}
LOST_BEFORE = {Kind.error, Kind.reset}
LOST_AFTER = {Kind.lost, Kind.lost_error, Kind.garbled, Kind.forged}
SILENT = {Kind.hang, Kind.late}
HARMLESS = {Kind.slow, Kind.twice}

MAGIC = {
    6601: "insufficient_funds",
    6602: "account_closed",
    6603: "account_unknown",
    6604: "name_mismatch",
    6605: "limit",
    6606: "refused",
}


def test_every_fault_is_tried() -> None:
    """A fault that the sandbox learns is one that connectors are tried with."""
    assert {*HARMLESS, *ACCEPTED_THEN, *NOT_TAKEN, *LOST_BEFORE, *LOST_AFTER, *SILENT} == set(Kind)


@both
async def test_money_moves_once(sandbox: Sandbox, connector: Connector, direction: Direction) -> None:
    """An instruction is executed once, however often it is sent, and the answer is the same."""
    told = instruction(direction)
    first = await connector.send(told)
    assert first.state is State.settled
    assert first.bank_reference
    before = sandbox.balance(ANNA)
    assert await connector.send(told) == first
    assert await connector.enquire(told.reference, direction) == first
    assert sandbox.balance(ANNA) == before
    assert sandbox.executed(told.reference) == 1


@both
async def test_money_goes_where_it_should(sandbox: Sandbox, connector: Connector, direction: Direction) -> None:
    """A pull takes the amount from the customer's account, a push brings it there, to the cent."""
    mei = ExternalAccount("FR1420041010050500013M02606", "Mei Chen")
    sandbox.open_account(mei, balance=100_000)
    assert (await connector.send(instruction(direction, 12_345, mei))).state is State.settled
    assert sandbox.balance(mei) == (87_655 if direction is Direction.pull else 112_345)


@both
async def test_a_slow_bank_is_waited_for(sandbox: Sandbox, connector: Connector, direction: Direction) -> None:
    """What comes late but in time is an answer like any other."""
    sandbox.break_with(kind="slow", seconds=0.1)
    assert (await connector.send(instruction(direction))).state is State.settled


@both
async def test_what_comes_twice_is_done_once(sandbox: Sandbox, connector: Connector, direction: Direction) -> None:
    """Whatever is heard twice on its way, or answered twice: once done, once believed, and the next call is as good."""
    sandbox.break_with(kind="twice")
    told = instruction(direction)
    first = await connector.send(told)
    assert first.state is State.settled
    assert await connector.enquire(told.reference, direction) == first
    assert (await connector.enquire(f"no-{told.reference}", direction)).reason == "not_found"
    assert sandbox.executed(told.reference) == 1


@both
@pytest.mark.parametrize(("kind", "then"), ACCEPTED_THEN.items())
async def test_accepted_is_not_the_end(
    sandbox: Sandbox, connector: Connector, direction: Direction, kind: Kind, then: State
) -> None:
    """What the bank has taken is enquired about until it says what became of it."""
    sandbox.break_with(kind=kind, operation="send", seconds=0.7)
    told = instruction(direction)
    assert (await connector.send(told)).state is State.accepted
    assert (await connector.enquire(told.reference, direction)).state is State.accepted
    await asyncio.sleep(0.7)
    assert (await connector.enquire(told.reference, direction)).state is then
    assert sandbox.executed(told.reference) == (then is State.settled)


@either
@at("token", "consent", "send")
@pytest.mark.parametrize("kind", sorted(NOT_TAKEN))
async def test_what_was_not_taken_is_certain(
    sandbox: Sandbox, connector: Connector, direction: Direction, operation: str, kind: Kind
) -> None:
    """A bank that says that it took nothing is believed; so is one that gives no token or no consent."""
    sandbox.break_with(kind=kind, operation=operation, seconds=7)
    told = instruction(direction)
    answer = await connector.send(told)
    assert (answer.state, answer.reason) == (State.declined, "unavailable")
    if kind is not Kind.signed_out and operation != "token":
        assert answer.retry_after == 7
    assert sandbox.executed(told.reference) == 0
    sandbox.mend()
    assert (await connector.send(told)).state is State.settled


@either
@pytest.mark.parametrize("kind", sorted(LOST_BEFORE | LOST_AFTER))
async def test_a_lost_answer_is_unknown_until_enquired(
    sandbox: Sandbox, connector: Connector, direction: Direction, kind: Kind
) -> None:
    """Done or not, the answer is the same: unknown. An enquiry finds out which, and for good."""
    sandbox.break_with(kind=kind, operation="send")
    told = instruction(direction)
    assert await connector.send(told) == Result(State.unknown)
    sandbox.mend()
    found = await connector.enquire(told.reference, direction)
    if kind in LOST_AFTER:
        assert found.state is State.settled
    else:
        assert (found.state, found.reason) == (State.declined, "not_found")
    again = await connector.send(told)
    assert (again.state, again.reason) == (found.state, found.reason)
    assert sandbox.executed(told.reference) == (kind in LOST_AFTER)


@both
async def test_a_silent_bank_is_given_up(sandbox: Sandbox, hasty: Connector, direction: Direction) -> None:
    """Who waited long enough goes on, and does not take silence for a no."""
    sandbox.break_with(kind="hang", operation="send")
    told = instruction(direction)
    assert await hasty.send(told) == Result(State.unknown)
    sandbox.break_with(kind="hang", operation="enquire")
    assert await hasty.enquire(told.reference, direction) == Result(State.unknown)


@both
async def test_what_was_said_not_to_be_there_never_comes(
    sandbox: Sandbox, hasty: Connector, connector: Connector, direction: Direction
) -> None:
    """A message that arrives after "not found" is not executed: certain means certain."""
    sandbox.break_with(kind="late", operation="send", seconds=0.8)
    told = instruction(direction)
    assert await hasty.send(told) == Result(State.unknown)
    assert (await connector.enquire(told.reference, direction)).reason == "not_found"
    await asyncio.sleep(0.8)
    assert (await connector.enquire(told.reference, direction)).reason == "not_found"
    assert sandbox.executed(told.reference) == 0


@either
@at("enquire", "withdraw")
@pytest.mark.parametrize("kind", sorted(NOT_TAKEN | LOST_BEFORE | LOST_AFTER))
async def test_an_enquiry_that_fails_says_nothing(
    sandbox: Sandbox, connector: Connector, direction: Direction, operation: str, kind: Kind
) -> None:
    """Whatever happens to the question, the payment's outcome stays unknown and is not made up."""
    sandbox.break_with(kind=kind, operation=operation)
    told = instruction(direction)
    if operation == "enquire":
        assert (await connector.send(told)).state is State.settled
    assert (await connector.enquire(told.reference, direction)).state is State.unknown
    sandbox.mend()
    found = await connector.enquire(told.reference, direction)
    assert found.state is (State.settled if operation == "enquire" else State.declined)


@both
@pytest.mark.parametrize(("amount", "reason"), MAGIC.items())
async def test_a_no_says_why(
    sandbox: Sandbox, connector: Connector, direction: Direction, amount: int, reason: str
) -> None:
    """A decline is final, has a reason of the closed list, and nothing has moved."""
    told = instruction(direction, amount)
    answer = await connector.send(told)
    assert (answer.state, answer.reason) == (State.declined, reason)
    assert reason in DECLINES
    assert await connector.enquire(told.reference, direction) == answer
    assert sandbox.executed(told.reference) == 0


async def test_accounts_decline_by_themselves(sandbox: Sandbox, connector: Connector) -> None:
    """Nothing on it, closed, or somebody else's."""
    kofi = ExternalAccount("NL91ABNA0417164300", "Kofi Mensah")
    sandbox.open_account(kofi, balance=1_249)
    assert (await connector.send(instruction(Direction.pull, 1_250, kofi))).reason == "insufficient_funds"
    assert (await connector.send(instruction(Direction.pull, 1_249, kofi))).state is State.settled
    other = ExternalAccount(kofi.iban, "Somebody Else")
    assert (await connector.send(instruction(Direction.push, 1_250, other))).reason == "name_mismatch"
    sandbox.open_account(kofi, is_open=False)
    assert (await connector.send(instruction(Direction.push, 1_250, kofi))).reason == "account_closed"


@pytest.mark.parametrize("bank", ["sandbox"], indirect=True)
async def test_a_forgotten_token_is_replaced(sandbox: Sandbox, connector: Connector) -> None:
    """A bank that does not know our token any more is shown a new one, once, and nobody notices."""
    assert (await connector.send(instruction(Direction.pull))).state is State.settled
    sandbox.break_with(kind="signed_out", operation="send", times=1)
    assert (await connector.send(instruction(Direction.pull))).state is State.settled


@at("token")
async def test_many_wait_for_one_token(sandbox: Sandbox, connector: Connector, operation: str) -> None:
    """A crowd that has no token yet asks for one, not for one each."""
    sandbox.break_with(kind="error", operation=operation, times=2)
    answers = await asyncio.gather(*(connector.send(instruction(Direction.pull)) for _ in range(20)))
    assert {answer.reason for answer in answers} == {"unavailable"}
    answers = await asyncio.gather(*(connector.send(instruction(Direction.pull)) for _ in range(20)))
    assert {answer.reason for answer in answers} == {"unavailable"}
    answers = await asyncio.gather(*(connector.send(instruction(Direction.pull)) for _ in range(20)))
    assert {answer.state for answer in answers} == {State.settled}


@pytest.fixture
def mortal() -> Generator[Sandbox]:
    """A bank that may be killed."""
    sandbox = Sandbox()
    sandbox.start()
    yield sandbox
    sandbox.throw_away()


@pytest.mark.parametrize(
    "bank", ["sandbox", *(pytest.param(name, marks=pytest.mark.long) for name in ("partner", "switch"))], indirect=True
)
async def test_a_bank_that_dies_neither_loses_nor_doubles(mortal: Sandbox, bank: str) -> None:
    """Killed amid forty instructions: while it is down nothing is made up, and afterwards each reference has one
    outcome, which is the one in the bank's books."""
    connector = mortal.connector(bank)
    told = [instruction(direction) for direction in Direction for _ in range(20)]
    under_way = [asyncio.create_task(connector.send(one)) for one in told]
    await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
    mortal.end(signal.SIGKILL)
    sent = await asyncio.gather(*under_way)
    down = instruction(Direction.push)
    assert (await connector.send(down)).reason == "unavailable"
    assert (await connector.enquire(down.reference, down.direction)).state is State.unknown
    mortal.start()
    found = await asyncio.gather(*(connector.enquire(one.reference, one.direction) for one in told))
    executed = [one["reference"] for one in mortal.books()["payments"] if one["status"] == "ACCC"]
    for one, before, after in zip(told, sent, found, strict=True):
        assert after.state in {State.settled, State.declined}
        assert after.state is State.settled if before.state is State.settled else True
        assert executed.count(one.reference) == (after.state is State.settled)
    moved = sum(
        one.amount if one.direction is Direction.push else -one.amount
        for one, after in zip(told, found, strict=True)
        if after.state is State.settled
    )
    assert mortal.balance(ANNA) == 10**12 + moved
    await connector.close()
