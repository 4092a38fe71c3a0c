-- Who may do what, and the tenants everything belongs to.

-- The role under which gateways and workers run. It is granted what each schema needs, never
-- ownership: it cannot change a table, nor rewrite what has been posted.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'unbusy_app') THEN
        CREATE ROLE unbusy_app NOLOGIN;
    END IF;
EXCEPTION
    -- Roles belong to the whole server: another database's migration made it a moment ago.
    WHEN duplicate_object OR unique_violation THEN NULL;
END
$$;
DO $$
BEGIN
    -- Whoever migrates must be able to become it. Another owner on the same server, who did not make
    -- the role, has it granted by hand.
    IF NOT pg_has_role('unbusy_app', 'SET') THEN
        GRANT unbusy_app TO CURRENT_USER;
    END IF;
END
$$;

CREATE SCHEMA tenants;
COMMENT ON SCHEMA tenants IS 'Banks and brands that run their wallet here.';
GRANT USAGE ON SCHEMA tenants TO unbusy_app;

CREATE TABLE tenants.tenants (
    id         integer     NOT NULL,
    slug       text        NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT tenants_pkey PRIMARY KEY (id),
    CONSTRAINT slug_is_unique UNIQUE (slug),
    CONSTRAINT slug_is_short_and_plain CHECK (slug ~ '^[a-z][a-z0-9-]{0,39}$')
);
COMMENT ON TABLE tenants.tenants IS 'A bank or a brand. Every row that belongs to someone carries its id.';
GRANT SELECT ON tenants.tenants TO unbusy_app;

INSERT INTO tenants.tenants (id, slug) VALUES (1, 'default');
