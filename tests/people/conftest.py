"""People on a database of their own, with a clock that is moved by hand."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable

import pytest
from tests.people.world import CHEAP, SECRET, ManualClock

from unbusy.db import Database
from unbusy.ids import Ids
from unbusy.people import People
from unbusy.settings import Settings

MakePeople = Callable[[], People]


@pytest.fixture
def clock() -> ManualClock:
    """Noon, and it stays noon."""
    return ManualClock()


@pytest.fixture
async def make_people(db: Database, clock: ManualClock) -> AsyncGenerator[MakePeople]:
    """Makes what one process has; two of them are two gateways on one database."""
    made: list[People] = []

    def make() -> People:
        made.append(People(db, db, clock=clock, ids=Ids(clock), settings=Settings(), secret=SECRET, cost=CHEAP))
        return made[-1]

    yield make
    for each in made:
        await each.stop()


@pytest.fixture
def people(make_people: MakePeople) -> People:
    """The people of one gateway."""
    return make_people()
