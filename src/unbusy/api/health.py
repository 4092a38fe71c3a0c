"""Is it alive, is it ready, how does it fare: for whoever runs it.

`/healthz` asks nobody: a process that answers is alive, and restarting it because the database is
away would only make things worse. `/readyz` asks the probes: while one fails, send no customers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Literal

import msgspec
import structlog
from litestar import get

from unbusy import telemetry
from unbusy.api.answers import Answer
from unbusy.api.principals import Role, allow
from unbusy.api.requests import Request
from unbusy.errors import LedgerUnavailable

Probe = Callable[[], Awaitable[None]]
"""Something that must be well before this process takes requests; raises what is wrong when it is not."""

_PROBE_TIMEOUT_S = 2.0

_log = structlog.get_logger("unbusy.api")


class Probes:
    """The probes of this process, by name."""

    def __init__(self, probes: Mapping[str, Probe]) -> None:
        self._probes = dict(probes)

    async def failing(self) -> list[str]:
        """The names of those that fail or take longer than two seconds, in order."""
        well = await asyncio.gather(*(_is_well(name, probe) for name, probe in self._probes.items()))
        return sorted(name for name, is_well in zip(self._probes, well, strict=True) if not is_well)


class Health(msgspec.Struct, frozen=True):
    """What the process says about itself."""

    status: Literal["alive", "ready"]


@get("/healthz", opt=allow(Role.anyone), tags=["operating"], summary="Is this process alive?")
async def healthz() -> Answer[Health]:
    """Answers as long as the process can answer at all; reads no database."""
    return Answer(Health("alive"))


@get("/readyz", opt=allow(Role.anyone), tags=["operating"], summary="Can this process serve customers?")
async def readyz(request: Request) -> Answer[Health]:
    """Ready when the database answers and everything else this process needs is in place; 503 names what is not."""
    if failing := await request.part(Probes).failing():
        raise LedgerUnavailable(f"not ready: {', '.join(failing)}", retry_after=1)
    return Answer(Health("ready"))


@get(
    "/metrics",
    opt=allow(Role.anyone),
    tags=["operating"],
    summary="Metrics of all gateways, for Prometheus",
    media_type="text/plain",
)
async def metrics() -> Answer[str]:
    """Prometheus' text format; every metric is described in it."""
    return Answer(telemetry.exposition(), media_type=telemetry.METRICS_MEDIA_TYPE)


async def _is_well(name: str, probe: Probe) -> bool:
    try:
        async with asyncio.timeout(_PROBE_TIMEOUT_S):
            await probe()
    except Exception as error:  # noqa: BLE001 - whatever it raises, it is not well
        _log.warning("not ready", probe=name, cause=repr(error))
        return False
    return True


HANDLERS = (healthz, readyz, metrics)
