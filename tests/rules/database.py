"""What must be so for every table, asked of a migrated database.

Each rule is a question whose answer should be empty; its docstring is the rule.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from unbusy.db import Connection, Row

Rule = Callable[[Connection], Awaitable[list[str]]]

# Tables whose rows belong to nobody in particular.
SHARED = {
    "public.unbusy_migrations": "which migrations were applied to this database",
    "tenants.tenants": "the tenants themselves; the id is the tenant's",
    "ledger.assets": "a currency is the same for everybody",
    "banks.pulses": "a bank is as well for one tenant as for another",
    "banks.paces": "a bank's limit is for the whole installation",
    "promises.queues": "one queue is everybody's",
    "promises.hours": "counts of everybody's promises, told to the public",
}

# What the role of gateways and workers may erase; anything else is kept for ever.
ERASABLE = {
    "people.sessions": "a session that ended long ago proves nothing",
    "people.revocations": "forgotten once every access token of the session has expired",
    "people.attempts": "forgotten when somebody signs in, or stops trying",
}


async def tables_are_explained(connection: Connection) -> list[str]:
    """Every schema and every table has a comment that says what it holds."""
    return _names(
        await connection.fetch(
            """
            SELECT n.nspname || '.' || c.relname
              FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
             WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
               AND n.nspname NOT IN ('pg_catalog', 'information_schema')
               AND obj_description(c.oid, 'pg_class') IS NULL
            UNION ALL
            SELECT nspname FROM pg_namespace
             WHERE nspname !~ '^(pg_.*|information_schema)$' AND obj_description(oid, 'pg_namespace') IS NULL
            """
        )
    )


async def rows_belong_to_a_tenant(connection: Connection) -> list[str]:
    """Every table that holds something of somebody says whose: `tenant_id integer NOT NULL`."""
    return _names(
        await connection.fetch(
            """
            SELECT n.nspname || '.' || c.relname
              FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
             WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
               AND n.nspname NOT IN ('pg_catalog', 'information_schema')
               AND n.nspname || '.' || c.relname <> ALL ($1::text[])
               AND NOT EXISTS (
                   SELECT FROM pg_attribute a
                    WHERE a.attrelid = c.oid AND a.attname = 'tenant_id'
                      AND a.atttypid = 'integer'::regtype AND a.attnotnull
               )
            """,
            list(SHARED),
        )
    )


async def constraints_read_as_facts(connection: Connection) -> list[str]:
    """A check or a unique constraint has a name that reads as a fact, for it ends up in front of people."""
    return _names(
        await connection.fetch(
            """
            SELECT conrelid::regclass || ': ' || conname FROM pg_constraint
             WHERE contype IN ('c', 'u', 'x') AND connamespace::regnamespace::text NOT IN ('pg_catalog', 'public')
               AND conrelid <> 0 AND conname ~ '_(check|key|excl)[0-9]*$'
            """
        )
    )


async def types_keep_their_promise(connection: Connection) -> list[str]:
    """No enum types (they cannot shrink), no time without a zone, no money in floats."""
    return _names(
        await connection.fetch(
            """
            SELECT a.attrelid::regclass || '.' || a.attname || ': ' || format_type(t.oid, NULL)
              FROM pg_attribute a
              JOIN pg_class c ON c.oid = a.attrelid AND c.relkind IN ('r', 'p')
              JOIN pg_namespace n ON n.oid = c.relnamespace
              JOIN pg_type t ON t.oid = a.atttypid
             WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND a.attnum > 0 AND NOT a.attisdropped
               AND (t.typtype = 'e' OR t.typname IN ('timestamp', 'timetz', 'float4', 'float8', 'money'))
            """
        )
    )


async def foreign_keys_are_indexed(connection: Connection) -> list[str]:
    """A foreign key to a table that can grow has an index that begins with its columns.

    Without one, every change of the row pointed at reads the whole table.
    """
    return _names(
        await connection.fetch(
            """
            SELECT conrelid::regclass || ': ' || conname FROM pg_constraint con
             WHERE contype = 'f' AND confrelid::regclass::text <> ALL ($1::text[])
               AND NOT EXISTS (
                   SELECT FROM pg_index i
                    WHERE i.indrelid = con.conrelid
                      AND (i.indkey::smallint[])[0:cardinality(con.conkey) - 1] @> con.conkey
               )
            """,
            list(SHARED),
        )
    )


async def the_app_owns_nothing(connection: Connection) -> list[str]:
    """Gateways and workers may not change a table, nor erase what they were not told to erase."""
    return _names(
        await connection.fetch(
            """
            SELECT c.oid::regclass || ': ' || action
              FROM pg_class c
              JOIN pg_namespace n ON n.oid = c.relnamespace
             CROSS JOIN unnest(ARRAY['DELETE', 'TRUNCATE', 'TRIGGER', 'REFERENCES']) AS action
             WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
               AND has_table_privilege('unbusy_app', c.oid, action)
               AND NOT (action = 'DELETE' AND c.oid::regclass::text = ANY ($1::text[]))
            UNION ALL
            SELECT nspname || ': CREATE' FROM pg_namespace
             WHERE nspname !~ '^pg_' AND has_schema_privilege('unbusy_app', oid, 'CREATE')
            UNION ALL
            SELECT oid::regclass || ': owner' FROM pg_class WHERE relowner = 'unbusy_app'::regrole
            """,
            list(ERASABLE),
        )
    )


RULES: list[Rule] = [
    tables_are_explained,
    rows_belong_to_a_tenant,
    constraints_read_as_facts,
    types_keep_their_promise,
    foreign_keys_are_indexed,
    the_app_owns_nothing,
]


def _names(rows: Sequence[Row]) -> list[str]:
    return sorted(str(row[0]) for row in rows)
