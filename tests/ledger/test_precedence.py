"""A doubly wrong request has one answer: the first of its faults in the documented table.

Requests are put together from every right and wrong value of every field. What is wrong with one
is said here fault by fault, without order; the order comes from the table in the package's
docstring alone.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import islice, product
from uuid import UUID, uuid4

import pytest
from msgspec.structs import replace
from tests.ledger.story import NOON, Story, id_of
from tests.ledger.test_conformance import documented

from unbusy.ledger import Kind, Refusal, Refused, Transfer

HUGE = 10**18
NEW_LINE = chr(10)
PAST = NOON - timedelta(seconds=1)

WORLD = f"""
    account SOURCE
    account ENOUGH
    account GOOD
    account OTHER
    account USD asset=USD
    account POOR floor=0
    account FULL ceiling=0
    account OVER
    account COLD
    account GONE
    state   GONE closed                        : ok
    post used SOURCE -> GOOD 77                : ok
    hold H-open     GOOD -> OTHER 10           : ok
    hold H-cold     COLD -> OTHER 10           : ok
    hold H-too-cold GOOD -> COLD 10            : ok
    hold H-captured GOOD -> OTHER 10           : ok
    hold H-voided   GOOD -> OTHER 10           : ok
    hold H-expired  GOOD -> OTHER 10 expires=1 : ok
    capture C of H-captured -                  : ok
    void    V of H-voided -                    : ok
    wait 1
    sweep                                      : 1
    hold H-past     GOOD -> OTHER 10 expires=1 : ok
    wait 1
    state   COLD frozen                        : ok
    {"".join(f"post O{i} ENOUGH -> OVER {HUGE} : ok{NEW_LINE}" for i in range(8))}
