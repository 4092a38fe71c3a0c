"""The banks of an installation, each behind its connector, and how they fare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path

from unbusy.banks import roster, sql
from unbusy.banks.openbanking import OpenBanking
from unbusy.banks.port import Connector
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
    return {entry.id: OpenBanking(entry, clock=clock, ids=ids) for entry in _entries(settings)}


def names(settings: Settings) -> Mapping[str, str]:
    """What customers call each bank of the settings, by its id. Raises as `connect` does."""
    return {entry.id: entry.name for entry in _entries(settings)}


def limits(settings: Settings) -> Mapping[str, float]:
    """How many calls a second each bank that has a limit allows, by its id. Raises as `connect` does."""
    return {entry.id: entry.calls_per_s for entry in _entries(settings) if entry.calls_per_s}


def _entries(settings: Settings) -> Sequence[roster.Entry]:
    return roster.read(Path(settings.banks).expanduser()) if settings.banks else ()
