"""What takes more than one call: signing in, going through pages, waiting for the end, following events."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from unbusy_client import operations, wire
from unbusy_client.call import Call, Shared
from unbusy_client.errors import QuotaExceeded, Unavailable
from unbusy_client.event_stream import EventReader
from unbusy_client.operations import MOST_WAIT_S, Operation
from unbusy_client.views import Happened, Page, Payment, Person, Session, Transit
from unbusy_client.wire import Chunk, Emit, Feed, Flow

T = TypeVar("T")
Awaited = TypeVar("Awaited", Payment, Transit)

# Opening a stream, and the longest pause between two attempts: the stream goes on by itself for as
# long as anybody listens, so what holds it back is not the budget but this.
_OPEN_S = 30.0
_MOST_PAUSE_S = 30.0

# Between two looks at a payment where the wallet answers at once although it was asked to wait.
_LEAST_BETWEEN_LOOKS_S = 1.0


def sign_in(operation: Operation[Session], shared: Shared, within_s: float) -> Flow[Person]:
    """Who has signed in; their tokens are used from now on."""
    call = Call(operation, shared, within_s=within_s)
    session = yield from call.run()
    shared.adopt(session, call.now)
    return session.person


def sign_out(shared: Shared, within_s: float) -> Flow[None]:
    """End the session, here and at the wallet."""
    yield from Call(operations.sign_out(), shared, within_s=within_s).run()
    shared.session = None


def pages(page: Callable[[str | None], Operation[Page[T]]], shared: Shared, within_s: float) -> Feed[T]:
    """Every item of a list, page by page, each within `within_s`."""
    cursor: str | None = None
    while True:
        found = yield from Call(page(cursor), shared, within_s=within_s).run()
        for item in found.items:
            yield Emit(item)
        if not found.next or found.next == cursor:
            return
        cursor = found.next


def wait_for(look_at: Callable[[float], Operation[Awaited]], shared: Shared, within_s: float) -> Flow[Awaited]:
    """What `look_at` shows once it is final, or as it is when the time is over. Never sleeps beyond it.

    The waiting is done at the wallet (long poll), which costs it nothing.
    """
    now = yield from wire.now()
    give_up_at = now + within_s
    while True:
        left_s = give_up_at - now
        look = Call(look_at(min(MOST_WAIT_S, left_s)), shared, within_s=left_s)
        found = yield from look.run()
        pause_s = max(0.0, _LEAST_BETWEEN_LOOKS_S - (look.now - now))
        now = look.now
        if found.is_final or now + max(pause_s, _LEAST_BETWEEN_LOOKS_S) >= give_up_at:
            return found
        if pause_s:
            now = yield from wire.wait(pause_s)


def follow(after: str | None, shared: Shared) -> Feed[Happened]:
    """What happens from now on, or after an event: without an end, through lost connections and restarts.

    Raises what the wallet rejects, such as an id that is none of its own; waits out everything else.
    """
    reader = EventReader(after)
    failures = 0
    while True:
        try:
            opening = operations.events(reader.last_id)
            yield from Call(opening, shared, within_s=_OPEN_S, exchange=wire.open_stream).run()
        except (Unavailable, QuotaExceeded) as error:
            pause_s = min(_MOST_PAUSE_S, reader.retry_s * 2.0 ** min(failures, 8)) * shared.chance()
            failures += 1
            yield from wire.wait(max(pause_s, error.retry_after_s or 0.0))
            continue
        failures = 0
        reader.begin()
        while isinstance(chunk := (yield from wire.read()), Chunk) and chunk.data:
            for happened in reader.feed(chunk.data):
                yield Emit(happened)
        yield from wire.wait(reader.retry_s * shared.chance())
