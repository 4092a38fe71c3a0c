-- What banks say was booked on the operator's accounts there, and how it is explained by ours.

CREATE SCHEMA statements;
COMMENT ON SCHEMA statements IS 'Banks'' statements, the lines of them, and how each is explained.';
GRANT USAGE ON SCHEMA statements TO unbusy_app;

CREATE TABLE statements.accounts (
    id          uuid    NOT NULL,
    tenant_id   integer NOT NULL REFERENCES tenants.tenants,
    bank        text    NOT NULL,
    asset       text    NOT NULL,
    suspense_id uuid    NOT NULL,
    CONSTRAINT accounts_pkey PRIMARY KEY (id),
    CONSTRAINT a_bank_has_one_account_of_an_asset UNIQUE (tenant_id, bank, asset)
);
COMMENT ON TABLE statements.accounts IS
    'The operator''s accounts at banks that statements came of. The id is that of the nostro in the ledger. Whoever '
    'takes a statement in holds the row locked.';
GRANT SELECT, INSERT ON statements.accounts TO unbusy_app;
-- To lock the row; nothing of it ever changes.
GRANT UPDATE (suspense_id) ON statements.accounts TO unbusy_app;

CREATE TABLE statements.statements (
    id          uuid        NOT NULL,
    tenant_id   integer     NOT NULL REFERENCES tenants.tenants,
    account_id  uuid        NOT NULL REFERENCES statements.accounts,
    kind        text        NOT NULL,
    name        text        NOT NULL,
    number      integer,
    page        integer     NOT NULL,
    opening     bigint,
    closing     bigint,
    until       timestamptz NOT NULL,
    digest      bytea       NOT NULL,
    lines       integer     NOT NULL,
    taken_at    timestamptz NOT NULL,
    place       bigint      NOT NULL,
    CONSTRAINT statements_pkey PRIMARY KEY (id),
    CONSTRAINT kind_is_known CHECK (kind IN ('statement', 'notification')),
    CONSTRAINT a_statement_tells_its_balances CHECK ((kind = 'statement') = (opening IS NOT NULL AND closing IS NOT NULL)),
    CONSTRAINT a_statement_is_taken_once UNIQUE (account_id, digest),
    CONSTRAINT statements_stand_in_a_row UNIQUE (account_id, place)
);
COMMENT ON TABLE statements.statements IS
    'What was taken in: a statement, whose opening balance is the closing one of the one before it (`place`), or a '
    'notification, which has no balances. What was parked is a case and not here.';
GRANT SELECT, INSERT ON statements.statements TO unbusy_app;

CREATE TABLE statements.lines (
    id             uuid    NOT NULL,
    tenant_id      integer NOT NULL REFERENCES tenants.tenants,
    account_id     uuid    NOT NULL REFERENCES statements.accounts,
    statement_id   uuid    NOT NULL REFERENCES statements.statements,
    position       integer NOT NULL,
    amount         bigint  NOT NULL,
    booked_on      date    NOT NULL,
    reference      text    NOT NULL,
    bank_reference text    NOT NULL,
    iban           text    NOT NULL,
    name           text    NOT NULL,
    text           text    NOT NULL,
    state          text    NOT NULL,
    CONSTRAINT lines_pkey PRIMARY KEY (id),
    CONSTRAINT a_line_stands_in_one_place UNIQUE (statement_id, position),
    CONSTRAINT a_line_moves_something CHECK (amount <> 0 AND abs(amount) <= 1000000000000000000),
    CONSTRAINT state_is_known CHECK (state IN ('told', 'matched', 'booked', 'held'))
) WITH (fillfactor = 80);
COMMENT ON TABLE statements.lines IS
    'What a bank booked; above zero came in. Matched to ours; or booked to suspense; or held, because ours is not '
    'final yet; or only told by a notification, whose statement will decide.';
CREATE INDEX lines_that_are_open ON statements.lines (account_id) WHERE state IN ('booked', 'held');
GRANT SELECT, INSERT ON statements.lines TO unbusy_app;
GRANT UPDATE (state) ON statements.lines TO unbusy_app;

CREATE TABLE statements.matches (
    transit_id  uuid        NOT NULL,
    tenant_id   integer     NOT NULL REFERENCES tenants.tenants,
    line_id     uuid        NOT NULL REFERENCES statements.lines,
    amount      bigint      NOT NULL,
    by          text        NOT NULL,
    explanation text        NOT NULL,
    matched_at  timestamptz NOT NULL,
    CONSTRAINT a_transit_is_matched_once PRIMARY KEY (transit_id),
    CONSTRAINT by_is_known CHECK (by IN ('reference', 'counterparty', 'sum', 'similar'))
);
COMMENT ON TABLE statements.matches IS
    'Which of our top-ups and payouts a line is, and why we think so. A line may be several of them at once.';
CREATE INDEX matches_of_a_line ON statements.matches (line_id);
GRANT SELECT, INSERT ON statements.matches TO unbusy_app;
-- A statement's line takes over from the notification's that told of it before.
GRANT UPDATE (line_id, by, explanation, matched_at) ON statements.matches TO unbusy_app;

CREATE TABLE statements.cases (
    id          uuid        NOT NULL,
    tenant_id   integer     NOT NULL REFERENCES tenants.tenants,
    account_id  uuid        NOT NULL REFERENCES statements.accounts,
    kind        text        NOT NULL,
    line_id     uuid        REFERENCES statements.lines,
    transit_id  uuid,
    parked      bytea,
    amount      bigint      NOT NULL,
    explanation text        NOT NULL,
    opened_at   timestamptz NOT NULL,
    resolved_at timestamptz,
    resolution  text,
    CONSTRAINT cases_pkey PRIMARY KEY (id),
    CONSTRAINT kind_is_known CHECK (kind IN (
        'unknown_line', 'amount_differs', 'duplicate', 'returned', 'declined_here', 'reversed_here', 'not_final_here',
        'missing_line', 'gap', 'broken_sum'
    )),
    CONSTRAINT a_case_is_about_something CHECK (coalesce(line_id::text, transit_id::text, parked::text) IS NOT NULL),
    CONSTRAINT resolved_says_how CHECK ((resolved_at IS NULL) = (resolution IS NULL)),
    CONSTRAINT resolved_after_it_was_opened CHECK (resolved_at >= opened_at)
);
COMMENT ON TABLE statements.cases IS
    'Breaks: what a bank says and we do not, or the other way round. Open until a later statement explains it.';
COMMENT ON COLUMN statements.cases.parked IS
    'Which statement was parked: what it shares with a mended copy of itself.';
CREATE UNIQUE INDEX a_line_has_one_open_case ON statements.cases (line_id) WHERE resolved_at IS NULL;
CREATE UNIQUE INDEX a_transit_is_missed_once ON statements.cases (transit_id)
    WHERE resolved_at IS NULL AND kind = 'missing_line';
CREATE UNIQUE INDEX a_statement_is_parked_once ON statements.cases (account_id, parked) WHERE resolved_at IS NULL;
CREATE INDEX cases_of_a_line ON statements.cases (line_id);
CREATE INDEX cases_of_an_account ON statements.cases (account_id);
GRANT SELECT, INSERT ON statements.cases TO unbusy_app;
GRANT UPDATE (resolved_at, resolution) ON statements.cases TO unbusy_app;
CREATE INDEX lines_of_an_account ON statements.lines (account_id);
CREATE INDEX transits_a_bank_settled ON transits.transits (bank, updated_at) WHERE status IN ('completed', 'reversed');
