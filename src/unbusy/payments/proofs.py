"""Proves that payments and the books tell the same: each payment has its transfer, and the other way round."""

from __future__ import annotations

from unbusy.db import Connection
from unbusy.findings import Finding


async def check(connection: Connection) -> list[Finding]:
    """Everything about payments that must never be false, and is; at most a thousand of them."""
    rows = await connection.fetch(
        """
        WITH moves AS (
            SELECT p.id, 'payment' AS code, p.tenant_id, p.amount, p.asset, p.payer_id AS from_id, p.payee_id AS to_id
              FROM payments.payments p WHERE p.status = 'completed'
             UNION ALL
            SELECT r.id, 'refund', r.tenant_id, r.amount, r.asset, r.payee_id, p.payer_id
              FROM payments.refunds r JOIN payments.payments p ON p.id = r.payment_id WHERE r.status = 'completed'
        ), compared AS (
            SELECT coalesce(m.id, t.id) AS id, coalesce(m.code, t.code) AS code,
                   CASE WHEN t.id IS NULL THEN 'has_its_transfer'
                        WHEN m.id IS NULL THEN 'transfer_has_its_reason'
                        WHEN (m.tenant_id, m.amount, m.asset, m.from_id, m.to_id)
                             IS DISTINCT FROM (t.tenant_id, t.amount, t.asset, d.owner_id, c.owner_id)
                        THEN 'moves_what_it_says' END AS rule
              FROM moves m
              FULL JOIN (SELECT * FROM ledger.transfers WHERE code IN ('payment', 'refund')) t
                     ON t.id = m.id AND t.code = m.code
              LEFT JOIN ledger.accounts d ON d.id = t.debit_id
              LEFT JOIN ledger.accounts c ON c.id = t.credit_id
        )
        SELECT rule, id::text, code || ' and ledger differ' AS detail FROM compared WHERE rule IS NOT NULL
         UNION ALL
        SELECT 'refunds_add_up', p.id::text, 'refunded ' || p.refunded || ', refunds ' || coalesce(sum(r.amount), 0)
          FROM payments.payments p
          LEFT JOIN payments.refunds r ON r.payment_id = p.id AND r.status = 'completed'
         WHERE p.refunded > 0 OR r.id IS NOT NULL
         GROUP BY p.id
        HAVING p.refunded <> coalesce(sum(r.amount), 0)
         UNION ALL
        SELECT 'paid_request_has_its_payment', r.id::text, 'status ' || r.status
          FROM payments.requests r
          LEFT JOIN payments.payments p ON p.request_id = r.id AND p.status = 'completed'
         WHERE (r.status = 'paid') <> (p.id IS NOT NULL) OR r.payment_id <> p.id
         UNION ALL
        SELECT 'queued_has_its_promise', coalesce(q.id, o.payment_id)::text,
               CASE WHEN q.id IS NULL THEN 'its promise is open, and it is not queued' ELSE 'no promise is open' END
          FROM (SELECT id FROM payments.payments WHERE status = 'queued') q
          FULL JOIN (SELECT payment_id FROM promises.promises WHERE ended_at IS NULL) o ON o.payment_id = q.id
         WHERE q.id IS NULL OR o.payment_id IS NULL
         LIMIT 1000
        """
    )
    return [Finding("payments", *row.values()) for row in rows]
