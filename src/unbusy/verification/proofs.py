"""Proves that what counts as verified was: by an amount that the bank took, or by the operator when it was linked."""

from __future__ import annotations

from unbusy.db import Connection
from unbusy.findings import Finding


async def check(connection: Connection) -> list[Finding]:
    """Everything about verifications that must never be false, and is; at most a thousand of them."""
    rows = await connection.fetch(
        """
        SELECT 'right_was_sent_and_counts' AS rule, v.id::text, 'transit ' || t.status AS detail
          FROM verification.verifications v
          JOIN transits.transits t ON t.id = v.transit_id
          JOIN transits.bank_accounts b ON b.id = v.bank_account_id
         WHERE v.is_right AND (t.status <> 'completed' OR b.verified_at IS NULL)
         UNION ALL
        SELECT 'goes_to_the_account_it_verifies', v.id::text, 'transit ' || t.id
          FROM verification.verifications v
          JOIN transits.transits t ON t.id = v.transit_id
         WHERE NOT t.is_verification OR (t.bank_account_id, t.person_id) <> (v.bank_account_id, v.person_id)
         UNION ALL
        SELECT 'a_tiny_amount_has_its_verification', t.id::text, 'nobody could tell it'
          FROM transits.transits t
          LEFT JOIN verification.verifications v ON v.transit_id = t.id
         WHERE t.is_verification AND v.id IS NULL
         UNION ALL
        SELECT 'verified_was_proved', b.id::text, 'no amount was told for it'
          FROM transits.bank_accounts b
         WHERE b.verified_at <> b.created_at
           AND NOT EXISTS (SELECT FROM verification.verifications v WHERE v.bank_account_id = b.id AND v.is_right)
         LIMIT 1000
        """
    )
    return [Finding("verification", *row.values()) for row in rows]
