"""The database: connections, transactions, migrations, and the embedded server.

    settings ─▶ embedded.Server (or your own PostgreSQL) ─▶ migrate ─▶ Database ─▶ tx

A `Tx` is a connection inside a transaction: whoever holds one may read and write, and everything
is undone unless the block ends well. No bank, no mail and no HTTP while holding one.
"""

from unbusy.db.connection import Connection, Row, Tx
from unbusy.db.migrate import migrate, require_current
from unbusy.db.pool import Database, is_unavailable

__all__ = ["Connection", "Database", "Row", "Tx", "is_unavailable", "migrate", "require_current"]
