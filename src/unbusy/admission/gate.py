"""The gate of one gateway: asked before anything of a request is read but its method, path and headers.

    request ─▶ class ─▶ quota ─▶ ticket due? ─▶ room? ─▶ in
                          │          │            └────▶ a place in line, or when to come back
                          ▼          ▼
                        wait     wait, or moved

Ten times a second it measures what the gateway completed, sets its capacity, and divides it: among
classes by floors and order, within a class among tenants so that none gets more while another that
asks for less is short. Between two ticks every decision is a few additions.

Times are seconds since 1970, the same for every gateway, and passed in.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final, NamedTuple

import msgspec

from unbusy.admission import capacity as capacities
from unbusy.admission.capacity import Capacity, Sample
from unbusy.admission.classes import CLASSES, COSTS, FLOORS, Class, classify
from unbusy.admission.crowds import Crowds
from unbusy.admission.decisions import ADMITTED, Admitted, Decision, Entry, Full, InLine, OverQuota
from unbusy.admission.line import LATER_S, TOLERANCE_S, Line
from unbusy.admission.quotas import CUSTOMER, Quota, Quotas
from unbusy.admission.shared import PLACES, Shared
from unbusy.admission.shares import reaches, water_level
from unbusy.admission.tickets import LIFE_S, Ticket, Tickets
from unbusy.admission.used import Used

# How far tenants who ask for less than their part may overdraw a class between two divisions, in seconds of
# its rate. The next one knows what they ask for, and begins even.
_CREDIT_S: Final = 0.1
_BURST_S: Final = 0.03
_FEW: Final = 4.0
_DEMAND_WEIGHT: Final = 0.2
# A gateway has too many when so many times its part ask it, over this time.
_TOO_MANY: Final = 1.2
_COMPARED_S: Final = 0.5
# Those who are told to come back are spread over this part of the longest wait.
_SPREAD: Final = 0.1
_SALT: Final = 0x9E3779B97F4A7C15
_SALT_S: Final = 3_600
# Some 20 MB of those who asked.
_MOST_HASHES: Final = 100_000
_HAND_SHIFT: Final = 32
_GATEWAY_SHIFT: Final = 56
_MICROSECONDS: Final = 1_000_000


class Options(msgspec.Struct, frozen=True):
    """What an installation may choose."""

    floors: tuple[float, ...] = FLOORS
    target_s: float = capacities.TARGET_S
    longest_s: float = 600.0
    customer_quota: Quota = CUSTOMER
    tenant_quotas: dict[int, Quota] = {}


class Waits(NamedTuple):
    """How long things wait now, in seconds: the event loop for a turn; the payment and the read that have waited
    longest, to be begun; the request that has waited longest, to be looked at."""

    loop: float = 0.0
    payment: float = 0.0
    read: float = 0.0
    door: float = 0.0


NO_WAIT: Final = Waits()


class Tally:
    """What happened to one class since the gate was made. For metrics; read it whenever you like."""

    __slots__ = ("admitted", "crowded", "early", "full", "in_line", "moved", "offered", "over_quota", "ticket_holders")

    def __init__(self) -> None:
        self.offered = self.admitted = self.ticket_holders = 0
        self.in_line = self.early = self.moved = self.full = self.over_quota = self.crowded = 0


class _Queue:
    """A class as the gate keeps it: a bucket for all its tenants, and their lines by place."""

    __slots__ = ("_at", "_burst", "demand", "level", "lines", "rate", "tokens")

    def __init__(self, now: float) -> None:
        self.lines: dict[int, Line] = {}
        self.demand = 0.0
        self.tokens = 0.0
        self._at = now
        self.divide(0.0)

    def divide(self, rate: float) -> None:
        """From now on at this rate, in requests a second."""
        self.rate = rate
        self.tokens = max(0.0, self.tokens)
        self._burst = max(_FEW, _BURST_S * rate)
        self.level = water_level(rate, [line.demand for line in self.lines.values()])

    def may_draw(self, line: Line, now: float) -> bool:
        """Whether the class has room for a newcomer of this line, too."""
        passed = max(0.0, now - self._at)
        self._at = now
        self.tokens = min(self._burst, self.tokens + passed * self.rate)
        if self.tokens >= 1.0:
            return True
        # Who asks for less than he may have is not to suffer from those who ask for more: for him there is credit.
        return line.demand < self.level and self.tokens > -_FEW - _CREDIT_S * self.rate


class Gate:
    """One gateway's gate. `key` is 32 bytes of this use alone; `shared` is what all gateways share."""

    def __init__(self, key: bytes, shared: Shared, options: Options, now: float) -> None:
        self._key = key[:32]
        self._tickets = Tickets(key)
        self._hashes: dict[tuple[int, bytes], int] = {}
        self._shared = shared
        self._options = options
        self._used = Used(shared.own.generations, [one.generations for one in shared.regions], now)
        self._quotas = Quotas(options.customer_quota, options.tenant_quotas)
        self._crowds = Crowds()
        # Grows by less than a million a second, so that no number comes twice, also after a restart.
        self._number = shared.index << _GATEWAY_SHIFT | int(now * _MICROSECONDS)
        self._salt = _salt(now)
        self._ticked_at = now
        self._queues = tuple(_Queue(now) for _ in CLASSES)
        self.capacity: Capacity = capacities.resumed(shared.own.good)
        # What can be read of that: reads have connections of their own, and wait for each other there.
        self._reading = Capacity()
        self._looked = 0.0
        self.tallies = tuple(Tally() for _ in CLASSES)
        self.tickets_refused = 0
        """Tickets that were forged, expired, used, somebody else's or of another class."""
        self.has_too_many = False
        """Whether more ask this gateway than the others: whom it turns away had better connect anew."""
        self._asked = 0.0
        self._asked_before = 0
        self._offered_before = [0] * len(CLASSES)
        self._completed = self._queueing_s = 0.0
        self._finished = 0
        self._divide(now)

    # One request

    def decide(
        self, method: str, path: str, prefer: str | None, tenant: int, customer: bytes, ticket: str | None, now: float
    ) -> Decision:
        """What to do with a request of this customer of this tenant (for a stranger: where it comes from)."""
        klass = classify(method, path, prefer)
        tally = self.tallies[klass]
        if klass == Class.settle:
            tally.offered += 1
            tally.admitted += 1
            return ADMITTED[klass][Entry.room]
        who = self._hash(tenant, customer)
        wait = self._quotas.wait(tenant, who, now)
        if wait > 0:
            tally.over_quota += 1
            return OverQuota(klass, wait)
        line = self._line(klass, tenant % PLACES, now)
        if ticket is not None:
            place = self._read(ticket, klass, who, now)
            if place is not None:
                return self._holder(line, place, ticket, now)
        return self._newcomer(line, klass, who, now)

    def payee(
        self, admitted: Admitted, tenant: int, customer: bytes, payee: bytes, now: float
    ) -> Admitted | InLine | Full:
        """Ask again, once it is known who is to be paid. What is not admitted any more has cost nothing."""
        self._crowds.count(payee)
        if admitted.entry is Entry.crowd:
            return admitted
        slot_at = self._crowds.slot(payee, now)
        if slot_at <= now:
            return admitted
        klass = admitted.klass
        tally = self.tallies[klass]
        tally.crowded += 1
        tally.admitted -= 1
        self._line(klass, tenant % PLACES, now).give_back()
        self._queues[klass].tokens += 1.0
        who = self._hash(tenant, customer)
        if slot_at > now + self._options.longest_s:
            self._crowds.give_back(payee)
            return self._full(klass, who, slot_at - now, now)
        return self._in_line(klass, self._next_number(), 0.0, slot_at, who, is_crowd=True)

    def finished(self, klass: Class, queueing_s: float) -> None:
        """An admitted request was answered; `queueing_s` is how long it waited inside before work on it began."""
        self._completed += COSTS[klass]
        if klass >= Class.read_for_pay:
            self._looked += COSTS[klass]
        self._queueing_s += queueing_s
        self._finished += 1

    def brake(self, klass: Class) -> None:
        """What was let in waits too long already: nobody more until it flows, holders a little before newcomers.

        The controller looks ten times a second; this is for what happens in between.
        """
        queue = self._queues[klass]
        queue.tokens = min(queue.tokens, -_FEW - _CREDIT_S * queue.rate)
        for line in queue.lines.values():
            line.brake()

    # Ten times a second

    def tick(self, now: float, waits: Waits = NO_WAIT) -> None:
        """Measure and divide anew."""
        passed = now - self._ticked_at
        self._ticked_at = now
        self._salt = _salt(now)
        if passed > 0:
            self._measure(passed, waits)
            self._divide(now)
            self._compare(passed, now)
        self._quotas.tick(now)
        self._used.tick(now)
        pay = self._queues[Class.pay]
        self._crowds.tick(now, pay.demand / COSTS[Class.pay], pay.rate, is_short=self.is_short(Class.pay))

    def is_short(self, klass: Class) -> bool:
        """Whether more of this class is asked for than it can have: time to serve from a cache."""
        queue = self._queues[klass]
        return queue.demand > queue.rate * COSTS[klass] or any(line.waits for line in queue.lines.values())

    def rate(self, klass: Class) -> float:
        """What the class may let in now, in requests a second."""
        return self._queues[klass].rate

    # Helpers of one request

    def _newcomer(self, line: Line, klass: Class, who: int, now: float) -> Decision:
        tally = self.tallies[klass]
        queue = self._queues[klass]
        tally.offered += 1
        if line.has_room(now) and queue.may_draw(line, now):
            line.enter()
            queue.tokens -= 1.0
            tally.admitted += 1
            return ADMITTED[klass][Entry.room]
        hand = who * self._salt >> _HAND_SHIFT
        longest_s = self._options.longest_s
        tag, wait = line.place(hand, is_impatient=self._quotas.is_impatient(who))
        if wait > longest_s:
            return self._full(klass, who, wait, now)
        tally.in_line += 1
        return self._in_line(klass, self._next_number(), tag, now + wait, who)

    def _read(self, token: str, klass: Class, who: int, now: float) -> Ticket | None:
        ticket = self._tickets.read(token)
        if (
            ticket is None
            or ticket.who != who
            or ticket.klass != klass
            or now > ticket.slot_at + LIFE_S
            or self._used.has(ticket.number)
        ):
            self.tickets_refused += 1
            return None
        return ticket

    def _holder(self, line: Line, ticket: Ticket, token: str, now: float) -> Decision:
        klass = ticket.klass
        tally = self.tallies[klass]
        if now < ticket.slot_at - TOLERANCE_S and (ticket.is_crowd or line.is_behind(now)):
            tally.early += 1
            self._quotas.came_early(ticket.who)
            return InLine(klass, token, ticket.slot_at, is_crowd=ticket.is_crowd)
        line.came()
        wait = 0.0 if ticket.is_crowd else line.wait_of(ticket.tag, now)
        if wait <= TOLERANCE_S:
            if line.welcome(now):
                self._used.add(ticket.number)
                self._queues[klass].tokens -= 1.0
                tally.offered += 1
                tally.admitted += 1
                tally.ticket_holders += 1
                return ADMITTED[klass][Entry.crowd if ticket.is_crowd else Entry.ticket]
            wait = line.later(now)
        else:
            # Back when he is just tolerably early: with the whole tolerance again, nobody would come in between.
            wait = max(wait - TOLERANCE_S / 2, LATER_S)
        tally.moved += 1
        line.tell(now + wait)
        return self._in_line(
            klass, ticket.number, ticket.tag, now + wait, ticket.who, ticket.slot_at, is_crowd=ticket.is_crowd
        )

    def _in_line(
        self, klass: Class, number: int, tag: float, slot_at: float, who: int, moved_from: float | None = None,
        *, is_crowd: bool = False,
    ) -> InLine:  # fmt: skip
        token = self._tickets.issue(klass, number, tag, slot_at, who, is_crowd)
        return InLine(klass, token, slot_at, moved_from, is_crowd)

    def _full(self, klass: Class, who: int, wait: float, now: float) -> Full:
        self.tallies[klass].full += 1
        longest_s = self._options.longest_s
        spread = (who & 1023) / 1024 * longest_s * _SPREAD
        return Full(klass, now + max(1.0, wait - longest_s) + spread)

    def _next_number(self) -> int:
        self._number += 1
        return self._number

    def _hash(self, tenant: int, customer: bytes) -> int:
        known = self._hashes.get((tenant, customer))
        if known is None:
            if len(self._hashes) >= _MOST_HASHES:
                self._hashes.clear()
            salt = tenant.to_bytes(8, "big")
            known = int.from_bytes(blake2b(customer, digest_size=8, key=self._key, salt=salt).digest())
            self._hashes[tenant, customer] = known
        return known

    def _line(self, klass: Class, place: int, now: float) -> Line:
        queue = self._queues[klass]
        line = queue.lines.get(place)
        if line is None:
            kept, own = self._shared.line(klass, place), self._shared.index
            line = queue.lines[place] = Line(kept, own, queue.level, self._options.longest_s, now)
        return line

    # Helpers of a tick

    def _measure(self, passed: float, waits: Waits) -> None:
        offered = read = 0.0
        for klass, tally, queue in zip(CLASSES, self.tallies, self._queues, strict=True):
            cost = (tally.offered - self._offered_before[klass]) * COSTS[klass]
            self._offered_before[klass] = tally.offered
            queue.demand += (cost / passed - queue.demand) * min(1.0, _DEMAND_WEIGHT * passed * 10)
            offered += cost
            if klass >= Class.read_for_pay:
                read += cost
        mean = self._queueing_s / self._finished if self._finished else 0.0
        target_s = self._options.target_s
        # The oldest says something only when it is left behind: then nothing is finished that could tell.
        waited = waits.payment if waits.payment > mean + target_s else mean
        # Whoever waits to be looked at waits, too: saying no is work, and takes its part of what can be done.
        sample = Sample(passed, self._completed, offered, max(waited, waits.door) + waits.loop)
        self.capacity = capacities.follow(self.capacity, sample, target_s)
        self._reading = capacities.follow(self._reading, Sample(passed, self._looked, read, waits.read), target_s)
        self._completed = self._looked = self._queueing_s = 0.0
        self._finished = 0
        self._shared.own.good = self.capacity.good

    def _compare(self, passed: float, now: float) -> None:
        """With the others: connections stay with whom they found, which may be one for all."""
        asked = sum(tally.offered + tally.early + tally.moved for tally in self.tallies)
        self._asked += ((asked - self._asked_before) / passed - self._asked) * min(1.0, passed / _COMPARED_S)
        self._asked_before = asked
        self._shared.own.tell_asked(self._asked, now)
        everybody = [asked for region in self._shared.regions if (asked := region.asked(now)) is not None]
        self.has_too_many = self._asked > _TOO_MANY * sum(everybody) / len(everybody)

    def _divide(self, now: float) -> None:
        demands = [queue.demand for queue in self._queues]
        # What settles comes first and unasked; the others share the rest.
        left = max(capacities.LEAST, self.capacity.limit - demands[Class.settle])
        demands[Class.settle] = 0.0
        room = self._reading.limit
        lasts = min(1.0, self.capacity.good / self.capacity.limit)
        for klass, reach in zip(CLASSES, reaches(left, demands, self._options.floors), strict=True):
            queue = self._queues[klass]
            rate = reach
            if klass >= Class.read_for_pay:
                rate = min(reach, room)
                room = max(1.0, room - min(rate, demands[klass]))
            queue.divide(rate / COSTS[klass])
            for line in queue.lines.values():
                line.tick(now, queue.level, queue.level * lasts)


def _salt(now: float) -> int:
    """Another one every hour, so that nobody shares lanes with the same greedy neighbour for ever."""
    return (int(now / _SALT_S) * 2 + 1) * _SALT & (1 << 64) - 1 | 1
