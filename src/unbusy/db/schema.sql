-- The whole database on one page, made by `make docs` from a freshly migrated one.
-- For reading only: what runs are the files in migrations/.


-- banks -------------------------------------------------------------------------------------------

CREATE SCHEMA banks;
COMMENT ON SCHEMA banks IS 'The banks as all workers together know them.';
GRANT USAGE ON SCHEMA banks TO unbusy_app;

CREATE TABLE banks.paces (
    bank text NOT NULL,
    free_at timestamptz NOT NULL
)
WITH (fillfactor='50');
COMMENT ON TABLE banks.paces IS 'When the next call to a bank may begin; the calls before are taken. One row for all workers.';
ALTER TABLE banks.paces ADD CONSTRAINT paces_pkey PRIMARY KEY (bank);
GRANT SELECT,INSERT,UPDATE ON TABLE banks.paces TO unbusy_app;

CREATE TABLE banks.pulses (
    bank text NOT NULL,
    operation text NOT NULL,
    condition text NOT NULL,
    since timestamptz NOT NULL,
    p50_ms integer,
    last_good timestamptz,
    told_at timestamptz NOT NULL,
    CONSTRAINT condition_is_known CHECK ((condition = ANY (ARRAY['operational'::text, 'degraded'::text, 'maintenance'::text, 'down'::text]))),
    CONSTRAINT latency_is_a_time CHECK ((p50_ms >= 0)),
    CONSTRAINT operation_is_known CHECK ((operation = ANY (ARRAY['send_pull'::text, 'send_push'::text, 'enquire'::text]))),
    CONSTRAINT since_before_it_was_told CHECK ((since <= told_at))
)
WITH (fillfactor='50');
COMMENT ON TABLE banks.pulses IS 'How each operation of a bank fares, told by the workers about once a second. Old rows say that no worker looks.';
COMMENT ON COLUMN banks.pulses.since IS 'Since when it has been in this condition.';
COMMENT ON COLUMN banks.pulses.p50_ms IS 'The median of what answers took lately, in milliseconds.';
ALTER TABLE banks.pulses ADD CONSTRAINT pulses_pkey PRIMARY KEY (bank, operation);
GRANT SELECT,INSERT,UPDATE ON TABLE banks.pulses TO unbusy_app;


-- batches -----------------------------------------------------------------------------------------

CREATE SCHEMA batches;
COMMENT ON SCHEMA batches IS 'Files of payments that merchants send in one go, and what became of each row.';
GRANT USAGE ON SCHEMA batches TO unbusy_app;

CREATE TABLE batches.batches (
    id uuid NOT NULL,
    tenant_id integer NOT NULL,
    payer_id uuid NOT NULL,
    key text NOT NULL,
    fingerprint bytea NOT NULL,
    accepted integer NOT NULL,
    refused integer NOT NULL,
    finish_by timestamptz,
    created_at timestamptz NOT NULL,
    CONSTRAINT key_is_short CHECK (((length(key) >= 1) AND (length(key) <= 64))),
    CONSTRAINT rows_are_counted CHECK (((accepted >= 0) AND (refused >= 0) AND ((accepted + refused) > 0)))
);
COMMENT ON TABLE batches.batches IS 'A file of payments: how many of its rows were taken, and by when the last of them was promised at first.';
ALTER TABLE batches.batches ADD CONSTRAINT a_key_makes_one_batch UNIQUE (payer_id, key);
ALTER TABLE batches.batches ADD CONSTRAINT batches_pkey PRIMARY KEY (id);
ALTER TABLE batches.batches ADD CONSTRAINT batches_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants.tenants(id);
GRANT SELECT,INSERT ON TABLE batches.batches TO unbusy_app;

CREATE TABLE batches.rows (
    batch_id uuid NOT NULL,
    line integer NOT NULL,
    tenant_id integer NOT NULL,
    key text,
    payment_id uuid,
    reason text,
    field text,
    detail text,
    CONSTRAINT line_is_counted_from_one CHECK ((line > 0)),
    CONSTRAINT refused_names_the_field CHECK ((((reason IS NULL) = (field IS NULL)) AND ((reason IS NULL) = (detail IS NULL)))),
    CONSTRAINT taken_or_told_why CHECK (((payment_id IS NULL) = (reason IS NOT NULL)))
);
COMMENT ON TABLE batches.rows IS 'A row of a batch: the payment it stands for, or why it was not taken. The same payment may stand in two batches.';
ALTER TABLE batches.rows ADD CONSTRAINT rows_pkey PRIMARY KEY (batch_id, line);
ALTER TABLE batches.rows ADD CONSTRAINT rows_batch_id_fkey FOREIGN KEY (batch_id) REFERENCES batches.batches(id);
GRANT SELECT,INSERT ON TABLE batches.rows TO unbusy_app;


-- funding -----------------------------------------------------------------------------------------

CREATE SCHEMA funding;
COMMENT ON SCHEMA funding IS 'Payments for which money is pulled from a bank account first.';
GRANT USAGE ON SCHEMA funding TO unbusy_app;

CREATE TABLE funding.fundings (
    payment_id uuid NOT NULL,
    tenant_id integer NOT NULL,
    person_id uuid NOT NULL,
    transit_id uuid NOT NULL,
    bank_account_id uuid NOT NULL,
    amount bigint NOT NULL,
    own bigint NOT NULL,
    payout_id uuid,
    ended_at timestamptz,
    CONSTRAINT given_back_at_the_end CHECK (((payout_id IS NULL) OR (ended_at IS NOT NULL))),
    CONSTRAINT own_is_not_negative CHECK ((own >= 0)),
    CONSTRAINT something_was_missing CHECK ((amount > 0))
);
COMMENT ON TABLE funding.fundings IS 'What is pulled for a payment (`amount`), what of the wallet''s own is held for it meanwhile, and the payout that gives it back when the payment could not be made.';
ALTER TABLE funding.fundings ADD CONSTRAINT a_transit_funds_one_payment UNIQUE (transit_id);
ALTER TABLE funding.fundings ADD CONSTRAINT fundings_pkey PRIMARY KEY (payment_id);
ALTER TABLE funding.fundings ADD CONSTRAINT fundings_payment_id_fkey FOREIGN KEY (payment_id) REFERENCES payments.payments(id);
ALTER TABLE funding.fundings ADD CONSTRAINT fundings_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants.tenants(id);
ALTER TABLE funding.fundings ADD CONSTRAINT fundings_transit_id_fkey FOREIGN KEY (transit_id) REFERENCES transits.transits(id);
GRANT SELECT,INSERT ON TABLE funding.fundings TO unbusy_app;
GRANT UPDATE(payout_id) ON TABLE funding.fundings TO unbusy_app;
GRANT UPDATE(ended_at) ON TABLE funding.fundings TO unbusy_app;


-- ledger ------------------------------------------------------------------------------------------

CREATE SCHEMA ledger;
COMMENT ON SCHEMA ledger IS 'Accounts, transfers, holds: the truth about money.';
GRANT USAGE ON SCHEMA ledger TO unbusy_app;

CREATE TYPE ledger.account_change AS (
	id uuid,
	debits_posted bigint,
	credits_posted bigint,
	debits_pending bigint,
	credits_pending bigint,
	running_number bigint
);
COMMENT ON TYPE ledger.account_change IS 'Where an account stands after a batch.';

CREATE TYPE ledger.new_transfer AS (
	id uuid,
	debit_number bigint,
	credit_number bigint,
	debit_id uuid,
	credit_id uuid,
	amount bigint,
	requested bigint,
	debit_balance bigint,
	credit_balance bigint,
	debit_available bigint,
	credit_available bigint,
	tenant_id integer,
	linked boolean,
	up_to boolean,
	kind text,
	code text,
	asset text,
	hold_id uuid,
	expires_at timestamptz
);
COMMENT ON TYPE ledger.new_transfer IS 'A row of ledger.transfers without the time, which the whole batch shares.';

CREATE FUNCTION ledger.refuse_change() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    RAISE EXCEPTION 'what is in ledger.% is never changed; post the opposite transfer', TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation';
END
$$;
COMMENT ON FUNCTION ledger.refuse_change() IS 'Stands in the way of everybody, the superuser included.';

