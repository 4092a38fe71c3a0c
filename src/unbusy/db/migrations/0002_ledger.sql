-- The books: accounts and what moved between them. What is posted is never changed.

CREATE SCHEMA ledger;
COMMENT ON SCHEMA ledger IS 'Accounts, transfers, holds: the truth about money.';
GRANT USAGE ON SCHEMA ledger TO unbusy_app;

CREATE TABLE ledger.assets (
    code  text    NOT NULL,
    scale integer NOT NULL,
    CONSTRAINT assets_pkey PRIMARY KEY (code),
    CONSTRAINT code_is_capitals_and_digits CHECK (code ~ '^[A-Z][A-Z0-9]{2,11}$'),
    CONSTRAINT scale_is_sensible CHECK (scale BETWEEN 0 AND 18)
);
COMMENT ON TABLE ledger.assets IS
    'What can be counted, and how many decimals its smallest unit has. Never changes, for amounts would change with it.';
GRANT SELECT, INSERT ON ledger.assets TO unbusy_app;

-- No index but the two that never change with a posting: then an update writes no index at all
-- (HOT), and the free 30 % of each page takes the new version of the row.
CREATE TABLE ledger.accounts (
    id             uuid        NOT NULL,
    tenant_id      integer     NOT NULL,
    owner_id       uuid,
    asset          text        NOT NULL,
    code           text        NOT NULL,
    state          text        NOT NULL DEFAULT 'open',
    floor          bigint,
    ceiling        bigint,
    debits_posted  bigint      NOT NULL DEFAULT 0,
    credits_posted bigint      NOT NULL DEFAULT 0,
    debits_pending bigint      NOT NULL DEFAULT 0,
    credits_pending bigint     NOT NULL DEFAULT 0,
    running_number bigint      NOT NULL DEFAULT 0,
    posted_at      timestamptz,
    CONSTRAINT accounts_pkey PRIMARY KEY (id),
    CONSTRAINT tenant_exists FOREIGN KEY (tenant_id) REFERENCES tenants.tenants (id),
    CONSTRAINT asset_is_registered FOREIGN KEY (asset) REFERENCES ledger.assets (code),
    CONSTRAINT code_is_short CHECK (octet_length(code) BETWEEN 1 AND 32),
    CONSTRAINT state_is_known CHECK (state IN ('open', 'frozen', 'closed')),
    CONSTRAINT counters_are_not_negative CHECK (debits_posted >= 0 AND credits_posted >= 0),
    CONSTRAINT pending_is_not_negative CHECK (debits_pending >= 0 AND credits_pending >= 0),
    -- Leaves room for every sum below, and for a floor or ceiling of 10^18 on top.
    CONSTRAINT counters_do_not_overflow CHECK (
        debits_posted <= 8000000000000000000 - debits_pending
        AND credits_posted <= 8000000000000000000 - credits_pending
    ),
    CONSTRAINT limits_are_in_range CHECK (
        floor BETWEEN -1000000000000000000 AND 1000000000000000000
        AND ceiling BETWEEN -1000000000000000000 AND 1000000000000000000
    ),
    CONSTRAINT floor_is_kept CHECK (credits_posted - debits_posted - debits_pending >= floor),
    CONSTRAINT ceiling_is_kept CHECK (credits_posted - debits_posted + credits_pending <= ceiling),
    CONSTRAINT closed_is_empty CHECK (
        state <> 'closed' OR (credits_posted = debits_posted AND debits_pending = 0 AND credits_pending = 0)
    )
) WITH (
    fillfactor = 70,
    -- A busy account leaves a dead row behind with every batch: clean up early and without pauses.
    autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_scale_factor = 0.01,
    autovacuum_analyze_threshold = 1000,
    autovacuum_vacuum_cost_delay = 0
);
COMMENT ON TABLE ledger.accounts IS
    'One asset of one owner, or the other side of it. posted = credits − debits; available = posted − debits_pending − floor.';
COMMENT ON COLUMN ledger.accounts.running_number IS 'How many transfers touched this account; the number of the newest.';
COMMENT ON COLUMN ledger.accounts.posted_at IS 'Time of the newest transfer. The next one is never earlier.';
CREATE UNIQUE INDEX an_owner_has_one_account_of_each ON ledger.accounts (tenant_id, owner_id, asset, code)
    WHERE owner_id IS NOT NULL;
GRANT SELECT, INSERT ON ledger.accounts TO unbusy_app;
GRANT UPDATE (
    state, floor, ceiling, debits_posted, credits_posted, debits_pending, credits_pending, running_number, posted_at
) ON ledger.accounts TO unbusy_app;

