"""The hot path: payments that arrive together share one transaction and one commit.

    submit ─▶ [ the batch that is forming ] ─▶ settle ─▶ commit ─▶ each caller's own answer

There is no timer. A batch is whatever arrived while the one before it was being written, up to a
bound: at rest a payment is a batch of one, at the peak hundreds share a commit. Nobody is told
anything before the commit.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import structlog

from unbusy.clock import Deadline
from unbusy.errors import DeadlineUnreachable, LedgerUnavailable, RequestError, Unavailable
from unbusy.payments.model import Order, Payment

log = structlog.get_logger()

# What a caller gets: the payment and whether it is an earlier answer, or why there is none.
Answer = tuple[Payment, bool] | RequestError

# How often callers whose deadline has passed are looked for: what a deadline is late by at most.
_SWEEP_S = 0.05
# How long to wait before a batch is tried again while the database is away.
_OUTAGE_PAUSE_S = 0.1


class Caller(Protocol):
    """Who waits for an answer."""

    @property
    def is_gone(self) -> bool:
        """Whether nobody waits any more: what was not begun is not begun then."""
        ...

    def begin(self) -> None:
        """The wait is over: the work begins."""
        ...

    def tell(self, answer: Answer | Exception) -> None:
        """The answer, or why there is none. Called once."""
        ...


class Pipeline:
    """Gathers orders into batches and hands each caller its own answer.

    `settle` does a whole batch in one transaction of its own and answers in the same order
    (`settlement.py` tells how). `lanes` is how many batches may be under way at once, `observe` is
    told the size of each.
    """

    def __init__(
        self,
        settle: Callable[[Sequence[Order]], Awaitable[list[Answer]]],
        *,
        batch_max: int,
        queue_max: int,
        lanes: int,
        observe: Callable[[int], None],
    ) -> None:
        self._settle = settle
        self._batch_max = batch_max
        self._queue_max = queue_max
        self._lanes = lanes
        self._observe = observe
        self._forming: deque[_Place] = deque()
        self._being_settled: set[_Place] = set()
        self._arrived = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        lanes = [asyncio.create_task(self._settle_for_ever()) for _ in range(self._lanes)]
        self._tasks = [*lanes, asyncio.create_task(self._sweep_for_ever())]

    async def stop(self) -> None:
        """Settle what has been submitted, then end."""
        await self._idle.wait()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def length(self) -> int:
        """How many orders wait for a batch."""
        return len(self._forming)

    @property
    def oldest_wait(self) -> float:
        """How many seconds the order at the head has waited for a batch."""
        return time.monotonic() - self._forming[0].joined_at if self._forming else 0.0

    async def submit(self, order: Order, deadline: Deadline) -> tuple[Payment, bool]:
        """Join the batch that is forming; the answer comes after its commit.

        Gives the payment and whether it had been made before under the same key. Raises a
        RequestError when there can be none, DeadlineUnreachable when it was not begun, and
        LedgerUnavailable when it may have been: then only the same key is safe.
        """
        waiting = _Waiting()
        self.join(order, deadline, waiting)
        return await waiting.future

    def join(self, order: Order, deadline: Deadline, caller: Caller) -> None:
        """As `submit`, without waiting: the caller is told the answer, or why there is none."""
        if len(self._forming) >= self._queue_max:
            caller.tell(DeadlineUnreachable("too many payments are waiting", retry_after=1))
            return
        self._forming.append(_Place(order, deadline, caller))
        self._arrived.set()
        self._idle.clear()

    async def _settle_for_ever(self) -> None:
        while True:
            await self._arrived.wait()
            if batch := self._take_batch():
                self._being_settled.update(batch)
                self._observe(len(batch))
                await self._settle_batch(batch)
                self._being_settled.difference_update(batch)
            if not self._forming and not self._being_settled:
                self._idle.set()

    def _take_batch(self) -> list[_Place]:
        batch: list[_Place] = []
        while self._forming and len(batch) < self._batch_max:
            place = self._forming.popleft()
            place.refuse_when_late(_not_begun)
            if not (place.is_answered or place.caller.is_gone):
                place.caller.begin()
                batch.append(place)
        if not self._forming:
            self._arrived.clear()
        return batch

    async def _settle_batch(self, batch: list[_Place]) -> None:
        """Settle it whole. While the database is away: try again, for those who still wait. Their
        keys make that safe, also when the commit had gone through and only its answer was lost."""
        while batch:
            try:
                answers = await self._settle([place.order for place in batch])
            except Unavailable:
                await asyncio.sleep(_OUTAGE_PAUSE_S)
                batch = [place for place in batch if not (place.is_answered or place.caller.is_gone)]
            except Exception as error:
                log.exception("a batch of payments broke", size=len(batch))
                await self._settle_apart(batch, error)
                return
            else:
                for place, answer in zip(batch, answers, strict=True):
                    place.answer(answer)
                return

    async def _settle_apart(self, batch: list[_Place], error: Exception) -> None:
        """One by one, so that one bad order cannot hurt the rest."""
        if len(batch) == 1:
            batch[0].answer(error)
            return
        for place in batch:
            await self._settle_batch([place])

    async def _sweep_for_ever(self) -> None:
        """Answer callers whose deadline has passed: before the work began, or during it."""
        while True:
            await asyncio.sleep(_SWEEP_S)
            for place in self._forming:
                place.refuse_when_late(_not_begun)
            for place in self._being_settled:
                place.refuse_when_late(_in_doubt)


def _not_begun() -> Exception:
    return DeadlineUnreachable("the deadline passed before the work began", retry_after=1)


def _in_doubt() -> Exception:
    return LedgerUnavailable("the books did not answer in time; ask again with the same key", retry_after=2)


class _Waiting:
    """A caller that waits for a future."""

    def __init__(self) -> None:
        self.future: asyncio.Future[tuple[Payment, bool]] = asyncio.get_running_loop().create_future()

    @property
    def is_gone(self) -> bool:
        return self.future.cancelled()

    def begin(self) -> None:
        """Whoever waits for a future has been waiting elsewhere too, and counts that there."""

    def tell(self, answer: Answer | Exception) -> None:
        if self.future.done():
            return
        if isinstance(answer, Exception):
            self.future.set_exception(answer)
        else:
            self.future.set_result(answer)


class _Place:
    """One caller's place in a batch."""

    __slots__ = ("caller", "deadline", "is_answered", "joined_at", "order")

    def __init__(self, order: Order, deadline: Deadline, caller: Caller) -> None:
        self.caller = caller
        self.order = order
        self.deadline = deadline
        self.is_answered = False
        self.joined_at = time.monotonic()

    def answer(self, answer: Answer | Exception) -> None:
        if self.is_answered:
            return
        self.is_answered = True
        try:
            self.caller.tell(answer)
        except Exception:
            # One answer that cannot be told must not keep the others from theirs.
            log.exception("an answer could not be told")

    def refuse_when_late(self, make: Callable[[], Exception]) -> None:
        if self.deadline.has_passed:
            self.answer(make())