CREATE TABLE ledger.accounts (
    id uuid NOT NULL,
    tenant_id integer NOT NULL,
    owner_id uuid,
    asset text NOT NULL,
    code text NOT NULL,
    state text DEFAULT 'open'::text NOT NULL,
    floor bigint,
    ceiling bigint,
    debits_posted bigint DEFAULT 0 NOT NULL,
    credits_posted bigint DEFAULT 0 NOT NULL,
    debits_pending bigint DEFAULT 0 NOT NULL,
    credits_pending bigint DEFAULT 0 NOT NULL,
    running_number bigint DEFAULT 0 NOT NULL,
    posted_at timestamptz,
    CONSTRAINT ceiling_is_kept CHECK ((((credits_posted - debits_posted) + credits_pending) <= ceiling)),
    CONSTRAINT closed_is_empty CHECK (((state <> 'closed'::text) OR ((credits_posted = debits_posted) AND (debits_pending = 0) AND (credits_pending = 0)))),
    CONSTRAINT code_is_short CHECK (((octet_length(code) >= 1) AND (octet_length(code) <= 32))),
    CONSTRAINT counters_are_not_negative CHECK (((debits_posted >= 0) AND (credits_posted >= 0))),
    CONSTRAINT counters_do_not_overflow CHECK (((debits_posted <= ('8000000000000000000'::bigint - debits_pending)) AND (credits_posted <= ('8000000000000000000'::bigint - credits_pending)))),
    CONSTRAINT floor_is_kept CHECK ((((credits_posted - debits_posted) - debits_pending) >= floor)),
    CONSTRAINT limits_are_in_range CHECK ((((floor >= '-1000000000000000000'::bigint) AND (floor <= '1000000000000000000'::bigint)) AND ((ceiling >= '-1000000000000000000'::bigint) AND (ceiling <= '1000000000000000000'::bigint)))),
    CONSTRAINT pending_is_not_negative CHECK (((debits_pending >= 0) AND (credits_pending >= 0))),
    CONSTRAINT state_is_known CHECK ((state = ANY (ARRAY['open'::text, 'frozen'::text, 'closed'::text])))
)
WITH (autovacuum_vacuum_threshold='1000', autovacuum_vacuum_scale_factor='0.01', autovacuum_analyze_threshold='1000', autovacuum_vacuum_cost_delay='0', fillfactor='45');
COMMENT ON TABLE ledger.accounts IS 'One asset of one owner, or the other side of it. posted = credits − debits; available = posted − debits_pending − floor.';
COMMENT ON COLUMN ledger.accounts.running_number IS 'How many transfers touched this account; the number of the newest.';
COMMENT ON COLUMN ledger.accounts.posted_at IS 'Time of the newest transfer. The next one is never earlier.';
ALTER TABLE ledger.accounts ADD CONSTRAINT accounts_pkey PRIMARY KEY (id);
CREATE UNIQUE INDEX an_owner_has_one_account_of_each ON ledger.accounts USING btree (tenant_id, owner_id, asset, code) WHERE (owner_id IS NOT NULL);
ALTER TABLE ledger.accounts ADD CONSTRAINT asset_is_registered FOREIGN KEY (asset) REFERENCES ledger.assets(code);
ALTER TABLE ledger.accounts ADD CONSTRAINT tenant_exists FOREIGN KEY (tenant_id) REFERENCES tenants.tenants(id);
GRANT SELECT,INSERT ON TABLE ledger.accounts TO unbusy_app;
GRANT UPDATE(state) ON TABLE ledger.accounts TO unbusy_app;
GRANT UPDATE(floor) ON TABLE ledger.accounts TO unbusy_app;
GRANT UPDATE(ceiling) ON TABLE ledger.accounts TO unbusy_app;
GRANT UPDATE(debits_posted) ON TABLE ledger.accounts TO unbusy_app;
GRANT UPDATE(credits_posted) ON TABLE ledger.accounts TO unbusy_app;
GRANT UPDATE(debits_pending) ON TABLE ledger.accounts TO unbusy_app;
GRANT UPDATE(credits_pending) ON TABLE ledger.accounts TO unbusy_app;
GRANT UPDATE(running_number) ON TABLE ledger.accounts TO unbusy_app;
GRANT UPDATE(posted_at) ON TABLE ledger.accounts TO unbusy_app;

CREATE TABLE ledger.assets (
    code text NOT NULL,
    scale integer NOT NULL,
    CONSTRAINT code_is_capitals_and_digits CHECK ((code ~ '^[A-Z][A-Z0-9]{2,11}$'::text)),
    CONSTRAINT scale_is_sensible CHECK (((scale >= 0) AND (scale <= 18)))
);
COMMENT ON TABLE ledger.assets IS 'What can be counted, and how many decimals its smallest unit has. Never changes, for amounts would change with it.';
ALTER TABLE ledger.assets ADD CONSTRAINT assets_pkey PRIMARY KEY (code);
GRANT SELECT,INSERT ON TABLE ledger.assets TO unbusy_app;

CREATE TABLE ledger.holds (
    id uuid NOT NULL,
    tenant_id integer NOT NULL,
    debit_id uuid NOT NULL,
    credit_id uuid NOT NULL,
    asset text NOT NULL,
    amount bigint NOT NULL,
    captured bigint DEFAULT 0 NOT NULL,
    state text DEFAULT 'open'::text NOT NULL,
    expires_at timestamptz,
    CONSTRAINT amount_is_positive CHECK ((amount > 0)),
    CONSTRAINT captured_is_within_the_hold CHECK (((captured >= 0) AND (captured <= amount))),
    CONSTRAINT only_a_capture_captures CHECK (((captured > 0) = (state = 'captured'::text))),
    CONSTRAINT state_is_known CHECK ((state = ANY (ARRAY['open'::text, 'captured'::text, 'voided'::text, 'expired'::text])))
)
WITH (fillfactor='80');
COMMENT ON TABLE ledger.holds IS 'What became of a hold: the one part of a transfer that may change. Its id is the transfer''s.';
ALTER TABLE ledger.holds ADD CONSTRAINT holds_pkey PRIMARY KEY (id);
CREATE INDEX holds_that_will_expire ON ledger.holds USING btree (expires_at) WHERE (state = 'open'::text);
GRANT SELECT,INSERT ON TABLE ledger.holds TO unbusy_app;
GRANT UPDATE(captured) ON TABLE ledger.holds TO unbusy_app;
GRANT UPDATE(state) ON TABLE ledger.holds TO unbusy_app;

CREATE TABLE ledger.refusals (
    id uuid NOT NULL,
    refused_at timestamptz NOT NULL,
    refusal text NOT NULL,
    kind text NOT NULL,
    tenant_id integer NOT NULL,
    debit_id uuid,
    credit_id uuid,
    amount bigint NOT NULL,
    asset text NOT NULL,
    code text NOT NULL,
    hold_id uuid,
    expires_at timestamptz,
    linked boolean NOT NULL,
    up_to boolean NOT NULL
);
COMMENT ON TABLE ledger.refusals IS 'Transfers that were refused for the state the books were in. The answer stays, so that no late retry moves money.';
ALTER TABLE ledger.refusals ADD CONSTRAINT refusals_pkey PRIMARY KEY (id);
CREATE TRIGGER refusals_are_never_changed BEFORE DELETE OR UPDATE OR TRUNCATE ON ledger.refusals FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();
GRANT SELECT,INSERT ON TABLE ledger.refusals TO unbusy_app;

