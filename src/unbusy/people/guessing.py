"""Against guessing: attempts are counted, and each one past the free ones waits longer. Pure.

    5 free for an account, 100 for an address, then 1 s, 2 s, 4 s … 15 min between attempts

An *account* is what somebody typed to sign in, whether anybody has it or not, so that a delay tells
nothing about who is a customer. An *address* is where the request came from; many people may share
one (an office, a mobile network), hence the larger number.

An attempt is counted, and that committed, *before* the password is looked at: however many guesses arrive
at once, through however many gateways, the row's lock lets them in one after the other. One that
comes too early is refused and counted nowhere. A success forgets the account's attempts, but takes
back only its own from the address: having one account must not pay for guessing at others.
"""

from __future__ import annotations

import hmac
import ipaddress
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Literal, NamedTuple

import msgspec

from unbusy.people.model import read_identifier
from unbusy.secret import derive_key

FREE = {"account": 5, "address": 100}
LONGEST_WAIT = timedelta(minutes=15)
# Attempts are forgotten when none has come for so long.
FORGOTTEN_AFTER = timedelta(hours=24)

# A household or a server has a whole IPv6 network of this length to itself.
_IPV6_NETWORK = 64
_LONGEST_ADDRESS = 64


class Subject(NamedTuple):
    """Whose attempts are counted: a keyed hash, so that the table names nobody."""

    kind: Literal["account", "address"]
    hash: bytes


class Attempts(msgspec.Struct, frozen=True):
    """What is known of a subject: how often, when last, and when the next one is let in."""

    subject: Subject
    count: int
    last_at: datetime
    opens_at: datetime


class Subjects:
    """Names the subjects of an installation."""

    def __init__(self, secret: bytes) -> None:
        self._key = derive_key(secret, "attempts")

    def account(self, typed: str) -> Subject:
        """Who somebody says to be: the spellings of one identifier are one subject."""
        identifier = read_identifier(typed)
        return self._subject("account", ":".join(identifier) if identifier else f"other:{typed}")

    def address(self, host: str) -> Subject:
        """Where the request came from: an IPv4 address, or the network of an IPv6 one."""
        return self._subject("address", network_of(host))

    def _subject(self, kind: Literal["account", "address"], text: str) -> Subject:
        return Subject(kind, hmac.digest(self._key, f"{kind}:{text}".encode("utf-8", "surrogatepass"), sha256))


def network_of(host: str) -> str:
    """What one party has to itself: `1.2.3.4`, `2001:db8:1:2::/64`; other texts as they are, cut."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host[:_LONGEST_ADDRESS]
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, _IPV6_NETWORK), strict=False))


def wait(known: Attempts, now: datetime) -> timedelta:
    """How long until the next attempt is let in; zero when it is now."""
    if known.count < FREE[known.subject.kind]:
        # Gateways' clocks differ a little: without a delay, what one has written is not yet "now"
        # for another.
        return timedelta(0)
    left = known.opens_at - now
    # No delay is longer than the longest. If one seems to be, the clock was set back, and nobody
    # is locked out for that.
    return left if timedelta(0) < left <= LONGEST_WAIT else timedelta(0)


def counted(known: Attempts, now: datetime) -> Attempts:
    """The subject after one more attempt."""
    count = 1 if now - known.last_at > FORGOTTEN_AFTER else known.count + 1
    return Attempts(known.subject, count, last_at=now, opens_at=now + delay(known.subject.kind, count))


def delay(kind: str, count: int) -> timedelta:
    """How long after so many attempts the next one has to wait."""
    paid = count - FREE[kind]
    # Ten doublings are more than the longest wait already.
    return min(timedelta(seconds=2 ** min(paid, 10)), LONGEST_WAIT) if paid >= 0 else timedelta(0)
