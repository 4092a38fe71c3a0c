"""Server-sent events: what happens to a person, told as it happens.

    somebody's transaction ─▶ Hub.wake(person ids) ─▶ Subscription ─▶ EventStream reads and sends

The hub carries no event, only the news that there is one: each stream then reads on from where it
is. So nothing is buffered in the process, a slow reader costs nobody memory, and resuming after a
lost connection is the same as reading on.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Response
from litestar.params import HeaderParameter

from unbusy.api.requests import Request

LastEventId = Annotated[
    str | None,
    HeaderParameter(
        name="Last-Event-ID", max_length=64, description="The id of the last event received: the stream goes on after."
    ),
]
"""A handler's parameter: `last_event_id: api.LastEventId = None`."""


class Event(msgspec.Struct, frozen=True):
    """One event. `id` is what a reader resumes from, `data` JSON that is already encoded."""

    id: str
    type: str
    data: bytes


class Subscription:
    """Waits for news of one person."""

    async def wait(self, seconds: float) -> bool:
        """Wait until there is news, at most so long. False when there was none or the hub has closed."""
        raise NotImplementedError

    @property
    def is_closed(self) -> bool:
        """Whether the process is stopping: end the stream, the reader comes back elsewhere."""
        raise NotImplementedError


class Hub:
    """Who waits for news of whom, in this process."""

    def subscribe(self, person_id: UUID) -> AbstractContextManager[Subscription]:
        """A subscription for as long as the block lasts. News between two waits is not lost."""
        raise NotImplementedError

    def wake(self, person_ids: Iterable[UUID]) -> None:
        """Tell whoever listens to one of them that there is news. Costs nothing when nobody does."""
        raise NotImplementedError

    def close(self) -> None:
        """End every subscription, at shutdown."""
        raise NotImplementedError


Read = Callable[[str | None], Awaitable[Sequence[Event]]]
"""The next events after an id (None: from now on), oldest first; at most as many as a page holds."""


class EventStream(Response[Any]):
    """The answer of `GET /v1/events`: reads and sends until the reader goes, the access token
    expires, or the process stops."""

    def __init__(self, request: Request, hub: Hub, read: Read, *, after: str | None) -> None:
        raise NotImplementedError
