"""The oracle: what clients were told, compared with what the books say.

It trusts nobody. The generator's log says which payments were acknowledged and which were left
without an answer; those are asked for again; then the database is read behind the wallet's back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar, cast
from uuid import UUID

import asyncpg

from unbusy import ids
from unbusy.db import Connection, Row
from unbusy.drill import sql
from unbusy.drill.reckoning import Transit
from unbusy.errors import SetupError
from unbusy.load import ASSET, TENANT, Load, Log, Stream
from unbusy.transits import nostro

Result = TypeVar("Result")

_CONNECT_S = 30.0


class Stored(NamedTuple):
    """A payment as the database has it. Times are seconds since 1970, None when there is none."""

    id: str
    key: str
    status: str
    amount: int
    created_at: float
    completed_at: float | None
    finish_by: float | None


class Verdict(NamedTuple):
    """How many payments were acknowledged and are not there as told, or are there twice."""

    lost: int
    doubled: int


def stored(url: str, name: str) -> list[Stored]:
    """Every payment in the database whose key is of this load, or these riders."""

    async def look(connection: Connection) -> Sequence[Row]:
        return await sql.payments_under(connection, f"{name}-")

    return [_stored(row) for row in look_up(url, look)]


def still_queued(url: str, log: Log) -> int:
    """How many payments of this load are not final yet."""
    return look_up(url, lambda connection: sql.queued_under(connection, f"{log.name}-"))


def transits(url: str, log: Log) -> list[Transit]:
    """Every top-up and payout of this load."""
    rows = look_up(url, lambda connection: sql.transits_under(connection, f"{log.name}-"))
    return [_transit(*row.values()) for row in rows]


def still_open(url: str, log: Log) -> int:
    """How many of them are not final yet."""
    return look_up(url, lambda connection: sql.open_transits_under(connection, f"{log.name}-"))


def owed(url: str, banks: Sequence[str]) -> dict[str, int]:
    """What each of the banks owes us by our books, in minor units."""
    accounts = {bank: nostro(TENANT, ASSET, bank).id for bank in banks}
    found = look_up(url, lambda connection: sql.owed_by(connection, list(accounts.values())))
    return {bank: found.get(id, 0) for bank, id in accounts.items()}


def uncased_lines(url: str) -> int:
    """How many lines of banks' statements nothing explains and no open case is about."""
    return look_up(url, sql.uncased_lines)


def total(url: str) -> int:
    """What all wallets hold together, in minor units."""
    return look_up(url, sql.total_of_wallets)


def unresolved(log: Log) -> list[int]:
    """Wants that were sent, of which some answer never came, and which nobody acknowledged."""
    missing = {ask.want for ask in log.asks() if not ask.outcome.status}
    return sorted(missing - set(log.payments))


def again(load: Load, log: Log, wants: Sequence[int], rate: float) -> Stream:
    """A stream that asks for exactly these wants again, each under its own key."""
    heads: list[bytes] = []
    tails: list[bytes] = []
    streams, numbers = log.numbers("stream"), log.numbers("number")
    for want in wants:
        stream = load.streams[streams[want]]
        head, tail = stream.pairs[numbers[want] % len(stream.pairs)]
        heads.append(stream.heads[head] + log.key(want).encode())
        tails.append(stream.tails[tail])
    return Stream(
        name="again",
        rate=rate,
        begins_s=0,
        # Poisson arrivals: half as long again, so that all are surely reached; the rest repeats, which does no harm.
        ends_s=1 + 1.5 * len(wants) / rate,
        heads=heads,
        tails=tails,
        pairs=[(number, number) for number in range(len(wants))],
        has_key=False,
        keeps_answers=True,
    )


def verdict(told: Mapping[str, str], doubled: int, found: Sequence[Stored]) -> Verdict:
    """`told` is the id that was acknowledged under each key; `doubled` counts keys told two ids."""
    by_key: dict[str, list[str]] = {}
    for payment in found:
        by_key.setdefault(payment.key, []).append(payment.id)
    lost = sum(id not in by_key.get(key, ()) for key, id in told.items())
    return Verdict(lost, doubled + sum(len(made) > 1 for made in by_key.values()))


def look_up(url: str, look: Callable[[Connection], Awaitable[Result]]) -> Result:
    """Connect, ask, and go."""

    async def work() -> Result:
        try:
            connection = await asyncpg.connect(url, timeout=_CONNECT_S)
        except (OSError, asyncpg.PostgresError) as error:
            raise SetupError(f"the database of the wallet under test cannot be reached: {error}") from None
        try:
            return await look(cast("Connection", connection))
        finally:
            await connection.close()

    return asyncio.run(work())


def _transit(id: UUID, key: str, bank: str, is_pull: bool, *more: Any) -> Transit:
    return Transit(ids.show("top" if is_pull else "out", id), id.hex, key, bank, is_pull, *more)


def _stored(row: Row) -> Stored:
    def at(value: Any) -> float | None:
        return value.timestamp() if value else None

    return Stored(
        id=ids.show("pay", row["id"]),
        key=row["key"],
        status=row["status"],
        amount=row["amount"],
        created_at=row["created_at"].timestamp(),
        completed_at=at(row["completed_at"]),
        finish_by=at(row["finish_by"]),
    )