CREATE TABLE ledger.transfers (
    id uuid NOT NULL,
    posted_at timestamptz NOT NULL,
    debit_number bigint NOT NULL,
    credit_number bigint NOT NULL,
    debit_id uuid NOT NULL,
    credit_id uuid NOT NULL,
    amount bigint NOT NULL,
    requested bigint NOT NULL,
    debit_balance bigint NOT NULL,
    credit_balance bigint NOT NULL,
    debit_available bigint,
    credit_available bigint,
    tenant_id integer NOT NULL,
    linked boolean NOT NULL,
    up_to boolean NOT NULL,
    kind text NOT NULL,
    code text NOT NULL,
    asset text NOT NULL,
    hold_id uuid,
    expires_at timestamptz,
    CONSTRAINT accounts_differ CHECK ((debit_id <> credit_id)),
    CONSTRAINT amount_is_positive CHECK (((amount > 0) AND (amount <= '1000000000000000000'::bigint))),
    CONSTRAINT code_is_short CHECK (((octet_length(code) >= 1) AND (octet_length(code) <= 32))),
    CONSTRAINT kind_is_known CHECK ((kind = ANY (ARRAY['post'::text, 'hold'::text, 'capture'::text, 'void'::text, 'expire'::text]))),
    CONSTRAINT only_holds_expire CHECK (((expires_at IS NULL) OR (kind = 'hold'::text))),
    CONSTRAINT only_the_end_of_a_hold_names_it CHECK (((kind = ANY (ARRAY['post'::text, 'hold'::text])) = (hold_id IS NULL)))
)
WITH (autovacuum_vacuum_insert_scale_factor='0.05', autovacuum_vacuum_insert_threshold='100000');
COMMENT ON TABLE ledger.transfers IS 'One debit and one credit, never changed: with both accounts'' running number, balance and available amount after it.';
COMMENT ON COLUMN ledger.transfers.requested IS 'The amount asked for; `amount` is what moved.';
ALTER TABLE ledger.transfers ADD CONSTRAINT transfers_pkey PRIMARY KEY (id);
CREATE UNIQUE INDEX a_credit_has_its_own_number ON ledger.transfers USING btree (credit_id, credit_number);
CREATE UNIQUE INDEX a_debit_has_its_own_number ON ledger.transfers USING btree (debit_id, debit_number);
CREATE TRIGGER transfers_are_never_changed BEFORE DELETE OR UPDATE OR TRUNCATE ON ledger.transfers FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();
GRANT SELECT,INSERT ON TABLE ledger.transfers TO unbusy_app;


-- payments ----------------------------------------------------------------------------------------

CREATE SCHEMA payments;
COMMENT ON SCHEMA payments IS 'Payments, refunds, requests for money, limits, and the events that tell of them.';
GRANT USAGE ON SCHEMA payments TO unbusy_app;

CREATE TYPE payments.new_payment AS (
	id uuid,
	tenant_id integer,
	payer_id uuid,
	payee_id uuid,
	amount bigint,
	asset text,
	note text,
	status text,
	reason text,
	request_id uuid,
	refunded bigint,
	balance_after bigint,
	finish_by timestamptz,
	key text,
	fingerprint bytea,
	created_at timestamptz,
	updated_at timestamptz,
	completed_at timestamptz
);
COMMENT ON TYPE payments.new_payment IS 'A row for payments.payments, as a batch hands it over.';

CREATE TYPE payments.spending AS (
	person_id uuid,
	asset text,
	day date,
	spent_this_day bigint,
	month date,
	spent_this_month bigint
);
COMMENT ON TYPE payments.spending IS 'What a payer has spent, as a batch leaves it.';

CREATE SEQUENCE payments.event_numbers
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1000;
GRANT USAGE ON SEQUENCE payments.event_numbers TO unbusy_app;

CREATE TABLE payments.events (
    person_id uuid NOT NULL,
    xid bigint DEFAULT ((pg_current_xact_id())::text)::bigint NOT NULL,
    number bigint DEFAULT nextval('payments.event_numbers'::regclass) NOT NULL,
    tenant_id integer NOT NULL,
    kind text NOT NULL,
    subject_id uuid NOT NULL,
    at timestamptz NOT NULL
)
WITH (autovacuum_vacuum_insert_scale_factor='0.05');
COMMENT ON TABLE payments.events IS 'What changed, for whom. Ordered by transaction: all below the oldest one still running is final, so no reader that stops there can miss a late commit.';
ALTER TABLE payments.events ADD CONSTRAINT events_pkey PRIMARY KEY (person_id, xid, number);
CREATE INDEX events_lately ON payments.events USING brin (xid) WITH (autosummarize='on', pages_per_range='16');
GRANT SELECT,INSERT ON TABLE payments.events TO unbusy_app;

CREATE TABLE payments.limits (
    tenant_id integer NOT NULL,
    asset text NOT NULL,
    per_payment bigint NOT NULL,
    per_day bigint NOT NULL,
    per_month bigint NOT NULL,
    CONSTRAINT limits_are_positive CHECK ((LEAST(per_payment, per_day, per_month) > 0))
);
COMMENT ON TABLE payments.limits IS 'A tenant''s own limits for an asset, in minor units. Where there is no row, the settings decide.';
ALTER TABLE payments.limits ADD CONSTRAINT limits_pkey PRIMARY KEY (tenant_id, asset);
ALTER TABLE payments.limits ADD CONSTRAINT limits_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants.tenants(id);
GRANT SELECT ON TABLE payments.limits TO unbusy_app;

CREATE TABLE payments.payments (
    id uuid NOT NULL,
    tenant_id integer NOT NULL,
    payer_id uuid NOT NULL,
    payee_id uuid NOT NULL,
    amount bigint NOT NULL,
    asset text NOT NULL,
    note text NOT NULL,
    status text NOT NULL,
    reason text,
    request_id uuid,
    refunded bigint DEFAULT 0 NOT NULL,
    balance_after bigint,
    finish_by timestamptz,
    key text NOT NULL,
    fingerprint bytea NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    completed_at timestamptz,
    xid bigint DEFAULT ((pg_current_xact_id())::text)::bigint NOT NULL,
    number bigint DEFAULT nextval('payments.event_numbers'::regclass) NOT NULL,
    CONSTRAINT amount_is_positive CHECK ((amount > 0)),
    CONSTRAINT completed_says_when CHECK (((status = 'completed'::text) = (completed_at IS NOT NULL))),
    CONSTRAINT declined_says_why CHECK (((status = ANY (ARRAY['declined'::text, 'expired'::text])) = (reason IS NOT NULL))),
    CONSTRAINT key_is_short CHECK (((length(key) >= 1) AND (length(key) <= 64))),
    CONSTRAINT nobody_pays_oneself CHECK ((payer_id <> payee_id)),
    CONSTRAINT only_completed_is_refunded CHECK (((refunded = 0) OR (status = 'completed'::text))),
    CONSTRAINT refunds_stay_within_the_payment CHECK (((refunded >= 0) AND (refunded <= amount)))
)
WITH (fillfactor='95', autovacuum_vacuum_insert_scale_factor='0.05');
COMMENT ON TABLE payments.payments IS 'A payment as it is now. Its id is also the id of its transfer in the ledger; its key is kept for ever.';
COMMENT ON COLUMN payments.payments.finish_by IS 'Set when it was queued; then its events are in payments.events, else its row is its event.';
COMMENT ON COLUMN payments.payments.xid IS 'The transaction that made it: with the number its place in the streams of its payer and payee, and in their lists.';
ALTER TABLE payments.payments ADD CONSTRAINT a_key_makes_one_payment UNIQUE (payer_id, key);
ALTER TABLE payments.payments ADD CONSTRAINT payments_pkey PRIMARY KEY (id);
ALTER TABLE payments.payments ADD CONSTRAINT status_is_known CHECK ((status = ANY (ARRAY['completed'::text, 'declined'::text, 'queued'::text, 'pending'::text, 'cancelled'::text, 'expired'::text]))) NOT VALID;
ALTER TABLE payments.payments ADD CONSTRAINT what_is_open_has_an_end CHECK (((status <> ALL (ARRAY['queued'::text, 'pending'::text])) OR (finish_by IS NOT NULL))) NOT VALID;
CREATE UNIQUE INDEX a_request_is_paid_once ON payments.payments USING btree (request_id) WHERE ((status = 'completed'::text) AND (request_id IS NOT NULL));
CREATE INDEX payments_lately ON payments.payments USING brin (xid) WITH (autosummarize='on', pages_per_range='16');
CREATE INDEX payments_made ON payments.payments USING btree (payer_id, xid, number);
CREATE INDEX payments_queued ON payments.payments USING btree (id) WHERE (status = 'queued'::text);
CREATE INDEX payments_received ON payments.payments USING btree (payee_id, xid, number) WHERE (status = 'completed'::text);
GRANT SELECT,INSERT,UPDATE ON TABLE payments.payments TO unbusy_app;

