"""The riders' process: reads its trip from the first line of stdin, rides until stdin ends, and writes the rides.

The only code here that imports the client, so that a wallet without it can be run and drilled.
"""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import Awaitable, Sequence
from contextlib import AsyncExitStack, suppress
from typing import TypeVar

import msgspec

from unbusy.drill.riders import Ride, Trip
from unbusy_client import AsyncClient, InLine, Payment, Ticket, Unauthenticated, UnbusyError

T = TypeVar("T")

# How long they give one call, in turn: from those who leave at the first sight of a line to those who stand in it.
_PATIENCE_S = (1.0, 10.0, 30.0)
_QUEUED_EVERY = 4
_MOST_AMOUNT = 500
# One look at a queued payment, which is kept open that long.
_LOOK_S = 30.0
# Between two calls of one who does not know yet, at least: asking again is not to be a load.
_PAUSE_S = 1.0
# After the last want: what is queued drains, and who cannot know asks again.
_FINISH_S = 120.0


class Rider:
    """Somebody with a client, while the drill has not `ended`."""

    def __init__(self, client: AsyncClient, trip: Trip, handle: str, ended: asyncio.Event) -> None:
        self._client = client
        self._ended = ended
        self._trip = trip
        self._handle = handle
        self._payees = [other for other in trip.handles if other != handle]

    async def sign_in(self) -> None:
        await self._client.sign_in(f"@{self._handle}", self._trip.password)

    async def ride(self, ride: Ride, number: int, chance: random.Random) -> None:
        """Have a look at the wallet, pay, and see it through. Never raises."""
        payee, amount = f"@{chance.choice(self._payees)}", chance.randint(1, _MOST_AMOUNT)
        try:
            await self._hear(ride, self._client.wallet(within_s=_PATIENCE_S[number % len(_PATIENCE_S)]))
            if payment := await self._paid(ride, number, payee, amount):
                await self._see_through(ride, payment)
        except Exception as error:  # noqa: BLE001 - the client promises to raise nothing but its own: a finding
            ride.broke = repr(error)
        else:
            ride.is_over = True

    async def _paid(self, ride: Ride, number: int, payee: str, amount: int) -> Payment | None:
        """The payment, or None when it is certain that there is none. Who cannot know asks again."""
        pay = self._client.pay if number % _QUEUED_EVERY else self._client.queue
        within_s = _PATIENCE_S[number % len(_PATIENCE_S)]
        may_have_moved, ticket = False, None
        while True:
            call = pay(payee, amount, self._trip.asset, key=ride.key, ticket=ticket, within_s=within_s)
            told = await self._hear(ride, call)
            if isinstance(told, Payment):
                return told
            may_have_moved |= told.may_have_moved
            if not may_have_moved:
                return None
            await self._rest(told)
            # A place of the surge may be minutes away; when that has ended, whoever comes anew is let in.
            ticket = None if self._ended.is_set() else _place(told)

    async def _see_through(self, ride: Ride, payment: Payment) -> None:
        """Look after it until it is final."""
        ride.id, ride.status = payment.id, payment.status
        while not payment.is_final:
            told = await self._hear(ride, self._client.wait_for(payment.id, within_s=_LOOK_S))
            if isinstance(told, Payment):
                payment = told
                ride.id, ride.status = payment.id, payment.status
            else:
                await self._rest(told)

    async def _rest(self, told: UnbusyError) -> None:
        """As long as was told; when the drill ends, that reason to wait has gone, and one asks again."""
        await _comes(self._ended, told.problem.retry.after or 0.0)
        await asyncio.sleep(_PAUSE_S)

    async def _hear(self, ride: Ride, call: Awaitable[T]) -> T | UnbusyError:
        """How a call ended. Whose session has ended signs in again, as everybody would."""
        try:
            told = await call
        except UnbusyError as error:
            ride.ends.append(type(error).__name__)
            if isinstance(error, Unauthenticated):
                await self._sign_in_again(ride)
            return error
        ride.ends.append(told.status if isinstance(told, Payment) else type(told).__name__)
        return told

    async def _sign_in_again(self, ride: Ride) -> None:
        try:
            await self.sign_in()
        except UnbusyError as error:
            ride.ends.append(type(error).__name__)


def _place(told: UnbusyError) -> Ticket | None:
    return told.ticket if isinstance(told, InLine) else told.problem.ticket


async def _comes(event: asyncio.Event, within_s: float) -> bool:
    """Wait for it, so long at most; whether it came."""
    with suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), within_s)
    return event.is_set()


async def _ride(trip: Trip) -> Sequence[Ride]:
    """Wants come as a Poisson process and wait for no other."""
    chance, rides, riding = random.Random(1), list[Ride](), set[asyncio.Task[None]]()  # noqa: S311 - a reproducible load
    async with AsyncExitStack() as clients:
        ended = asyncio.Event()
        riders: list[Rider] = []
        for handle in trip.handles:
            riders.append(Rider(await clients.enter_async_context(AsyncClient(trip.address)), trip, handle, ended))
            await riders[-1].sign_in()
        sys.stdout.buffer.write(b"riding\n")
        sys.stdout.buffer.flush()
        reading = asyncio.create_task(asyncio.to_thread(sys.stdin.buffer.read))
        reading.add_done_callback(lambda _: ended.set())
        while not await _comes(ended, chance.expovariate(trip.per_s)):
            number = len(rides)
            rides.append(Ride(f"{trip.name}-{number}"))
            riding.add(asyncio.create_task(riders[number % len(riders)].ride(rides[-1], number, chance)))
        _, late = await asyncio.wait(riding, timeout=_FINISH_S) if riding else ((), ())
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
    return rides


if __name__ == "__main__":
    sys.stdout.buffer.write(
        msgspec.msgpack.encode(asyncio.run(_ride(msgspec.json.decode(sys.stdin.buffer.readline(), type=Trip))))
    )
