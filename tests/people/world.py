"""What the tests of people share: a clock that is moved by hand, and people to begin with."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from unbusy.api import Principal
from unbusy.people import Cost, NewPerson, People, Person, SignedIn

TENANT = 1
SECRET = b"a secret of tests, long enough to be one"
PASSWORD = "correct horse battery"
HOME = "203.0.113.7"

# The least that argon2 takes: tests are about when it is called, not about what it costs.
CHEAP = Cost(memory_kib=8, passes=1, lanes=1)

MING = NewPerson(name="Ming", handle="ming", email="ming@example.com", phone="+8613800138000", password=PASSWORD)


class ManualClock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self._now = datetime(2026, 3, 1, 12, tzinfo=UTC)
        self._monotonic = 1_000.0

    def now(self) -> datetime:
        return self._now

    def timestamp(self) -> float:
        return self.now().timestamp()

    def monotonic(self) -> float:
        return self._monotonic

    def go(self, seconds: float) -> None:
        """Time passes."""
        self._now += timedelta(seconds=seconds)
        self._monotonic += seconds

    def set(self, seconds: float) -> None:
        """Somebody sets the clock: no time passes, and it shows another one."""
        self._now += timedelta(seconds=seconds)


async def sign_in(people: People, identifier: str = "@ming", password: str = PASSWORD, address: str = HOME) -> SignedIn:
    """Sign Ming in from home, unless told otherwise."""
    return await people.sign_in(TENANT, identifier, password, address=address)


async def ming(people: People) -> Person:
    """Ming signs up."""
    return await people.sign_up(TENANT, MING, address=HOME)


def person(number: int, **changes: object) -> Person:
    """Somebody for the bulk insert."""
    given: dict[str, object] = {
        "id": UUID(int=number),
        "tenant_id": TENANT,
        "role": "customer",
        "name": f"Person {number}",
        "handle": f"person_{number}",
        "email": f"person{number}@example.com",
        "phone": None,
        "language": "en",
        "state": "open",
        "created_at": datetime(2026, 1, 1, tzinfo=UTC),
    }
    return Person(**(given | changes))  # pyright: ignore[reportArgumentType] - changed by name


def principal(people: People, signed_in: SignedIn) -> Principal:
    """Whom the access token stands for."""
    return people.authenticate(signed_in.access_token)
