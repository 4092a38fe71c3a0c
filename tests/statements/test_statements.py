"""Statements against the books: what is ours is found, what is not becomes a case, and nothing is lost."""

from __future__ import annotations

import pytest
from tests.payments.bank import Bank
from tests.statements.desk import Desk, camt, entry, kinds, settled
from tests.transits.scripted import IBAN, SETTLED, UNKNOWN, Way, declined

from unbusy.api import Principal
from unbusy.banks import Direction
from unbusy.errors import Invalid

PULL, PUSH = Direction.pull, Direction.push


async def test_every_line_is_ours(way: Way, ming: Principal, desk: Desk) -> None:
    """By our reference and the amount; the bank moved what the books say, and nothing is open."""
    topup = await settled(way, ming, PULL, 500)
    payout = await settled(way, ming, PUSH, 200)
    taking = await desk.take(camt([entry(-200, payout.reference), entry(500, text=topup.reference)], 1_000, 1_300))
    assert (taking.matched, taking.cases) == ({"reference": 2}, [])
    assert (taking.bank, taking.brought_in, taking.books) == (1_300, 1_000, 300)


async def test_without_reference(way: Way, ming: Principal, desk: Desk) -> None:
    """The amount, the other side's IBAN and the time will do, where one of ours fits and no other."""
    await settled(way, ming, PULL, 500)
    await settled(way, ming, PULL, 300)
    await settled(way, ming, PULL, 300)
    taking = await desk.take(camt([entry(500), entry(300)], 0, 800))
    assert taking.matched == {"counterparty": 1}
    assert kinds(taking) == ["missing_line", "missing_line", "unknown_line"]
    assert await way.owed() == 1_100 + 300


async def test_several_as_one_sum(way: Way, ming: Principal, desk: Desk) -> None:
    """A bank may book all that went one way on a day as one line; or name several of ours in one."""
    payouts = [await settled(way, ming, PUSH, amount) for amount in (100, 200, 300)]
    topups = [await settled(way, ming, PULL, amount) for amount in (10, 20)]
    named = " ".join(one.reference for one in topups)
    taking = await desk.take(camt([entry(-600, iban=""), entry(30, text=named)], 0, -570))
    assert (taking.matched, taking.cases) == ({"sum": 1, "reference": 1}, [])
    assert await way.bank.count("statements.matches") == len(payouts) + len(topups)


async def test_a_spoilt_reference(way: Way, ming: Principal, desk: Desk) -> None:
    """A reference of which a bank cut some signs is still known, where the amount is ours and no other is as near."""
    topup = await settled(way, ming, PULL, 500)
    await settled(way, ming, PULL, 700)
    taking = await desk.take(
        camt([entry(500, text=f"topup {topup.reference[:12]} {topup.reference[13:]}", iban="")], 0, 500)
    )
    assert taking.matched == {"similar": 1}
    assert kinds(taking) == ["missing_line"]


async def test_money_that_nobody_knows(way: Way, desk: Desk) -> None:
    """It arrived, so the books follow the bank: against suspense, with a case."""
    taking = await desk.take(camt([entry(999, text="a present"), entry(-99, text="a fee")], 0, 900))
    assert kinds(taking) == ["unknown_line", "unknown_line"]
    assert (await way.owed(), await way.owed("suspense"), taking.booked) == (900, -900, 2)


async def test_what_contradicts_ours(way: Way, ming: Principal, desk: Desk) -> None:
    """Another amount, a second time, the other way round, and what was declined here: each is a case of its own."""
    topups = [await settled(way, ming, PULL, 500) for _ in range(3)]
    refused = await way.begin(ming, PUSH, 50)
    await way.go_on(declined("refused"))
    lines = [
        entry(501, topups[0].reference),
        entry(500, topups[1].reference),
        entry(500, topups[1].reference),
        entry(500, topups[2].reference),
        entry(-500, topups[2].reference),
        entry(-50, refused.reference),
    ]
    taking = await desk.take(camt(lines, 0, 1_451))
    assert kinds(taking) == ["amount_differs", "declined_here", "duplicate", "returned"]
    assert await way.owed() == 1_500 + 501 + 500 - 500 - 50


