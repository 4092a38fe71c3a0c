"""Proves the books: everything that must never be false is looked for, live."""

from __future__ import annotations

from unbusy.db import Connection
from unbusy.findings import Finding
from unbusy.ledger import proofs, sql


async def check(connection: Connection) -> list[Finding]:
    """Everything in the ledger that must never be false, and is; at best nothing.

    Reads one snapshot and locks nothing, so it can run while payments do. The connection is
    outside a transaction, or in one that is REPEATABLE READ already. At most
    `proofs.MAX_FINDINGS` of each proof.
    """
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        await sql.prepare_to_read_everything(connection)
        return [
            Finding(room="ledger", rule=rule, subject=subject, detail=detail)
            for proof in proofs.PROOFS
            for rule, subject, detail in await sql.prove(connection, proof, proofs.MAX_FINDINGS)
        ]