CREATE TABLE payments.profiles (
    person_id uuid NOT NULL,
    asset text NOT NULL,
    tenant_id integer NOT NULL,
    day date NOT NULL,
    spent_this_day bigint NOT NULL,
    month date NOT NULL,
    spent_this_month bigint NOT NULL,
    CONSTRAINT month_begins_on_its_first_day CHECK ((EXTRACT(day FROM month) = (1)::numeric)),
    CONSTRAINT spending_is_not_negative CHECK (((spent_this_day >= 0) AND (spent_this_month >= 0)))
)
WITH (autovacuum_vacuum_scale_factor='0.02', autovacuum_vacuum_cost_delay='0', fillfactor='45');
COMMENT ON TABLE payments.profiles IS 'How much a payer has paid in an asset this day and this month (UTC). A batch locks its payers here first.';
ALTER TABLE payments.profiles ADD CONSTRAINT profiles_pkey PRIMARY KEY (person_id, asset);
ALTER TABLE payments.profiles ADD CONSTRAINT profiles_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants.tenants(id);
GRANT SELECT,INSERT,UPDATE ON TABLE payments.profiles TO unbusy_app;

CREATE TABLE payments.refunds (
    id uuid NOT NULL,
    tenant_id integer NOT NULL,
    payment_id uuid NOT NULL,
    payee_id uuid NOT NULL,
    amount bigint NOT NULL,
    asset text NOT NULL,
    note text NOT NULL,
    status text NOT NULL,
    reason text,
    balance_after bigint,
    key text NOT NULL,
    fingerprint bytea NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT amount_is_positive CHECK ((amount > 0)),
    CONSTRAINT declined_says_why CHECK (((status = 'declined'::text) = (reason IS NOT NULL))),
    CONSTRAINT status_is_known CHECK ((status = ANY (ARRAY['completed'::text, 'declined'::text])))
);
COMMENT ON TABLE payments.refunds IS 'The payee of a payment gives back all or part of it. Its id is also the id of its transfer in the ledger.';
ALTER TABLE payments.refunds ADD CONSTRAINT a_key_makes_one_refund UNIQUE (payee_id, key);
ALTER TABLE payments.refunds ADD CONSTRAINT refunds_pkey PRIMARY KEY (id);
CREATE INDEX refunds_of_a_payment ON payments.refunds USING btree (payment_id, id);
ALTER TABLE payments.refunds ADD CONSTRAINT refunds_payment_id_fkey FOREIGN KEY (payment_id) REFERENCES payments.payments(id);
ALTER TABLE payments.refunds ADD CONSTRAINT refunds_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants.tenants(id);
GRANT SELECT,INSERT ON TABLE payments.refunds TO unbusy_app;

CREATE TABLE payments.requests (
    id uuid NOT NULL,
    tenant_id integer NOT NULL,
    requester_id uuid NOT NULL,
    payer_id uuid NOT NULL,
    amount bigint NOT NULL,
    asset text NOT NULL,
    note text NOT NULL,
    status text NOT NULL,
    payment_id uuid,
    key text NOT NULL,
    fingerprint bytea NOT NULL,
    expires_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT amount_is_positive CHECK ((amount > 0)),
    CONSTRAINT nobody_asks_oneself CHECK ((requester_id <> payer_id)),
    CONSTRAINT paid_names_the_payment CHECK (((status = 'paid'::text) = (payment_id IS NOT NULL))),
    CONSTRAINT status_is_known CHECK ((status = ANY (ARRAY['open'::text, 'paid'::text, 'declined'::text, 'cancelled'::text, 'expired'::text])))
);
COMMENT ON TABLE payments.requests IS 'One person asks another for money; open until answered, withdrawn or expired.';
ALTER TABLE payments.requests ADD CONSTRAINT a_key_makes_one_request UNIQUE (requester_id, key);
ALTER TABLE payments.requests ADD CONSTRAINT requests_pkey PRIMARY KEY (id);
CREATE INDEX requests_made ON payments.requests USING btree (requester_id, id);
CREATE INDEX requests_received ON payments.requests USING btree (payer_id, id);
CREATE INDEX requests_to_expire ON payments.requests USING btree (expires_at) WHERE (status = 'open'::text);
ALTER TABLE payments.requests ADD CONSTRAINT requests_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants.tenants(id);
GRANT SELECT,INSERT,UPDATE ON TABLE payments.requests TO unbusy_app;


-- people ------------------------------------------------------------------------------------------

CREATE SCHEMA people;
COMMENT ON SCHEMA people IS 'Customers, merchants and operators; their passwords, sessions, and the attempts at them.';
GRANT USAGE ON SCHEMA people TO unbusy_app;

CREATE TABLE people.attempts (
    tenant_id integer NOT NULL,
    kind text NOT NULL,
    subject bytea NOT NULL,
    count integer NOT NULL,
    last_at timestamptz NOT NULL,
    opens_at timestamptz NOT NULL,
    CONSTRAINT count_is_not_negative CHECK ((count >= 0)),
    CONSTRAINT kind_is_known CHECK ((kind = ANY (ARRAY['account'::text, 'address'::text]))),
    CONSTRAINT subject_is_a_keyed_hash CHECK ((octet_length(subject) = 32))
);
COMMENT ON TABLE people.attempts IS 'Attempts that have not succeeded, and when the next one is let in. The subject is a keyed hash: whom somebody tried to be is not kept.';
ALTER TABLE people.attempts ADD CONSTRAINT attempts_pkey PRIMARY KEY (tenant_id, kind, subject);
CREATE INDEX attempts_by_age ON people.attempts USING btree (last_at);
ALTER TABLE people.attempts ADD CONSTRAINT attempts_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants.tenants(id);
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE people.attempts TO unbusy_app;

CREATE TABLE people.passwords (
    tenant_id integer NOT NULL,
    person_id uuid NOT NULL,
    hash text NOT NULL,
    CONSTRAINT hash_is_argon2id CHECK ((hash ~~ '$argon2id$%'::text))
);
COMMENT ON TABLE people.passwords IS 'What a password is verified against: argon2id with its salt and cost, never the password.';
ALTER TABLE people.passwords ADD CONSTRAINT passwords_pkey PRIMARY KEY (tenant_id, person_id);
ALTER TABLE people.passwords ADD CONSTRAINT password_is_somebodys FOREIGN KEY (tenant_id, person_id) REFERENCES people.people(tenant_id, id);
GRANT SELECT,INSERT ON TABLE people.passwords TO unbusy_app;

CREATE TABLE people.people (
    tenant_id integer NOT NULL,
    id uuid NOT NULL,
    role text NOT NULL,
    name text NOT NULL,
    handle text NOT NULL COLLATE pg_catalog."C",
    email text COLLATE pg_catalog."C",
    phone text COLLATE pg_catalog."C",
    language text NOT NULL,
    state text DEFAULT 'open'::text NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT email_is_in_small_letters CHECK (((email !~ '[A-Z ]'::text) AND ((char_length(email) >= 3) AND (char_length(email) <= 254)))),
    CONSTRAINT handle_is_short_and_plain CHECK ((handle ~ '^[a-z][a-z0-9_]{2,29}$'::text)),
    CONSTRAINT language_is_known CHECK ((language = ANY (ARRAY['en'::text, 'zh'::text]))),
    CONSTRAINT name_has_one_to_eighty_characters CHECK (((char_length(name) >= 1) AND (char_length(name) <= 80))),
    CONSTRAINT person_can_be_reached CHECK (((email IS NOT NULL) OR (phone IS NOT NULL))),
    CONSTRAINT phone_is_e164 CHECK ((phone ~ '^\+[1-9][0-9]{6,14}$'::text)),
    CONSTRAINT role_is_known CHECK ((role = ANY (ARRAY['customer'::text, 'merchant'::text, 'operator'::text]))),
    CONSTRAINT state_is_known CHECK ((state = ANY (ARRAY['open'::text, 'closed'::text])))
);
COMMENT ON TABLE people.people IS 'Everybody, in one table, because anybody may pay anybody. Never deleted: a handle once given names nobody else.';
ALTER TABLE people.people ADD CONSTRAINT email_is_nobody_elses UNIQUE (tenant_id, email);
ALTER TABLE people.people ADD CONSTRAINT handle_is_nobody_elses UNIQUE (tenant_id, handle);
ALTER TABLE people.people ADD CONSTRAINT people_pkey PRIMARY KEY (tenant_id, id);
ALTER TABLE people.people ADD CONSTRAINT phone_is_nobody_elses UNIQUE (tenant_id, phone);
ALTER TABLE people.people ADD CONSTRAINT people_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants.tenants(id);
GRANT SELECT,INSERT ON TABLE people.people TO unbusy_app;
GRANT UPDATE(state) ON TABLE people.people TO unbusy_app;