async def test_what_is_not_final_here(way: Way, ming: Principal, desk: Desk) -> None:
    """The bank has executed what we do not know yet: nothing is booked, and the case ends when it completes here."""
    topup = await way.begin(ming, PULL, 500)
    await way.go_on(UNKNOWN)
    taking = await desk.take(camt([entry(500, topup.reference)], 0, 500))
    assert (kinds(taking), await way.owed(), taking.held) == (["not_final_here"], 0, 1)
    await way.go_on(SETTLED, after_s=10)
    again = await desk.take(camt([], 500, 500, number=2, day="2026-03-11"))
    assert (again.cases, again.resolved, await way.owed()) == ([], 1, 500)


async def test_what_was_reversed_here(way: Way, ming: Principal, desk: Desk) -> None:
    """The statement says what no enquiry did: the books follow, and asking on books it no second time."""
    topup = await way.begin(ming, PULL, 500)
    await way.go_on(UNKNOWN)
    await way.go_on(UNKNOWN, after_s=3_600)
    taking = await desk.take(camt([entry(500, topup.reference)], 0, 500))
    assert (kinds(taking), taking.books) == (["reversed_here"], 500)
    assert await way.go_on(after_s=7_200) == 0
    assert (await way.owed(), await way.owed("suspense")) == (500, -500)


async def test_a_missing_line_turns_up(way: Way, ming: Principal, desk: Desk) -> None:
    """What completed here and no line shows is a case, until a later statement shows it."""
    topup = await settled(way, ming, PULL, 500)
    first = await desk.take(camt([], 0, 0))
    assert [(case.kind, case.about) for case in first.cases] == [("missing_line", topup.reference)]
    way.bank.clock.go(days=2)
    second = await desk.take(camt([entry(500, topup.reference, day="2026-03-11")], 0, 500, number=2, day="2026-03-11"))
    assert (second.cases, second.resolved) == ([], 1)


async def test_statements_stand_in_a_row(way: Way, desk: Desk) -> None:
    """The same again is refused; one after a gap waits for the missing one; a broken sum is never taken."""
    first = camt([entry(100)], 0, 100)
    third = camt([entry(1)], 150, 151, number=3, day="2026-03-12")
    await desk.take(first)
    with pytest.raises(Invalid, match="taken in already"):
        await desk.take(first)
    with pytest.raises(Invalid, match="as number 1"):
        await desk.take(camt([entry(7)], 100, 107))
    parked = await desk.take(third)
    assert "number 3, and the last one taken is 1" in parked.parked
    assert kinds(await desk.take(third)) == ["gap", "unknown_line"]
    broken = await desk.take(camt([entry(50)], 100, 151, number=2, day="2026-03-11"))
    assert "make 1.50, and the closing balance is 1.51" in broken.parked
    assert await way.owed() == 100
    await desk.take(camt([entry(50)], 100, 150, number=2, day="2026-03-11"))
    last = await desk.take(third)
    assert (kinds(last), await way.owed()) == (["unknown_line", "unknown_line", "unknown_line"], 151)


async def test_a_notification_tells_before(way: Way, ming: Principal, desk: Desk) -> None:
    """Its lines are ours at once; the statement's take over, and nothing is matched or booked twice."""
    topup = await settled(way, ming, PULL, 500)
    lines = [entry(500, topup.reference), entry(70, text="unknown", iban="")]
    told = await desk.take(camt(lines, 0, 0, notification=True))
    assert (told.matched, told.cases, await way.owed()) == ({"reference": 1}, [], 500)
    taking = await desk.take(camt(lines, 0, 570))
    assert (taking.matched, kinds(taking), await way.owed()) == ({"reference": 1}, ["unknown_line"], 570)


async def test_a_case_is_explained_later(way: Way, ming: Principal, desk: Desk) -> None:
    """What was booked to suspense goes back from there once it is known to be ours."""
    for _ in range(2):
        await settled(way, ming, PULL, 500)
    first = await desk.take(camt([entry(500)], 0, 500))
    assert (kinds(first), await way.owed("suspense")) == (["missing_line", "missing_line", "unknown_line"], -500)
    known = first.cases[-1].about or first.cases[0].about
    second = await desk.take(camt([entry(500, known)], 500, 1_000, number=2))
    assert (second.cases, second.resolved) == ([], 3)
    assert (await way.owed(), await way.owed("suspense")) == (1_000, 0)


