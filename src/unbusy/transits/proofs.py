"""Proves that transits and the books tell the same: each has its hold, which ended as the transit did."""

from __future__ import annotations

from unbusy.db import Connection
from unbusy.findings import Finding


async def check(connection: Connection) -> list[Finding]:
    """Everything about transits that must never be false, and is; at most a thousand of them."""
    rows = await connection.fetch(
        """
        WITH held AS (
            SELECT t.id, t.code, t.tenant_id, t.amount, t.asset, h.state, h.captured, d.owner_id AS debit_owner,
                   d.code AS debit_code, c.owner_id AS credit_owner, c.code AS credit_code
              FROM ledger.transfers t
              JOIN ledger.holds h ON h.id = t.id
              JOIN ledger.accounts d ON d.id = t.debit_id
              JOIN ledger.accounts c ON c.id = t.credit_id
             WHERE t.kind = 'hold' AND t.code IN ('from_bank', 'to_bank')
        ), compared AS (
            SELECT coalesce(t.id, h.id) AS id, coalesce(t.status, 'none') AS status, coalesce(h.state, 'none') AS state,
                   CASE WHEN t.id IS NULL THEN 'hold_has_its_transit'
                        WHEN coalesce(h.state, 'none') <> ALL (
                            CASE WHEN t.status IN ('pending', 'unknown') THEN ARRAY['open']
                                 WHEN t.status = 'completed' THEN ARRAY['captured']
                                 WHEN t.status = 'declined' AND t.tries = 0 THEN ARRAY['none']
                                 ELSE ARRAY['voided'] END
                        ) THEN 'hold_ended_as_the_transit_did'
                        WHEN h.id IS NOT NULL
                         AND (t.tenant_id, t.amount, t.asset) IS DISTINCT FROM (h.tenant_id, h.amount, h.asset)
                          OR h.captured NOT IN (0, t.amount)
                        THEN 'holds_what_it_says'
                        WHEN t.direction = 'pull' AND (h.code, h.debit_code, h.credit_code, h.credit_owner)
                             IS DISTINCT FROM ('from_bank', 'nostro', t.ours, t.owner_id) AND h.id IS NOT NULL
                          OR t.direction = 'push' AND (h.code, h.credit_code, h.debit_code, h.debit_owner)
                             IS DISTINCT FROM ('to_bank', 'nostro', t.ours, t.owner_id) AND h.id IS NOT NULL
                        THEN 'is_between_wallet_and_bank'
                   END AS rule
              FROM (SELECT *, CASE WHEN is_verification THEN 'verification' ELSE 'wallet' END AS ours,
                           CASE WHEN NOT is_verification THEN person_id END AS owner_id
                      FROM transits.transits) t
              FULL JOIN held h ON h.id = t.id
        )
        SELECT rule, id::text, 'transit ' || status || ', hold ' || state AS detail FROM compared WHERE rule IS NOT NULL
         UNION ALL
        SELECT 'parked_has_its_transfer', coalesce(t.id, p.id)::text, 'transit or transfer is missing, or they differ'
          FROM (SELECT * FROM transits.transits WHERE parked_id IS NOT NULL) t
          FULL JOIN (SELECT * FROM ledger.transfers WHERE code IN ('late_from_bank', 'late_to_bank')) p
                 ON p.id = t.parked_id
         WHERE (t.amount, t.asset, t.tenant_id) IS DISTINCT FROM (p.amount, p.asset, p.tenant_id)
         LIMIT 1000
        """
    )
    return [Finding("transits", *row.values()) for row in rows]
