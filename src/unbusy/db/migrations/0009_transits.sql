-- Money that crosses the edge of the wallet: in from somebody's account at a bank, and out to it.

CREATE SCHEMA transits;
COMMENT ON SCHEMA transits IS 'People''s accounts at banks, and money on its way from or to one.';
GRANT USAGE ON SCHEMA transits TO unbusy_app;

CREATE TABLE transits.bank_accounts (
    id         uuid        NOT NULL,
    tenant_id  integer     NOT NULL REFERENCES tenants.tenants,
    person_id  uuid        NOT NULL,
    bank       text        NOT NULL,
    iban       text        NOT NULL,
    holder     text        NOT NULL,
    created_at timestamptz NOT NULL,
    removed_at timestamptz,
    CONSTRAINT bank_accounts_pkey PRIMARY KEY (id),
    CONSTRAINT iban_is_in_its_electronic_form CHECK (iban ~ '^[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}$'),
    CONSTRAINT holder_is_named CHECK (length(holder) BETWEEN 1 AND 80),
    CONSTRAINT removed_after_it_was_linked CHECK (removed_at >= created_at)
);
COMMENT ON TABLE transits.bank_accounts IS
    'Accounts at banks that people linked. One that was removed stays, for the transits that name it.';
CREATE UNIQUE INDEX a_person_links_an_account_once ON transits.bank_accounts (person_id, bank, iban)
    WHERE removed_at IS NULL;
GRANT SELECT, INSERT ON transits.bank_accounts TO unbusy_app;
GRANT UPDATE (removed_at) ON transits.bank_accounts TO unbusy_app;

-- What the bank is told is kept here whole, so that it is the same at every try whatever becomes of the
-- linked account. The id is also the bank's reference and the hold's in the ledger.
CREATE TABLE transits.transits (
    id              uuid        NOT NULL,
    tenant_id       integer     NOT NULL REFERENCES tenants.tenants,
    person_id       uuid        NOT NULL,
    direction       text        NOT NULL,
    bank            text        NOT NULL,
    bank_account_id uuid        NOT NULL,
    iban            text        NOT NULL,
    holder          text        NOT NULL,
    amount          bigint      NOT NULL,
    asset           text        NOT NULL,
    status          text        NOT NULL,
    reason          text,
    balance_after   bigint,
    key             text        NOT NULL,
    fingerprint     bytea       NOT NULL,
    tries           integer     NOT NULL,
    sent_at         timestamptz,
    accepted_at     timestamptz,
    bank_reference  text        NOT NULL,
    resolve_by      timestamptz NOT NULL,
    due_at          timestamptz,
    parked_id       uuid,
    created_at      timestamptz NOT NULL,
    updated_at      timestamptz NOT NULL,
    CONSTRAINT transits_pkey PRIMARY KEY (id),
    CONSTRAINT a_key_makes_one_transit UNIQUE (person_id, key),
    CONSTRAINT direction_is_known CHECK (direction IN ('pull', 'push')),
    CONSTRAINT status_is_known CHECK (status IN ('pending', 'unknown', 'completed', 'declined', 'reversed')),
    CONSTRAINT amount_is_positive CHECK (amount > 0 AND amount <= 1000000000000000000),
    CONSTRAINT key_is_short CHECK (length(key) BETWEEN 1 AND 64),
    CONSTRAINT tries_are_counted CHECK (tries >= 0),
    CONSTRAINT what_is_open_is_due CHECK (status NOT IN ('pending', 'unknown') OR due_at IS NOT NULL),
    CONSTRAINT declined_and_reversed_say_why CHECK ((status IN ('declined', 'reversed')) = (reason IS NOT NULL)),
    CONSTRAINT completed_tells_the_balance CHECK ((status = 'completed') = (balance_after IS NOT NULL)),
    CONSTRAINT unknown_was_sent CHECK (status <> 'unknown' OR sent_at IS NOT NULL),
    CONSTRAINT only_what_was_reversed_is_parked CHECK (parked_id IS NULL OR status = 'reversed')
) WITH (fillfactor = 80);
COMMENT ON TABLE transits.transits IS
    'Money on its way from a bank account (pull) or to one (push): what the bank is told, and how far it came.';
COMMENT ON COLUMN transits.transits.tries IS
    'How often it was taken up. Only who took it up last may write down what the bank said.';
COMMENT ON COLUMN transits.transits.sent_at IS
    'Written before the bank is told: from here on it may know, and is asked instead of told again.';
COMMENT ON COLUMN transits.transits.due_at IS
    'When it is taken up next; while a worker has it, when another one may. Empty when nothing is left to do.';
COMMENT ON COLUMN transits.transits.parked_id IS
    'The transfer to or from suspense, when the bank settled what had been reversed here.';
CREATE INDEX transits_that_are_due ON transits.transits (bank, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX transits_of_a_person ON transits.transits (person_id, direction, id);
GRANT SELECT, INSERT ON transits.transits TO unbusy_app;
GRANT UPDATE (
    status, reason, balance_after, tries, sent_at, accepted_at, bank_reference, due_at, parked_id, updated_at
) ON transits.transits TO unbusy_app;