-- No foreign keys: a check of two accounts per row would cost more than the row, and the engine
-- holds both locked when it writes. `unbusy check` proves what the keys would.
CREATE TABLE ledger.transfers (
    id               uuid        NOT NULL,
    posted_at        timestamptz NOT NULL,
    debit_number     bigint      NOT NULL,
    credit_number    bigint      NOT NULL,
    debit_id         uuid        NOT NULL,
    credit_id        uuid        NOT NULL,
    amount           bigint      NOT NULL,
    requested        bigint      NOT NULL,
    debit_balance    bigint      NOT NULL,
    credit_balance   bigint      NOT NULL,
    debit_available  bigint,
    credit_available bigint,
    tenant_id        integer     NOT NULL,
    linked           boolean     NOT NULL,
    up_to            boolean     NOT NULL,
    kind             text        NOT NULL,
    code             text        NOT NULL,
    asset            text        NOT NULL,
    hold_id          uuid,
    expires_at       timestamptz,
    CONSTRAINT transfers_pkey PRIMARY KEY (id),
    CONSTRAINT kind_is_known CHECK (kind IN ('post', 'hold', 'capture', 'void', 'expire')),
    CONSTRAINT amount_is_positive CHECK (amount > 0 AND amount <= 1000000000000000000),
    CONSTRAINT accounts_differ CHECK (debit_id <> credit_id),
    CONSTRAINT code_is_short CHECK (octet_length(code) BETWEEN 1 AND 32),
    CONSTRAINT only_the_end_of_a_hold_names_it CHECK ((kind IN ('post', 'hold')) = (hold_id IS NULL)),
    CONSTRAINT only_holds_expire CHECK (expires_at IS NULL OR kind = 'hold')
) WITH (
    -- Only ever appended to: vacuum has nothing to clean, but must freeze and keep the map of
    -- visible pages so that statements stay index scans.
    autovacuum_vacuum_insert_scale_factor = 0.05,
    autovacuum_vacuum_insert_threshold = 100000
);
COMMENT ON TABLE ledger.transfers IS
    'One debit and one credit, never changed: with both accounts'' running number, balance and available amount after it.';
COMMENT ON COLUMN ledger.transfers.requested IS 'The amount asked for; `amount` is what moved.';
CREATE UNIQUE INDEX a_debit_has_its_own_number ON ledger.transfers (debit_id, debit_number);
CREATE UNIQUE INDEX a_credit_has_its_own_number ON ledger.transfers (credit_id, credit_number);
GRANT SELECT, INSERT ON ledger.transfers TO unbusy_app;

-- What the engine sends. Types of their own and not the tables' row types, so that a column added
-- later changes nothing for the programs that are still running.
CREATE TYPE ledger.account_change AS (
    id              uuid,
    debits_posted   bigint,
    credits_posted  bigint,
    debits_pending  bigint,
    credits_pending bigint,
    running_number  bigint
);
COMMENT ON TYPE ledger.account_change IS 'Where an account stands after a batch.';
CREATE TYPE ledger.new_transfer AS (
    id               uuid,
    debit_number     bigint,
    credit_number    bigint,
    debit_id         uuid,
    credit_id        uuid,
    amount           bigint,
    requested        bigint,
    debit_balance    bigint,
    credit_balance   bigint,
    debit_available  bigint,
    credit_available bigint,
    tenant_id        integer,
    linked           boolean,
    up_to            boolean,
    kind             text,
    code             text,
    asset            text,
    hold_id          uuid,
    expires_at       timestamptz
);
COMMENT ON TYPE ledger.new_transfer IS 'A row of ledger.transfers without the time, which the whole batch shares.';

CREATE FUNCTION ledger.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'what is in ledger.% is never changed; post the opposite transfer', TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation';
END
$$;
COMMENT ON FUNCTION ledger.refuse_change() IS 'Stands in the way of everybody, the superuser included.';
CREATE TRIGGER transfers_are_never_changed BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.transfers
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();

CREATE TABLE ledger.holds (
    id         uuid        NOT NULL,
    tenant_id  integer     NOT NULL,
    debit_id   uuid        NOT NULL,
    credit_id  uuid        NOT NULL,
    asset      text        NOT NULL,
    amount     bigint      NOT NULL,
    captured   bigint      NOT NULL DEFAULT 0,
    state      text        NOT NULL DEFAULT 'open',
    expires_at timestamptz,
    CONSTRAINT holds_pkey PRIMARY KEY (id),
    CONSTRAINT state_is_known CHECK (state IN ('open', 'captured', 'voided', 'expired')),
    CONSTRAINT amount_is_positive CHECK (amount > 0),
    CONSTRAINT captured_is_within_the_hold CHECK (captured BETWEEN 0 AND amount),
    CONSTRAINT only_a_capture_captures CHECK ((captured > 0) = (state = 'captured'))
) WITH (fillfactor = 80);
COMMENT ON TABLE ledger.holds IS
    'What became of a hold: the one part of a transfer that may change. Its id is the transfer''s.';
CREATE INDEX holds_that_will_expire ON ledger.holds (expires_at) WHERE state = 'open';
GRANT SELECT, INSERT ON ledger.holds TO unbusy_app;
GRANT UPDATE (state, captured) ON ledger.holds TO unbusy_app;

-- The request as it came, so that a later one under the same id can be told what differs.
CREATE TABLE ledger.refusals (
    id         uuid        NOT NULL,
    refused_at timestamptz NOT NULL,
    refusal    text        NOT NULL,
    kind       text        NOT NULL,
    tenant_id  integer     NOT NULL,
    debit_id   uuid,
    credit_id  uuid,
    amount     bigint      NOT NULL,
    asset      text        NOT NULL,
    code       text        NOT NULL,
    hold_id    uuid,
    expires_at timestamptz,
    linked     boolean     NOT NULL,
    up_to      boolean     NOT NULL,
    CONSTRAINT refusals_pkey PRIMARY KEY (id)
);
COMMENT ON TABLE ledger.refusals IS
    'Transfers that were refused for the state the books were in. The answer stays, so that no late retry moves money.';
GRANT SELECT, INSERT ON ledger.refusals TO unbusy_app;
CREATE TRIGGER refusals_are_never_changed BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.refusals
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();
