"""The HTTP application: every room put together, for one gateway process."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path

from unbusy import admission, api, banks, batches, funding, payments, people, transits, verification, wallets
from unbusy.banks import routes as bank_routes
from unbusy.batches import routes as batch_routes
from unbusy.clock import Clock, SystemClock
from unbusy.db import Database
from unbusy.ids import Ids
from unbusy.payments import routes as payment_routes
from unbusy.payouts import routes as payout_routes
from unbusy.people import routes as people_routes
from unbusy.promises import routes as promise_routes
from unbusy.secret import derive_key
from unbusy.settings import Settings
from unbusy.topups import routes as topup_routes
from unbusy.transits import routes as transit_routes
from unbusy.verification import routes as verification_routes
from unbusy.wallets import routes as wallet_routes

# Gateways of one machine that were started by themselves have places for so many.
_GATEWAYS = 8

HANDLERS = (
    *people_routes.HANDLERS,
    *wallet_routes.HANDLERS,
    *payment_routes.HANDLERS,
    *promise_routes.HANDLERS,
    *batch_routes.HANDLERS,
    *bank_routes.HANDLERS,
    *transit_routes.HANDLERS,
    *verification_routes.HANDLERS,
    *topup_routes.HANDLERS,
    *payout_routes.HANDLERS,
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
    # Connections of their own for what only looks: no storm of reads takes one that a payment needs.
    reads = await Database.open(
        url, size=settings.read_pool_size, queue=settings.pool_queue, clock=clock, is_read_only=True
    )
    persons = people.People(db, reads, clock=clock, ids=ids, settings=settings, secret=secret)
    purse = wallets.Wallets(db, reads, persons, clock=clock)
    pay = payments.Payments(db, reads, persons, hub, clock=clock, ids=ids, settings=settings, moved=purse.changed)
    bank_names = transits.BankNames(names := banks.names(settings))
    moves = transits.Transits(db, reads, hub, clock=clock, ids=ids, settings=settings, moved=purse.changed)
    funds = funding.Fundings(db, reads, pay, bank_names, clock=clock, ids=ids, settings=settings, moved=purse.changed)
    views = payments.Views(persons, pay, funds.show)
    proofs = _verifications(db, reads, names, clock, ids, settings)
    closing = (proofs.close, reads.close, db.close)
    gatekeeper = _gatekeeper(settings, secret, clock, persons, pay, reads)

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
            payments.Requests(db, reads, pay, clock=clock, ids=ids, settings=settings),
            payments.Events(reads, views, transits.subjects(moves, bank_names)),
            views,
            pay.promises,
            payments.Polls(clock),
            batches.Batches(db, reads, persons, pay, clock=clock, ids=ids),
            purse,
            transits.BankAccounts(db, reads, names, clock=clock, ids=ids),
            moves,
            bank_names,
            payments.FromBank(funds.pay),
            proofs,
            banks.Banks(reads, names, clock=clock),
        ),
        probes={"database": is_ready},
        gatekeeper=gatekeeper,
        short=payment_routes.SHORT,
        on_startup=(persons.start, pay.start, *([gatekeeper.start] if gatekeeper else [])),
        on_shutdown=(*([gatekeeper.stop] if gatekeeper else []), pay.stop, persons.stop, *closing),
    )


def _verifications(
    db: Database, reads: Database, names: Mapping[str, str], clock: Clock, ids: Ids, settings: Settings
) -> verification.Verifications:
    asked = banks.name_checks(settings, clock=clock, ids=ids)
    chance = secrets.randbelow
    return verification.Verifications(db, reads, names, asked, clock=clock, ids=ids, settings=settings, chance=chance)


def _gatekeeper(
    settings: Settings,
    secret: bytes,
    clock: Clock,
    persons: people.People,
    pay: payments.Payments,
    reads: Database,
) -> api.Gatekeeper | None:
    if settings.gate == "off":
        return None
    options = admission.Options(
        longest_s=settings.line_longest_s,
        customer_quota=admission.Quota(settings.customer_per_s, settings.customer_burst),
    )
    shared = admission.Shared.claim(Path(settings.data) / "gate", max(settings.workers, _GATEWAYS))
    gate = admission.Gate(derive_key(secret, "tickets"), shared, options, clock.timestamp())
    return api.Gatekeeper(
        gate,
        persons,
        clock=clock,
        payment_wait=lambda: pay.oldest_wait,
        read_wait=lambda: reads.oldest_wait,
        when_done=shared.close,
    )
