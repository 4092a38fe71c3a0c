-- Bank accounts that proved to be their owner's; and payments for which money is pulled from one first.

ALTER TABLE transits.bank_accounts ADD COLUMN verified_at timestamptz;
COMMENT ON COLUMN transits.bank_accounts.verified_at IS
    'When its owner told the amount that had been sent there; until then little may be moved with it.';
GRANT UPDATE (verified_at) ON transits.bank_accounts TO unbusy_app;

ALTER TABLE transits.transits
    ADD COLUMN payment_id      uuid,
    ADD COLUMN is_verification boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN transits.transits.payment_id IS
    'The payment that waits for this top-up. Emptied once it waits no more: until then what came in is held for it.';
COMMENT ON COLUMN transits.transits.is_verification IS
    'A tiny amount of the house''s own, sent to see who can tell it. Its person sees nothing of it here.';
ALTER TABLE transits.transits
    ADD CONSTRAINT only_a_pull_is_for_a_payment CHECK (payment_id IS NULL OR direction = 'pull') NOT VALID,
    ADD CONSTRAINT only_a_push_verifies CHECK (NOT is_verification OR direction = 'push') NOT VALID;
CREATE INDEX transits_that_a_payment_waited_for ON transits.transits (id)
    WHERE payment_id IS NOT NULL AND status NOT IN ('pending', 'unknown');
CREATE INDEX transits_that_a_payment_waits_for ON transits.transits (resolve_by) WHERE payment_id IS NOT NULL;
GRANT UPDATE (payment_id) ON transits.transits TO unbusy_app;

-- `pending`: a bank is asked for what the wallet is short of.
ALTER TABLE payments.payments
    -- squawk-ignore ban-drop-constraint
    DROP CONSTRAINT status_is_known,
    -- squawk-ignore ban-drop-constraint
    DROP CONSTRAINT queued_has_a_promise;
ALTER TABLE payments.payments
    ADD CONSTRAINT status_is_known
        CHECK (status IN ('completed', 'declined', 'queued', 'pending', 'cancelled', 'expired')) NOT VALID,
    ADD CONSTRAINT what_is_open_has_an_end
        CHECK (status NOT IN ('queued', 'pending') OR finish_by IS NOT NULL) NOT VALID;

CREATE SCHEMA verification;
COMMENT ON SCHEMA verification IS 'Whether bank accounts are their owners'': names asked for, and tiny amounts sent.';
GRANT USAGE ON SCHEMA verification TO unbusy_app;

CREATE TABLE verification.names (
    id         uuid        NOT NULL,
    tenant_id  integer     NOT NULL REFERENCES tenants.tenants,
    person_id  uuid        NOT NULL,
    bank       text        NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT names_pkey PRIMARY KEY (id)
);
COMMENT ON TABLE verification.names IS
    'That a bank was asked for the name of an account''s holder, and by whom: so many times a day, and not of whom.';
CREATE INDEX names_asked_lately ON verification.names (person_id, created_at);
GRANT SELECT, INSERT ON verification.names TO unbusy_app;

CREATE TABLE verification.verifications (
    id              uuid        NOT NULL,
    tenant_id       integer     NOT NULL REFERENCES tenants.tenants,
    person_id       uuid        NOT NULL,
    bank_account_id uuid        NOT NULL REFERENCES transits.bank_accounts,
    transit_id      uuid        NOT NULL REFERENCES transits.transits,
    wrong           integer     NOT NULL DEFAULT 0,
    expires_at      timestamptz NOT NULL,
    ended_at        timestamptz,
    is_right        boolean     NOT NULL DEFAULT false,
    created_at      timestamptz NOT NULL,
    CONSTRAINT verifications_pkey PRIMARY KEY (id),
    CONSTRAINT an_amount_verifies_once UNIQUE (transit_id),
    CONSTRAINT tries_are_limited CHECK (wrong BETWEEN 0 AND 3),
    CONSTRAINT tried_out_is_over CHECK (wrong < 3 OR ended_at IS NOT NULL),
    CONSTRAINT right_is_over CHECK (NOT is_right OR ended_at IS NOT NULL),
    CONSTRAINT expires_after_it_was_made CHECK (expires_at > created_at)
);
COMMENT ON TABLE verification.verifications IS
    'A tiny amount, sent to a bank account for its owner to tell. The amount is its transit''s.';
CREATE UNIQUE INDEX an_account_is_verified_in_one_way_at_once ON verification.verifications (bank_account_id)
    WHERE ended_at IS NULL;
CREATE INDEX verifications_begun_lately ON verification.verifications (person_id, created_at);
GRANT SELECT, INSERT ON verification.verifications TO unbusy_app;
GRANT UPDATE (wrong, ended_at, is_right) ON verification.verifications TO unbusy_app;

CREATE SCHEMA funding;
COMMENT ON SCHEMA funding IS 'Payments for which money is pulled from a bank account first.';
GRANT USAGE ON SCHEMA funding TO unbusy_app;

-- Bank account and payout have no foreign keys: nobody asks by them, and nothing of theirs is ever erased.
CREATE TABLE funding.fundings (
    payment_id      uuid        NOT NULL REFERENCES payments.payments,
    tenant_id       integer     NOT NULL REFERENCES tenants.tenants,
    person_id       uuid        NOT NULL,
    transit_id      uuid        NOT NULL REFERENCES transits.transits,
    bank_account_id uuid        NOT NULL,
    amount          bigint      NOT NULL,
    own             bigint      NOT NULL,
    payout_id       uuid,
    ended_at        timestamptz,
    CONSTRAINT fundings_pkey PRIMARY KEY (payment_id),
    CONSTRAINT a_transit_funds_one_payment UNIQUE (transit_id),
    CONSTRAINT something_was_missing CHECK (amount > 0),
    CONSTRAINT own_is_not_negative CHECK (own >= 0),
    CONSTRAINT given_back_at_the_end CHECK (payout_id IS NULL OR ended_at IS NOT NULL)
);
COMMENT ON TABLE funding.fundings IS
    'What is pulled for a payment (`amount`), what of the wallet''s own is held for it meanwhile, and the payout that '
    'gives it back when the payment could not be made.';
GRANT SELECT, INSERT ON funding.fundings TO unbusy_app;
GRANT UPDATE (payout_id, ended_at) ON funding.fundings TO unbusy_app;