CREATE TABLE people.revocations (
    session_id uuid NOT NULL,
    tenant_id integer NOT NULL,
    xid xid8 DEFAULT pg_current_xact_id() NOT NULL,
    revoked_at timestamptz NOT NULL
);
COMMENT ON TABLE people.revocations IS 'Sessions that ended while access tokens of theirs may still live. Every process follows it by the transaction that wrote a row.';
ALTER TABLE people.revocations ADD CONSTRAINT revocations_pkey PRIMARY KEY (session_id);
CREATE INDEX revocations_in_order ON people.revocations USING btree (xid);
ALTER TABLE people.revocations ADD CONSTRAINT revocations_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants.tenants(id);
GRANT SELECT,INSERT,DELETE ON TABLE people.revocations TO unbusy_app;

CREATE TABLE people.sessions (
    id uuid NOT NULL,
    tenant_id integer NOT NULL,
    person_id uuid NOT NULL,
    generation integer DEFAULT 0 NOT NULL,
    created_at timestamptz NOT NULL,
    last_used_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz,
    CONSTRAINT generation_is_counted_up CHECK ((generation >= 0)),
    CONSTRAINT revoked_session_has_expired CHECK ((expires_at <= revoked_at))
);
COMMENT ON TABLE people.sessions IS 'One sign-in each. The refresh token in force is made from the id and the generation by the secret, and is not stored.';
ALTER TABLE people.sessions ADD CONSTRAINT sessions_pkey PRIMARY KEY (id);
CREATE INDEX sessions_by_end ON people.sessions USING btree (expires_at);
CREATE INDEX sessions_open ON people.sessions USING btree (tenant_id, person_id, last_used_at) WHERE (revoked_at IS NULL);
ALTER TABLE people.sessions ADD CONSTRAINT session_is_somebodys FOREIGN KEY (tenant_id, person_id) REFERENCES people.people(tenant_id, id);
GRANT SELECT,INSERT,DELETE ON TABLE people.sessions TO unbusy_app;
GRANT UPDATE(generation) ON TABLE people.sessions TO unbusy_app;
GRANT UPDATE(last_used_at) ON TABLE people.sessions TO unbusy_app;
GRANT UPDATE(expires_at) ON TABLE people.sessions TO unbusy_app;
GRANT UPDATE(revoked_at) ON TABLE people.sessions TO unbusy_app;


-- promises ----------------------------------------------------------------------------------------

CREATE SCHEMA promises;
COMMENT ON SCHEMA promises IS 'Promises about when queued payments are done, and whether they were kept.';
GRANT USAGE ON SCHEMA promises TO unbusy_app;

CREATE TYPE promises.new_promise AS (
	payment_id uuid,
	tenant_id integer,
	ahead integer,
	made_at timestamptz,
	expected_at timestamptz,
	likely_by timestamptz,
	finish_by timestamptz
);
COMMENT ON TYPE promises.new_promise IS 'A row for promises.promises, as a batch hands it over.';

CREATE TABLE promises.hours (
    class text NOT NULL,
    begins_at timestamptz NOT NULL,
    kept bigint NOT NULL,
    broken bigint NOT NULL,
    likely_kept bigint NOT NULL,
    likely_missed bigint NOT NULL,
    sharpness bigint[] NOT NULL,
    CONSTRAINT counts_are_not_negative CHECK ((LEAST(kept, broken, likely_kept, likely_missed) >= 0))
)
WITH (fillfactor='50');
COMMENT ON TABLE promises.hours IS 'How many promises that ended in an hour were kept and broken, of finish_by and of likely_by, and how many times the actual wait the likely one was, in buckets. What GET /v1/promises tells.';
ALTER TABLE promises.hours ADD CONSTRAINT hours_pkey PRIMARY KEY (class, begins_at);
GRANT SELECT,INSERT,UPDATE ON TABLE promises.hours TO unbusy_app;

CREATE TABLE promises.promises (
    payment_id uuid NOT NULL,
    tenant_id integer NOT NULL,
    class text NOT NULL,
    ahead integer NOT NULL,
    made_at timestamptz NOT NULL,
    expected_at timestamptz,
    likely_by timestamptz,
    promised_by timestamptz NOT NULL,
    finish_by timestamptz NOT NULL,
    was_overdue boolean DEFAULT false NOT NULL,
    revised_at timestamptz,
    ended_at timestamptz,
    outcome text,
    CONSTRAINT ended_says_how CHECK (((ended_at IS NULL) = (outcome IS NULL))),
    CONSTRAINT expected_is_likely_too CHECK (((expected_at IS NULL) = (likely_by IS NULL))),
    CONSTRAINT outcome_is_known CHECK ((outcome = ANY (ARRAY['kept'::text, 'broken'::text, 'withdrawn'::text])))
)
WITH (fillfactor='90', autovacuum_vacuum_scale_factor='0.02', autovacuum_vacuum_cost_delay='0');
COMMENT ON TABLE promises.promises IS 'What was promised for a queued payment, and what became of it. promised_by is the first finish_by; expected_at and likely_by are missing when the queue stood still as it was made.';
ALTER TABLE promises.promises ADD CONSTRAINT promises_pkey PRIMARY KEY (payment_id);
CREATE INDEX promises_open ON promises.promises USING btree (class, payment_id) WHERE (ended_at IS NULL);
GRANT SELECT,INSERT,UPDATE ON TABLE promises.promises TO unbusy_app;

CREATE TABLE promises.queues (
    class text NOT NULL,
    learnt jsonb,
    backlog integer DEFAULT 0 NOT NULL,
    heard_at timestamptz,
    CONSTRAINT backlog_is_not_negative CHECK ((backlog >= 0))
)
WITH (fillfactor='50');
COMMENT ON TABLE promises.queues IS 'What is known of a queue: how fast it is drained and how well its waits are foretold. Whoever drains it says so once a second (heard_at); while nobody does, its promises are paused.';
ALTER TABLE promises.queues ADD CONSTRAINT queues_pkey PRIMARY KEY (class);
GRANT SELECT,UPDATE ON TABLE promises.queues TO unbusy_app;

CREATE TABLE promises.revisions (
    payment_id uuid NOT NULL,
    revised_at timestamptz NOT NULL,
    tenant_id integer NOT NULL,
    expected_at timestamptz,
    likely_by timestamptz,
    finish_by timestamptz NOT NULL
);
COMMENT ON TABLE promises.revisions IS 'What had been promised until then, each time a promise was revised.';
ALTER TABLE promises.revisions ADD CONSTRAINT revisions_pkey PRIMARY KEY (payment_id, revised_at);
GRANT SELECT,INSERT ON TABLE promises.revisions TO unbusy_app;


-- public ------------------------------------------------------------------------------------------

CREATE TABLE public.unbusy_migrations (
    version integer NOT NULL,
    name text NOT NULL,
    sha256 text NOT NULL,
    applied_at timestamptz DEFAULT now() NOT NULL
);
COMMENT ON TABLE public.unbusy_migrations IS 'Which migrations were applied, and what they said when they were.';
ALTER TABLE public.unbusy_migrations ADD CONSTRAINT unbusy_migrations_pkey PRIMARY KEY (version);


