"""The only SQL about people."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import LiteralString, NamedTuple
from uuid import UUID

from unbusy.db import Connection, Row, Tx
from unbusy.findings import Finding
from unbusy.people.guessing import FORGOTTEN_AFTER, Attempts, Subject
from unbusy.people.model import Identifier, Payee, Person
from unbusy.people.sessions import Session

# A revocation is of use while an access token of its session may live: an hour by the settings'
# bound. Ended sessions stay a day longer, for whoever looks into what happened.
REVOCATIONS_KEPT = timedelta(hours=2)
ENDED_SESSIONS_KEPT = timedelta(days=1)


class Credentials(NamedTuple):
    """A person, and the hash their password is verified against."""

    person: Person
    hash: str


# ── people ──


async def insert_person(tx: Tx, person: Person, hash: str) -> bool:
    """Whether the person was added; False when the handle, the e-mail or the phone is taken."""
    made = await tx.fetchval(
        """
        WITH made AS (
            INSERT INTO people.people (tenant_id, id, role, name, handle, email, phone, language, state, created_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
            ON CONFLICT DO NOTHING
            RETURNING tenant_id, id
        )
        INSERT INTO people.passwords (tenant_id, person_id, hash)
        SELECT tenant_id, id, $11 FROM made
        RETURNING person_id
        """,
        *_values(person),
        hash,
    )
    return made is not None


async def insert_people(tx: Tx, people: Sequence[Person], hash: str) -> None:
    """Add many people who share one password."""
    if not people:
        return
    await tx.execute(
        """
        WITH made AS (
            INSERT INTO people.people (tenant_id, id, role, name, handle, email, phone, language, state, created_at)
            SELECT * FROM unnest(
                $1::integer[], $2::uuid[], $3::text[], $4::text[], $5::text[],
                $6::text[], $7::text[], $8::text[], $9::text[], $10::timestamptz[]
            )
            RETURNING tenant_id, id
        )
        INSERT INTO people.passwords (tenant_id, person_id, hash)
        SELECT tenant_id, id, $11 FROM made
        """,
        *(list(column) for column in zip(*(_values(person) for person in people), strict=True)),
        hash,
    )


async def has_people(tx: Tx, tenant_id: int) -> bool:
    """Whether anybody is there already."""
    found: bool = await tx.fetchval("SELECT EXISTS (SELECT FROM people.people WHERE tenant_id = $1)", tenant_id)
    return found


async def is_handle_taken(tx: Tx, tenant_id: int, handle: str) -> bool:
    """Whether somebody has the handle, or has had it."""
    found: bool = await tx.fetchval(
        "SELECT EXISTS (SELECT FROM people.people WHERE tenant_id = $1 AND handle = $2)", tenant_id, handle
    )
    return found


async def is_identity_taken(tx: Tx, tenant_id: int, email: str | None, phone: str | None) -> bool:
    """Whether somebody has the e-mail address or the phone number."""
    found: bool = await tx.fetchval(
        """
        SELECT EXISTS (SELECT FROM people.people WHERE tenant_id = $1 AND email = $2)
            OR EXISTS (SELECT FROM people.people WHERE tenant_id = $1 AND phone = $3)
        """,
        tenant_id,
        email,
        phone,
    )
    return found


async def find(connection: Connection, tenant_id: int, person_id: UUID) -> Person | None:
    """The person, of this tenant."""
    row = await connection.fetchrow(
        """
        SELECT tenant_id, id, role, name, handle, email, phone, language, state, created_at
          FROM people.people
         WHERE tenant_id = $1 AND id = $2
        """,
        tenant_id,
        person_id,
    )
    return _person(row) if row else None


async def resolve(
    connection: Connection, wanted: Sequence[tuple[int, UUID | str]]
) -> dict[tuple[int, UUID | str], Payee]:
    """Whom ids and handles name, each in its tenant. The unknown are absent."""
    rows = await connection.fetch(
        """
        SELECT 'id' AS by, p.tenant_id, p.id, p.name, p.handle, p.role
          FROM unnest($1::integer[], $2::uuid[]) AS wanted (tenant_id, id)
          JOIN people.people p USING (tenant_id, id)
         UNION ALL
        SELECT 'handle', p.tenant_id, p.id, p.name, p.handle, p.role
          FROM unnest($3::integer[], $4::text[]) AS wanted (tenant_id, handle)
          JOIN people.people p ON p.tenant_id = wanted.tenant_id AND p.handle = wanted.handle
        """,
        [tenant_id for tenant_id, name in wanted if isinstance(name, UUID)],
        [name for _, name in wanted if isinstance(name, UUID)],
        [tenant_id for tenant_id, name in wanted if isinstance(name, str)],
        [name for _, name in wanted if isinstance(name, str)],
    )
    payees = ((row["by"], Payee(row["id"], row["tenant_id"], row["name"], row["handle"], row["role"])) for row in rows)
    return {(payee.tenant_id, payee.person_id if by == "id" else payee.handle): payee for by, payee in payees}


async def credentials(connection: Connection, tenant_id: int, identifier: Identifier) -> Credentials | None:
    """Whom the identifier names, and their hash."""
    row = await connection.fetchrow(
        """
        SELECT p.tenant_id, p.id, p.role, p.name, p.handle, p.email, p.phone, p.language, p.state, p.created_at, w.hash
          FROM people.people p
          JOIN people.passwords w ON w.tenant_id = p.tenant_id AND w.person_id = p.id
         WHERE p.tenant_id = $1 AND (p.email = $2 OR p.phone = $3 OR p.handle = $4)
        """,
        tenant_id,
        *(identifier.text if identifier.kind == kind else None for kind in ("email", "phone", "handle")),
    )
    return Credentials(_person(row), row["hash"]) if row else None


async def close(tx: Tx, tenant_id: int, person_id: UUID) -> None:
    """The person is gone; their handle, e-mail and phone stay theirs."""
    await tx.execute("UPDATE people.people SET state = 'closed' WHERE tenant_id = $1 AND id = $2", tenant_id, person_id)


# ── sessions ──


async def insert_session(tx: Tx, id: UUID, person: Person, now: datetime, expires_at: datetime) -> bool:
    """Open a session of generation 0, unless the person has been closed."""
    # FOR SHARE: a closing that is under way is waited for, and one that comes later waits for us
    # and then finds this session to end.
    made = await tx.fetchval(
        """
        INSERT INTO people.sessions (id, tenant_id, person_id, created_at, last_used_at, expires_at)
        SELECT $1, tenant_id, id, $4, $4, $5 FROM people.people
         WHERE tenant_id = $2 AND id = $3 AND state = 'open'
           FOR SHARE
        RETURNING id
        """,
        id,
        person.tenant_id,
        person.id,
        now,
        expires_at,
    )
    return made is not None


async def lock_session(tx: Tx, id: UUID) -> Session | None:
    """The session and whose it is, locked."""
    row = await tx.fetchrow(
        """
        SELECT s.generation, s.last_used_at, s.expires_at, s.revoked_at,
               p.tenant_id, p.id, p.role, p.name, p.handle, p.email, p.phone, p.language, p.state, p.created_at
          FROM people.sessions s
          JOIN people.people p ON p.tenant_id = s.tenant_id AND p.id = s.person_id
         WHERE s.id = $1
           FOR UPDATE OF s
        """,
        id,
    )
    if row is None:
        return None
    is_revoked = row["revoked_at"] is not None
    return Session(id, row["generation"], row["last_used_at"], row["expires_at"], is_revoked, _person(row))


async def rotate(tx: Tx, id: UUID, generation: int, now: datetime, expires_at: datetime) -> None:
    """The session has been used: its next generation begins."""
    await tx.execute(
        "UPDATE people.sessions SET generation = $2, last_used_at = $3, expires_at = $4 WHERE id = $1",
        id,
        generation,
        now,
        expires_at,
    )


async def end_session(tx: Tx, id: UUID, now: datetime) -> list[UUID]:
    """End one session, and announce it; gives its id unless it had ended before."""
    return _ids(
        await tx.fetch(
            """
            WITH ended AS (
                UPDATE people.sessions SET revoked_at = $2, expires_at = LEAST(expires_at, $2)
                 WHERE id = $1 AND revoked_at IS NULL
                RETURNING id, tenant_id
            )
            INSERT INTO people.revocations (session_id, tenant_id, revoked_at)
            SELECT id, tenant_id, $2 FROM ended
            RETURNING session_id
            """,
            id,
            now,
        )
    )


async def end_sessions(tx: Tx, tenant_id: int, person_id: UUID, now: datetime, *, but: int = 0) -> list[UUID]:
    """End the person's sessions, but so many that were used last, and announce it; gives their ids."""
    return _ids(
        await tx.fetch(
            """
            WITH ended AS (
                UPDATE people.sessions SET revoked_at = $3, expires_at = LEAST(expires_at, $3)
                 WHERE revoked_at IS NULL AND id IN (
                       SELECT id FROM people.sessions
                        WHERE tenant_id = $1 AND person_id = $2 AND revoked_at IS NULL
                        ORDER BY last_used_at DESC, id DESC
                       OFFSET $4
                 )
                RETURNING id, tenant_id
            )
            INSERT INTO people.revocations (session_id, tenant_id, revoked_at)
            SELECT id, tenant_id, $3 FROM ended
            RETURNING session_id
            """,
            tenant_id,
            person_id,
            now,
            but,
        )
    )


async def revocations_since(connection: Connection, seen: int) -> tuple[list[UUID], int]:
    """Sessions whose end may have been committed since `seen`, and how far has been seen now.

    All below the oldest transaction that is still running is final, so that is where the next look
    begins. A standby that took over may count from lower on, hence LEAST.
    """
    rows = await connection.fetch(
        """
        SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS seen, r.session_id
          FROM (SELECT) AS always
          LEFT JOIN people.revocations r
            ON r.xid >= LEAST($1::bigint::text::xid8, pg_snapshot_xmin(pg_current_snapshot()))
         ORDER BY r.xid
        """,
        seen,
    )
    return [row["session_id"] for row in rows if row["session_id"]], rows[0]["seen"]


# ── attempts ──


async def lock_attempts(tx: Tx, tenant_id: int, subjects: Sequence[Subject], now: datetime) -> list[Attempts]:
    """What is known of these subjects, their rows locked; made when there were none."""
    rows = await tx.fetch(
        """
        INSERT INTO people.attempts AS known (tenant_id, kind, subject, count, last_at, opens_at)
        SELECT $1, kind, subject, 0, $4, $4 FROM unnest($2::text[], $3::bytea[]) AS asked (kind, subject)
        ON CONFLICT (tenant_id, kind, subject) DO UPDATE SET count = known.count
        RETURNING kind, subject, count, last_at, opens_at
        """,
        tenant_id,
        [subject.kind for subject in subjects],
        [subject.hash for subject in subjects],
        now,
    )
    return [
        Attempts(Subject(row["kind"], row["subject"]), row["count"], row["last_at"], row["opens_at"]) for row in rows
    ]


async def write_attempts(tx: Tx, tenant_id: int, attempts: Sequence[Attempts]) -> None:
    """Keep what has become of locked rows."""
    await tx.execute(
        """
        UPDATE people.attempts known
           SET count = new.count, last_at = new.last_at, opens_at = new.opens_at
          FROM unnest($2::text[], $3::bytea[], $4::integer[], $5::timestamptz[], $6::timestamptz[])
               AS new (kind, subject, count, last_at, opens_at)
         WHERE known.tenant_id = $1 AND known.kind = new.kind AND known.subject = new.subject
        """,
        tenant_id,
        [one.subject.kind for one in attempts],
        [one.subject.hash for one in attempts],
        [one.count for one in attempts],
        [one.last_at for one in attempts],
        [one.opens_at for one in attempts],
    )


async def forget_attempts(tx: Tx, tenant_id: int, subject: Subject) -> None:
    """Begin to count anew."""
    await tx.execute(
        "DELETE FROM people.attempts WHERE tenant_id = $1 AND kind = $2 AND subject = $3", tenant_id, *subject
    )


async def take_back_attempt(tx: Tx, tenant_id: int, subject: Subject) -> None:
    """One counted attempt was none."""
    await tx.execute(
        """
        UPDATE people.attempts SET count = count - 1
         WHERE tenant_id = $1 AND kind = $2 AND subject = $3 AND count > 0
        """,
        tenant_id,
        *subject,
    )


# ── upkeep ──


async def prune(tx: Tx, now: datetime, limit: int) -> int:
    """Delete at most `limit` rows that nobody needs any more; gives how many.

    Old attempts, revocations whose last token has expired, sessions that ended a day ago. Any
    number of workers may do it at once.
    """
    done = 0
    for statement, age in _PRUNES:
        tag = await tx.execute(statement, now - age, limit - done)
        done += int(tag.rpartition(" ")[2])
    return done


_PRUNES: tuple[tuple[LiteralString, timedelta], ...] = (
    (
        """
        DELETE FROM people.attempts WHERE (tenant_id, kind, subject) IN (
               SELECT tenant_id, kind, subject FROM people.attempts WHERE last_at < $1 LIMIT $2
                  FOR UPDATE SKIP LOCKED
        )
        """,
        FORGOTTEN_AFTER,
    ),
    (
        """
        DELETE FROM people.revocations WHERE session_id IN (
               SELECT session_id FROM people.revocations WHERE revoked_at < $1 ORDER BY xid LIMIT $2
        )
        """,
        REVOCATIONS_KEPT,
    ),
    (
        """
        DELETE FROM people.sessions WHERE id IN (
               SELECT id FROM people.sessions WHERE expires_at < $1 LIMIT $2
                  FOR UPDATE SKIP LOCKED
        )
        """,
        ENDED_SESSIONS_KEPT,
    ),
)


async def check(connection: Connection) -> list[Finding]:
    """What must never be false about people and cannot be said as a constraint, and is."""
    findings: list[Finding] = []
    for rule, detail, statement in _CHECKS:
        rows = await connection.fetch(statement)
        findings += [Finding("people", rule, f"{row['prefix']}_{row['id'].hex}", detail) for row in rows]
    return findings


_CHECKS: tuple[tuple[str, str, LiteralString], ...] = (
    (
        "everybody_can_sign_in",
        "an open person has no password",
        """
        SELECT 'per' AS prefix, p.id FROM people.people p
          LEFT JOIN people.passwords w ON w.tenant_id = p.tenant_id AND w.person_id = p.id
         WHERE p.state = 'open' AND w.person_id IS NULL
         ORDER BY p.id LIMIT 100
        """,
    ),
    (
        "closed_people_are_signed_out",
        "the session of a closed person has not been ended",
        """
        SELECT 'ses' AS prefix, s.id FROM people.sessions s
          JOIN people.people p ON p.tenant_id = s.tenant_id AND p.id = s.person_id
         WHERE p.state = 'closed' AND s.revoked_at IS NULL
         ORDER BY s.id LIMIT 100
        """,
    ),
    (
        "ends_are_announced",
        "the session ended within the last hour, and other processes were not told",
        """
        SELECT 'ses' AS prefix, s.id FROM people.sessions s
          LEFT JOIN people.revocations r ON r.session_id = s.id
         WHERE s.revoked_at > now() - INTERVAL '1 hour' AND r.session_id IS NULL
         ORDER BY s.id LIMIT 100
        """,
    ),
    (
        "announced_sessions_have_ended",
        "other processes were told that the session ended, and it goes on",
        """
        SELECT 'ses' AS prefix, s.id FROM people.sessions s
          JOIN people.revocations r ON r.session_id = s.id
         WHERE s.revoked_at IS NULL
         ORDER BY s.id LIMIT 100
        """,
    ),
)


def _values(person: Person) -> tuple[object, ...]:
    """In the order of the columns."""
    return (
        person.tenant_id,
        person.id,
        person.role,
        person.name,
        person.handle,
        person.email,
        person.phone,
        person.language,
        person.state,
        person.created_at,
    )


def _person(row: Row) -> Person:
    return Person(
        id=row["id"],
        tenant_id=row["tenant_id"],
        role=row["role"],
        name=row["name"],
        handle=row["handle"],
        email=row["email"],
        phone=row["phone"],
        language=row["language"],
        state=row["state"],
        created_at=row["created_at"],
    )


def _ids(rows: Sequence[Row]) -> list[UUID]:
    return [row["session_id"] for row in rows]
