"""What a person does where no statement will: close a case, and close a day."""

from __future__ import annotations

import asyncio
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import msgspec
import pytest
from tests.payments.bank import TENANT
from tests.statements.desk import Desk, camt, entry, kinds, settled
from tests.transits.scripted import UNKNOWN, Way

from unbusy import cli, statements
from unbusy.api import Principal, Role
from unbusy.banks import Direction
from unbusy.errors import Invalid, NotFound, SetupError
from unbusy.ids import Ids
from unbusy.statements import Case, Closing, Seal, Signed

PULL, PUSH = Direction.pull, Direction.push
OLGA = uuid4()
MARCH_10 = date(2026, 3, 10)
SEAL = Seal(b"a secret of an installation")


async def close(way: Way, case: Case, *, to: UUID | None = None, why: str = "asked the bank") -> Closing:
    """Olga does it."""
    bank = way.bank
    return await bank.db.run(
        lambda tx: statements.close(tx, Ids(bank.clock), TENANT, case.id, by=OLGA, why=why, to=to, now=bank.clock.now())
    )


async def test_a_case_is_closed_by_hand(way: Way, desk: Desk) -> None:
    """Who, when and why is written; its money stays in suspense, and no later statement opens it again."""
    (case,) = (await desk.take(camt([entry(999, text="a present")], 0, 999))).cases
    await close(way, case, why="a present to the house")
    written = "SELECT operator_id, why, closed_at FROM statements.closed_by_hand"
    now = way.bank.clock.now()
    async with way.bank.db.connection() as connection:
        row = await connection.fetchrow(written)
        assert row
        assert tuple(row[:2]) == (OLGA, "a present to the house")
        assert abs(row[2] - now) < timedelta(seconds=5)
        assert await statements.open_cases(connection, TENANT, way.bank.clock.now()) == []
    later = await desk.take(camt([], 999, 999, number=2, day="2026-03-11"))
    assert (later.cases, await way.owed(), await way.owed("suspense")) == ([], 999, -999)
    with pytest.raises(Invalid, match="resolved already: a present to the house"):
        await close(way, case)
    with pytest.raises(NotFound):
        await close(way, msgspec.structs.replace(case, id="cas_1"))


async def test_its_money_goes_to_whom_it_belongs(way: Way, ming: Principal, desk: Desk) -> None:
    """What came in to a wallet, what the bank took out of it; and not more than is there."""
    before = await way.bank.balance(ming) or 0
    taking = await desk.take(camt([entry(999), entry(-99), entry(-50_000)], 0, -49_100))
    came, took, too_much = sorted(taking.cases, key=lambda case: -case.amount)
    assert (await close(way, came, to=ming.person_id)).handed == 999
    assert (await close(way, took, to=ming.person_id)).handed == -99
    with pytest.raises(Invalid, match=r"500\.00 EUR cannot be moved: insufficient_funds"):
        await close(way, too_much, to=ming.person_id)
    assert await way.bank.balance(ming) == before + 900
    assert await way.owed("suspense") == 50_000


async def test_what_was_reversed_here_is_given_after_all(way: Way, ming: Principal, desk: Desk) -> None:
    """The bank executed a top-up that was undone here: its owner gets it once somebody has looked."""
    before = await way.bank.balance(ming) or 0
    topup = await way.begin(ming, PULL, 500)
    await way.go_on(UNKNOWN)
    await way.go_on(UNKNOWN, after_s=3_600)
    (case,) = (await desk.take(camt([entry(500, topup.reference)], 0, 500))).cases
    assert case.kind == "reversed_here"
    await close(way, case, to=ming.person_id)
    assert (await way.bank.balance(ming), await way.owed("suspense")) == (before + 500, 0)


