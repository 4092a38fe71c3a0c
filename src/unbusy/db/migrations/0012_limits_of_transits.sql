-- The most a person may top up and pay out. Counted from the transits themselves, so that what was
-- declined or reversed takes nothing away, and there is no second count that could differ.

CREATE TABLE transits.limits (
    tenant_id   integer NOT NULL REFERENCES tenants.tenants,
    direction   text    NOT NULL,
    asset       text    NOT NULL,
    per_transit bigint  NOT NULL,
    per_day     bigint  NOT NULL,
    per_month   bigint  NOT NULL,
    CONSTRAINT limits_pkey PRIMARY KEY (tenant_id, direction, asset),
    CONSTRAINT direction_is_known CHECK (direction IN ('pull', 'push')),
    CONSTRAINT limits_are_positive CHECK (least(per_transit, per_day, per_month) > 0)
);
COMMENT ON TABLE transits.limits IS
    'A tenant''s own limits for top-ups (pull) or payouts (push) of an asset, in minor units. Where there is no row, '
    'the settings decide.';
GRANT SELECT ON transits.limits TO unbusy_app;

CREATE INDEX transits_that_count ON transits.transits (person_id, direction, asset, created_at) INCLUDE (amount)
    WHERE status NOT IN ('declined', 'reversed');
