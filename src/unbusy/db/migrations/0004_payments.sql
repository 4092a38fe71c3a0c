-- What people do with money: pay, ask for money, refund.

CREATE SCHEMA payments;
COMMENT ON SCHEMA payments IS 'Payments, refunds, requests for money, limits, and the events that tell of them.';
GRANT USAGE ON SCHEMA payments TO unbusy_app;

CREATE TABLE payments.limits (
    tenant_id   integer NOT NULL REFERENCES tenants.tenants,
    asset       text    NOT NULL,
    per_payment bigint  NOT NULL,
    per_day     bigint  NOT NULL,
    per_month   bigint  NOT NULL,
    CONSTRAINT limits_pkey PRIMARY KEY (tenant_id, asset),
    CONSTRAINT limits_are_positive CHECK (least(per_payment, per_day, per_month) > 0)
);
COMMENT ON TABLE payments.limits IS
    'A tenant''s own limits for an asset, in minor units. Where there is no row, the settings decide.';
GRANT SELECT ON payments.limits TO unbusy_app;

CREATE TABLE payments.profiles (
    person_id        uuid    NOT NULL,
    asset            text    NOT NULL,
    tenant_id        integer NOT NULL REFERENCES tenants.tenants,
    day              date    NOT NULL,
    spent_this_day   bigint  NOT NULL,
    month            date    NOT NULL,
    spent_this_month bigint  NOT NULL,
    CONSTRAINT profiles_pkey PRIMARY KEY (person_id, asset),
    CONSTRAINT spending_is_not_negative CHECK (spent_this_day >= 0 AND spent_this_month >= 0),
    CONSTRAINT month_begins_on_its_first_day CHECK (extract(day FROM month) = 1)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
COMMENT ON TABLE payments.profiles IS
    'How much a payer has paid in an asset this day and this month (UTC). A batch locks its payers here first.';
GRANT SELECT, INSERT, UPDATE ON payments.profiles TO unbusy_app;

CREATE TABLE payments.requests (
    id           uuid        NOT NULL,
    tenant_id    integer     NOT NULL REFERENCES tenants.tenants,
    requester_id uuid        NOT NULL,
    payer_id     uuid        NOT NULL,
    amount       bigint      NOT NULL,
    asset        text        NOT NULL,
    note         text        NOT NULL,
    status       text        NOT NULL,
    payment_id   uuid,
    key          text        NOT NULL,
    fingerprint  bytea       NOT NULL,
    expires_at   timestamptz NOT NULL,
    created_at   timestamptz NOT NULL,
    updated_at   timestamptz NOT NULL,
    CONSTRAINT requests_pkey PRIMARY KEY (id),
    CONSTRAINT a_key_makes_one_request UNIQUE (requester_id, key),
    CONSTRAINT amount_is_positive CHECK (amount > 0),
    CONSTRAINT nobody_asks_oneself CHECK (requester_id <> payer_id),
    CONSTRAINT status_is_known CHECK (status IN ('open', 'paid', 'declined', 'cancelled', 'expired')),
    CONSTRAINT paid_names_the_payment CHECK ((status = 'paid') = (payment_id IS NOT NULL))
);
COMMENT ON TABLE payments.requests IS 'One person asks another for money; open until answered, withdrawn or expired.';
CREATE INDEX requests_made ON payments.requests (requester_id, id);
CREATE INDEX requests_received ON payments.requests (payer_id, id);
CREATE INDEX requests_to_expire ON payments.requests (expires_at) WHERE status = 'open';
GRANT SELECT, INSERT, UPDATE ON payments.requests TO unbusy_app;

-- No foreign keys to tenants and people: each would lock a row of theirs for every payment. Payer
-- and payee come from a signed token and from people's own look-up, and `unbusy check` compares.
CREATE TABLE payments.payments (
    id            uuid        NOT NULL,
    tenant_id     integer     NOT NULL,
    payer_id      uuid        NOT NULL,
    payee_id      uuid        NOT NULL,
    amount        bigint      NOT NULL,
    asset         text        NOT NULL,
    note          text        NOT NULL,
    status        text        NOT NULL,
    reason        text,
    request_id    uuid,
    refunded      bigint      NOT NULL DEFAULT 0,
    balance_after bigint,
    finish_by     timestamptz,
    key           text        NOT NULL,
    fingerprint   bytea       NOT NULL,
    created_at    timestamptz NOT NULL,
    updated_at    timestamptz NOT NULL,
    completed_at  timestamptz,
    CONSTRAINT payments_pkey PRIMARY KEY (id),
    CONSTRAINT a_key_makes_one_payment UNIQUE (payer_id, key),
    CONSTRAINT amount_is_positive CHECK (amount > 0),
    CONSTRAINT nobody_pays_oneself CHECK (payer_id <> payee_id),
    CONSTRAINT status_is_known CHECK (status IN ('completed', 'declined', 'queued', 'cancelled', 'expired')),
    CONSTRAINT declined_says_why CHECK ((status IN ('declined', 'expired')) = (reason IS NOT NULL)),
    CONSTRAINT completed_says_when CHECK ((status = 'completed') = (completed_at IS NOT NULL)),
    CONSTRAINT queued_has_a_promise CHECK (status <> 'queued' OR finish_by IS NOT NULL),
    CONSTRAINT refunds_stay_within_the_payment CHECK (refunded BETWEEN 0 AND amount),
    CONSTRAINT only_completed_is_refunded CHECK (refunded = 0 OR status = 'completed'),
    CONSTRAINT key_is_short CHECK (length(key) BETWEEN 1 AND 64)
) WITH (fillfactor = 95, autovacuum_vacuum_insert_scale_factor = 0.05);
COMMENT ON TABLE payments.payments IS
    'A payment as it is now. Its id is also the id of its transfer in the ledger; its key is kept for ever.';
CREATE TYPE payments.new_payment AS (
    id            uuid,
    tenant_id     integer,
    payer_id      uuid,
    payee_id      uuid,
    amount        bigint,
    asset         text,
    note          text,
    status        text,
    reason        text,
    request_id    uuid,
    refunded      bigint,
    balance_after bigint,
    finish_by     timestamptz,
    key           text,
    fingerprint   bytea,
    created_at    timestamptz,
    updated_at    timestamptz,
    completed_at  timestamptz
);
COMMENT ON TYPE payments.new_payment IS 'A row for payments.payments, as a batch hands it over.';
CREATE TYPE payments.spending AS (
    person_id        uuid,
    asset            text,
    day              date,
    spent_this_day   bigint,
    month            date,
    spent_this_month bigint
);
COMMENT ON TYPE payments.spending IS 'What a payer has spent, as a batch leaves it.';

-- Each grows at as many places as there are people, not as there are payments.
CREATE INDEX payments_made ON payments.payments (payer_id, id);
CREATE INDEX payments_received ON payments.payments (payee_id, id) WHERE status = 'completed';
CREATE INDEX payments_queued ON payments.payments (id) WHERE status = 'queued';
CREATE UNIQUE INDEX a_request_is_paid_once ON payments.payments (request_id)
    WHERE status = 'completed' AND request_id IS NOT NULL;
GRANT SELECT, INSERT, UPDATE ON payments.payments TO unbusy_app;

CREATE TABLE payments.refunds (
    id            uuid        NOT NULL,
    tenant_id     integer     NOT NULL REFERENCES tenants.tenants,
    payment_id    uuid        NOT NULL REFERENCES payments.payments,
    payee_id      uuid        NOT NULL,
    amount        bigint      NOT NULL,
    asset         text        NOT NULL,
    note          text        NOT NULL,
    status        text        NOT NULL,
    reason        text,
    balance_after bigint,
    key           text        NOT NULL,
    fingerprint   bytea       NOT NULL,
    created_at    timestamptz NOT NULL,
    CONSTRAINT refunds_pkey PRIMARY KEY (id),
    CONSTRAINT a_key_makes_one_refund UNIQUE (payee_id, key),
    CONSTRAINT amount_is_positive CHECK (amount > 0),
    CONSTRAINT status_is_known CHECK (status IN ('completed', 'declined')),
    CONSTRAINT declined_says_why CHECK ((status = 'declined') = (reason IS NOT NULL))
);
COMMENT ON TABLE payments.refunds IS
    'The payee of a payment gives back all or part of it. Its id is also the id of its transfer in the ledger.';
CREATE INDEX refunds_of_a_payment ON payments.refunds (payment_id, id);
GRANT SELECT, INSERT ON payments.refunds TO unbusy_app;

-- Orders the events of one transaction. A connection takes a thousand at a time: numbers of
-- different transactions need no order, their transactions have one.
CREATE SEQUENCE payments.event_numbers CACHE 1000;
GRANT USAGE ON SEQUENCE payments.event_numbers TO unbusy_app;

CREATE TABLE payments.events (
    person_id  uuid        NOT NULL,
    xid        bigint      NOT NULL DEFAULT pg_current_xact_id()::text::bigint,
    number     bigint      NOT NULL DEFAULT nextval('payments.event_numbers'),
    tenant_id  integer     NOT NULL,
    kind       text        NOT NULL,
    subject_id uuid        NOT NULL,
    at         timestamptz NOT NULL,
    CONSTRAINT events_pkey PRIMARY KEY (person_id, xid, number)
) WITH (autovacuum_vacuum_insert_scale_factor = 0.05);
COMMENT ON TABLE payments.events IS
    'What changed, for whom. Ordered by transaction: all below the oldest one still running is final, so no reader '
    'that stops there can miss a late commit.';
CREATE INDEX events_lately ON payments.events USING brin (xid) WITH (autosummarize = on, pages_per_range = 16);
GRANT SELECT, INSERT ON payments.events TO unbusy_app;