async def test_what_no_line_shows_is_closed_and_may_still_turn_up(way: Way, ming: Principal, desk: Desk) -> None:
    """It is not missed again; and there is no money in suspense to be given to anybody."""
    topup = await settled(way, ming, PULL, 500)
    (case,) = (await desk.take(camt([], 0, 0))).cases
    with pytest.raises(Invalid, match="no money waits"):
        await close(way, case, to=ming.person_id)
    await close(way, case)
    assert (await desk.take(camt([], 0, 0, number=2))).cases == []
    found = await desk.take(camt([entry(500, topup.reference, day="2026-03-11")], 0, 500, number=3, day="2026-03-11"))
    assert (found.matched, found.cases) == ({"reference": 1}, [])


async def test_what_is_not_final_ends_by_itself(way: Way, ming: Principal, desk: Desk) -> None:
    """Nobody can decide before the bank has."""
    payout = await way.begin(ming, PUSH, 200)
    await way.go_on(UNKNOWN)
    (case,) = (await desk.take(camt([entry(-200, payout.reference)], 0, -200))).cases
    with pytest.raises(Invalid, match="ends by itself"):
        await close(way, case)


async def test_a_gap_in_the_numbers_is_vouched_for(way: Way, desk: Desk) -> None:
    """Some banks count by the days of the year. For balances that do not follow nobody can vouch."""
    await desk.take(camt([entry(100)], 0, 100, number=69))
    monday = camt([], 100, 100, number=72, day="2026-03-13")
    gap = (await desk.take(monday)).cases[-1]
    assert gap.kind == "gap"
    await close(way, gap, why="the bank numbers days, and was closed for two")
    assert (await desk.take(monday)).parked == ""
    other = camt([], 105, 105, number=75, day="2026-03-16")
    gap = (await desk.take(other)).cases[-1]
    await close(way, gap)
    assert "the last one taken closed with 1.00" in (await desk.take(other)).parked


async def close_day(way: Way, day: date = MARCH_10, seal: Seal = SEAL) -> Signed:
    now = way.bank.clock.now()
    return await way.bank.db.run(lambda tx: statements.close_day(tx, TENANT, day, seal, now))


async def test_a_day_is_closed(way: Way, ming: Principal, desk: Desk) -> None:
    """Each account with what came of its lines; the same bytes whenever it is asked for, and nobody changes them."""
    topup = await settled(way, ming, PULL, 500)
    payout = await settled(way, ming, PUSH, 200)
    lines = [entry(500, topup.reference), entry(-200, payout.reference), entry(7, iban="")]
    await desk.take(camt(lines, 1_000, 1_307))
    way.bank.clock.go(days=2)
    signed = await close_day(way)
    (account,) = signed.content.accounts
    told: dict[str, Any] = msgspec.to_builtins(account)
    (case,) = told.pop("breaks")
    assert (case["kind"], case["amount"]) == ("unknown_line", 7)
    assert told == {
        "bank": "scripted",
        "asset": "EUR",
        "opening": 1_000,
        "lines": 3,
        "explained": {"lines": 2, "amount": 300},
        "suspense": {"lines": 1, "amount": 7},
        "held": {"lines": 0, "amount": 0},
        "closing": 1_307,
    }
    await desk.take(camt([entry(1)], 1_307, 1_308, number=2, day="2026-03-11"))
    assert msgspec.json.encode(await close_day(way)) == msgspec.json.encode(signed)
    assert [one.opening for one in (await close_day(way, MARCH_10 + timedelta(days=1))).content.accounts] == [1_307]
    with pytest.raises(Invalid, match="of a day that is closed"):
        await desk.take(camt([], 1_308, 1_308, number=3, day="2026-03-11"))


async def test_a_report_is_genuine_or_not(way: Way, desk: Desk) -> None:
    """Under this key, and to the last byte; what was read and written again is still the same report."""
    await desk.take(camt([entry(7)], 0, 7))
    way.bank.clock.go(days=2)
    signed = msgspec.json.decode(msgspec.json.encode(await close_day(way)), type=Signed)
    assert statements.is_genuine(signed, SEAL.public)
    assert not statements.is_genuine(signed, Seal(b"another").public)
    assert not statements.is_genuine(signed, "no key")
    forged = msgspec.Raw(bytes(signed.report).replace(b'"closing":7', b'"closing":8'))
    assert forged != signed.report
    assert not statements.is_genuine(msgspec.structs.replace(signed, report=forged), SEAL.public)


