"""The verb of a statement: take it in, which explains its lines and what earlier ones left open."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from uuid import UUID

import msgspec

from unbusy import ledger, transits
from unbusy.clock import Clock
from unbusy.db import Database, Row, Tx
from unbusy.errors import Invalid
from unbusy.ids import Ids
from unbusy.ledger import Refused
from unbusy.statements import cases, files, matching, model, sql
from unbusy.statements.cases import Case
from unbusy.statements.matching import Verdict
from unbusy.statements.model import Break, Kind, Line, Statement, Taken

# What one statement of SQL writes at once.
_ROWS = 5_000

Tell = Callable[[str, float], None]


class Taking(msgspec.Struct, frozen=True):
    """What came of a statement. `parked` says why it was not taken, else it is empty. `matched` lines are ours by
    each pass; `bank` and `books` are what the bank says it owes and what we say, in minor units, and `brought_in`
    is what it owed before its first statement: `bank - brought_in == books` once no case is open."""

    name: str
    kind: Kind
    asset: str
    lines: int
    matched: dict[str, int]
    booked: int
    held: int
    resolved: int
    parked: str
    bank: int | None
    brought_in: int | None
    books: int
    cases: list[Case]
    warnings: Sequence[str]


class Statements:
    """Takes in what one bank says of the operator's accounts there. `iban` is the account's."""

    def __init__(self, db: Database, bank: str, iban: str, tenant_id: int, *, clock: Clock, ids: Ids) -> None:
        self._db = db
        self._bank = bank
        self._iban = model.compact_account(iban)
        self._tenant_id = tenant_id
        self._clock = clock
        self._ids = ids

    async def take(self, path: Path, tell: Tell) -> list[Taking]:
        """Take in every statement of a file, all or none. `tell` is told what is done and how much of it is.

        A statement that does not follow, or whose sum is broken, is parked: a case says why, and nothing else
        is written. Raises Invalid for what is no statement of this account, or is taken already.
        """

        async def work(tx: Tx) -> list[Taking]:
            await sql.read_whole_tables(tx)
            digest = _digest(path)
            takings: list[Taking] = []
            for number, statement in enumerate(files.read(path, lambda share: tell("reading", 0.4 * share))):
                own = hashlib.sha256(digest + number.to_bytes(4, "big")).digest()
                takings.append(await self._take(tx, statement, own, tell))
            return takings

        return await self._db.run(work)

    async def _take(self, tx: Tx, statement: Statement, digest: bytes, tell: Tell) -> Taking:
        if not model.is_account(statement.account, statement.asset, self._iban):
            raise Invalid(f"this is of the account {statement.account!r}, and ours is {self._iban}", field="account")
        account = await self._open(tx, statement)
        if await sql.is_taken(tx, account.id, digest):
            raise Invalid(f"statement {statement.name!r} was taken in already", field="file")
        last = await sql.last_taken(tx, account.id)
        if await self._is_repeated(tx, account.id, statement):
            raise Invalid(f"another statement was taken in already as number {statement.number}", field="number")
        if await sql.is_closed(tx, self._tenant_id, statement.until):
            raise Invalid(f"statement {statement.name!r} is of a day that is closed", field="file")
        is_vouched_for = await sql.is_vouched_for(tx, account.id, statement.identity)
        if wrong := model.fault(statement, last, is_vouched_for=is_vouched_for):
            return await account.park(tx, statement, *wrong)
        return await account.take(tx, statement, digest, last, tell)

    async def _open(self, tx: Tx, statement: Statement) -> _Account:
        nostro = transits.nostro(self._tenant_id, statement.asset, self._bank)
        suspense = transits.suspense(self._tenant_id, statement.asset)
        await ledger.open_accounts(tx, [nostro, suspense])
        await sql.lock_account(tx, nostro.id, self._tenant_id, self._bank, statement.asset, suspense.id)
        now = self._clock.now()
        return _Account(nostro.id, suspense.id, self._tenant_id, self._bank, statement.asset, now, self._ids)

    async def _is_repeated(self, tx: Tx, account_id: UUID, statement: Statement) -> bool:
        if statement.kind is Kind.notification or statement.number is None:
            return False
        return await sql.number_is_taken(
            tx, account_id, statement.number, statement.page, statement.until.astimezone(UTC).year
        )


class _Account:
    """One account at a bank, locked, while a statement of it is taken."""

    def __init__(
        self, id: UUID, suspense_id: UUID, tenant_id: int, bank: str, asset: str, now: datetime, ids: Ids
    ) -> None:
        self.id = id
        self._suspense_id = suspense_id
        self._tenant_id = tenant_id
        self._bank = bank
        self._asset = asset
        self._now = now
        self._ids = ids

    async def park(self, tx: Tx, statement: Statement, kind: Break, why: str) -> Taking:
        """Nothing of it is taken; one case says why, however often it comes."""
        why = f"statement {statement.name!r}: {why}"
        identity = statement.identity
        if all(case["parked"] != identity for case in await sql.open_cases(tx, self.id)):
            row = (self._ids.new(), kind, None, None, identity, statement.moved, why)
            await sql.insert_cases(tx, self.id, self._tenant_id, self._now, [row])
        return await self._told(tx, statement, [], 0, parked=why)

    async def take(self, tx: Tx, statement: Statement, digest: bytes, last: Taken | None, tell: Tell) -> Taking:
        """Write it down, explain what can be explained, and do what follows."""
        new = await self._write(tx, statement, digest, tell)
        tell("matching", 0.6)
        before = await sql.open_lines(tx, self.id) if statement.kind is Kind.statement else {}
        lines = new | {id: line for id, (line, _) in before.items()}
        verdicts = await self._judge(tx, lines)
        if statement.kind is Kind.notification:
            # It only tells before: what is not ours by our reference, its statement decides.
            verdicts = [one for one in verdicts if one.by == "reference" and not one.case]
        tell("booking", 0.75)
        states = {id: state for id, (_, state) in before.items()}
        await self._book(tx, verdicts, lines, states)
        await self._keep_matches(tx, verdicts)
        resolved = 0
        if statement.kind is Kind.statement:
            resolved = await self._keep_cases(tx, verdicts, lines, statement.identity)
            await self._find_missing(tx, statement, last)
        tell("done", 1.0)
        return await self._told(tx, statement, [one for one in verdicts if one.line_id in new], resolved)

    async def _write(self, tx: Tx, statement: Statement, digest: bytes, tell: Tell) -> dict[UUID, Line]:
        told = statement
        id = self._ids.new()
        head = (told.kind, told.name, told.number, told.page, told.opening, told.closing, told.until, digest)
        await sql.insert_statement(tx, (id, self._tenant_id, self.id, *head, len(told.lines), self._now))
        rows = [(position, self._ids.new(), line) for position, line in enumerate(told.lines, 1)]
        for begin in range(0, len(rows), _ROWS):
            tell("writing", 0.4 + 0.2 * begin / len(rows))
            await sql.insert_lines(tx, id, self.id, self._tenant_id, rows[begin : begin + _ROWS])
        return {line_id: line for _, line_id, line in rows}

    async def _judge(self, tx: Tx, lines: dict[UUID, Line]) -> list[Verdict]:
        if not lines:
            return []
        about = (self._tenant_id, self._bank, self._asset)
        named = await sql.ours_named(tx, *about, [id for line in lines.values() for id in matching.references(line)])
        days = [line.booked_on for line in lines.values()]
        since = datetime.combine(min(days), time.min, UTC) - matching.AFTER
        near = await sql.ours_near(tx, *about, since, model.end_of_day(max(days)) + matching.BEFORE)
        return matching.match(lines, [*near, *named])

    async def _book(
        self, tx: Tx, verdicts: Sequence[Verdict], lines: dict[UUID, Line], before: dict[UUID, str]
    ) -> None:
        """Follow the bank in the books where nothing of ours did; take that back where something does now."""
        reversed = [ours.id for one in verdicts if one.case is Break.reversed_here for ours in one.ours]
        await transits.park(tx, reversed, self._now)
        states = {one.line_id: _state(one) for one in verdicts}
        changes = [(id, state) for id, state in states.items() if "booked" in {state, before.get(id)}]
        transfers = [
            model.booking(
                id,
                self._tenant_id,
                self._asset,
                lines[id].amount,
                self.id,
                self._suspense_id,
                undone=state != "booked",
            )
            for id, state in changes
            if state != before.get(id)
        ]
        for begin in range(0, len(transfers), ledger.MAX_BATCH):
            outcomes = await ledger.post(tx, transfers[begin : begin + ledger.MAX_BATCH], self._now)
            assert not any(isinstance(one, Refused) for one in outcomes), "system accounts have no limits"
        await sql.set_states(tx, list(states), list(states.values()))

    async def _keep_matches(self, tx: Tx, verdicts: Sequence[Verdict]) -> None:
        rows = [(ours.id, one.line_id, ours.amount, one.by, one.why) for one in verdicts for ours in one.ours]
        for begin in range(0, len(rows), _ROWS):
            await sql.insert_matches(tx, self._tenant_id, self._now, rows[begin : begin + _ROWS])

    async def _keep_cases(self, tx: Tx, verdicts: Sequence[Verdict], lines: dict[UUID, Line], identity: bytes) -> int:
        """Resolve what is explained now, and open what is not. Gives how many were resolved."""
        by_line = {one.line_id: one for one in verdicts}
        matched = {ours.id for one in verdicts for ours in one.ours}
        kept: set[UUID] = set()
        resolved: list[tuple[UUID, str]] = []
        for case in await sql.open_cases(tx, self.id):
            verdict = by_line.get(case["line_id"])
            if why := _resolution(case, verdict, matched, identity):
                resolved.append((case["id"], why))
            elif verdict:
                kept.add(verdict.line_id)
        if resolved:
            await sql.resolve_cases(tx, resolved, self._now)
        rows = [
            (self._ids.new(), one.case, one.line_id, one.about, None, lines[one.line_id].amount, one.why)
            for one in verdicts
            if one.case and one.line_id not in kept
        ]
        if rows:
            await sql.insert_cases(tx, self.id, self._tenant_id, self._now, rows)
        return len(resolved)

    async def _find_missing(self, tx: Tx, statement: Statement, last: Taken | None) -> None:
        first = min((line.booked_on for line in statement.lines), default=statement.until.date())
        # A day more: what was committed late is looked for once more, and nothing is missed twice.
        since = last.until - timedelta(days=1) if last else datetime.combine(first, time.min, UTC)
        about = (self._tenant_id, self._bank, self._asset)
        why = "completed here, and the statements of that time do not show it"
        rows = [
            (self._ids.new(), Break.missing_line, None, id, None, amount, why)
            for id, amount in await sql.missing(tx, self.id, *about, since, statement.until)
        ]
        if rows:
            await sql.insert_cases(tx, self.id, self._tenant_id, self._now, rows)

    async def _told(
        self, tx: Tx, statement: Statement, verdicts: Sequence[Verdict], resolved: int, *, parked: str = ""
    ) -> Taking:
        states = [_state(one) for one in verdicts]
        passes = [one.by for one in verdicts if one.by]
        balances = await sql.told_balances(tx, self.id)
        return Taking(
            name=statement.name,
            kind=statement.kind,
            asset=statement.asset,
            lines=len(statement.lines),
            matched={by: passes.count(by) for by in dict.fromkeys(passes)},
            booked=states.count("booked"),
            held=states.count("held"),
            resolved=resolved,
            parked=parked,
            bank=balances[1] if balances else None,
            brought_in=balances[0] if balances else None,
            books=await sql.account_balance(tx, self.id),
            cases=[msgspec.convert(cases.shown(row, self._now), Case) for row in await sql.open_cases(tx, self.id)],
            warnings=statement.warnings,
        )


def _state(verdict: Verdict) -> str:
    if verdict.ours:
        return "matched"
    return "held" if verdict.case is Break.not_final_here else "booked"


def _resolution(case: Row, verdict: Verdict | None, matched: set[UUID], identity: bytes) -> str:
    """How a case is explained now; empty where it is not."""
    if case["parked"] == identity:
        return "the statement was taken in"
    if case["kind"] == Break.missing_line and case["transit_id"] in matched:
        return "a later line shows it"
    if verdict and (verdict.case, verdict.about) != (case["kind"], case["transit_id"]):
        return verdict.why
    return ""


def _digest(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError as error:
        raise Invalid(f"it cannot be read: {error.strerror}", field="file") from None
