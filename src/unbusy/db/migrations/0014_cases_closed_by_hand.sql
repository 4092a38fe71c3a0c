-- A person may close a case that no statement will explain; and a day is closed with a report that stays.

CREATE TABLE statements.closed_by_hand (
    case_id     uuid        NOT NULL REFERENCES statements.cases,
    tenant_id   integer     NOT NULL REFERENCES tenants.tenants,
    operator_id uuid        NOT NULL,
    why         text        NOT NULL,
    handed_id   uuid,
    closed_at   timestamptz NOT NULL,
    CONSTRAINT a_case_is_closed_once PRIMARY KEY (case_id),
    CONSTRAINT closed_for_a_reason CHECK (length(why) BETWEEN 1 AND 1000)
);
COMMENT ON TABLE statements.closed_by_hand IS
    'Cases that an operator closed, who, when and why. Its line stays booked to suspense, and nobody looks at it again.';
COMMENT ON COLUMN statements.closed_by_hand.handed_id IS
    'The transfer between suspense and somebody''s wallet that went with it, if any.';
GRANT SELECT, INSERT ON statements.closed_by_hand TO unbusy_app;

CREATE TABLE statements.closes (
    tenant_id integer     NOT NULL REFERENCES tenants.tenants,
    day       date        NOT NULL,
    report    text        NOT NULL,
    signature bytea       NOT NULL,
    closed_at timestamptz NOT NULL,
    CONSTRAINT a_day_is_closed_once PRIMARY KEY (tenant_id, day),
    CONSTRAINT signature_is_ed25519 CHECK (length(signature) = 64)
);
COMMENT ON TABLE statements.closes IS
    'Days whose statements are all there: the report of each, byte for byte, and the signature under it. No statement '
    'of such a day is taken any more.';
GRANT SELECT, INSERT ON statements.closes TO unbusy_app;