async def test_a_day_is_closed_when_all_is_there(way: Way, ming: Principal, desk: Desk) -> None:
    """Not before it is over, not without each bank's statement, not while one is parked: and it says all of it."""
    await settled(way, ming, PULL, 500)
    with pytest.raises(Invalid, match="2026-03-10 is not over; no statement of scripted in EUR was ever taken"):
        await close_day(way)
    way.bank.clock.go(days=2)
    await desk.take(camt([], 0, 1, number=2))
    with pytest.raises(Invalid, match="reaches over 2026-03-10; at scripted: statement 'S2': opening"):
        await close_day(way)
    assert kinds(await desk.take(camt([entry(500)], 0, 500, number=2))) == []
    with pytest.raises(Invalid, match="no statement of scripted in EUR reaches over 2026-03-11"):
        await close_day(way, MARCH_10 + timedelta(days=1))
    assert (await close_day(way)).content.accounts[0].closing == 500


def typed(*words: str) -> int:
    """How a command ended."""
    try:
        cli.app(words)
    except SystemExit as end:
        return int(end.code or 0)
    return 0


async def test_an_operator_types_it(
    way: Way,
    ming: Principal,
    desk: Desk,
    url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Close a case, close the day, have somebody verify it; and only an operator decides."""
    monkeypatch.setenv("UNBUSY_DATABASE_URL", url)
    monkeypatch.setenv("UNBUSY_SECRET", "a secret of an installation, and long enough")
    (case,) = (await desk.take(camt([entry(999)], 0, 999))).cases
    olga = await way.bank.person("olga", role=Role.operator)
    file = tmp_path / "day.json"
    close = ["case", "close", case.id, "--reason", "ming called", "--to", "@ming", "--by"]
    assert await asyncio.to_thread(typed, "case", "list") == 1
    assert case.id in capsys.readouterr().out
    with pytest.raises(SetupError, match="@ming is no operator"):
        await asyncio.to_thread(typed, *close, "@ming")
    assert await asyncio.to_thread(typed, *close, "@olga") == 0
    assert "9.99 EUR went to @ming." in capsys.readouterr().out
    assert await way.bank.as_superuser("SELECT count(*) FROM statements.closed_by_hand WHERE why = 'ming called'") == 1
    assert olga.person_id == await way.bank.as_superuser("SELECT operator_id FROM statements.closed_by_hand")
    assert await asyncio.to_thread(typed, "close", "2026-03-10", "--file", str(file)) == 0
    assert await asyncio.to_thread(typed, "verify", str(file)) == 0
    file.write_bytes(file.read_bytes().replace(b'"closing":999', b'"closing":998'))
    assert await asyncio.to_thread(typed, "verify", str(file)) == 1


@pytest.mark.parametrize(
    ("damage", "rule"),
    [
        ("UPDATE statements.closed_by_hand SET handed_id = NULL", "what_was_handed_out_has_its_transfer"),
        ("DELETE FROM statements.closed_by_hand", "what_is_not_matched_has_a_case"),
        (
            "UPDATE statements.closes SET report = replace(report, '\"closing\":999', '\"closing\":9')",
            "a_closed_day_stays",
        ),
    ],
)
async def test_what_was_done_by_hand_is_proven(
    way: Way, ming: Principal, desk: Desk, url: str, damage: str, rule: str
) -> None:
    """A line without a case that somebody closed, money without a case, another report than was signed: found."""
    (case,) = (await desk.take(camt([entry(999)], 0, 999))).cases
    await close(way, case, to=ming.person_id)
    way.bank.clock.go(days=2)
    await close_day(way)
    assert await way.bank.findings() == []
    connection = await asyncpg.connect(url)
    undo = connection.transaction()
    await undo.start()
    await connection.execute(damage)
    found = await statements.check(connection)  # pyright: ignore[reportArgumentType] - the one it describes
    assert rule in [one.rule for one in found]
    await undo.rollback()
    await connection.close()
