"""The banks of an installation, each behind its connector."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from unbusy.banks import roster
from unbusy.banks.openbanking import OpenBanking
from unbusy.banks.port import Connector
from unbusy.clock import Clock
from unbusy.ids import Ids
from unbusy.settings import Settings


def connect(settings: Settings, *, clock: Clock, ids: Ids) -> Mapping[str, Connector]:
    """A connector for each bank of the settings, by the bank's id. Needs a running event loop from its first call on.

    Nothing is called yet. Raises SetupError when the file of banks is wrong.
    """
    if not settings.banks:
        return {}
    entries = roster.read(Path(settings.banks).expanduser())
    return {entry.id: OpenBanking(entry, clock=clock, ids=ids) for entry in entries}
