-- Who has a wallet here, who works here, and how they prove it.

CREATE SCHEMA people;
COMMENT ON SCHEMA people IS 'Customers, merchants and operators; their passwords, sessions, and the attempts at them.';
GRANT USAGE ON SCHEMA people TO unbusy_app;

CREATE TABLE people.people (
    tenant_id  integer     NOT NULL,
    id         uuid        NOT NULL,
    role       text        NOT NULL,
    name       text        NOT NULL,
    handle     text        COLLATE "C" NOT NULL,
    email      text        COLLATE "C",
    phone      text        COLLATE "C",
    language   text        NOT NULL,
    state      text        NOT NULL DEFAULT 'open',
    created_at timestamptz NOT NULL,
    CONSTRAINT people_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT people_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants.tenants,
    CONSTRAINT handle_is_nobody_elses UNIQUE (tenant_id, handle),
    CONSTRAINT email_is_nobody_elses UNIQUE (tenant_id, email),
    CONSTRAINT phone_is_nobody_elses UNIQUE (tenant_id, phone),
    CONSTRAINT role_is_known CHECK (role IN ('customer', 'merchant', 'operator')),
    CONSTRAINT name_has_one_to_eighty_characters CHECK (char_length(name) BETWEEN 1 AND 80),
    CONSTRAINT handle_is_short_and_plain CHECK (handle ~ '^[a-z][a-z0-9_]{2,29}$'),
    CONSTRAINT email_is_in_small_letters CHECK (email !~ '[A-Z ]' AND char_length(email) BETWEEN 3 AND 254),
    CONSTRAINT phone_is_e164 CHECK (phone ~ '^\+[1-9][0-9]{6,14}$'),
    CONSTRAINT person_can_be_reached CHECK (email IS NOT NULL OR phone IS NOT NULL),
    CONSTRAINT language_is_known CHECK (language IN ('en', 'zh')),
    CONSTRAINT state_is_known CHECK (state IN ('open', 'closed'))
);
COMMENT ON TABLE people.people IS
    'Everybody, in one table, because anybody may pay anybody. Never deleted: a handle once given names nobody else.';
GRANT SELECT, INSERT, UPDATE (state) ON people.people TO unbusy_app;

-- Apart from people.people, so that whoever reads names never reads hashes by accident.
CREATE TABLE people.passwords (
    tenant_id integer NOT NULL,
    person_id uuid    NOT NULL,
    hash      text    NOT NULL,
    CONSTRAINT passwords_pkey PRIMARY KEY (tenant_id, person_id),
    CONSTRAINT password_is_somebodys FOREIGN KEY (tenant_id, person_id) REFERENCES people.people,
    CONSTRAINT hash_is_argon2id CHECK (hash LIKE '$argon2id$%')
);
COMMENT ON TABLE people.passwords IS 'What a password is verified against: argon2id with its salt and cost, never the password.';
GRANT SELECT, INSERT ON people.passwords TO unbusy_app;

CREATE TABLE people.sessions (
    id           uuid        NOT NULL,
    tenant_id    integer     NOT NULL,
    person_id    uuid        NOT NULL,
    generation   integer     NOT NULL DEFAULT 0,
    created_at   timestamptz NOT NULL,
    last_used_at timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL,
    revoked_at   timestamptz,
    CONSTRAINT sessions_pkey PRIMARY KEY (id),
    CONSTRAINT session_is_somebodys FOREIGN KEY (tenant_id, person_id) REFERENCES people.people,
    CONSTRAINT generation_is_counted_up CHECK (generation >= 0),
    CONSTRAINT revoked_session_has_expired CHECK (expires_at <= revoked_at)
);
COMMENT ON TABLE people.sessions IS
    'One sign-in each. The refresh token in force is made from the id and the generation by the secret, and is not stored.';
CREATE INDEX sessions_open ON people.sessions (tenant_id, person_id, last_used_at) WHERE revoked_at IS NULL;
CREATE INDEX sessions_by_end ON people.sessions (expires_at);
GRANT SELECT, INSERT, DELETE ON people.sessions TO unbusy_app;
GRANT UPDATE (generation, last_used_at, expires_at, revoked_at) ON people.sessions TO unbusy_app;

CREATE TABLE people.revocations (
    session_id uuid        NOT NULL,
    tenant_id  integer     NOT NULL,
    xid        xid8        NOT NULL DEFAULT pg_current_xact_id(),
    revoked_at timestamptz NOT NULL,
    CONSTRAINT revocations_pkey PRIMARY KEY (session_id),
    CONSTRAINT revocations_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants.tenants
);
COMMENT ON TABLE people.revocations IS
    'Sessions that ended while access tokens of theirs may still live. Every process follows it by the transaction that wrote a row.';
CREATE INDEX revocations_in_order ON people.revocations (xid);
GRANT SELECT, INSERT, DELETE ON people.revocations TO unbusy_app;

CREATE TABLE people.attempts (
    tenant_id integer     NOT NULL,
    kind      text        NOT NULL,
    subject   bytea       NOT NULL,
    count     integer     NOT NULL,
    last_at   timestamptz NOT NULL,
    opens_at  timestamptz NOT NULL,
    CONSTRAINT attempts_pkey PRIMARY KEY (tenant_id, kind, subject),
    CONSTRAINT attempts_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants.tenants,
    CONSTRAINT kind_is_known CHECK (kind IN ('account', 'address')),
    CONSTRAINT subject_is_a_keyed_hash CHECK (octet_length(subject) = 32),
    CONSTRAINT count_is_not_negative CHECK (count >= 0)
);
COMMENT ON TABLE people.attempts IS
    'Attempts that have not succeeded, and when the next one is let in. The subject is a keyed hash: whom somebody tried to be is not kept.';
CREATE INDEX attempts_by_age ON people.attempts (last_at);
GRANT SELECT, INSERT, UPDATE, DELETE ON people.attempts TO unbusy_app;
