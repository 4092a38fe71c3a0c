"""Proves that fundings, their payments, their pulls and what is held for them tell the same."""

from __future__ import annotations

from unbusy.db import Connection
from unbusy.findings import Finding


async def check(connection: Connection) -> list[Finding]:
    """Everything about fundings that must never be false, and is; at most a thousand of them."""
    rows = await connection.fetch(
        """
        WITH all_of_them AS (
            SELECT f.*, p.status AS paid, p.amount AS price, p.payer_id, p.asset, t.status AS pulled,
                   t.payment_id AS waiting, t.amount AS pull, t.person_id AS puller, t.direction,
                   o.direction AS back, o.amount AS given_back, o.iban AS back_to, t.iban
              FROM funding.fundings f
              JOIN payments.payments p ON p.id = f.payment_id
              JOIN transits.transits t ON t.id = f.transit_id
              LEFT JOIN transits.transits o ON o.id = f.payout_id
        ), kept AS (
            SELECT d.owner_id, h.asset, sum(h.amount) AS held
              FROM ledger.holds h
              JOIN ledger.transfers t ON t.id = h.id
              JOIN ledger.accounts d ON d.id = h.debit_id
             WHERE t.code = 'for_payment' AND t.kind = 'hold' AND h.state = 'open'
             GROUP BY d.owner_id, h.asset
        ), owed AS (
            SELECT payer_id, asset, sum(own + CASE WHEN pulled = 'completed' THEN amount ELSE 0 END) AS held
              FROM all_of_them WHERE ended_at IS NULL GROUP BY payer_id, asset
        ), judged AS (
            SELECT CASE WHEN (ended_at IS NULL) <> (paid = 'pending') THEN 'open_while_its_payment_is_pending'
                        WHEN (ended_at IS NULL) <> (waiting IS NOT NULL) OR waiting <> payment_id
                        THEN 'its_transit_names_the_payment_that_waits'
                        WHEN price <> amount + own OR pull <> amount OR payer_id <> puller OR payer_id <> person_id
                          OR direction <> 'pull' THEN 'pulls_what_was_missing'
                        WHEN paid = 'completed' AND (pulled <> 'completed' OR payout_id IS NOT NULL)
                        THEN 'paid_with_what_came'
                        WHEN payout_id IS NOT NULL AND (pulled <> 'completed'
                          OR (back, given_back, back_to) IS DISTINCT FROM ('push', amount, iban))
                        THEN 'gives_back_what_came' END AS rule,
                   payment_id, paid, pulled
              FROM all_of_them
        )
        SELECT rule, payment_id::text, 'payment ' || paid || ', pull ' || pulled AS detail FROM judged
         WHERE rule IS NOT NULL
         UNION ALL
        SELECT 'pending_has_its_funding', p.id::text, 'no money is on its way for it'
          FROM payments.payments p LEFT JOIN funding.fundings f ON f.payment_id = p.id
         WHERE p.status = 'pending' AND f.payment_id IS NULL
         UNION ALL
        SELECT 'a_transit_that_is_waited_for_has_its_funding', t.id::text, 'nothing waits for it'
          FROM transits.transits t LEFT JOIN funding.fundings f ON f.transit_id = t.id
         WHERE t.payment_id IS NOT NULL AND f.payment_id IS DISTINCT FROM t.payment_id
         UNION ALL
        SELECT 'holds_what_it_waits_with', coalesce(k.owner_id, o.payer_id)::text,
               'held ' || coalesce(k.held, 0) || ', should be ' || coalesce(o.held, 0)
          FROM kept k FULL JOIN owed o ON o.payer_id = k.owner_id AND o.asset = k.asset
         WHERE coalesce(k.held, 0) <> coalesce(o.held, 0)
         LIMIT 1000
        """
    )
    return [Finding("funding", *row.values()) for row in rows]
