"""What came of the transits of a measurement."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from unbusy.db import Connection


async def count_final(connection: Connection, since: UUID) -> int:
    """How many with a later id are final."""
    return await connection.fetchval(
        "SELECT count(*) FROM transits.transits WHERE id > $1 AND status NOT IN ('pending', 'unknown')", since
    )


async def trips(connection: Connection, since: UUID) -> Sequence[float]:
    """The seconds from begin to end of each with a later id that completed."""
    rows = await connection.fetch(
        """
        SELECT extract(epoch FROM updated_at - created_at)::float8 FROM transits.transits
         WHERE id > $1 AND status = 'completed'
        """,
        since,
    )
    return [row[0] for row in rows]


async def owed(connection: Connection) -> int:
    """What all banks together owe by our books, in minor units."""
    return await connection.fetchval(
        "SELECT coalesce(sum(debits_posted - credits_posted), 0)::bigint FROM ledger.accounts WHERE code = 'nostro'"
    )
