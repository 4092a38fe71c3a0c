"""The load generator, against a server whose answers are decided here."""

from __future__ import annotations

import asyncio
import itertools
import math
import os
import random
import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.drill.server import Answer, answer, serving

from unbusy.drill import measures
from unbusy.load import Client, Load, Log, Moment, Payer, generate, payments

pytestmark = pytest.mark.alone

PEOPLE = [Payer(f"per_{number:032x}", f"token-{number}") for number in range(8)]
DONE = answer("201 Created", '{"id":"pay_1","status":"completed"}')


def run(
    reply: Answer,
    rate: float = 100,
    client: Client = Client.cooperative,
    tell: Callable[[Moment], None] | None = None,
    **more: float,
) -> Log:
    """Payments for a second."""
    with serving(reply) as port:
        stream = payments("payments", PEOPLE, "EUR", rate, 0, 1, chance=random.Random(1), client=client)
        load = Load("run", "127.0.0.1", port, [stream], connections=64, seed=1)
        for name, value in more.items():
            setattr(load, name, value)
        return generate(load, None, tell)


async def at_once(request: bytes) -> bytes:
    return DONE


def test_the_loop_is_open() -> None:
    """A slow server slows down no client: everybody asks at the planned time, and waits as long as it takes."""

    async def slowly(request: bytes) -> bytes:
        await asyncio.sleep(0.3)
        return DONE

    fast, slow = run(at_once), run(slowly)
    assert [ask.at for ask in slow.asks()] == [ask.at for ask in fast.asks()]
    assert list(slow.times("at")) == list(slow.times("intended"))
    assert all(ask.latency >= 0.3 for ask in slow.asks())
    assert slow.late_p99_ms < 100


def test_waiting_for_a_connection_is_waiting() -> None:
    """When all connections are in use, the wait counts, from the intended time."""

    async def slowly(request: bytes) -> bytes:
        await asyncio.sleep(0.1)
        return DONE

    log = run(slowly, rate=100, connections=4)
    latencies = [ask.latency for ask in log.asks()]
    # Four connections carry 40 a second: the last of 100 waits for more than a second.
    assert max(latencies) > 1
    assert len(latencies) == len(list(log.wants()))


def test_every_request_is_accounted_for() -> None:
    """When connections die, what was asked on them is lost, the rest is answered, and nothing is missing."""
    numbers = itertools.count(1)

    async def every_fifth_dies(request: bytes) -> bytes | None:
        return None if next(numbers) % 5 == 0 else DONE

    log = run(every_fifth_dies)
    asks, wants = list(log.asks()), list(log.wants())
    lost = [ask for ask in asks if ask.outcome.word == "lost"]
    assert len(asks) == len(wants) > 50
    assert len(lost) == len(wants) // 5
    assert all(math.isinf(ask.answered) for ask in lost)
    assert set(log.payments) == {ask.want for ask in asks} - {ask.want for ask in lost}


def test_who_never_got_a_connection_is_lost() -> None:
    """Also who still waits when the run ends was asked for, and is accounted for; the generator was not late."""

    async def never(request: bytes) -> bytes:
        await asyncio.sleep(60)
        return DONE

    log = run(never, connections=2, patience_s=0.1)
    assert {ask.outcome.word for ask in log.asks()} == {"lost"}
    assert len(list(log.asks())) == len(list(log.wants()))
    assert log.late_p99_ms < 100


def test_who_gives_up_is_counted() -> None:
    """A client that waits no longer closes its connection; that is not an answer."""

    async def never(request: bytes) -> bytes:
        await asyncio.sleep(60)
        return DONE

    log = run(never, connections=8, gives_up_s=0.2)
    assert {ask.outcome.word for ask in log.asks()} == {"gave_up"}
    assert len(list(log.asks())) == len(list(log.wants()))


