"""The verbs of people, in the order of a life: join, sign in, stay, leave."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from unbusy.api import Principal, Role
from unbusy.clock import Clock, Deadline
from unbusy.db import Database, Tx
from unbusy.errors import Conflict, QuotaExceeded, Unauthenticated
from unbusy.ids import Ids
from unbusy.people import guessing, sql
from unbusy.people.guessing import Subject, Subjects
from unbusy.people.model import (
    NewPerson,
    Payee,
    Person,
    PersonRole,
    SignedIn,
    handles_for,
    is_reserved,
    read_identifier,
    read_password,
    read_payee,
    read_person,
    spelled,
    words_to_avoid,
)
from unbusy.people.passwords import RECOMMENDED, Cost, Passwords
from unbusy.people.revocations import Revocations
from unbusy.people.sessions import MOST_SESSIONS, Session, Step, step
from unbusy.people.tokens import AccessTokens, RefreshTokens
from unbusy.reasons import Reason
from unbusy.settings import Settings

# Payees kept in memory: some 20 MB.
_MOST_PAYEES = 50_000

# Whoever and whatever was wrong: the same words.
_NO_SIGN_IN = "no open account has this identifier and this password"
_NO_REFRESH = "this refresh token is not good any more; sign in again"


# Whom a payee as typed names: an id or a handle, in a tenant.
Name = tuple[int, UUID | str]


class People:
    """Customers, merchants and operators, as one process serves them."""

    def __init__(
        self,
        db: Database,
        reads: Database,
        *,
        clock: Clock,
        ids: Ids,
        settings: Settings,
        secret: bytes,
        cost: Cost = RECOMMENDED,
    ) -> None:
        self._db = db
        self._reads = reads
        self._clock = clock
        self._ids = ids
        self._token_life_s = settings.access_token_s
        self._session_life = timedelta(days=settings.session_days)
        self._passwords = Passwords(cost)
        self._subjects = Subjects(secret)
        self._revocations = Revocations(db, clock=clock)
        self._access = AccessTokens(secret, clock=clock, life_s=settings.access_token_s, revoked=self._revocations)
        self._refresh = RefreshTokens(secret)
        self._payees: OrderedDict[Name, Payee] = OrderedDict()

    async def start(self) -> None:
        """Learn which sessions have ended, and follow which do."""
        await self._revocations.start()

    async def stop(self) -> None:
        """End following."""
        await self._revocations.stop()
        self._passwords.close()

    def authenticate(self, token: str) -> Principal:
        """Whom an access token stands for; no database is read. Raises Unauthenticated."""
        return self._access.authenticate(token)

    def recognise(self, token: str) -> Principal | None:
        """Whom a genuine access token names, good or no longer so; None for a forged one."""
        return self._access.recognise(token)

    # ── join ──

    async def sign_up(
        self, tenant_id: int, new: NewPerson, *, address: str, deadline: Deadline | None = None
    ) -> Person:
        """A new customer.

        Raises Invalid, Conflict (`handle_taken`, since handles are public; `identity_unavailable`,
        without saying whether e-mail or phone), QuotaExceeded when too many from this address
        have failed, DeadlineUnreachable.
        """
        subjects = [self._subjects.address(address)]
        person, password = self._read(new, "customer", tenant_id)
        with self._passwords.place():
            await self._count(tenant_id, subjects, deadline)
            hash = await self._passwords.hash(password)
        return await self._add(person, hash, subjects, deadline)

    async def add_merchant(self, tenant_id: int, new: NewPerson, *, deadline: Deadline | None = None) -> Person:
        """A new shop. Raises what `sign_up` raises, but QuotaExceeded."""
        return await self._add_staffed(tenant_id, new, "merchant", deadline)

    async def add_operator(self, tenant_id: int, new: NewPerson) -> Person:
        """Somebody who works here. Only a command does this, never a request."""
        return await self._add_staffed(tenant_id, new, "operator", None)

    # ── sign in ──

    async def sign_in(
        self, tenant_id: int, identifier: str, password: str, *, address: str, deadline: Deadline | None = None
    ) -> SignedIn:
        """Open a session for whoever has this e-mail address, phone number or `@handle`, and this password.

        Raises Unauthenticated, the same and after the same work whether the identifier, the
        password or the person's state is wrong; QuotaExceeded; DeadlineUnreachable.
        """
        subjects = [self._subjects.account(identifier), self._subjects.address(address)]
        with self._passwords.place():
            await self._count(tenant_id, subjects, deadline)
            found = await self._credentials(tenant_id, identifier, deadline)
            is_right = await self._passwords.verify(found.hash if found else None, spelled(password))
        if not found or not is_right:
            raise Unauthenticated(_NO_SIGN_IN)
        return await self._open_session(found.person, subjects, deadline)

    # ── stay ──

    async def refresh(self, refresh_token: str, *, deadline: Deadline | None = None) -> SignedIn:
        """A new pair of tokens for the session; `sessions` tells what an old token leads to.

        Raises Unauthenticated.
        """
        presented = self._refresh.read(refresh_token)
        if presented is None:
            raise Unauthenticated(_NO_REFRESH)

        async def work(tx: Tx) -> tuple[SignedIn | None, list[UUID]]:
            session = await sql.lock_session(tx, presented[0])
            return await self._use(tx, session, presented[1]) if session else (None, [])

        signed_in, ended = await self._db.run(work, deadline)
        self._revocations.add(ended)
        if signed_in is None:
            raise Unauthenticated(_NO_REFRESH)
        return signed_in

    async def find(self, tenant_id: int, person_id: UUID) -> Person | None:
        """The person, when there is one with this id in this tenant."""
        async with self._reads.connection() as connection:
            return await sql.find(connection, tenant_id, person_id)

    async def resolve(self, payees: Sequence[tuple[int, str]]) -> dict[tuple[int, str], Payee]:
        """Whom payees as typed (`@ming`, `per_…`) name, each in its tenant; the unknown are absent.

        Whoever was found once is kept in memory: a handle never names anybody else.
        """
        typed = {(tenant_id, text): read_payee(text) for tenant_id, text in payees}
        wanted = {key: (key[0], name) for key, name in typed.items() if name is not None}
        known = self._known_payees(wanted.values())
        if missing := {*wanted.values()} - known.keys():
            async with self._db.connection() as connection:
                known |= self._keep_payees(await sql.resolve(connection, list(missing)))
        return {key: known[name] for key, name in wanted.items() if name in known}

    def known(self, tenant_id: int, payee: str) -> Payee | None:
        """As `resolve`, for one payee who has been found before; None also when nobody has looked yet."""
        name = read_payee(payee)
        return None if name is None else self._known_payees([(tenant_id, name)]).get((tenant_id, name))

    # ── leave ──

    async def sign_out(self, principal: Principal) -> None:
        """End this session: here at once, in every process within a second."""
        now = self._clock.now()
        self._revocations.add(await self._db.run(lambda tx: sql.end_session(tx, principal.session_id, now)))

    async def sign_out_everywhere(self, principal: Principal) -> None:
        """End every session of the person."""
        now = self._clock.now()
        ended = await self._db.run(lambda tx: sql.end_sessions(tx, principal.tenant_id, principal.person_id, now))
        self._revocations.add(ended)

    async def close(self, tenant_id: int, person_id: UUID) -> None:
        """The person leaves for good. Their wallet is the caller's matter; their handle stays theirs."""
        now = self._clock.now()

        async def work(tx: Tx) -> list[UUID]:
            await sql.close(tx, tenant_id, person_id)
            return await sql.end_sessions(tx, tenant_id, person_id, now)

        self._revocations.add(await self._db.run(work))

    # ── what the verbs are made of ──

    def _read(self, new: NewPerson, role: PersonRole, tenant_id: int) -> tuple[Person, str]:
        """The person to be and the password, in the form we keep. Raises Invalid, Conflict."""
        person = read_person(new, role, tenant_id, self._ids.new(), self._clock.now())
        password = read_password(new.password, avoid=words_to_avoid(person))
        if is_reserved(person.handle, role):
            raise Conflict(Reason.handle_taken, f"the handle @{person.handle} is taken", field="handle")
        return person, password

    async def _add_staffed(self, tenant_id: int, new: NewPerson, role: PersonRole, deadline: Deadline | None) -> Person:
        """Somebody whom an operator adds: no guessing to fear."""
        person, password = self._read(new, role, tenant_id)
        with self._passwords.place():
            hash = await self._passwords.hash(password)
        return await self._add(person, hash, [], deadline)

    async def _add(self, person: Person, hash: str, subjects: Sequence[Subject], deadline: Deadline | None) -> Person:
        async def work(tx: Tx) -> Person:
            added = await _insert(tx, person, hash)
            await _forgive(tx, person.tenant_id, subjects)
            return added

        return await self._db.run(work, deadline)

    async def _count(self, tenant_id: int, subjects: Sequence[Subject], deadline: Deadline | None) -> None:
        now = self._clock.now()
        await self._db.run(lambda tx: _count(tx, tenant_id, subjects, now), deadline)

    async def _credentials(self, tenant_id: int, identifier: str, deadline: Deadline | None) -> sql.Credentials | None:
        read = read_identifier(identifier)
        if read is None:
            return None
        async with self._db.connection(deadline) as connection:
            return await sql.credentials(connection, tenant_id, read)

    async def _open_session(self, person: Person, subjects: Sequence[Subject], deadline: Deadline | None) -> SignedIn:
        id, now = self._ids.new(), self._clock.now()

        async def work(tx: Tx) -> list[UUID] | None:
            await _forgive(tx, person.tenant_id, subjects)
            if not await sql.insert_session(tx, id, person, now, now + self._session_life):
                return None
            return await sql.end_sessions(tx, person.tenant_id, person.id, now, but=MOST_SESSIONS)

        ended = await self._db.run(work, deadline)
        if ended is None:  # closed, perhaps a moment ago
            raise Unauthenticated(_NO_SIGN_IN)
        self._revocations.add(ended)
        return self._tokens(person, id, generation=0)

    async def _use(self, tx: Tx, session: Session, generation: int) -> tuple[SignedIn | None, list[UUID]]:
        """What the refresh token of this generation brings, and the sessions it ended."""
        now = self._clock.now()
        match step(session, generation, now):
            case Step.rotate:
                await sql.rotate(tx, session.id, generation + 1, now, now + self._session_life)
                return self._tokens(session.person, session.id, generation + 1), []
            case Step.repeat:
                return self._tokens(session.person, session.id, session.generation), []
            case Step.refuse:
                return None, []
            case Step.revoke:
                return None, await sql.end_session(tx, session.id, now)

    def _tokens(self, person: Person, session_id: UUID, generation: int) -> SignedIn:
        return SignedIn(
            access_token=self._access.issue(person.tenant_id, person.id, session_id, Role(person.role)),
            refresh_token=self._refresh.make(session_id, generation),
            expires_in=self._token_life_s,
            person=person,
        )

    def _known_payees(self, names: Iterable[Name]) -> dict[Name, Payee]:
        known = {name: payee for name in names if (payee := self._payees.get(name))}
        for name in known:
            self._payees.move_to_end(name)
        return known

    def _keep_payees(self, found: dict[Name, Payee]) -> dict[Name, Payee]:
        self._payees |= found
        while len(self._payees) > _MOST_PAYEES:
            self._payees.popitem(last=False)
        return found