-- statements --------------------------------------------------------------------------------------

CREATE SCHEMA statements;
COMMENT ON SCHEMA statements IS 'Banks'' statements, the lines of them, and how each is explained.';
GRANT USAGE ON SCHEMA statements TO unbusy_app;

CREATE TABLE statements.accounts (
    id uuid NOT NULL,
    tenant_id integer NOT NULL,
    bank text NOT NULL,
    asset text NOT NULL,
    suspense_id uuid NOT NULL
);
COMMENT ON TABLE statements.accounts IS 'The operator''s accounts at banks that statements came of. The id is that of the nostro in the ledger. Whoever takes a statement in holds the row locked.';
ALTER TABLE statements.accounts ADD CONSTRAINT a_bank_has_one_account_of_an_asset UNIQUE (tenant_id, bank, asset);
ALTER TABLE statements.accounts ADD CONSTRAINT accounts_pkey PRIMARY KEY (id);
ALTER TABLE statements.accounts ADD CONSTRAINT accounts_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants.tenants(id);
GRANT SELECT,INSERT ON TABLE statements.accounts TO unbusy_app;
GRANT UPDATE(suspense_id) ON TABLE statements.accounts TO unbusy_app;

CREATE TABLE statements.cases (
    id uuid NOT NULL,
    tenant_id integer NOT NULL,
    account_id uuid NOT NULL,
    kind text NOT NULL,
    line_id uuid,
    transit_id uuid,
    parked bytea,
    amount bigint NOT NULL,
    explanation text NOT NULL,
    opened_at timestamptz NOT NULL,
    resolved_at timestamptz,
    resolution text,
    CONSTRAINT a_case_is_about_something CHECK ((COALESCE((line_id)::text, (transit_id)::text, (parked)::text) IS NOT NULL)),
    CONSTRAINT kind_is_known CHECK ((kind = ANY (ARRAY['unknown_line'::text, 'amount_differs'::text, 'duplicate'::text, 'returned'::text, 'declined_here'::text, 'reversed_here'::text, 'not_final_here'::text, 'missing_line'::text, 'gap'::text, 'broken_sum'::text]))),
    CONSTRAINT resolved_after_it_was_opened CHECK ((resolved_at >= opened_at)),
    CONSTRAINT resolved_says_how CHECK (((resolved_at IS NULL) = (resolution IS NULL)))
);
COMMENT ON TABLE statements.cases IS 'Breaks: what a bank says and we do not, or the other way round. Open until a later statement explains it.';
COMMENT ON COLUMN statements.cases.parked IS 'Which statement was parked: what it shares with a mended copy of itself.';
ALTER TABLE statements.cases ADD CONSTRAINT cases_pkey PRIMARY KEY (id);
CREATE UNIQUE INDEX a_line_has_one_open_case ON statements.cases USING btree (line_id) WHERE (resolved_at IS NULL);
CREATE UNIQUE INDEX a_statement_is_parked_once ON statements.cases USING btree (account_id, parked) WHERE (resolved_at IS NULL);
CREATE UNIQUE INDEX a_transit_is_missed_once ON statements.cases USING btree (transit_id) WHERE ((resolved_at IS NULL) AND (kind = 'missing_line'::text));
CREATE INDEX cases_of_a_line ON statements.cases USING btree (line_id);
CREATE INDEX cases_of_an_account ON statements.cases USING btree (account_id);
ALTER TABLE statements.cases ADD CONSTRAINT cases_account_id_fkey FOREIGN KEY (account_id) REFERENCES statements.accounts(id);
ALTER TABLE statements.cases ADD CONSTRAINT cases_line_id_fkey FOREIGN KEY (line_id) REFERENCES statements.lines(id);
ALTER TABLE statements.cases ADD CONSTRAINT cases_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants.tenants(id);
GRANT SELECT,INSERT ON TABLE statements.cases TO unbusy_app;
GRANT UPDATE(resolved_at) ON TABLE statements.cases TO unbusy_app;
GRANT UPDATE(resolution) ON TABLE statements.cases TO unbusy_app;

CREATE TABLE statements.closed_by_hand (
    case_id uuid NOT NULL,
    tenant_id integer NOT NULL,
    operator_id uuid NOT NULL,
    why text NOT NULL,
    handed_id uuid,
    closed_at timestamptz NOT NULL,
    CONSTRAINT closed_for_a_reason CHECK (((length(why) >= 1) AND (length(why) <= 1000)))
);
COMMENT ON TABLE statements.closed_by_hand IS 'Cases that an operator closed, who, when and why. Its line stays booked to suspense, and nobody looks at it again.';
COMMENT ON COLUMN statements.closed_by_hand.handed_id IS 'The transfer between suspense and somebody''s wallet that went with it, if any.';
ALTER TABLE statements.closed_by_hand ADD CONSTRAINT a_case_is_closed_once PRIMARY KEY (case_id);
ALTER TABLE statements.closed_by_hand ADD CONSTRAINT closed_by_hand_case_id_fkey FOREIGN KEY (case_id) REFERENCES statements.cases(id);
ALTER TABLE statements.closed_by_hand ADD CONSTRAINT closed_by_hand_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants.tenants(id);
GRANT SELECT,INSERT ON TABLE statements.closed_by_hand TO unbusy_app;

CREATE TABLE statements.closes (
    tenant_id integer NOT NULL,
    day date NOT NULL,
    report text NOT NULL,
    signature bytea NOT NULL,
    closed_at timestamptz NOT NULL,
    CONSTRAINT signature_is_ed25519 CHECK ((length(signature) = 64))
);
COMMENT ON TABLE statements.closes IS 'Days whose statements are all there: the report of each, byte for byte, and the signature under it. No statement of such a day is taken any more.';
ALTER TABLE statements.closes ADD CONSTRAINT a_day_is_closed_once PRIMARY KEY (tenant_id, day);
ALTER TABLE statements.closes ADD CONSTRAINT closes_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants.tenants(id);
GRANT SELECT,INSERT ON TABLE statements.closes TO unbusy_app;

CREATE TABLE statements.lines (
    id uuid NOT NULL,
    tenant_id integer NOT NULL,
    account_id uuid NOT NULL,
    statement_id uuid NOT NULL,
    "position" integer NOT NULL,
    amount bigint NOT NULL,
    booked_on date NOT NULL,
    reference text NOT NULL,
    bank_reference text NOT NULL,
    iban text NOT NULL,
    name text NOT NULL,
    text text NOT NULL,
    state text NOT NULL,
    CONSTRAINT a_line_moves_something CHECK (((amount <> 0) AND (abs(amount) <= '1000000000000000000'::bigint))),
    CONSTRAINT state_is_known CHECK ((state = ANY (ARRAY['told'::text, 'matched'::text, 'booked'::text, 'held'::text])))
)
WITH (fillfactor='80');
COMMENT ON TABLE statements.lines IS 'What a bank booked; above zero came in. Matched to ours; or booked to suspense; or held, because ours is not final yet; or only told by a notification, whose statement will decide.';
ALTER TABLE statements.lines ADD CONSTRAINT a_line_stands_in_one_place UNIQUE (statement_id, "position");
ALTER TABLE statements.lines ADD CONSTRAINT lines_pkey PRIMARY KEY (id);
CREATE INDEX lines_of_an_account ON statements.lines USING btree (account_id);
CREATE INDEX lines_that_are_open ON statements.lines USING btree (account_id) WHERE (state = ANY (ARRAY['booked'::text, 'held'::text]));
ALTER TABLE statements.lines ADD CONSTRAINT lines_account_id_fkey FOREIGN KEY (account_id) REFERENCES statements.accounts(id);
ALTER TABLE statements.lines ADD CONSTRAINT lines_statement_id_fkey FOREIGN KEY (statement_id) REFERENCES statements.statements(id);
ALTER TABLE statements.lines ADD CONSTRAINT lines_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants.tenants(id);
GRANT SELECT,INSERT ON TABLE statements.lines TO unbusy_app;
GRANT UPDATE(state) ON TABLE statements.lines TO unbusy_app;

