-- When a queued payment will be done: what was promised, what became of it, and what was learnt.

CREATE SCHEMA promises;
COMMENT ON SCHEMA promises IS 'Promises about when queued payments are done, and whether they were kept.';
GRANT USAGE ON SCHEMA promises TO unbusy_app;

CREATE TABLE promises.queues (
    class    text        NOT NULL,
    learnt   jsonb,
    backlog  integer     NOT NULL DEFAULT 0,
    heard_at timestamptz,
    CONSTRAINT queues_pkey PRIMARY KEY (class),
    CONSTRAINT backlog_is_not_negative CHECK (backlog >= 0)
) WITH (fillfactor = 50);
COMMENT ON TABLE promises.queues IS
    'What is known of a queue: how fast it is drained and how well its waits are foretold. Whoever drains it says so '
    'once a second (heard_at); while nobody does, its promises are paused.';
GRANT SELECT, UPDATE ON promises.queues TO unbusy_app;
INSERT INTO promises.queues (class) VALUES ('queued');

-- No foreign keys, as on payments.payments: a promise is written in the transaction of its payment.
CREATE TABLE promises.promises (
    payment_id  uuid        NOT NULL,
    tenant_id   integer     NOT NULL,
    class       text        NOT NULL,
    ahead       integer     NOT NULL,
    made_at     timestamptz NOT NULL,
    expected_at timestamptz,
    likely_by   timestamptz,
    promised_by timestamptz NOT NULL,
    finish_by   timestamptz NOT NULL,
    was_overdue boolean     NOT NULL DEFAULT false,
    revised_at  timestamptz,
    ended_at    timestamptz,
    outcome     text,
    CONSTRAINT promises_pkey PRIMARY KEY (payment_id),
    CONSTRAINT outcome_is_known CHECK (outcome IN ('kept', 'broken', 'withdrawn')),
    CONSTRAINT ended_says_how CHECK ((ended_at IS NULL) = (outcome IS NULL)),
    CONSTRAINT expected_is_likely_too CHECK ((expected_at IS NULL) = (likely_by IS NULL))
) WITH (fillfactor = 90, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
COMMENT ON TABLE promises.promises IS
    'What was promised for a queued payment, and what became of it. promised_by is the first finish_by; expected_at '
    'and likely_by are missing when the queue stood still as it was made.';
CREATE INDEX promises_open ON promises.promises (class, payment_id) WHERE ended_at IS NULL;
GRANT SELECT, INSERT, UPDATE ON promises.promises TO unbusy_app;

CREATE TYPE promises.new_promise AS (
    payment_id  uuid,
    tenant_id   integer,
    ahead       integer,
    made_at     timestamptz,
    expected_at timestamptz,
    likely_by   timestamptz,
    finish_by   timestamptz
);
COMMENT ON TYPE promises.new_promise IS 'A row for promises.promises, as a batch hands it over.';

CREATE TABLE promises.revisions (
    payment_id  uuid        NOT NULL,
    revised_at  timestamptz NOT NULL,
    tenant_id   integer     NOT NULL,
    expected_at timestamptz,
    likely_by   timestamptz,
    finish_by   timestamptz NOT NULL,
    CONSTRAINT revisions_pkey PRIMARY KEY (payment_id, revised_at)
);
COMMENT ON TABLE promises.revisions IS 'What had been promised until then, each time a promise was revised.';
GRANT SELECT, INSERT ON promises.revisions TO unbusy_app;

CREATE TABLE promises.hours (
    class         text        NOT NULL,
    begins_at     timestamptz NOT NULL,
    kept          bigint      NOT NULL,
    broken        bigint      NOT NULL,
    likely_kept   bigint      NOT NULL,
    likely_missed bigint      NOT NULL,
    sharpness     bigint[]    NOT NULL,
    CONSTRAINT hours_pkey PRIMARY KEY (class, begins_at),
    CONSTRAINT counts_are_not_negative CHECK (least(kept, broken, likely_kept, likely_missed) >= 0)
) WITH (fillfactor = 50);
COMMENT ON TABLE promises.hours IS
    'How many promises that ended in an hour were kept and broken, of finish_by and of likely_by, and how many times '
    'the actual wait the likely one was, in buckets. What GET /v1/promises tells.';
GRANT SELECT, INSERT, UPDATE ON promises.hours TO unbusy_app;

-- What is queued already was promised by finish_by alone.
INSERT INTO promises.promises (payment_id, tenant_id, class, ahead, made_at, promised_by, finish_by)
SELECT id, tenant_id, 'queued', 0, created_at, finish_by, finish_by FROM payments.payments WHERE status = 'queued';
