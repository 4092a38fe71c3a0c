"""Demo data: customers and merchants with a month of plausible history, the same for the same seed.

It is made the way real history is: money comes in through the reserve, payments go through the
same settlement, only on a clock of its own that runs through the month in a second.
"""

from __future__ import annotations

import random
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec
from msgspec.structs import replace
from rich.console import Console
from schwifty import IBAN

from unbusy import banks, gateway, transits, wallets
from unbusy.banks import sandbox
from unbusy.clock import SystemClock
from unbusy.db import Database, Tx
from unbusy.ids import Ids
from unbusy.payments import Order, Settlement
from unbusy.people import Person, has_people, hash_password, insert_people
from unbusy.settings import Settings
from unbusy.supervisor import Child

# Of people who own nothing but play money, on a wallet that listens on this machine only.
PASSWORD = "play-money-only"  # noqa: S105 - it is printed to whoever starts the demo

TENANT = 1
DAYS = 30
_SALARY = (180_000, 420_000)


class _Customer(NamedTuple):
    handle: str
    name: str
    language: str = "en"


class _Merchant(NamedTuple):
    handle: str
    name: str
    least: int
    most: int
    notes: tuple[str, ...]


CUSTOMERS = (
    _Customer("ming", "Ming Li 李明", "zh"),
    _Customer("anna", "Anna Berg"),
    _Customer("kofi", "Kofi Mensah"),
    _Customer("mei", "Mei Chen 陈梅", "zh"),
    _Customer("lucia", "Lucía Romero"),
    _Customer("jonas", "Jonas Weber"),
    _Customer("amina", "Amina Diallo"),
    _Customer("wei", "Wei Zhang 张伟", "zh"),
    _Customer("sofia", "Sofia Rossi"),
    _Customer("tom", "Tom Baker"),
    _Customer("priya", "Priya Nair"),
    _Customer("emil", "Emil Novák"),
)
MERCHANTS = (
    _Merchant("cafe_luna", "Café Luna", 280, 1_450, ("coffee", "lunch", "cake and tea")),
    _Merchant("greengrocer", "Green Grocer", 650, 6_800, ("groceries", "vegetables", "")),
    _Merchant("corner_books", "Corner Books", 900, 4_200, ("a novel", "comics", "a present")),
    _Merchant("metro", "City Metro", 240, 240, ("ticket",)),
    _Merchant("noodle_house", "Noodle House 面馆", 850, 3_600, ("dinner", "lunch", "面条")),
)
OPERATOR = _Customer("operator", "Olga Operator")
_BETWEEN_FRIENDS = ("dinner", "thank you", "tickets", "happy birthday", "rent share", "谢谢", "")


async def seed(db: Database, settings: Settings, until: datetime, seed: int = 1) -> bool:
    """Fill a wallet that nobody lives in yet, in one transaction; False when somebody does.

    `db` needs the rights of the database's owner. The history ends at `until`.
    """

    async def work(tx: Tx) -> bool:
        return await _History(settings, until, seed).write(tx)

    return await db.run(work)


@contextmanager
def with_bank(settings: Settings, out: Console) -> Generator[tuple[Settings, Child | None]]:
    """A bank to try out beside the wallet, and the settings that know it; none where there are banks already."""
    if settings.banks:
        yield settings, None
        return
    directory = sandbox.home(settings)
    with gateway.listen("127.0.0.1", 0) as listener:
        address = gateway.address(listener)
        known = sandbox.prepare(directory, address)
        out.print(f"[dim]A sandbox bank to try out is at {address}, its faults at {address}/faults[/]", soft_wrap=True)
        bank = Child("sandbox bank", lambda started: sandbox.run(directory, listener, started))
        yield replace(settings, banks=str(known)), bank


def introduce(out: Console, address: str) -> None:
    """Show the logins, and lines to paste into a shell: two demo customers pay each other."""
    for role, people in (("customers", CUSTOMERS), ("merchants", MERCHANTS), ("operator", (OPERATOR,))):
        out.print(f"  {role:<10} " + "  ".join(f"[green]@{person.handle}[/]" for person in people), soft_wrap=True)
    out.print(f"  password   [green]{PASSWORD}[/]\n")
    for payer, payee in ((CUSTOMERS[0], CUSTOMERS[1]), (CUSTOMERS[1], CUSTOMERS[0])):
        _show_lines(out, address, payer.handle, payee.handle)


def _show_lines(out: Console, address: str, payer: str, payee: str) -> None:
    as_json = "-H 'Content-Type: application/json'"
    lines = (
        f"TOKEN=$(curl -s {address}/v1/sessions {as_json} \\",
        f"""  -d '{{"identifier":"@{payer}","password":"{PASSWORD}"}}' \\""",
        """  | sed 's/.*"access_token":"\\([^"]*\\)".*/\\1/')""",
        f'curl -s {address}/v1/payments {as_json} -H "Authorization: Bearer $TOKEN" \\',
        f"""  -H "Idempotency-Key: $(date +%s%N)" -d '{{"payee":"@{payee}","amount":1250,"asset":"EUR"}}'""",
    )
    out.print(f"  @{payer} pays @{payee}:\n")
    for line in lines:
        out.print(f"    {line}", markup=False, soft_wrap=True, style="cyan")
    out.print()


