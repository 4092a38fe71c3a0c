"""The closed list of reasons: why a payment did not complete, or a request was not accepted.

One word, one meaning, for ever. Each has a page in both languages (`api/texts/reasons.toml`, served
at `/problems/{reason}`), and a test fails when one has none or is never produced.
"""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    # A request that is not accepted.
    invalid = "invalid"
    not_found = "not_found"
    key_reused = "key_reused"
    unauthenticated = "unauthenticated"
    forbidden = "forbidden"
    quota_exceeded = "quota_exceeded"
    in_line = "in_line"
    line_full = "line_full"
    payee_crowded = "payee_crowded"
    deadline_unreachable = "deadline_unreachable"
    ledger_unavailable = "ledger_unavailable"
    our_mistake = "our_mistake"

    # The state forbids it now.
    handle_taken = "handle_taken"
    identity_unavailable = "identity_unavailable"
    payment_not_cancellable = "payment_not_cancellable"
    payment_not_refundable = "payment_not_refundable"
    request_not_open = "request_not_open"
    account_not_empty = "account_not_empty"
    account_closed = "account_closed"
    verification_not_open = "verification_not_open"
    verification_amount_wrong = "verification_amount_wrong"

    # A payment or refund that was declined: the payer's matter.
    insufficient_funds = "insufficient_funds"
    payer_account_frozen = "payer_account_frozen"
    payer_account_closed = "payer_account_closed"

    # The payee's matter.
    payee_account_frozen = "payee_account_frozen"
    payee_account_closed = "payee_account_closed"
    payee_balance_limit = "payee_balance_limit"

    # Limits.
    limit_per_payment = "limit_per_payment"
    limit_per_day = "limit_per_day"
    limit_per_month = "limit_per_month"
    bank_account_unverified = "bank_account_unverified"

    # Refunds.
    refund_exceeds_payment = "refund_exceeds_payment"

    # A queued payment whose promised time passed before its turn came.
    promise_missed = "promise_missed"

    # A top-up or payout that was declined: the wallet's matter.
    wallet_frozen = "wallet_frozen"
    wallet_closed = "wallet_closed"
    wallet_full = "wallet_full"

    # The customer's account at the bank.
    bank_insufficient_funds = "bank_insufficient_funds"
    bank_account_closed = "bank_account_closed"
    bank_account_unknown = "bank_account_unknown"
    bank_name_mismatch = "bank_name_mismatch"

    # The bank's matter.
    bank_limit = "bank_limit"
    bank_refused = "bank_refused"
    bank_unavailable = "bank_unavailable"

    # A top-up or payout that was reversed, because the bank did not say in time what became of it.
    bank_no_answer = "bank_no_answer"
