"""The banks of an installation, each behind its connector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from unbusy.banks import iso20022, openbanking, roster
from unbusy.banks.port import Connector, ExternalAccount
from unbusy.clock import Clock
from unbusy.ids import Ids
from unbusy.settings import Settings


def connect(settings: Settings, *, clock: Clock, ids: Ids) -> Mapping[str, Connector]:
    """A connector for each bank of the settings, by the bank's id. Needs a running event loop from its first call on.

    Nothing is called yet. Raises SetupError when the file of banks is wrong.
    """
    return {entry.id: _connector(entry, clock=clock, ids=ids) for entry in _entries(settings)}


def names(settings: Settings) -> Mapping[str, str]:
    """What customers call each bank of the settings, by its id. Raises as `connect` does."""
    return {entry.id: entry.table.name for entry in _entries(settings)}


def _connector(entry: roster.Entry, *, clock: Clock, ids: Ids) -> Connector:
    match entry.table:
        case openbanking.Table() as table:
            return openbanking.OpenBanking(entry.id, table, entry.keys, clock=clock, ids=ids)
        case iso20022.Table() as table:
            return iso20022.ISO20022(entry.id, table, entry.keys, clock=clock, ids=ids)


def accounts(settings: Settings) -> Mapping[str, ExternalAccount]:
    """The operator's own account at each bank of the settings, by the bank's id. Raises as `connect` does."""
    return {entry.id: entry.table.account for entry in _entries(settings)}


def _entries(settings: Settings) -> Sequence[roster.Entry]:
    return roster.read(Path(settings.banks).expanduser()) if settings.banks else ()
