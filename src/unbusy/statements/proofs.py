"""Proves that banks' statements and the books tell the same, to the last unit."""

from __future__ import annotations

from collections.abc import Sequence

from unbusy.db import Connection, Row
from unbusy.findings import Finding


async def check(connection: Connection) -> list[Finding]:
    """Everything about statements that must never be false, and is; at most a thousand of them.

    The heart of it is `nostro_is_explained`: what the books say a bank owes is what its lines are matched to,
    what of them waits in suspense, and what no line shows yet; nothing else.
    """
    rows = await connection.fetch(
        """
        WITH moved AS (
            SELECT t.id, t.tenant_id, t.bank, t.asset, t.direction,
                   CASE t.direction WHEN 'pull' THEN t.amount ELSE -t.amount END AS amount
              FROM transits.transits t
             WHERE t.status = 'completed' OR t.parked_id IS NOT NULL
        ), explained AS (
            SELECT a.id,
                   coalesce((SELECT sum(m.amount) FROM statements.matches m
                               JOIN statements.lines l ON l.id = m.line_id WHERE l.account_id = a.id), 0)
                   + coalesce((SELECT sum(l.amount) FROM statements.lines l
                                WHERE l.account_id = a.id AND l.state = 'booked'), 0)
                   + coalesce((SELECT sum(v.amount) FROM moved v
                                WHERE (v.tenant_id, v.bank, v.asset) = (a.tenant_id, a.bank, a.asset)
                                  AND NOT EXISTS (SELECT FROM statements.matches m WHERE m.transit_id = v.id)), 0)
                   AS amount
              FROM statements.accounts a
        )
        SELECT 'nostro_is_explained', e.id::text,
               'the books say ' || n.debits_posted - n.credits_posted || ', and explained is ' || e.amount
          FROM explained e JOIN ledger.accounts n ON n.id = e.id
         WHERE n.debits_posted - n.credits_posted <> e.amount
         UNION ALL
        SELECT 'lines_sum_up', s.id::text, 'its lines are not what its balance changed by'
          FROM statements.statements s
         WHERE s.closing - s.opening
               <> coalesce((SELECT sum(l.amount) FROM statements.lines l WHERE l.statement_id = s.id), 0)
         UNION ALL
        SELECT 'statements_follow', s.id::text, 'it does not open with what the one before closed with'
          FROM (SELECT id, opening, lag(closing) OVER (PARTITION BY account_id ORDER BY place) AS before
                  FROM statements.statements WHERE kind = 'statement') s
         WHERE s.opening <> s.before
         UNION ALL
        SELECT 'matched_to_as_much', l.id::text, 'a line is another amount than what it is matched to'
          FROM statements.lines l
          LEFT JOIN statements.matches m ON m.line_id = l.id
         GROUP BY l.id
        HAVING l.amount <> coalesce(sum(m.amount), 0) AND (l.state = 'matched' OR count(m.*) > 0)
         UNION ALL
        SELECT 'matched_to_what_moved', m.transit_id::text, 'a line is matched to what did not move, or moved otherwise'
          FROM statements.matches m
          LEFT JOIN moved v ON v.id = m.transit_id
         WHERE m.amount IS DISTINCT FROM v.amount
         LIMIT 1000
        """
    )
    return [Finding("statements", *row.values()) for row in [*rows, *await _cases(connection)]]


async def _cases(connection: Connection) -> Sequence[Row]:
    """What became of what is not explained: each line has its case, each case its money, each closed day its report."""
    return await connection.fetch(
        """
        SELECT 'what_is_not_matched_has_a_case', l.id::text, 'a line is ' || l.state || ', and no case is open'
          FROM statements.lines l
         WHERE l.state IN ('booked', 'held')
           AND NOT EXISTS (
               SELECT FROM statements.cases c LEFT JOIN statements.closed_by_hand h ON h.case_id = c.id
                WHERE c.line_id = l.id AND (c.resolved_at IS NULL OR h.case_id IS NOT NULL)
           )
         UNION ALL
        SELECT 'what_was_handed_out_has_its_transfer', coalesce(c.id, t.id)::text,
               'case or transfer is missing, or they differ'
          FROM (SELECT c.id, h.handed_id, c.tenant_id, a.asset, a.suspense_id FROM statements.closed_by_hand h
                  JOIN statements.cases c ON c.id = h.case_id
                  JOIN statements.accounts a ON a.id = c.account_id WHERE h.handed_id IS NOT NULL) c
          FULL JOIN (SELECT * FROM ledger.transfers WHERE code = 'case_closed') t ON t.id = c.handed_id
         WHERE (c.tenant_id, c.asset) IS DISTINCT FROM (t.tenant_id, t.asset)
            OR c.suspense_id NOT IN (t.debit_id, t.credit_id)
         UNION ALL
        SELECT 'a_closed_day_stays', c.day::text || '/' || a.bank || '/' || a.asset,
               'its report says ' || told.closing || ', and the statements ' || s.closing
          FROM statements.closes c
         CROSS JOIN LATERAL jsonb_to_recordset(c.report::jsonb -> 'accounts')
               AS told (bank text, asset text, closing bigint)
          JOIN statements.accounts a ON (a.tenant_id, a.bank, a.asset) = (c.tenant_id, told.bank, told.asset)
         CROSS JOIN LATERAL (
               SELECT closing FROM statements.statements s
                WHERE s.account_id = a.id AND s.kind = 'statement'
                  AND ((s.until - interval '1 microsecond') AT TIME ZONE 'UTC')::date <= c.day
                ORDER BY place DESC LIMIT 1) s
         WHERE told.closing <> s.closing
         LIMIT 1000
        """
    )