class _History:
    """A month in the life of a small town."""

    def __init__(self, settings: Settings, until: datetime, seed: int) -> None:
        self._chance = random.Random(seed)  # noqa: S311 - a reproducible story, no secret
        self._clock = _StoryClock(until - timedelta(days=DAYS))
        self._until = until
        self._ids = Ids(self._clock, self._chance.randbytes)
        self._asset = settings.default_asset
        self._banks = banks.names(settings)
        self._settlement = Settlement(ids=self._ids, settings=settings)
        self._customers = [self._person("customer", customer) for customer in CUSTOMERS]
        self._merchants = [
            self._person("merchant", _Customer(merchant.handle, merchant.name)) for merchant in MERCHANTS
        ]

    async def write(self, tx: Tx) -> bool:
        if await has_people(tx, TENANT):
            return False
        everybody = [*self._customers, *self._merchants, self._person("operator", OPERATOR)]
        await insert_people(tx, everybody, hash_password(PASSWORD))
        await self._link_bank_accounts(tx)
        await self._pay_salaries(tx)
        for moment in self._moments():
            self._clock.turn_to(moment)
            if moment.day == 1 and moment.hour == 8:  # noqa: PLR2004 - in the morning of payday
                await self._pay_salaries(tx)
            await self._settlement.settle(tx, self._orders(moment), moment)
        return True

    async def _link_bank_accounts(self, tx: Tx) -> None:
        """Everybody has an account at every bank there is, under a number of an invented branch."""
        for bank in self._banks:
            for number, person in enumerate((*self._customers, *self._merchants), 1):
                account = transits.BankAccount(
                    id=self._ids.new(),
                    tenant_id=TENANT,
                    person_id=person.id,
                    bank=bank,
                    iban=str(IBAN.generate("GB", bank_code="BUKB", branch_code="202015", account_code=f"{number:08}")),
                    holder=person.name,
                    created_at=self._clock.now(),
                )
                await transits.link(tx, account)

    def _moments(self) -> Iterator[datetime]:
        """Every hour of the month in which people are awake."""
        moment = self._clock.now().replace(minute=0, second=0, microsecond=0)
        while (moment := moment + timedelta(hours=1)) < self._until:
            if 7 <= moment.hour <= 22:  # noqa: PLR2004 - awake
                yield moment

    async def _pay_salaries(self, tx: Tx) -> None:
        salaries = [(customer.id, self._chance.randint(*_SALARY)) for customer in self._customers]
        await wallets.credit(tx, self._ids, TENANT, salaries, self._asset, self._clock.now())

    def _orders(self, moment: datetime) -> list[Order]:
        """What the town pays in this hour: more at noon, in the evening and at the weekend."""
        is_busy = moment.hour in (12, 13, 18, 19) or moment.weekday() >= 5  # noqa: PLR2004 - Saturday
        return [self._order() for _ in range(self._chance.randint(1, 4 if is_busy else 2))]

    def _order(self) -> Order:
        payer = self._chance.choice(self._customers)
        if self._chance.random() < 0.3:  # noqa: PLR2004 - three in ten are between friends
            payee = self._chance.choice([friend for friend in self._customers if friend is not payer])
            amount, note = self._chance.randint(5, 120) * 100, self._chance.choice(_BETWEEN_FRIENDS)
        else:
            number = self._chance.randrange(len(MERCHANTS))
            merchant, payee = MERCHANTS[number], self._merchants[number]
            amount, note = self._chance.randint(merchant.least, merchant.most), self._chance.choice(merchant.notes)
        id = self._ids.new()
        return Order(
            id=id,
            tenant_id=TENANT,
            payer_id=payer.id,
            payee_id=payee.id,
            amount=amount,
            asset=self._asset,
            note=note,
            key=id.hex,
            fingerprint=bytes(16),
        )

    def _person(self, role: str, about: _Customer) -> Person:
        person = {
            "id": self._ids.new(),
            "tenant_id": TENANT,
            "role": role,
            "name": about.name,
            "handle": about.handle,
            "email": f"{about.handle}@example.com",
            "phone": None,
            "language": about.language,
            "state": "open",
            "created_at": self._clock.now(),
        }
        return msgspec.convert(person, Person)


class _StoryClock(SystemClock):
    """A clock that stands where the story is."""

    def __init__(self, begin: datetime) -> None:
        self._at = begin

    def turn_to(self, moment: datetime) -> None:
        self._at = moment

    def now(self) -> datetime:
        return self._at
