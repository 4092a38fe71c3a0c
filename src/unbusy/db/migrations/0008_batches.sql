-- Merchants' batches: files of payments, taken as one and reported row by row.

CREATE SCHEMA batches;
COMMENT ON SCHEMA batches IS 'Files of payments that merchants send in one go, and what became of each row.';
GRANT USAGE ON SCHEMA batches TO unbusy_app;

CREATE TABLE batches.batches (
    id          uuid        NOT NULL,
    tenant_id   integer     NOT NULL REFERENCES tenants.tenants,
    payer_id    uuid        NOT NULL,
    key         text        NOT NULL,
    fingerprint bytea       NOT NULL,
    accepted    integer     NOT NULL,
    refused     integer     NOT NULL,
    finish_by   timestamptz,
    created_at  timestamptz NOT NULL,
    CONSTRAINT batches_pkey PRIMARY KEY (id),
    CONSTRAINT a_key_makes_one_batch UNIQUE (payer_id, key),
    CONSTRAINT rows_are_counted CHECK (accepted >= 0 AND refused >= 0 AND accepted + refused > 0),
    CONSTRAINT key_is_short CHECK (length(key) BETWEEN 1 AND 64)
);
COMMENT ON TABLE batches.batches IS
    'A file of payments: how many of its rows were taken, and by when the last of them was promised at first.';
GRANT SELECT, INSERT ON batches.batches TO unbusy_app;

-- No foreign key to payments: it would lock a row of theirs for every row of ours. A payment is never erased.
CREATE TABLE batches.rows (
    batch_id   uuid    NOT NULL REFERENCES batches.batches,
    line       integer NOT NULL,
    tenant_id  integer NOT NULL,
    key        text,
    payment_id uuid,
    reason     text,
    field      text,
    detail     text,
    CONSTRAINT rows_pkey PRIMARY KEY (batch_id, line),
    CONSTRAINT line_is_counted_from_one CHECK (line > 0),
    CONSTRAINT taken_or_told_why CHECK ((payment_id IS NULL) = (reason IS NOT NULL)),
    CONSTRAINT refused_names_the_field CHECK ((reason IS NULL) = (field IS NULL) AND (reason IS NULL) = (detail IS NULL))
);
COMMENT ON TABLE batches.rows IS
    'A row of a batch: the payment it stands for, or why it was not taken. The same payment may stand in two batches.';
GRANT SELECT, INSERT ON batches.rows TO unbusy_app;