CREATE TABLE statements.matches (
    transit_id uuid NOT NULL,
    tenant_id integer NOT NULL,
    line_id uuid NOT NULL,
    amount bigint NOT NULL,
    by text NOT NULL,
    explanation text NOT NULL,
    matched_at timestamptz NOT NULL,
    CONSTRAINT by_is_known CHECK ((by = ANY (ARRAY['reference'::text, 'counterparty'::text, 'sum'::text, 'similar'::text])))
);
COMMENT ON TABLE statements.matches IS 'Which of our top-ups and payouts a line is, and why we think so. A line may be several of them at once.';
ALTER TABLE statements.matches ADD CONSTRAINT a_transit_is_matched_once PRIMARY KEY (transit_id);
CREATE INDEX matches_of_a_line ON statements.matches USING btree (line_id);
ALTER TABLE statements.matches ADD CONSTRAINT matches_line_id_fkey FOREIGN KEY (line_id) REFERENCES statements.lines(id);
ALTER TABLE statements.matches ADD CONSTRAINT matches_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants.tenants(id);
GRANT SELECT,INSERT ON TABLE statements.matches TO unbusy_app;
GRANT UPDATE(line_id) ON TABLE statements.matches TO unbusy_app;
GRANT UPDATE(by) ON TABLE statements.matches TO unbusy_app;
GRANT UPDATE(explanation) ON TABLE statements.matches TO unbusy_app;
GRANT UPDATE(matched_at) ON TABLE statements.matches TO unbusy_app;

CREATE TABLE statements.statements (
    id uuid NOT NULL,
    tenant_id integer NOT NULL,
    account_id uuid NOT NULL,
    kind text NOT NULL,
    name text NOT NULL,
    number integer,
    page integer NOT NULL,
    opening bigint,
    closing bigint,
    until timestamptz NOT NULL,
    digest bytea NOT NULL,
    lines integer NOT NULL,
    taken_at timestamptz NOT NULL,
    place bigint NOT NULL,
    CONSTRAINT a_statement_tells_its_balances CHECK (((kind = 'statement'::text) = ((opening IS NOT NULL) AND (closing IS NOT NULL)))),
    CONSTRAINT kind_is_known CHECK ((kind = ANY (ARRAY['statement'::text, 'notification'::text])))
);
COMMENT ON TABLE statements.statements IS 'What was taken in: a statement, whose opening balance is the closing one of the one before it (`place`), or a notification, which has no balances. What was parked is a case and not here.';
ALTER TABLE statements.statements ADD CONSTRAINT a_statement_is_taken_once UNIQUE (account_id, digest);
ALTER TABLE statements.statements ADD CONSTRAINT statements_pkey PRIMARY KEY (id);
ALTER TABLE statements.statements ADD CONSTRAINT statements_stand_in_a_row UNIQUE (account_id, place);
ALTER TABLE statements.statements ADD CONSTRAINT statements_account_id_fkey FOREIGN KEY (account_id) REFERENCES statements.accounts(id);
ALTER TABLE statements.statements ADD CONSTRAINT statements_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants.tenants(id);
GRANT SELECT,INSERT ON TABLE statements.statements TO unbusy_app;


-- tenants -----------------------------------------------------------------------------------------

CREATE SCHEMA tenants;
COMMENT ON SCHEMA tenants IS 'Banks and brands that run their wallet here.';
GRANT USAGE ON SCHEMA tenants TO unbusy_app;

CREATE TABLE tenants.tenants (
    id integer NOT NULL,
    slug text NOT NULL,
    created_at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT slug_is_short_and_plain CHECK ((slug ~ '^[a-z][a-z0-9-]{0,39}$'::text))
);
COMMENT ON TABLE tenants.tenants IS 'A bank or a brand. Every row that belongs to someone carries its id.';
ALTER TABLE tenants.tenants ADD CONSTRAINT slug_is_unique UNIQUE (slug);
ALTER TABLE tenants.tenants ADD CONSTRAINT tenants_pkey PRIMARY KEY (id);
GRANT SELECT ON TABLE tenants.tenants TO unbusy_app;


-- transits ----------------------------------------------------------------------------------------

CREATE SCHEMA transits;
COMMENT ON SCHEMA transits IS 'People''s accounts at banks, and money on its way from or to one.';
GRANT USAGE ON SCHEMA transits TO unbusy_app;

CREATE TABLE transits.bank_accounts (
    id uuid NOT NULL,
    tenant_id integer NOT NULL,
    person_id uuid NOT NULL,
    bank text NOT NULL,
    iban text NOT NULL,
    holder text NOT NULL,
    created_at timestamptz NOT NULL,
    removed_at timestamptz,
    verified_at timestamptz,
    CONSTRAINT holder_is_named CHECK (((length(holder) >= 1) AND (length(holder) <= 80))),
    CONSTRAINT iban_is_in_its_electronic_form CHECK ((iban ~ '^[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}$'::text)),
    CONSTRAINT removed_after_it_was_linked CHECK ((removed_at >= created_at))
);
COMMENT ON TABLE transits.bank_accounts IS 'Accounts at banks that people linked. One that was removed stays, for the transits that name it.';
COMMENT ON COLUMN transits.bank_accounts.verified_at IS 'When its owner told the amount that had been sent there; until then little may be moved with it.';
ALTER TABLE transits.bank_accounts ADD CONSTRAINT bank_accounts_pkey PRIMARY KEY (id);
CREATE UNIQUE INDEX a_person_links_an_account_once ON transits.bank_accounts USING btree (person_id, bank, iban) WHERE (removed_at IS NULL);
ALTER TABLE transits.bank_accounts ADD CONSTRAINT bank_accounts_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants.tenants(id);
GRANT SELECT,INSERT ON TABLE transits.bank_accounts TO unbusy_app;
GRANT UPDATE(removed_at) ON TABLE transits.bank_accounts TO unbusy_app;
GRANT UPDATE(verified_at) ON TABLE transits.bank_accounts TO unbusy_app;

CREATE TABLE transits.limits (
    tenant_id integer NOT NULL,
    direction text NOT NULL,
    asset text NOT NULL,
    per_transit bigint NOT NULL,
    per_day bigint NOT NULL,
    per_month bigint NOT NULL,
    CONSTRAINT direction_is_known CHECK ((direction = ANY (ARRAY['pull'::text, 'push'::text]))),
    CONSTRAINT limits_are_positive CHECK ((LEAST(per_transit, per_day, per_month) > 0))
);
COMMENT ON TABLE transits.limits IS 'A tenant''s own limits for top-ups (pull) or payouts (push) of an asset, in minor units. Where there is no row, the settings decide.';
ALTER TABLE transits.limits ADD CONSTRAINT limits_pkey PRIMARY KEY (tenant_id, direction, asset);
ALTER TABLE transits.limits ADD CONSTRAINT limits_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants.tenants(id);
GRANT SELECT ON TABLE transits.limits TO unbusy_app;