BOMB = '<!DOCTYPE d [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>'
OUTSIDE = '<!DOCTYPE d SYSTEM "file:///etc/passwd">'


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (camt([entry(1)], 0, 1, before=BOMB), "document type"),
        (camt([entry(1)], 0, 1, before=OUTSIDE), "document type"),
        (
            camt([entry(1)], 0, 1, before=f'<?xml version="1.0" encoding="UTF-16"?>{BOMB}').encode("utf-16"),
            "document type",
        ),
        (camt([entry(1)], 0, 1)[:-40], "line 1: this is no XML"),
        (camt([entry(1), entry(2, currency="USD")], 0, 1), "entry 2 (line 1) is in USD"),
        (camt([entry(1)], 0, 1, account=IBAN), "ours is GB33"),
        (camt([entry(1).replace("0.01", "0.001")], 0, 1), "entry 1 (line 1): '0.001' is no amount of EUR"),
        (camt([entry(1).replace("0.01", "1e3x")], 0, 1), "is no amount"),
        (camt([entry(1).replace("CRDT", "PLUS")], 0, 1), "CRDT or DBIT"),
        (camt([entry(1, day="2026-13-01")], 0, 1), "is no date"),
        ("<html/>", "neither a camt.053"),
        ("", "column 'account' is missing"),
        (b"\x00\xff\x12", "column 'account' is missing"),
        (":20:X\r\n:25:GB33\r\n:28C:1/1\r\n:62F:C260310EUR1,\r\n", "no opening or closing balance"),
        (":20:X\r\n:61:nonsense\r\n", "MT940"),
    ],
    ids=range(15),
)
async def test_what_is_no_statement_of_ours(bank: Bank, desk: Desk, content: str | bytes, why: str) -> None:
    """It is refused with where it is wrong, and nothing is written."""
    with pytest.raises(Invalid) as refused:
        await desk.take(content)
    assert why in str(refused.value)
    for table in ("statements", "lines", "cases", "accounts"):
        assert await bank.count(f"statements.{table}") == 0


async def test_banks_are_taken_as_they_are(way: Way, desk: Desk) -> None:
    """Entries that are not booked, and such as move nothing, are passed over with a warning."""
    lines = [entry(100), entry(7, status="PDNG"), entry(0)]
    taking = await desk.take(camt(lines, 0, 100))
    assert [text.partition(" is ")[0].partition(" moves")[0] for text in taking.warnings] == [
        "entry 2 (line 1)",
        "entry 3 (line 1)",
    ]


CSV = "account,currency,booked_on,amount,balance,text\nGB33 BUKB 2020 1555 5555 55,EUR,2026-03-10,{},{},x\n"
MT940 = (
    ":20:REF\r\n:25:GB33BUKB20201555555555\r\n:28C:1/1\r\n:60F:C260310EUR10,00\r\n"
    ":61:2603100310C5,00NTRFNONREF//B1\r\n:86:{}\r\n:61:2603100310RC1,00NTRFNONREF//B2\r\n:86:undone\r\n"
    ":62F:C260310EUR14,00\r\n-\r\n"
)


async def test_mt940(way: Way, ming: Principal, desk: Desk) -> None:
    """Lines with their signs, also of reversals; a reference that is broken over two lines is whole again."""
    topup = await settled(way, ming, PULL, 500)
    broken = f"{topup.reference[:20]}\r\n{topup.reference[20:]}"
    taking = await desk.take(MT940.format(broken))
    assert (taking.matched, kinds(taking)) == ({"reference": 1}, ["unknown_line"])
    assert (taking.bank, taking.brought_in, taking.books) == (1_400, 1_000, 400)


async def test_csv(way: Way, desk: Desk) -> None:
    """Columns by their names; the opening balance is what was there before the first line."""
    taking = await desk.take(CSV.format("-2.50", "97.50"))
    assert (taking.bank, taking.brought_in, taking.books) == (9_750, 10_000, -250)
    with pytest.raises(Invalid, match="line 2: 'two' is no amount"):
        await desk.take(CSV.format("two", "97.50"))