"""


def posts() -> Iterator[Transfer]:
    """Posts and holds with every mixture of right and wrong fields."""
    debits = ["GOOD", "USD", "POOR", "COLD", "GONE", "nobody", "same"]
    credits = ["OTHER", "USD", "FULL", "OVER", "COLD", "GONE", "no one", "same"]
    fields = product(["new", "used"], debits, credits, [None, "H-open"], [1, 0, HUGE + 1], [1, 2], ["EUR", "USD"])
    for id, debit, credit, hold, amount, tenant, asset in fields:
        post = Transfer(
            id=_id(id),
            tenant_id=tenant,
            debit_id=id_of(debit),
            credit_id=id_of(credit),
            hold_id=None if hold is None else id_of(hold),
            amount=amount,
            asset=asset,
            code="wrong",
        )
        yield post
        yield replace(post, id=_id(id), expires_at=PAST)
        yield replace(post, id=_id(id), kind=Kind.hold, expires_at=PAST)
        yield replace(post, id=_id(id), debit_id=None)


def ends_of_holds() -> Iterator[Transfer]:
    """Captures and voids with every mixture of right and wrong fields."""
    states = ["open", "cold", "too-cold", "past", "captured", "voided", "expired", "missing", None]
    debits, credits = [None, "GOOD", "nobody"], [None, "OTHER", "COLD"]
    fields = product(states, [0, 10, 11, -1, HUGE + 1], [1, 2], ["EUR", "USD"], debits, credits)
    for state, amount, tenant, asset, debit, credit in fields:
        for id, kind, (up_to, expires_at) in product(
            ["new", "used"], _ENDS, [(False, None), (True, None), (False, PAST)]
        ):
            yield Transfer(
                id=_id(id),
                kind=kind,
                tenant_id=tenant,
                debit_id=None if debit is None else id_of(debit),
                credit_id=None if credit is None else id_of(credit),
                hold_id=None if state is None else id_of(f"H-{state}"),
                amount=amount,
                asset=asset,
                code="wrong",
                up_to=up_to,
                expires_at=expires_at,
            )


_EXTRAS = [(False, None), (True, None), (False, PAST)]
_ENDS = [Kind.capture, Kind.void, Kind.expire]
_NAMES = {id_of(name): name for name in ("GOOD", "OTHER", "USD", "POOR", "FULL", "OVER", "COLD", "GONE")}
_HOLDS = {id_of(f"H-{state}"): state for state in ("open", "cold", "too-cold", "past", "captured", "voided", "expired")}
_PARTIES = {"cold": ("COLD", "OTHER"), "too-cold": ("GOOD", "COLD")}


def _id(name: str) -> UUID:
    return id_of("used") if name == "used" else uuid4()


def faults_of_a_post(t: Transfer) -> set[Refusal]:
    """Everything that is wrong with a post or hold."""
    debit, credit = _NAMES.get(t.debit_id or uuid4()), _NAMES.get(t.credit_id or uuid4())
    assets = {"USD" if name == "USD" else "EUR" for name in (debit, credit) if name}
    wrong = {
        Refusal.id_reused: t.id == id_of("used"),
        Refusal.chain_is_open: t.linked,
        Refusal.malformed: not t.debit_id or t.hold_id or (t.expires_at and t.kind is Kind.post),
        Refusal.amount_out_of_range: not 1 <= t.amount <= HUGE,
        Refusal.same_account: t.debit_id == t.credit_id,
        Refusal.expires_in_the_past: t.expires_at,
        Refusal.debit_account_unknown: debit is None,
        Refusal.credit_account_unknown: credit is None,
        Refusal.tenant_differs: t.tenant_id != 1,
        Refusal.asset_differs: assets - {t.asset},
        Refusal.debit_account_closed: debit == "GONE",
        Refusal.debit_account_frozen: debit == "COLD",
        Refusal.credit_account_closed: credit == "GONE",
        Refusal.credit_account_frozen: credit == "COLD",
        Refusal.insufficient_funds: debit == "POOR",
        Refusal.ceiling_exceeded: credit == "FULL",
        Refusal.counter_would_overflow: credit == "OVER",
    }
    return {refusal for refusal, is_so in wrong.items() if is_so}


def faults_of_an_end(t: Transfer) -> set[Refusal]:
    """Everything that is wrong with a capture, a void, or an expiry that somebody asks for."""
    state = _HOLDS.get(t.hold_id or uuid4())
    debit, credit = _PARTIES.get(state or "", ("GOOD", "OTHER"))
    is_capture = t.kind is Kind.capture
    differs = (
        (t.tenant_id, t.asset) != (1, "EUR")
        or t.debit_id not in {None, id_of(debit)}
        or t.credit_id not in {None, id_of(credit)}
        or (not is_capture and t.amount not in {0, 10})
    )
    wrong = {
        Refusal.id_reused: t.id == id_of("used"),
        Refusal.chain_is_open: t.linked,
        Refusal.malformed: not t.hold_id or t.up_to or t.expires_at or t.kind is Kind.expire,
        Refusal.amount_out_of_range: not 0 <= t.amount <= HUGE,
        Refusal.hold_unknown: state is None,
        Refusal.hold_differs: state and differs,
        Refusal.capture_exceeds_hold: is_capture and t.amount > 10,
        Refusal.hold_captured: state == "captured",
        Refusal.hold_voided: state == "voided",
        Refusal.hold_expired: state == "expired" or (state == "past" and is_capture),
        Refusal.debit_account_frozen: state == "cold" and is_capture,
        Refusal.credit_account_frozen: state == "too-cold" and is_capture,
    }
    return {refusal for refusal, is_so in wrong.items() if is_so}


PRECEDENCE = [Refusal(name) for name, _ in documented()]


def answer(faults: set[Refusal]) -> Refusal:
    """The one answer, by the documented order."""
    return next(refusal for refusal in PRECEDENCE if refusal in faults)


Mixture = Callable[[], Iterator[Transfer]]
Faults = Callable[[Transfer], set[Refusal]]
MIXTURES: list[tuple[Mixture, Faults]] = [(posts, faults_of_a_post), (ends_of_holds, faults_of_an_end)]


async def answers(story: Story, transfers: list[Transfer]) -> list[Refusal | None]:
    """What each of them gets, posted in one call."""
    async with story.db.transaction() as tx:
        outcomes = await story.port.post(tx, transfers, story.now)
    return [outcome.refusal if isinstance(outcome, Refused) else None for outcome in outcomes]


def wrong(transfers: Iterator[Transfer], faults_of: Faults, most: int) -> list[tuple[Transfer, Refusal]]:
    """Of those requests that are wrong some, each with its one answer."""
    shuffled = list(transfers)
    random.Random(7).shuffle(shuffled)
    cases = ((transfer, faults_of(transfer)) for transfer in shuffled)
    return list(islice(((transfer, answer(faults)) for transfer, faults in cases if faults), most))


@pytest.mark.parametrize(("transfers", "faults_of"), MIXTURES)
async def test_the_first_fault_is_the_answer(story: Story, transfers: Mixture, faults_of: Faults) -> None:
    """Whatever else is wrong, the answer is the first fault of the table; and nothing moves."""
    await story.act(WORLD)
    cases = wrong(transfers(), faults_of, most=4_000)
    got = await answers(story, [transfer for transfer, _ in cases])
    differ = [
        (transfer, expected, seen) for (transfer, expected), seen in zip(cases, got, strict=True) if seen != expected
    ]
    assert differ == []
    await story.act("see GOOD running_number=10")


@pytest.mark.parametrize(("transfers", "faults_of"), MIXTURES)
async def test_a_chain_left_open_comes_next_to_first(story: Story, transfers: Mixture, faults_of: Faults) -> None:
    """Alone and linked, a request is an open chain, unless its id is taken."""
    await story.act(WORLD)
    opened = (replace(transfer, linked=True) for transfer in transfers())
    for transfer, expected in wrong(opened, faults_of, most=100):
        assert await answers(story, [transfer]) == [expected]


@pytest.mark.parametrize(("transfers", "faults_of"), MIXTURES)
async def test_in_a_broken_chain_the_chain_is_the_reason(story: Story, transfers: Mixture, faults_of: Faults) -> None:
    """Behind a member that was refused, nothing is looked at but whether the id is taken."""
    await story.act(WORLD)
    cases = wrong(transfers(), faults_of, most=1_000)
    breaker = next(posts())
    batch = [part for transfer, _ in cases for part in (replace(breaker, id=uuid4(), amount=0, linked=True), transfer)]
    expected = [
        Refusal.id_reused if transfer.id == id_of("used") else Refusal.linked_transfer_refused for transfer, _ in cases
    ]
    assert (await answers(story, batch))[1::2] == expected


def test_every_refusal_is_in_the_mixture() -> None:
    """The mixtures can go wrong in every way but the one a neighbour must cause."""
    faults = {fault for transfers, faults_of in MIXTURES for transfer in transfers() for fault in faults_of(transfer)}
    assert set(Refusal) - faults == {Refusal.chain_is_open, Refusal.linked_transfer_refused}