def test_a_ticket_is_brought_back_at_its_slot() -> None:
    """The same request, with the same key and the ticket, at the slot and not before."""
    seen: dict[bytes, list[bytes]] = {}

    async def line_up(request: bytes) -> bytes:
        key = request.partition(b"Idempotency-Key: ")[2].partition(b"\r\n")[0]
        seen.setdefault(key, []).append(request)
        if f"Unbusy-Ticket: ticket-of-{key.decode()}".encode() in request:
            return DONE
        slot = (datetime.now(UTC) + timedelta(seconds=0.3)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        body = (
            f'{{"reason":"in_line","ticket":{{"token":"ticket-of-{key.decode()}","slot_at":"{slot}","class":"pay"}}}}'
        )
        return answer("503 Service Unavailable", body, "retry-after: 1", "content-type: application/problem+json")

    log = run(line_up, rate=50)
    back = [ask for ask in log.asks() if math.isfinite(ask.ticket)]
    assert len(back) > 10
    assert all(ask.outcome.is_completed and ask.answered >= ask.ticket for ask in back)
    assert measures.punctual(log, 2) == 1
    assert measures.order_kept(log) == pytest.approx(1, abs=0.01)
    first, second = next(requests for requests in seen.values() if len(requests) > 1)
    assert second.replace(second[second.index(b"\r\nUnbusy-Ticket") :].partition(b"\r\nContent")[0], b"") == first


def test_retry_after_is_kept() -> None:
    """Without a ticket a cooperative client comes back after as long as it was told, once."""
    met: set[bytes] = set()

    async def later(request: bytes) -> bytes:
        if request in met:
            return DONE
        met.add(request)
        return answer("429 Too Many Requests", '{"reason":"quota_exceeded"}', "Retry-After: 0")

    log = run(later)
    assert len(list(log.asks())) == 2 * len(list(log.wants()))
    assert len(log.payments) == len(list(log.wants()))
    assert measures.reasoned(log) == 1


@pytest.mark.parametrize(("client", "times"), [(Client.leaves, 1), (Client.impatient, 4)])
def test_the_other_clients(client: Client, times: int) -> None:
    """One leaves when refused; one asks three times more, at once, and then has had enough."""

    async def refuse(request: bytes) -> bytes:
        assert b"Unbusy-Ticket" not in request
        return answer("503 Service Unavailable", '{"reason":"in_line"}', "retry-after: 1")

    log = run(refuse, client=client)
    assert len(list(log.asks())) == times * len(list(log.wants()))


def test_it_sleeps_when_nothing_is_due() -> None:
    """The generator leaves its core to others: it does not spin until the next arrival."""
    assert run(at_once, rate=20).busy < 0.3


def test_two_ids_for_one_key_are_noticed() -> None:
    """The log tells when the same want was acknowledged as two payments."""
    numbers = itertools.count(1)

    async def forgetful(request: bytes) -> bytes:
        number = next(numbers)
        if number % 2:
            return answer("503 Service Unavailable", '{"reason":"in_line"}', "retry-after: 0")
        return answer("201 Created", f'{{"id":"pay_{number}","status":"completed"}}')

    log = run(forgetful, client=Client.impatient)
    assert log.doubled


def test_a_generator_that_stands_still_is_late() -> None:
    """What is meant to leave while it stands still leaves late, and that is part of the log."""
    stopped: list[int] = []

    def stop(moment: Moment) -> None:
        if moment.at_s > 0.2 and not stopped:
            stopped.append(_child())
            os.kill(stopped[0], signal.SIGSTOP)
            time.sleep(0.4)
            os.kill(stopped[0], signal.SIGCONT)

    assert run(at_once, tell=stop).late_p99_ms > 50
    assert run(at_once).late_p99_ms < 50


def _child() -> int:
    """The generator: the one process of ours that runs its module."""
    children = (
        int(pid) for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split()
    )
    return next(pid for pid in children if b"unbusy.load.generator" in Path(f"/proc/{pid}/cmdline").read_bytes())
