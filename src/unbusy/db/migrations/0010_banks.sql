-- How the banks fare, for gateways to tell; and whose turn it is to call one that allows only so many calls.

CREATE SCHEMA banks;
COMMENT ON SCHEMA banks IS 'The banks as all workers together know them.';
GRANT USAGE ON SCHEMA banks TO unbusy_app;

CREATE TABLE banks.pulses (
    bank      text        NOT NULL,
    operation text        NOT NULL,
    condition text        NOT NULL,
    since     timestamptz NOT NULL,
    p50_ms    integer,
    last_good timestamptz,
    told_at   timestamptz NOT NULL,
    CONSTRAINT pulses_pkey PRIMARY KEY (bank, operation),
    CONSTRAINT operation_is_known CHECK (operation IN ('send_pull', 'send_push', 'enquire')),
    CONSTRAINT condition_is_known CHECK (condition IN ('operational', 'degraded', 'maintenance', 'down')),
    CONSTRAINT latency_is_a_time CHECK (p50_ms >= 0),
    CONSTRAINT since_before_it_was_told CHECK (since <= told_at)
) WITH (fillfactor = 50);
COMMENT ON TABLE banks.pulses IS
    'How each operation of a bank fares, told by the workers about once a second. Old rows say that no worker looks.';
COMMENT ON COLUMN banks.pulses.since IS 'Since when it has been in this condition.';
COMMENT ON COLUMN banks.pulses.p50_ms IS 'The median of what answers took lately, in milliseconds.';
GRANT SELECT, INSERT, UPDATE ON banks.pulses TO unbusy_app;

CREATE TABLE banks.paces (
    bank    text        NOT NULL,
    free_at timestamptz NOT NULL,
    CONSTRAINT paces_pkey PRIMARY KEY (bank)
) WITH (fillfactor = 50);
COMMENT ON TABLE banks.paces IS 'When the next call to a bank may begin; the calls before are taken. One row for all workers.';
GRANT SELECT, INSERT, UPDATE ON banks.paces TO unbusy_app;