CREATE TABLE transits.transits (
    id uuid NOT NULL,
    tenant_id integer NOT NULL,
    person_id uuid NOT NULL,
    direction text NOT NULL,
    bank text NOT NULL,
    bank_account_id uuid NOT NULL,
    iban text NOT NULL,
    holder text NOT NULL,
    amount bigint NOT NULL,
    asset text NOT NULL,
    status text NOT NULL,
    reason text,
    balance_after bigint,
    key text NOT NULL,
    fingerprint bytea NOT NULL,
    tries integer NOT NULL,
    sent_at timestamptz,
    accepted_at timestamptz,
    bank_reference text NOT NULL,
    resolve_by timestamptz NOT NULL,
    due_at timestamptz,
    parked_id uuid,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    payment_id uuid,
    is_verification boolean DEFAULT false NOT NULL,
    CONSTRAINT amount_is_positive CHECK (((amount > 0) AND (amount <= '1000000000000000000'::bigint))),
    CONSTRAINT completed_tells_the_balance CHECK (((status = 'completed'::text) = (balance_after IS NOT NULL))),
    CONSTRAINT declined_and_reversed_say_why CHECK (((status = ANY (ARRAY['declined'::text, 'reversed'::text])) = (reason IS NOT NULL))),
    CONSTRAINT direction_is_known CHECK ((direction = ANY (ARRAY['pull'::text, 'push'::text]))),
    CONSTRAINT key_is_short CHECK (((length(key) >= 1) AND (length(key) <= 64))),
    CONSTRAINT only_what_was_reversed_is_parked CHECK (((parked_id IS NULL) OR (status = 'reversed'::text))),
    CONSTRAINT status_is_known CHECK ((status = ANY (ARRAY['pending'::text, 'unknown'::text, 'completed'::text, 'declined'::text, 'reversed'::text]))),
    CONSTRAINT tries_are_counted CHECK ((tries >= 0)),
    CONSTRAINT unknown_was_sent CHECK (((status <> 'unknown'::text) OR (sent_at IS NOT NULL))),
    CONSTRAINT what_is_open_is_due CHECK (((status <> ALL (ARRAY['pending'::text, 'unknown'::text])) OR (due_at IS NOT NULL)))
)
WITH (fillfactor='80');
COMMENT ON TABLE transits.transits IS 'Money on its way from a bank account (pull) or to one (push): what the bank is told, and how far it came.';
COMMENT ON COLUMN transits.transits.tries IS 'How often it was taken up. Only who took it up last may write down what the bank said.';
COMMENT ON COLUMN transits.transits.sent_at IS 'Written before the bank is told: from here on it may know, and is asked instead of told again.';
COMMENT ON COLUMN transits.transits.due_at IS 'When it is taken up next; while a worker has it, when another one may. Empty when nothing is left to do.';
COMMENT ON COLUMN transits.transits.parked_id IS 'The transfer to or from suspense, when the bank settled what had been reversed here.';
COMMENT ON COLUMN transits.transits.payment_id IS 'The payment that waits for this top-up. Emptied once it waits no more: until then what came in is held for it.';
COMMENT ON COLUMN transits.transits.is_verification IS 'A tiny amount of the house''s own, sent to see who can tell it. Its person sees nothing of it here.';
ALTER TABLE transits.transits ADD CONSTRAINT a_key_makes_one_transit UNIQUE (person_id, key);
ALTER TABLE transits.transits ADD CONSTRAINT only_a_pull_is_for_a_payment CHECK (((payment_id IS NULL) OR (direction = 'pull'::text))) NOT VALID;
ALTER TABLE transits.transits ADD CONSTRAINT only_a_push_verifies CHECK (((NOT is_verification) OR (direction = 'push'::text))) NOT VALID;
ALTER TABLE transits.transits ADD CONSTRAINT transits_pkey PRIMARY KEY (id);
CREATE INDEX transits_a_bank_settled ON transits.transits USING btree (bank, updated_at) WHERE (status = ANY (ARRAY['completed'::text, 'reversed'::text]));
CREATE INDEX transits_of_a_person ON transits.transits USING btree (person_id, direction, id);
CREATE INDEX transits_that_a_payment_waited_for ON transits.transits USING btree (id) WHERE ((payment_id IS NOT NULL) AND (status <> ALL (ARRAY['pending'::text, 'unknown'::text])));
CREATE INDEX transits_that_a_payment_waits_for ON transits.transits USING btree (resolve_by) WHERE (payment_id IS NOT NULL);
CREATE INDEX transits_that_are_due ON transits.transits USING btree (bank, due_at) WHERE (due_at IS NOT NULL);
CREATE INDEX transits_that_count ON transits.transits USING btree (person_id, direction, asset, created_at) INCLUDE (amount) WHERE (status <> ALL (ARRAY['declined'::text, 'reversed'::text]));
ALTER TABLE transits.transits ADD CONSTRAINT transits_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants.tenants(id);
GRANT SELECT,INSERT ON TABLE transits.transits TO unbusy_app;
GRANT UPDATE(status) ON TABLE transits.transits TO unbusy_app;
GRANT UPDATE(reason) ON TABLE transits.transits TO unbusy_app;
GRANT UPDATE(balance_after) ON TABLE transits.transits TO unbusy_app;
GRANT UPDATE(tries) ON TABLE transits.transits TO unbusy_app;
GRANT UPDATE(sent_at) ON TABLE transits.transits TO unbusy_app;
GRANT UPDATE(accepted_at) ON TABLE transits.transits TO unbusy_app;
GRANT UPDATE(bank_reference) ON TABLE transits.transits TO unbusy_app;
GRANT UPDATE(due_at) ON TABLE transits.transits TO unbusy_app;
GRANT UPDATE(parked_id) ON TABLE transits.transits TO unbusy_app;
GRANT UPDATE(updated_at) ON TABLE transits.transits TO unbusy_app;
GRANT UPDATE(payment_id) ON TABLE transits.transits TO unbusy_app;


-- verification ------------------------------------------------------------------------------------

CREATE SCHEMA verification;
COMMENT ON SCHEMA verification IS 'Whether bank accounts are their owners'': names asked for, and tiny amounts sent.';
GRANT USAGE ON SCHEMA verification TO unbusy_app;

CREATE TABLE verification.names (
    id uuid NOT NULL,
    tenant_id integer NOT NULL,
    person_id uuid NOT NULL,
    bank text NOT NULL,
    created_at timestamptz NOT NULL
);
COMMENT ON TABLE verification.names IS 'That a bank was asked for the name of an account''s holder, and by whom: so many times a day, and not of whom.';
ALTER TABLE verification.names ADD CONSTRAINT names_pkey PRIMARY KEY (id);
CREATE INDEX names_asked_lately ON verification.names USING btree (person_id, created_at);
ALTER TABLE verification.names ADD CONSTRAINT names_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants.tenants(id);
GRANT SELECT,INSERT ON TABLE verification.names TO unbusy_app;

CREATE TABLE verification.verifications (
    id uuid NOT NULL,
    tenant_id integer NOT NULL,
    person_id uuid NOT NULL,
    bank_account_id uuid NOT NULL,
    transit_id uuid NOT NULL,
    wrong integer DEFAULT 0 NOT NULL,
    expires_at timestamptz NOT NULL,
    ended_at timestamptz,
    is_right boolean DEFAULT false NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT expires_after_it_was_made CHECK ((expires_at > created_at)),
    CONSTRAINT right_is_over CHECK (((NOT is_right) OR (ended_at IS NOT NULL))),
    CONSTRAINT tried_out_is_over CHECK (((wrong < 3) OR (ended_at IS NOT NULL))),
    CONSTRAINT tries_are_limited CHECK (((wrong >= 0) AND (wrong <= 3)))
);
COMMENT ON TABLE verification.verifications IS 'A tiny amount, sent to a bank account for its owner to tell. The amount is its transit''s.';
ALTER TABLE verification.verifications ADD CONSTRAINT an_amount_verifies_once UNIQUE (transit_id);
ALTER TABLE verification.verifications ADD CONSTRAINT verifications_pkey PRIMARY KEY (id);
CREATE UNIQUE INDEX an_account_is_verified_in_one_way_at_once ON verification.verifications USING btree (bank_account_id) WHERE (ended_at IS NULL);
CREATE INDEX verifications_begun_lately ON verification.verifications USING btree (person_id, created_at);
ALTER TABLE verification.verifications ADD CONSTRAINT verifications_bank_account_id_fkey FOREIGN KEY (bank_account_id) REFERENCES transits.bank_accounts(id);
ALTER TABLE verification.verifications ADD CONSTRAINT verifications_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants.tenants(id);
ALTER TABLE verification.verifications ADD CONSTRAINT verifications_transit_id_fkey FOREIGN KEY (transit_id) REFERENCES transits.transits(id);
GRANT SELECT,INSERT ON TABLE verification.verifications TO unbusy_app;
GRANT UPDATE(wrong) ON TABLE verification.verifications TO unbusy_app;
GRANT UPDATE(ended_at) ON TABLE verification.verifications TO unbusy_app;
GRANT UPDATE(is_right) ON TABLE verification.verifications TO unbusy_app;
