"""One batch of payments inside one transaction: load, decide, post, store.

    lock the wallets ─▶ recall: earlier answers, limits ─▶ decide (pure) ─▶ ledger.post_new ─▶ store

The wallets are locked first, in one order for everybody, so that whatever is read afterwards about
their owners stays true until the commit: a key that is not there yet cannot appear, a limit that
was not reached cannot be passed. (Who has no wallet cannot pay; should two such orders meet under
one key, the database refuses the second, and its batch is done again.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import msgspec

from unbusy import ledger, promises, telemetry
from unbusy.db import Tx
from unbusy.errors import Conflict, KeyReused, RequestError
from unbusy.ids import Ids
from unbusy.payments import model, sql
from unbusy.payments.model import Limits, Order, Payment, Profile, Status
from unbusy.reasons import Reason
from unbusy.settings import Settings

# What a caller gets: the payment and whether it is an earlier answer, or why there is none.
Answer = tuple[Payment, bool] | RequestError

# A payer and an asset, or a payer and an idempotency key.
Key = tuple[UUID, str]
# A tenant, a person and an asset.
Wallet = tuple[int, UUID, str]


class Places(NamedTuple):
    """Where the money of a batch lies: the account ids of its wallets, and the accounts, locked."""

    wallets: Mapping[Wallet, UUID]
    locked: ledger.Locked


# How many wallets' account ids one process remembers: some 65 MB.
_MOST_WALLETS = 200_000


class Settlement:
    """Settles batches. Remembers what never changes: which wallet is whose, and the usual limits."""

    def __init__(self, *, ids: Ids, settings: Settings) -> None:
        self._ids = ids
        self._settings = settings
        self._limits: dict[str, Limits] = {}
        self._wallets: dict[Wallet, UUID] = {}

    async def settle(self, tx: Tx, orders: Sequence[Order], now: datetime) -> list[Answer]:
        """Settle new orders, each answered on its own; one that is declined disturbs no other."""
        places = await self._lock(tx, [order for order in orders if not order.finish_by])
        profiles, earlier = await self._recall(tx, orders, now)
        fresh = _first_of_each_key(orders, earlier)
        queued = [order for order in fresh if order.finish_by]
        waiting = [order for order in fresh if not order.finish_by]
        settled, refused = await self._move(tx, waiting, places, profiles, now)
        settled += [model.payment(order, Status.queued, now) for order in queued]
        if settled:
            await sql.store(tx, settled, await self._spent(tx, settled, profiles))
        if queued:
            await store_promises(tx, queued)
        made = {(payment.payer_id, payment.key): payment for payment in settled}
        return [_answer(order, earlier, made, refused) for order in orders]

    async def settle_queued(self, tx: Tx, payments: Sequence[Payment], now: datetime) -> list[Payment]:
        """Settle payments that were recorded before, oldest first; one whose promised time is over expires.
        Gives what became of them, in any order."""
        orders = [payment.order() for payment in payments if payment.is_due_by(now)]
        places = await self._lock(tx, orders)
        profiles, _ = await self._recall(tx, orders, now)
        settled, refused = await self._move(tx, orders, places, profiles, now)
        settled += [
            model.payment(order, Status.declined, now, reason=refused[order.id].reason)
            for order in orders
            if order.id in refused
        ]
        settled += [
            model.payment(payment.order(), Status.expired, now, reason=Reason.promise_missed)
            for payment in payments
            if not payment.is_due_by(now)
        ]
        await sql.finish(tx, settled, await self._spent(tx, settled, profiles))
        telemetry.count_payments((payment.status, payment.reason) for payment in settled)
        return settled

    async def put_off(
        self, tx: Tx, order: Order, until: datetime, now: datetime, *, reason: Reason | None = None
    ) -> Payment:
        """Record an order whose money is on its way from a bank: pending until a time, or declined for a `reason`.

        Its key is new; one that somebody else takes meanwhile breaks the transaction (`Database.run`).
        """
        status = Status.declined if reason else Status.pending
        payment = model.payment(order, status, now, reason=reason)
        if not reason:
            payment = msgspec.structs.replace(payment, finish_by=until)
        await sql.store(tx, [payment], [])
        return payment

    async def refuses(self, tx: Tx, order: Order, now: datetime) -> Reason | None:
        """The limit that an order would break if it were paid now."""
        profiles, _ = await self._recall(tx, [order], now)
        return profiles[_key(order)].refuses(order.amount)

    async def settle_pending(
        self, tx: Tx, payments: Sequence[Payment], reasons: Mapping[UUID, Reason], now: datetime
    ) -> dict[UUID, Status]:
        """Settle payments whose money has come, or decline those for which there is a reason; one whose time is over
        expires. Gives what became of each."""
        missed = [
            model.payment(payment.order(), Status.declined, now, reason=reasons[payment.id])
            for payment in payments
            if payment.id in reasons
        ]
        await sql.finish(tx, missed, [])
        telemetry.count_payments((payment.status, payment.reason) for payment in missed)
        settled = await self.settle_queued(tx, [each for each in payments if each.id not in reasons], now)
        return {payment.id: payment.status for payment in (*missed, *settled)}

    async def _move(
        self, tx: Tx, orders: Sequence[Order], places: Places, profiles: Mapping[Key, Profile], now: datetime
    ) -> tuple[list[Payment], dict[UUID, RequestError]]:
        """Decide and post. Gives the payments made, and by order id why there is none."""
        refused = await _refuse_answered_requests(tx, orders, now)
        waiting = [order for order in orders if order.id not in refused]
        settled: list[Payment] = []
        # A second round is rare: a payment was over its payer's limit only because of one before
        # it in this batch, which the ledger then refused; or two answer the same request.
        while waiting:
            turn, later = _one_for_each_request(waiting)
            within, over = _apply_limits(turn, profiles)
            outcomes = await self._post(tx, within, places, now)
            payments = [model.settled(order, outcome, now) for order, outcome in zip(within, outcomes, strict=True)]
            unspent = _give_back_limits(payments, profiles)
            settled += payments
            settled += [
                model.payment(order, Status.declined, now, reason=reason)
                for order, reason in over
                if _key(order) not in unspent
            ]
            refused |= _refuse_paid_requests(later, payments)
            waiting = [order for order, _ in over if _key(order) in unspent]
            waiting += [order for order in later if order.id not in refused]
        if paid := [p for p in settled if p.request_id and p.status is Status.completed]:
            await sql.pay_requests(tx, paid)
        return settled, refused

    async def _post(
        self, tx: Tx, orders: Sequence[Order], places: Places, now: datetime
    ) -> list[ledger.Outcome | None]:
        """The line that moves the money. None for a payer who has no wallet in the asset."""
        wallets = places.wallets
        transfers = {
            order.id: model.transfer(order, wallets[_payer_wallet(order)], wallets[_payee_wallet(order)])
            for order in orders
            # Somebody whose wallet another order of this batch opened had none to open a payee's with.
            if _payer_wallet(order) in wallets and _payee_wallet(order) in wallets
        }
        outcomes = await ledger.post_new(tx, places.locked, list(transfers.values()), now)
        if len(outcomes) == len(orders):
            return list(outcomes)
        of_order = dict(zip(transfers, outcomes, strict=True))
        return [of_order.get(order.id) for order in orders]

    async def _lock(self, tx: Tx, orders: Sequence[Order]) -> Places:
        """Find the wallets that these orders are about, and lock their accounts."""
        wallets = await self._find_wallets(tx, orders)
        return Places(wallets, await ledger.lock(tx, wallets.values()) if wallets else {})

    async def _recall(
        self, tx: Tx, orders: Sequence[Order], now: datetime
    ) -> tuple[dict[Key, Profile], dict[Key, Payment]]:
        """What the payers of these orders have spent, and the earlier payments of their keys."""
        profiles: dict[Key, Profile] = {}
        payments: dict[Key, Payment] = {}
        today = now.date()
        for row in await sql.recall(tx, orders) if orders else ():
            number: int = row[0]
            order = orders[number]
            if (key := _key(order)) not in profiles:
                profiles[key] = profile = sql.profile(row, order, await self._default_limits(tx, order.asset), today)
                profile.turn_to(today)
            if earlier := sql.earlier(row):
                payments[earlier.payer_id, earlier.key] = earlier
        return profiles, payments

    async def _spent(self, tx: Tx, payments: Sequence[Payment], profiles: Mapping[Key, Profile]) -> Sequence[Profile]:
        """The profiles that these payments changed, each with a row to be written to."""
        paid = {(payment.payer_id, payment.asset) for payment in payments if payment.status is Status.completed}
        changed = [profiles[key] for key in paid]
        if new := [profile for profile in changed if profile.is_new]:
            await sql.add_profiles(tx, new)
        return changed

    async def _default_limits(self, tx: Tx, asset: str) -> Limits:
        if asset not in self._limits:
            settings, scale = self._settings, await ledger.scale_of(tx, asset)
            self._limits[asset] = Limits.of_whole_units(
                settings.limit_per_payment, settings.limit_per_day, settings.limit_per_month, scale or 0
            )
        return self._limits[asset]

    async def _find_wallets(self, tx: Tx, orders: Sequence[Order]) -> Mapping[Wallet, UUID]:
        """The wallets of payers and payees. A payee's is opened on first receipt, a payer's never."""
        wanted = {wallet for order in orders for wallet in (_payer_wallet(order), _payee_wallet(order))}
        # Its own mapping: what is remembered may be forgotten by another batch at any time.
        wallets = {wallet: id for wallet in wanted if (id := self._wallets.get(wallet))}
        if unknown := wanted - wallets.keys():
            found = await ledger.find_wallets(tx, sorted(unknown))
            if len(self._wallets) > _MOST_WALLETS:
                self._wallets.clear()
            self._wallets |= found
            wallets |= found
        known = set(wallets)
        for order in orders:
            if _payer_wallet(order) in known:
                known.add(_payee_wallet(order))
        missing = known - wallets.keys()
        return wallets | await self._open_wallets(tx, sorted(missing)) if missing else wallets

    async def _open_wallets(self, tx: Tx, wallets: Sequence[Wallet]) -> dict[Wallet, UUID]:
        """Not remembered beyond this batch: if it is undone, they are not there."""
        new = [
            ledger.NewAccount(
                id=self._ids.new(), tenant_id=tenant_id, owner_id=person_id, asset=asset, code="wallet", floor=0
            )
            for tenant_id, person_id, asset in wallets
        ]
        return {
            wallet: account.id for wallet, account in zip(wallets, await ledger.open_accounts(tx, new), strict=True)
        }


async def store_promises(tx: Tx, orders: Sequence[Order]) -> None:
    """Write what was promised for these queued orders, beside their payments."""
    made = [(order.id, order.tenant_id, order.promise) for order in orders if order.promise]
    await promises.store(tx, promises.QUEUED, made)


def _first_of_each_key(orders: Sequence[Order], earlier: Mapping[Key, Payment]) -> list[Order]:
    """The orders to be done: neither answered before, nor the same key again in this batch."""
    fresh: dict[Key, Order] = {}
    for order in orders:
        if (order.payer_id, order.key) not in earlier:
            fresh.setdefault((order.payer_id, order.key), order)
    return list(fresh.values())


async def _refuse_answered_requests(tx: Tx, orders: Sequence[Order], now: datetime) -> dict[UUID, RequestError]:
    """Of the orders that answer a request for money, those whose request is open no more."""
    answering = [order for order in orders if order.request_id]
    if not answering:
        return {}
    requests = await sql.lock_requests(tx, [order.request_id for order in answering if order.request_id])
    return {
        order.id: _not_open()
        for order in answering
        if order.request_id and not requests[order.request_id].is_open_at(now)
    }


def _one_for_each_request(orders: Sequence[Order]) -> tuple[list[Order], list[Order]]:
    """The orders whose turn it is, and those that answer the same request as one of them: what
    becomes of that one decides about the next."""
    turn: list[Order] = []
    later: list[Order] = []
    taken: set[UUID] = set()
    for order in orders:
        if order.request_id is None:
            turn.append(order)
        elif order.request_id in taken:
            later.append(order)
        else:
            turn.append(order)
            taken.add(order.request_id)
    return turn, later


def _refuse_paid_requests(orders: Sequence[Order], payments: Sequence[Payment]) -> dict[UUID, RequestError]:
    """Of these orders, those whose request one of the payments has paid."""
    if not orders:
        return {}
    paid = {payment.request_id for payment in payments if payment.status is Status.completed}
    return {order.id: _not_open() for order in orders if order.request_id in paid}


def _not_open() -> Conflict:
    return Conflict(Reason.request_not_open, "this request for money is open no more")


def _apply_limits(
    orders: Sequence[Order], profiles: Mapping[Key, Profile]
) -> tuple[list[Order], list[tuple[Order, Reason]]]:
    """Count each payment against its payer's limits, in order: those within, and those over one."""
    within: list[Order] = []
    over: list[tuple[Order, Reason]] = []
    for order in orders:
        profile = profiles[_key(order)]
        if reason := profile.refuses(order.amount):
            over.append((order, reason))
        else:
            profile.spend(order.amount)
            within.append(order)
    return within, over


def _give_back_limits(payments: Sequence[Payment], profiles: Mapping[Key, Profile]) -> set[Key]:
    """A payment that did not complete does not count. Gives the payers whose limits changed."""
    declined = [payment for payment in payments if payment.status is Status.declined]
    for payment in declined:
        profiles[payment.payer_id, payment.asset].spend(-payment.amount)
    return {(payment.payer_id, payment.asset) for payment in declined}


def _answer(
    order: Order, earlier: Mapping[Key, Payment], made: Mapping[Key, Payment], refused: Mapping[UUID, RequestError]
) -> Answer:
    key = (order.payer_id, order.key)
    if error := refused.get(order.id):
        return error
    payment = earlier.get(key) or made.get(key)
    if payment is None:
        return _not_open()
    if payment.fingerprint != order.fingerprint:
        return KeyReused("this idempotency key stands for another request", field="Idempotency-Key")
    return payment, payment.id != order.id


def _key(order: Order) -> Key:
    return order.payer_id, order.asset


def _payer_wallet(order: Order) -> Wallet:
    return order.tenant_id, order.payer_id, order.asset


def _payee_wallet(order: Order) -> Wallet:
    return order.tenant_id, order.payee_id, order.asset