async def _insert(tx: Tx, person: Person, hash: str) -> Person:
    """Add the person under the first handle that is free. Raises Conflict."""
    for handle in handles_for(person):
        named = person.named(handle)
        if await sql.insert_person(tx, named, hash):
            return named
        if person.handle and await sql.is_handle_taken(tx, person.tenant_id, handle):
            raise Conflict(Reason.handle_taken, f"the handle @{handle} is taken", field="handle")
        if await sql.is_identity_taken(tx, person.tenant_id, person.email, person.phone):
            raise Conflict(Reason.identity_unavailable, "the e-mail address or the phone number cannot be used")
    raise Conflict(Reason.handle_taken, "no handle could be made from this name; choose one", field="handle")


async def _count(tx: Tx, tenant_id: int, subjects: Sequence[Subject], now: datetime) -> None:
    """Count an attempt of each subject; of none, when one of them has to wait: then QuotaExceeded.

    Subjects come in one order everywhere (account, address), because their rows are locked in it.
    """
    known = await sql.lock_attempts(tx, tenant_id, subjects, now)
    wait = max(guessing.wait(attempts, now) for attempts in known)
    if wait:
        seconds = math.ceil(wait.total_seconds())
        raise QuotaExceeded(f"too many attempts; the next is let in after {seconds} s", retry_after=seconds)
    await sql.write_attempts(tx, tenant_id, [guessing.counted(attempts, now) for attempts in known])


async def _forgive(tx: Tx, tenant_id: int, subjects: Sequence[Subject]) -> None:
    """An attempt succeeded: forget all of the account's, take back this one of the address's."""
    for subject in subjects:
        if subject.kind == "account":
            await sql.forget_attempts(tx, tenant_id, subject)
        else:
            await sql.take_back_attempt(tx, tenant_id, subject)
