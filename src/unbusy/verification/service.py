"""The verbs of a verification: ask for the name, begin, look, tell the amount."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from msgspec.structs import replace

from unbusy import money, transits
from unbusy.api import Principal
from unbusy.banks import ChecksNames, Direction, ExternalAccount, NameAnswer, NameMatch
from unbusy.clock import Clock, Deadline
from unbusy.db import Connection, Database, Tx
from unbusy.errors import Conflict, Invalid, NotFound, QuotaExceeded
from unbusy.ids import Ids
from unbusy.reasons import Reason
from unbusy.settings import Settings
from unbusy.transits import BankAccount, Recorder, Transit
from unbusy.verification import model, sql
from unbusy.verification.model import Stand, Verification


class Seen(NamedTuple):
    """A bank account, and its newest verification with how that stands, if there is one."""

    account: BankAccount
    verification: Verification | None = None
    stand: Stand | None = None


class Verifications:
    """Verifications as one gateway makes them.

    `banks` are those that are connected, `names` those of them that confirm names. `chance` gives a number from 0
    to below its argument that nobody can guess.
    """

    def __init__(
        self,
        db: Database,
        reads: Database,
        banks: Collection[str],
        names: Mapping[str, ChecksNames],
        *,
        clock: Clock,
        ids: Ids,
        settings: Settings,
        chance: Callable[[int], int],
    ) -> None:
        self._db = db
        self._reads = reads
        self._banks = banks
        self._names = names
        self._clock = clock
        self._ids = ids
        self._chance = chance
        self._recorder = Recorder(ids=ids, settings=settings)

    async def close(self) -> None:
        """Give back the connections to banks."""
        for bank in self._names.values():
            await bank.close()

    # ── the name ─────────────────────────────────────────────────────────────────────────────

    async def check_name(self, person: Principal, bank: str, iban: str, holder: str) -> NameAnswer:
        """Ask a bank whether the account is in this name.

        Raises NotFound for a bank that is not connected, and QuotaExceeded for who asks too often: names are
        others' too.
        """
        if bank not in self._banks:
            raise NotFound("no such bank is connected", field="bank")
        if bank not in self._names:
            return NameAnswer(NameMatch.unchecked)
        now = self._clock.now()

        async def work(tx: Tx) -> None:
            await sql.lock_person(tx, person.person_id)
            asked = await sql.names_asked(tx, person.person_id, now - model.NAMES_WITHIN)
            _stay_within(asked, model.MOST_NAMES, model.NAMES_WITHIN, now, "names were asked for very often")
            await sql.insert_name(tx, self._ids.new(), person.tenant_id, person.person_id, bank, now)

        # Counted and committed before the bank is asked: no bank is called inside a transaction.
        await self._db.run(work)
        return await self._names[bank].check_name(ExternalAccount(iban=iban, name=holder))

    # ── the amount ───────────────────────────────────────────────────────────────────────────

    async def begin(self, person: Principal, account_id: UUID, asset: str, deadline: Deadline) -> Seen:
        """Send a tiny amount of an asset to a linked bank account; while one is on its way or can be told, that one.

        Nothing is sent to an account that is verified. Raises NotFound, Invalid for an asset that no bank moves, and
        QuotaExceeded for who begins too often.
        """
        if asset not in money.iso_scales():
            raise Invalid(f"banks do not move {asset}", field="asset")

        async def work(tx: Tx) -> Seen:
            now = self._clock.now()
            await sql.lock_person(tx, person.person_id)
            seen = await self._see(tx, person, account_id, now)
            if seen.account.verified_at or seen.stand in {Stand.on_its_way, Stand.arrived}:
                return seen
            begun = await sql.begun(tx, person.person_id, now - model.BEGUN_WITHIN)
            _stay_within(begun, model.MOST_BEGUN, model.BEGUN_WITHIN, now, "bank accounts were verified very often")
            if seen.verification and seen.verification.ended_at is None:
                await sql.update(tx, replace(seen.verification, ended_at=now))
            return await self._send(tx, seen.account, asset, now)

        return await self._db.run(work, deadline)

    async def see(self, person: Principal, account_id: UUID) -> Seen:
        """How the newest verification of a linked bank account stands. Raises NotFound."""
        async with self._reads.connection() as connection:
            return await self._see(connection, person, account_id, self._clock.now())

    async def tell(self, person: Principal, account_id: UUID, amount: int, deadline: Deadline) -> BankAccount:
        """The person says what was sent; the account is verified when it is right.

        Raises NotFound, and Conflict when nothing can be told now or when it is wrong, which counts.
        """

        async def work(tx: Tx) -> BankAccount | None:
            now = self._clock.now()
            await sql.lock_person(tx, person.person_id)
            seen = await self._see(tx, person, account_id, now)
            if seen.account.verified_at:
                return seen.account
            if seen.verification is None or seen.stand is not Stand.arrived:
                raise Conflict(Reason.verification_not_open, "there is no amount to tell now")
            [sent] = await transits.read_all(tx, [seen.verification.transit_id])
            told = _told(seen.verification, sent, amount, now)
            await sql.update(tx, told)
            return await transits.verify(tx, account_id, now) if told.is_right else None

        # A wrong one is counted and committed, and only then refused.
        verified = await self._db.run(work, deadline)
        if verified is None:
            raise Conflict(Reason.verification_amount_wrong, "that is not the amount that was sent", field="amount")
        return verified

    async def _see(self, connection: Connection, person: Principal, account_id: UUID, now: datetime) -> Seen:
        account = await transits.find(connection, person, account_id)
        verification = await sql.newest(connection, account.id)
        if verification is None:
            return Seen(account)
        [transit] = await transits.read_all(connection, [verification.transit_id])
        return Seen(account, verification, verification.stand(transit, now))

    async def _send(self, tx: Tx, account: BankAccount, asset: str, now: datetime) -> Seen:
        amount = 1 + self._chance(model.MOST_AMOUNT)
        id = self._ids.new()
        new = self._recorder.new(
            account, Direction.push, amount, asset, now, key=f"verify-{id.hex}", fingerprint=id.bytes
        )
        [sent] = await self._recorder.begin(tx, [replace(new, is_verification=True)], now, is_limited=False)
        verification = Verification(
            id=id,
            tenant_id=account.tenant_id,
            person_id=account.person_id,
            bank_account_id=account.id,
            transit_id=sent.id,
            wrong=0,
            expires_at=now + model.LIFE,
            ended_at=None,
            is_right=False,
            created_at=now,
        )
        await sql.insert(tx, verification)
        return Seen(account, verification, verification.stand(sent, now))


def _told(verification: Verification, sent: Transit, amount: int, now: datetime) -> Verification:
    """The verification after an amount was told."""
    if model.is_same(amount, sent.amount):
        return replace(verification, is_right=True, ended_at=now)
    wrong = verification.wrong + 1
    return replace(verification, wrong=wrong, ended_at=now if wrong == model.MOST_WRONG else None)


def _stay_within(times: Sequence[datetime], most: int, within: timedelta, now: datetime, what: str) -> None:
    """Raises QuotaExceeded when there were so many already; it says when the oldest that counts is long enough ago."""
    if len(times) >= most:
        free_at = times[-most] + within
        raise QuotaExceeded(what, retry_after=max(1.0, (free_at - now).total_seconds()))
