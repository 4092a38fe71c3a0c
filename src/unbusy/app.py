"""The HTTP application: every room put together, for one gateway process."""

from __future__ import annotations

from unbusy import api, batches, payments, people, wallets
from unbusy.batches import routes as batch_routes
from unbusy.clock import SystemClock
from unbusy.db import Database
from unbusy.ids import Ids
from unbusy.payments import routes as payment_routes
from unbusy.people import routes as people_routes
from unbusy.promises import routes as promise_routes
from unbusy.settings import Settings
from unbusy.wallets import routes as wallet_routes

HANDLERS = (
    *people_routes.HANDLERS,
    *wallet_routes.HANDLERS,
    *payment_routes.HANDLERS,
    *promise_routes.HANDLERS,
    *batch_routes.HANDLERS,
)


async def create(settings: Settings, url: str, secret: bytes) -> api.Application:
    """A gateway's application, connected to the database at `url`.

    `secret` signs its access tokens. What it starts with the server's start-up it ends with its
    shut-down, in the opposite order: payments that were submitted are settled before the
    connections are closed.
    """
    clock = SystemClock()
    ids = Ids(clock)
    hub = api.Hub()
    db = await Database.open(url, size=settings.pool_size, queue=settings.pool_queue, clock=clock)
    persons = people.People(db, clock=clock, ids=ids, settings=settings, secret=secret)
    pay = payments.Payments(db, persons, hub, clock=clock, ids=ids, settings=settings)
    views = payments.Views(persons, pay)
    polls = payments.Polls(clock)

    async def is_ready() -> None:
        async with db.connection() as connection:
            await connection.fetchval("SELECT 1")

    return api.create(
        HANDLERS,
        authenticator=persons,
        settings=settings,
        clock=clock,
        hub=hub,
        parts=(
            settings,
            persons,
            pay,
            payments.Requests(db, pay, clock=clock, ids=ids, settings=settings),
            payments.Events(db, views),
            views,
            pay.promises,
            polls,
            batches.Batches(db, persons, pay, clock=clock, ids=ids),
            wallets.Wallets(db, persons, clock=clock),
        ),
        probes={"database": is_ready},
        on_startup=(persons.start, pay.start),
        on_shutdown=(pay.stop, persons.stop, db.close),
    )
