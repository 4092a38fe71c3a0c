"""What must never be false in the books, as the SQL that finds where it is.

Every query answers (rule, subject, what is wrong) and reads whole tables at once: a few million
transfers take seconds. The subject is an account, a transfer or a hold by its id, or an asset.
"""

from __future__ import annotations

from typing import LiteralString

# Of each proof, so that books broken everywhere still give an answer a person can read.
MAX_FINDINGS = 1_000

PROOFS: tuple[LiteralString, ...] = (
    # Each transfer is a line of two accounts' statements. Read in the order of an account's own
    # numbers, every line must follow from the one before it: one sort of all lines proves it.
    """
    WITH lines AS (
        SELECT debit_id AS account_id, debit_number AS number, id, posted_at, debit_balance AS balance,
               CASE WHEN kind IN ('post', 'capture') THEN -amount ELSE 0 END AS change
          FROM ledger.transfers
         UNION ALL
        SELECT credit_id, credit_number, id, posted_at, credit_balance,
               CASE WHEN kind IN ('post', 'capture') THEN amount ELSE 0 END
          FROM ledger.transfers
    ), steps AS (
        SELECT *, lag(number, 1, 0::bigint) OVER statement AS number_before,
               lag(balance, 1, 0::bigint) OVER statement AS balance_before,
               lag(posted_at, 1, posted_at) OVER statement AS posted_at_before
          FROM lines WINDOW statement AS (PARTITION BY account_id ORDER BY number)
    )
    SELECT broken.rule, id, format('account %s, number %s: %s', account_id, number, broken.detail)
      FROM steps
     CROSS JOIN LATERAL (VALUES
           ('running_numbers_have_no_gap', number <> number_before + 1,
            format('comes after %s', number_before)),
           ('balances_follow_transfers', balance <> balance_before::numeric + change,
            format('%s and %s do not give %s', balance_before, change, balance)),
           ('time_never_runs_backwards', posted_at < posted_at_before,
            format('at %s, after one at %s', posted_at, posted_at_before))
           ) broken (rule, is_broken, detail)
     WHERE (number <> number_before + 1 OR balance <> balance_before::numeric + change OR posted_at < posted_at_before)
       AND broken.is_broken
    """,
    """
    WITH sides AS (
        SELECT debit_id AS account_id, kind, posted_at, amount AS debit, 0::bigint AS credit FROM ledger.transfers
         UNION ALL
        SELECT credit_id, kind, posted_at, 0, amount FROM ledger.transfers
    ), sums AS (
        SELECT account_id, count(*) AS transfers, max(posted_at) AS newest,
               sum(debit) FILTER (WHERE kind IN ('post', 'capture')) AS debits,
               sum(credit) FILTER (WHERE kind IN ('post', 'capture')) AS credits
          FROM sides GROUP BY account_id
    ), compared AS (
        SELECT id, debits_posted, coalesce(debits, 0) AS debits, credits_posted, coalesce(credits, 0) AS credits,
               running_number, coalesce(transfers, 0) AS transfers, posted_at, newest
          FROM ledger.accounts LEFT JOIN sums ON account_id = id
    )
    SELECT 'counters_equal_transfers', id,
           format('posted %s debits and %s credits, %s transfers up to %s; the transfers say %s, %s, %s and %s',
                  debits_posted, credits_posted, running_number, posted_at, debits, credits, transfers, newest)
      FROM compared
     WHERE (debits_posted, credits_posted, running_number, posted_at)
           IS DISTINCT FROM (debits, credits, transfers, newest)
    """,
    """
    SELECT broken.rule, id, broken.detail
      FROM ledger.accounts
     CROSS JOIN LATERAL (SELECT credits_posted - debits_posted AS posted) balance
     CROSS JOIN LATERAL (VALUES
           ('floor_is_kept', posted - debits_pending < floor,
            format('%s posted and %s held, its floor is %s', posted, debits_pending, floor)),
           ('ceiling_is_kept', posted + credits_pending > ceiling,
            format('%s posted and %s to come, its ceiling is %s', posted, credits_pending, ceiling)),
           ('closed_is_empty', state = 'closed' AND (posted <> 0 OR debits_pending <> 0 OR credits_pending <> 0),
            format('%s posted, %s held, %s to come', posted, debits_pending, credits_pending))
           ) broken (rule, is_broken, detail)
     WHERE broken.is_broken
    """,
    """
    SELECT 'assets_sum_to_zero', format('tenant %s, %s', tenant_id, asset),
           format('all balances together are %s, all pending %s', posted, pending)
      FROM (SELECT tenant_id, asset, sum(credits_posted) - sum(debits_posted) AS posted,
                   sum(credits_pending) - sum(debits_pending) AS pending
              FROM ledger.accounts GROUP BY tenant_id, asset) sums
     WHERE posted <> 0 OR pending <> 0
    """,
    """
    WITH sides AS (
        SELECT debit_id AS account_id, amount AS debit, 0::bigint AS credit FROM ledger.holds WHERE state = 'open'
         UNION ALL
        SELECT credit_id, 0, amount FROM ledger.holds WHERE state = 'open'
    ), sums AS (
        SELECT account_id, sum(debit) AS debits, sum(credit) AS credits FROM sides GROUP BY account_id
    ), compared AS (
        SELECT id, debits_pending, coalesce(debits, 0) AS debits, credits_pending, coalesce(credits, 0) AS credits
          FROM ledger.accounts LEFT JOIN sums ON account_id = id
    )
    SELECT 'pending_equals_open_holds', id,
           format('pending %s debits and %s credits; the open holds say %s and %s',
                  debits_pending, credits_pending, debits, credits)
      FROM compared WHERE (debits_pending, credits_pending) IS DISTINCT FROM (debits, credits)
    """,
    """
    SELECT 'holds_and_their_transfers_agree', coalesce(h.id, t.id),
           CASE WHEN t.id IS NULL THEN 'a hold without its transfer'
                WHEN h.id IS NULL THEN 'a transfer without its hold'
                ELSE 'hold and transfer differ' END
      FROM ledger.holds h
      FULL JOIN (SELECT * FROM ledger.transfers WHERE kind = 'hold') t ON t.id = h.id
     WHERE (h.tenant_id, h.debit_id, h.credit_id, h.asset, h.amount, h.expires_at)
           IS DISTINCT FROM (t.tenant_id, t.debit_id, t.credit_id, t.asset, t.amount, t.expires_at)
    """,
    """
    WITH ends AS (
        SELECT hold_id, count(*) AS times, min(kind) AS kind,
               coalesce(sum(amount) FILTER (WHERE kind = 'capture'), 0) AS captured
          FROM ledger.transfers WHERE hold_id IS NOT NULL GROUP BY hold_id
    ), compared AS (
        SELECT coalesce(h.id, e.hold_id) AS id, h.amount, h.state, coalesce(h.captured, 0) AS captured,
               CASE e.kind WHEN 'capture' THEN 'captured' WHEN 'void' THEN 'voided'
                           WHEN 'expire' THEN 'expired' ELSE 'open' END AS state_by_transfers,
               coalesce(e.captured, 0) AS captured_by_transfers, coalesce(e.times, 0) AS times
          FROM ledger.holds h FULL JOIN ends e ON e.hold_id = h.id
    )
    SELECT broken.rule, id, broken.detail
      FROM compared
     CROSS JOIN LATERAL (VALUES
           ('holds_end_as_their_transfers_say',
            times > 1 OR (state, captured) IS DISTINCT FROM (state_by_transfers, captured_by_transfers),
            format('%s, captured %s; ended %s times, %s, captured %s',
                   state, captured, times, state_by_transfers, captured_by_transfers)),
           ('captures_stay_within_their_hold', captured_by_transfers > amount,
            format('%s held, %s captured', amount, captured_by_transfers))
           ) broken (rule, is_broken, detail)
     WHERE broken.is_broken
    """,
    """
    SELECT broken.rule, t.id, broken.detail
      FROM ledger.transfers t
      LEFT JOIN ledger.accounts d ON d.id = t.debit_id
      LEFT JOIN ledger.accounts c ON c.id = t.credit_id
     CROSS JOIN LATERAL (VALUES
           ('transfers_have_their_accounts', d.id IS NULL OR c.id IS NULL,
            concat('there is no account ', CASE WHEN d.id IS NULL THEN t.debit_id ELSE t.credit_id END)),
           ('transfers_stay_within_their_tenant', t.tenant_id <> d.tenant_id OR t.tenant_id <> c.tenant_id,
            format('tenant %s, from an account of %s to one of %s', t.tenant_id, d.tenant_id, c.tenant_id)),
           ('transfers_stay_within_their_asset', t.asset <> d.asset OR t.asset <> c.asset,
            format('%s, from an account in %s to one in %s', t.asset, d.asset, c.asset))
           ) broken (rule, is_broken, detail)
     WHERE (d.id IS NULL OR c.id IS NULL OR t.tenant_id <> d.tenant_id OR t.tenant_id <> c.tenant_id
            OR t.asset <> d.asset OR t.asset <> c.asset)
       AND broken.is_broken
    """,
)
