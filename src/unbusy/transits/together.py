"""Doing together what is asked for meanwhile.

    join ─▶ [ those that gather ] ─▶ do, once for all of them ─▶ each one's own answer

There is no timer: together are those that came while the ones before were being done, and at rest one is alone.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from itertools import islice
from typing import Generic, NamedTuple, TypeVar

from unbusy.errors import DeadlineUnreachable, Unavailable

Asked = TypeVar("Asked")
Told = TypeVar("Told")

# Whoever comes later would wait for seconds, and is told so at once.
_MOST_WAITING = 1_000


class _Place(NamedTuple, Generic[Asked, Told]):
    asked: Asked
    told: asyncio.Future[Told]


class Together(Generic[Asked, Told]):
    """`do` is given at most `most` at once, and answers in their order."""

    def __init__(self, do: Callable[[Sequence[Asked]], Awaitable[Sequence[Told]]], *, most: int) -> None:
        self._do = do
        self._most = most
        self._waiting: deque[_Place[Asked, Told]] = deque()
        self._turns: asyncio.Task[None] | None = None

    async def join(self, asked: Asked) -> Told:
        """What came of it. Raises what `do` raised, and DeadlineUnreachable when too many wait."""
        if len(self._waiting) >= _MOST_WAITING:
            raise DeadlineUnreachable("too many are waiting", retry_after=1)
        place = _Place(asked, asyncio.get_running_loop().create_future())
        self._waiting.append(place)
        if self._turns is None:
            self._turns = asyncio.create_task(self._take_turns())
        return await place.told

    async def _take_turns(self) -> None:
        try:
            while self._waiting:
                batch = list(islice(self._waiting, self._most))
                for _ in batch:
                    self._waiting.popleft()
                # Who has gone away is not begun any more.
                if wanted := [place for place in batch if not place.told.done()]:
                    await self._do_batch(wanted)
        finally:
            self._turns = None

    async def _do_batch(self, batch: Sequence[_Place[Asked, Told]]) -> None:
        """Each alone when they broke together, so that one that is bad hurts no other."""
        try:
            told = await self._do([place.asked for place in batch])
        except Unavailable as error:
            _fail(batch, error)
        except Exception as error:  # noqa: BLE001 - whatever it is, those who asked hear of it
            if len(batch) == 1:
                _fail(batch, error)
                return
            for place in batch:
                await self._do_batch([place])
        else:
            for place, answer in zip(batch, told, strict=True):
                if not place.told.done():
                    place.told.set_result(answer)


def _fail(batch: Sequence[_Place[Asked, Told]], error: Exception) -> None:
    for place in batch:
        if not place.told.done():
            place.told.set_exception(error)
