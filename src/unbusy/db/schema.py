"""The whole database on one page: `schema.sql`, made from a freshly migrated one.

`python -m unbusy.db.schema` writes it, `--check` only compares. It is for reading: what runs are
the migrations.
"""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from unbusy.db.embedded import Server, binary
from unbusy.db.migrate import migrate
from unbusy.errors import SetupError

PATH = Path(__file__).with_name("schema.sql")

_HEADER = """\
-- The whole database on one page, made by `make docs` from a freshly migrated one.
-- For reading only: what runs are the files in migrations/.
"""
_ENTRY = re.compile(r"^-- Name: (?P<name>.+); Type: (?P<type>.+); Schema: (?P<schema>\S+); Owner:.*$", re.MULTILINE)
_NOISE = re.compile(r"^(--.*|SET .*;|\\(un)?restrict .*|SELECT pg_catalog\.set_config.*;)\n", re.MULTILINE)


class _Entry(NamedTuple):
    """One statement of the dump. `subject` is the table or function that it is about."""

    schema: str
    subject: str
    sql: str


def page(url: str) -> str:
    """The schema of the database at `url`, grouped by schema and table, without what differs by machine."""
    command = [binary("pg_dump"), "--schema-only", "--no-owner", f"--dbname={url}"]
    dump = subprocess.run(command, capture_output=True, check=False, text=True)  # noqa: S603 - our own program
    if dump.returncode != 0:
        raise SetupError(f"cannot read the schema: {dump.stderr.strip()}")
    entries = sorted(_entries(dump.stdout), key=lambda entry: entry.schema)  # stable: else in the dump's order
    return _HEADER + "".join(
        f"\n\n-- {schema} {'-' * (96 - len(schema))}\n" + _grouped(list(group))
        for schema, group in groupby(entries, key=lambda entry: entry.schema)
    )


def fresh_page() -> str:
    """The same, of a temporary database with all migrations applied."""
    with tempfile.TemporaryDirectory(prefix="unbusy-schema-") as directory:
        server = Server.start(Path(directory), options={"fsync": "off"})
        try:
            asyncio.run(migrate(server.url()))
            return page(server.url())
        finally:
            server.stop()


def _entries(dump: str) -> Iterator[_Entry]:
    heads = list(_ENTRY.finditer(dump))
    ends = [head.start() for head in heads[1:]] + [len(dump)]
    for head, end in zip(heads, ends, strict=True):
        sql = _tidy(_NOISE.sub("", dump[head.end() + 1 : end]))
        schema, subject = _place(head["name"], head["type"], head["schema"], sql)
        yield _Entry(schema, subject, sql)


def _tidy(sql: str) -> str:
    sql = re.sub(r"^ALTER TABLE (?:ONLY )?(\S+)\n +", r"ALTER TABLE \1 ", sql.strip())
    return sql.replace("timestamp with time zone", "timestamptz")


def _place(name: str, type: str, schema: str, sql: str) -> tuple[str, str]:
    """Where a statement belongs on the page: under its schema, beside its table."""
    if schema == "-":  # about a schema itself: `ledger`, or `SCHEMA ledger`
        return name.removeprefix("SCHEMA "), ""
    if type == "INDEX" and (table := re.search(rf" ON (?:ONLY )?{schema}\.(\w+)", sql)):
        return schema, table[1]
    # `accounts`, `accounts accounts_pkey`, `TABLE accounts`, `COLUMN accounts.floor`
    words = name.split()
    word = words[1] if type in {"COMMENT", "ACL"} and len(words) > 1 else words[0]
    return schema, word.partition(".")[0]


def _grouped(entries: list[_Entry]) -> str:
    """Tables in the order they were made, each followed by all that is about it."""
    subjects = list(dict.fromkeys(entry.subject for entry in entries))
    parts = (
        "\n".join(entry.sql for entry in entries if entry.subject == subject) for subject in sorted(subjects, key=bool)
    )
    return "\n" + "\n\n".join(parts) + "\n"


def _main() -> int:
    fresh = fresh_page()
    if "--check" not in sys.argv[1:]:
        PATH.write_text(fresh, encoding="utf-8")
    elif not PATH.exists() or PATH.read_text(encoding="utf-8") != fresh:
        sys.stderr.write(f"{PATH.name} is not what the migrations make; run make docs\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(_main())
