"""The banks of an installation, each behind its connector, and how they fare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path

from unbusy.banks import iso8583, iso20022, openbanking, roster, sql
from unbusy.banks.port import ChecksNames, Connector, ExternalAccount
from unbusy.banks.sql import Told
from unbusy.clock import Clock
from unbusy.db import Database
from unbusy.ids import Ids
from unbusy.settings import Settings

# Seconds: what was read is as new as that for everybody who asks.
_GOOD_FOR_S = 1.0
# Workers tell every second. Who has not told for so long is not there.
_STALE_S = 15.0


class Banks:
    """The connected banks as one gateway shows them: `names` by id."""

    def __init__(self, reads: Database, names: Mapping[str, str], *, clock: Clock) -> None:
        self.names = names
        self._reads = reads
        self._clock = clock
        self._read_at = -_GOOD_FOR_S
        self._told: Sequence[Told] = ()

    async def told(self) -> Sequence[Told]:
        """How the banks fare, by what workers told within the last seconds; read once a second at most."""
        moment = self._clock.monotonic()
        if moment - self._read_at >= _GOOD_FOR_S:
            async with self._reads.connection() as connection:
                self._told = await sql.pulses(connection)
            self._read_at = moment
        stale_before = self._clock.now() - timedelta(seconds=_STALE_S)
        return [each for each in self._told if each.told_at > stale_before]


def connect(settings: Settings, *, clock: Clock, ids: Ids) -> Mapping[str, Connector]:
    """A connector for each bank of the settings, by the bank's id. Needs a running event loop from its first call on.

    Nothing is called yet. Raises SetupError when the file of banks is wrong.
    """
    return {entry.id: _connector(entry, clock=clock, ids=ids) for entry in _entries(settings)}


def name_checks(settings: Settings, *, clock: Clock, ids: Ids) -> Mapping[str, ChecksNames]:
    """Those banks of the settings that confirm whose an account is, by the bank's id. Raises as `connect` does."""
    return {
        entry.id: openbanking.OpenBanking(entry.id, entry.table, entry.keys, clock=clock, ids=ids)
        for entry in _entries(settings)
        if isinstance(entry, roster.Entry) and isinstance(entry.table, openbanking.Table) and entry.table.names_url
    }


def names(settings: Settings) -> Mapping[str, str]:
    """What customers call each bank of the settings, by its id. Raises as `connect` does."""
    return {entry.id: entry.table.name for entry in _entries(settings)}


def _connector(entry: roster.Entry | roster.Switch, *, clock: Clock, ids: Ids) -> Connector:
    if isinstance(entry, roster.Switch):
        return iso8583.ISO8583(entry.id, entry.table, entry.seals, clock=clock, ids=ids)
    match entry.table:
        case openbanking.Table() as table:
            return openbanking.OpenBanking(entry.id, table, entry.keys, clock=clock, ids=ids)
        case iso20022.Table() as table:
            return iso20022.ISO20022(entry.id, table, entry.keys, clock=clock, ids=ids)


def accounts(settings: Settings) -> Mapping[str, ExternalAccount]:
    """The operator's own account at each bank of the settings, by the bank's id. Raises as `connect` does."""
    return {entry.id: entry.table.account for entry in _entries(settings)}


def folders(settings: Settings) -> Mapping[str, Path]:
    """Where each bank that sends files puts them, by its id. Raises as `connect` does."""
    beside = Path(settings.banks).expanduser().parent
    return {entry.id: beside / folder for entry in _entries(settings) if (folder := entry.table.folder)}


def limits(settings: Settings) -> Mapping[str, float]:
    """How many calls a second each bank that has a limit allows, by its id. Raises as `connect` does."""
    return {entry.id: limit for entry in _entries(settings) if (limit := entry.table.calls_per_s)}


def _entries(settings: Settings) -> Sequence[roster.Entry | roster.Switch]:
    return roster.read(Path(settings.banks).expanduser()) if settings.banks else ()
