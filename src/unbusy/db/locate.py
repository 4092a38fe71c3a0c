"""Which database a command is about, wherever it is and whether it runs or not."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from unbusy.db import embedded
from unbusy.db.embedded import InUse, Server
from unbusy.errors import SetupError
from unbusy.settings import Settings

# A server of ours that is just coming up, or recovering, answers within this.
_PATIENCE_S = 10.0


@contextmanager
def located(settings: Settings, *, may_make: bool = False) -> Generator[str]:
    """The URL of the database: the setting's, else of the embedded one that runs in the data
    directory, else of that one started for the time being.

    Raises SetupError when there is none yet, unless the command may make one.
    """
    if settings.database_url:
        yield settings.database_url
        return
    directory = Path(settings.data)
    if not may_make and not embedded.exists_at(directory):
        raise SetupError(f"there is no database in {directory}; 'unbusy up' makes one")
    url, server = _reach(directory)
    try:
        yield url
    finally:
        if server:
            server.stop()


def _reach(directory: Path) -> tuple[str, Server | None]:
    give_up_at = time.monotonic() + _PATIENCE_S
    while True:
        if url := embedded.running_at(directory):
            return url, None
        try:
            server = Server.start(directory)
        except InUse:
            if time.monotonic() > give_up_at:
                raise
            time.sleep(0.1)
        else:
            return server.url(), server
