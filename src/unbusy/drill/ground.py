"""What the phases stand on: the wallet, its people, the generator, and C."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from unbusy.drill import measures, oracle
from unbusy.drill.lines import Phase
from unbusy.drill.system import System
from unbusy.ids import Ids
from unbusy.load import ASSET, Client, Load, Log, Moment, Payer, Stream, generate, payments, reads

# Beyond this the generator is part of what it measures.
MOST_LATE_MS = 20.0
# Of a crowd, how many come back when told to.
_COOPERATIVE = 0.8
_AGAIN, _LEAST_AGAIN_PER_S = 10, 50.0


class Scale(NamedTuple):
    """How long and how large. `calm_s` is a phase at rest, `surge_s` one above C; of each process `kills` are
    killed. `most_capacity` bounds C, `settings` are the wallet's, and `drain_floor` is what its queue promises.
    `transits` is how many top-ups and payouts are begun at banks that break, `transits_per_s` how fast."""

    trial_s: float
    confirm_s: float
    calm_s: float
    surge_s: float
    after_s: float
    window_s: float
    frozen_s: float
    kills: int
    most_capacity: float
    people: int
    connections: int
    drain_floor: int
    settings: dict[str, str]
    transits: int
    transits_per_s: float


FULL = Scale(3, 30, 15, 30, 12, 5, 10, 20, 1e9, 512, 1_024, 300, {}, 10_000, 40)
# Batches of four make payments dear and leave refusals cheap, so that a noisy machine has a low C to be
# overloaded at, and the generator room to do it. Sign-ins last a minute, so that those of the riders are
# renewed in the middle of it all.
_QUICK = {"UNBUSY_BATCH_MAX": "4", "UNBUSY_QUEUE_DRAIN_FLOOR": "100", "UNBUSY_ACCESS_TOKEN_S": "60"}
QUICK = Scale(2, 4, 6, 10, 7, 5, 10, 1, 400, 256, 1_024, 100, _QUICK, 600, 30)


class Crowd(NamedTuple):
    """Everybody who may ask: `main` are one tenant's, `others` belong to tenants of their own."""

    main: list[Payer]
    others: list[list[Payer]]


class Event(NamedTuple):
    """Something that happens to the wallet during a load, so many seconds after it began."""

    at_s: float
    do: Callable[[], None]


class Ground:
    """Runs loads against one wallet. `tell` hears each moment of them."""

    def __init__(
        self, system: System, crowd: Crowd, scale: Scale, core: int | None, ids: Ids, tell: Callable[[Moment], None]
    ) -> None:
        self.system = system
        self.crowd = crowd
        self.scale = scale
        self.capacity = 0.0
        # What the newest run was, for those who ask again.
        self.load: Load | None = None
        self._core = core
        self._ids = ids
        self.tell = tell
        self._chance = random.Random(1)  # noqa: S311 - a reproducible load, no secret

    def run(self, *streams: Stream, connections: int = 0, gives_up_s: float = 0.0, events: Sequence[Event] = ()) -> Log:
        """Run the load of these streams, with the events, and give its log."""
        self.load = Load(
            name=self._ids.new().hex,
            host=self.system.host,
            port=self.system.port,
            streams=list(streams),
            connections=connections or self.scale.connections,
            seed=self._chance.randrange(1 << 30),
            gives_up_s=gives_up_s,
        )
        script = _Script(events)

        def hear(moment: Moment) -> None:
            script.begin(moment.at_s)
            self.tell(moment)

        log = generate(self.load, self._core, hear)
        script.end()
        return log

    def ask_again(self, log: Log) -> tuple[dict[str, str], int]:
        """Ask for everything of the newest run that was left without an answer, until each has one. Gives the ids
        told under each key, and how many never got an answer."""
        load, told = self.load, dict[str, str]()
        assert load
        left = oracle.unresolved(log)
        for _ in range(_AGAIN):
            if not left or not self.system.is_ready():
                break
            again = self.run(oracle.again(load, log, left, max(self.capacity, _LEAST_AGAIN_PER_S)))
            for want, body in again.answers.items():
                key = log.key(left[again.numbers("number")[want] % len(left)])
                id = msgspec.json.decode(body).get("id")
                if id:
                    told[key] = id
            left = [want for want in left if log.key(want) not in told]
        return told, len(left)

    def pays(
        self,
        name: str,
        rate: float,
        begins_s: float,
        ends_s: float,
        client: Client = Client.cooperative,
        *,
        payers: Sequence[Payer] = (),
        payee: Payer | None = None,
        is_queued: bool = False,
    ) -> Stream:
        """Payments among `payers` (the main tenant's people when none are given)."""
        return payments(
            name,
            payers or self.crowd.main,
            ASSET,
            rate,
            begins_s,
            ends_s,
            chance=self._chance,
            client=client,
            payee=payee,
            is_queued=is_queued,
        )

    def crowds(self, rate: float, ends_s: float) -> list[Stream]:
        """Payments of people most of whom come back when told to; all are gone at the end."""
        return [
            self.pays("come back", rate * _COOPERATIVE, 0, ends_s),
            self.pays("leave", rate * (1 - _COOPERATIVE), 0, ends_s, Client.leaves),
        ]

    def looks(self, rate: float, ends_s: float, client: Client = Client.leaves) -> Stream:
        """Wallets and lists, as an app asks for when it is opened."""
        paths = ("/v1/wallet", "/v1/wallet", "/v1/payments?limit=10")
        return reads(
            "reads",
            [(payer, paths[number % len(paths)]) for number, payer in enumerate(self.crowd.main)],
            rate,
            0,
            ends_s,
            client=client,
        )

    def phase(self, name: str, log: Log, *, most_late_ms: float = MOST_LATE_MS, **values: float | None) -> Phase:
        """What was measured, with what holds for every phase: so late the generator may have been."""
        void = [f"{name}: {count} requests were answered {word}" for word, count in measures.mistaken(log).items()]
        if log.late_p99_ms > most_late_ms:
            void.append(
                f"{name}: the generator was late itself (p99 {log.late_p99_ms:.1f} ms, at most {most_late_ms:.0f})"
            )
        honest = {
            "unanswered": measures.unanswered(log),
            "bare": measures.bare(log),
            "reasoned": measures.reasoned(log),
        }
        return Phase(
            name=name,
            seconds=log.seconds,
            values={**honest, **values},
            series=measures.series(log),
            outcomes=measures.outcomes(log),
            void=void,
            late_p99_ms=round(log.late_p99_ms, 2),
            busy=round(log.busy, 3),
            cost_us=round(log.cost_us, 1),
        )


class _Script:
    """Lets events happen at their times, in a thread of its own; what they raise is raised by `end`."""

    def __init__(self, events: Sequence[Event]) -> None:
        self._events = events
        self._thread: threading.Thread | None = None
        self._broken: Exception | None = None

    def begin(self, at_s: float) -> None:
        """The load has been running for so long. Only the first call counts."""
        if self._events and not self._thread:
            self._thread = threading.Thread(target=self._play, args=(time.monotonic() - at_s,), daemon=True)
            self._thread.start()

    def end(self) -> None:
        """Wait for the last event."""
        if self._thread:
            self._thread.join()
        if self._broken:
            raise self._broken

    def _play(self, began_at: float) -> None:
        try:
            for event in self._events:
                time.sleep(max(0.0, began_at + event.at_s - time.monotonic()))
                event.do()
        except Exception as error:  # noqa: BLE001 - carried to the thread that waits for it
            self._broken = error
