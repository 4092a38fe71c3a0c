"""How many promises were kept, for everybody to see."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import groupby
from typing import Annotated

import msgspec
from litestar import get
from msgspec import Meta

from unbusy.api import Answer, Request, Role, allow
from unbusy.promises import model
from unbusy.promises.model import Hour
from unbusy.promises.service import Promises

Share = Annotated[float, Meta(description="Of the likely times (`likely_by`), the share that was kept; aimed at: 0.9.")]
Times = Annotated[float, Meta(description="How many times the actual wait the likely one was, in the median.")]


class HourView(msgspec.Struct, frozen=True, omit_defaults=True):
    """Promises of one class that ended within an hour: kept or broken by `finish_by`. What their payers
    took back is neither."""

    class_: str = msgspec.field(name="class")
    begins_at: datetime
    kept: int
    broken: int
    coverage: Share | None = None
    sharpness: Times | None = None


class PromisesView(msgspec.Struct, frozen=True):
    """What became of promises in the last 24 hours: each class in all, and hour by hour, newest first.
    `is_paused`: the queue stands still just now, and no times are promised but `finish_by`."""

    as_of: datetime
    is_paused: bool
    classes: Sequence[HourView]
    hours: Sequence[HourView]


@get("/v1/promises", opt=allow(Role.anyone), summary="See how many promises were kept", tags=["promises"])
async def see_promises(request: Request) -> Answer[PromisesView]:
    """Kept and broken, by class and hour, with how well likely times were foretold. Counted at most a second ago."""
    kept = await request.part(Promises).kept()
    by_class = [list(hours) for _, hours in groupby(kept.hours, lambda hour: hour.name)]
    view = PromisesView(
        as_of=kept.as_of,
        is_paused=kept.is_paused,
        classes=[_show(model.summed(hours)) for hours in by_class],
        hours=[_show(hour) for hour in kept.hours],
    )
    return Answer(view, headers={"cache-control": "public, max-age=1"})


HANDLERS = (see_promises,)


def _show(hour: Hour) -> HourView:
    return HourView(hour.name, hour.begins_at, hour.kept, hour.broken, hour.coverage, hour.median_sharpness)
