"""The verbs of a payment, in the order of its life: pay, look, cancel, refund."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from uuid import UUID

import msgspec

from unbusy import ledger, money, telemetry
from unbusy.api import Hub, Principal
from unbusy.clock import Clock, Deadline
from unbusy.db import Database, Tx
from unbusy.errors import Conflict, DeadlineUnreachable, Forbidden, Invalid, KeyReused, NotFound
from unbusy.ids import Ids
from unbusy.payments import model, queue, sql
from unbusy.payments.feed import Feed
from unbusy.payments.model import Order, Payment, Place, Refund, Status
from unbusy.payments.pipeline import Caller, Pipeline
from unbusy.payments.settlement import Answer, Settlement
from unbusy.people import Payee, People
from unbusy.promises import QUEUED, Promise, Promises, Standing, withdraw
from unbusy.reasons import Reason
from unbusy.settings import Settings


def _nobody_asks(_: Iterable[UUID]) -> None:
    """Instead of `moved`, where no wallets are shown."""


class Payments:
    """Payments as one gateway makes them."""

    def __init__(
        self,
        db: Database,
        reads: Database,
        people: People,
        hub: Hub,
        *,
        clock: Clock,
        ids: Ids,
        settings: Settings,
        moved: Callable[[Iterable[UUID]], None] = _nobody_asks,
    ) -> None:
        """`moved` is told, after each commit and before each answer, whose payments and refunds were settled here."""
        self._db = db
        self._reads = reads
        self._people = people
        self._hub = hub
        self._moved = moved
        self._clock = clock
        self._ids = ids
        self._settlement = Settlement(ids=ids, settings=settings)
        self._feed = Feed(reads, hub)
        self._pipeline = Pipeline(
            self._settle_batch,
            batch_max=settings.batch_max,
            queue_max=settings.pipeline_queue,
            lanes=settings.pipeline_lanes,
            observe=telemetry.BATCH_SIZE.observe,
        )
        # Decimals of the assets met so far.
        self.scales = dict(money.iso_scales())
        self.promises = Promises(db, reads, QUEUED, clock=clock, settings=settings)

    async def start(self) -> None:
        await self._feed.start()
        await self._pipeline.start()

    async def stop(self) -> None:
        """Finish what has been submitted, then end."""
        await self._pipeline.stop()
        await self._feed.stop()

    @property
    def oldest_wait(self) -> float:
        """How many seconds the payment that has waited longest has waited for its work to begin."""
        return self._pipeline.oldest_wait

    # ── pay ──────────────────────────────────────────────────────────────────────────────────

    async def pay(
        self,
        payer: Principal,
        payee: str,
        amount: int,
        asset: str,
        note: str,
        *,
        key: str,
        fingerprint: bytes,
        deadline: Deadline,
        is_async: bool = False,
    ) -> tuple[Payment, bool]:
        """Pay `amount` minor units to a handle (`@ming`) or a person's id.

        Gives the payment and whether it had been made before under this key. With `is_async` it is
        queued with a promise instead. Raises NotFound for an unknown payee, Invalid for an unknown
        asset or oneself, and what `Pipeline.submit` raises.
        """
        to = await self.payee(payer, payee)
        await self.scale(asset)
        try:
            promise = (await self.promises.make())[0] if is_async else None
        except DeadlineUnreachable:
            # No promise for a newcomer; what was made before under this key stays what it is.
            if earlier := await self._earlier(payer, key, fingerprint):
                return earlier, True
            raise
        order = self._order(payer, to, amount, asset, note, key, fingerprint, promise)
        payment, replayed = await self.submit(order, deadline)
        if promise and not replayed:
            self.promises.keep_fresh(payment.id, promise)
        return payment, replayed

    def pay_at_once(
        self,
        payer: Principal,
        payee: str,
        amount: int,
        asset: str,
        note: str,
        *,
        key: str,
        fingerprint: bytes,
        deadline: Deadline,
        caller: Caller,
    ) -> bool:
        """As `pay`, without waiting: the caller is told the answer. False, and nothing done, when that
        takes more than what is known in memory, or the payment cannot be."""
        to = self._people.known(payer.tenant_id, payee)
        if to is None or to.person_id == payer.person_id or asset not in self.scales:
            return False
        self._pipeline.join(self._order(payer, to, amount, asset, note, key, fingerprint, None), deadline, caller)
        return True

    def _order(
        self,
        payer: Principal,
        payee: Payee,
        amount: int,
        asset: str,
        note: str,
        key: str,
        fingerprint: bytes,
        promise: Promise | None,
    ) -> Order:
        return Order(
            id=self._ids.new(),
            tenant_id=payer.tenant_id,
            payer_id=payer.person_id,
            payee_id=payee.person_id,
            amount=amount,
            asset=asset,
            note=note,
            key=key,
            fingerprint=fingerprint,
            promise=promise,
        )

    async def submit(self, order: Order, deadline: Deadline) -> tuple[Payment, bool]:
        """Have an order settled with whatever else arrives now; see `Pipeline.submit`."""
        return await self._pipeline.submit(order, deadline)

    async def payee(self, payer: Principal, text: str, *, field: str = "payee") -> Payee:
        """Whom `text`, the request's `field`, names within the payer's tenant.

        Raises NotFound, and Invalid for oneself.
        """
        found = await self._people.resolve([(payer.tenant_id, text)])
        payee = found.get((payer.tenant_id, text))
        if payee is None:
            raise NotFound("there is nobody by this handle or id", field=field)
        if payee.person_id == payer.person_id:
            raise Invalid("this is you: nobody pays oneself", field=field)
        return payee

    async def scale(self, asset: str) -> int:
        """The asset's decimals. Raises Invalid when it is neither a currency nor registered."""
        if (scale := self.scales.get(asset)) is not None:
            return scale
        async with self._db.connection() as connection:
            registered = await ledger.scale_of(connection, asset)
        if registered is None:
            raise Invalid(f"there is no asset {asset}", field="asset")
        self.scales[asset] = registered
        return registered

    async def _earlier(self, payer: Principal, key: str, fingerprint: bytes) -> Payment | None:
        """What was made under this key before. Raises KeyReused."""
        async with self._db.connection() as connection:
            payment = (await queue.earlier(connection, payer.person_id, [key])).get(key)
        if payment and payment.fingerprint != fingerprint:
            raise KeyReused("this idempotency key stands for another request", field="Idempotency-Key")
        return payment

    async def _settle_batch(self, orders: Sequence[Order]) -> list[Answer]:
        async def work(tx: Tx) -> list[Answer]:
            return await self._settlement.settle(tx, orders, self._clock.now())

        try:
            answers = await self._db.run(work)
        finally:  # what failed may have been committed all the same
            self._moved(order.payer_id for order in orders)
        self._feed.poke()
        made = (answer[0] for answer in answers if isinstance(answer, tuple) and not answer[1])
        telemetry.count_payments((payment.status, payment.reason) for payment in made)
        telemetry.QUEUE_DEPTH.set(self._pipeline.length)
        return answers

    # ── look ─────────────────────────────────────────────────────────────────────────────────

    async def find(self, person: Principal, payment_id: UUID) -> Payment:
        """A payment this person made or received. Raises NotFound, also for other people's."""
        async with self._reads.connection() as connection:
            payment = await sql.find_payment(connection, person.person_id, payment_id)
        if payment is None:
            raise NotFound("there is no such payment")
        return payment

    async def list(self, person: Principal, before: Place | None, limit: int) -> list[tuple[Payment, Place]]:
        """A person's payments, made and received, newest first, at most `limit`, each with its place."""
        async with self._reads.connection() as connection:
            return await sql.list_payments(connection, person.person_id, before, limit)

    async def wait(self, person: Principal, payment_id: UUID, seconds: float) -> Payment:
        """The payment once it is final, or as it is when that takes longer than `seconds`."""
        if seconds <= 0:
            return await self.find(person, payment_id)
        give_up_at = self._clock.monotonic() + seconds
        with self._hub.subscribe(person.person_id) as news:
            payment = await self.find(person, payment_id)
            while not payment.is_final and not news.is_closed:
                if not await news.wait(give_up_at - self._clock.monotonic()):
                    break
                payment = await self.find(person, payment_id)
        return payment

    def tell(self, made: Sequence[Payment]) -> None:
        """These were queued and committed just now: count them, and wake who waits for news."""
        self._feed.poke()
        telemetry.count_payments((payment.status, payment.reason) for payment in made)

    async def standings(self, payments: Sequence[Payment]) -> dict[UUID, Standing]:
        """How those of these payments that are queued stand: their place, and by when."""
        queued = [payment.id for payment in payments if payment.status is Status.queued]
        return await self.promises.standings(queued) if queued else {}

    async def refunds(self, person: Principal, payment_id: UUID) -> list[Refund]:
        """The refunds of a payment this person made or received, newest first."""
        await self.find(person, payment_id)
        async with self._reads.connection() as connection:
            return await sql.list_refunds(connection, payment_id)

    # ── cancel ───────────────────────────────────────────────────────────────────────────────

    async def cancel(self, payer: Principal, payment_id: UUID, deadline: Deadline | None = None) -> Payment:
        """Take back a payment that is queued; one that was cancelled before is given as it is.

        Raises NotFound, Forbidden for its payee, and Conflict once it is final.
        """

        async def work(tx: Tx) -> Payment:
            payment = await self._lock(tx, payer, payment_id)
            if payment.payer_id != payer.person_id:
                raise Forbidden("only the payer can cancel a payment")
            if payment.status is Status.cancelled:
                return payment
            if payment.status is not Status.queued:
                raise Conflict(Reason.payment_not_cancellable, f"this payment is {payment.status} already")
            cancelled = msgspec.structs.replace(payment, status=Status.cancelled, updated_at=self._clock.now())
            await sql.finish(tx, [cancelled], [])
            await withdraw(tx, payment.id, cancelled.updated_at)
            return cancelled

        payment = await self._db.run(work, deadline)
        self._feed.poke()
        return payment

    # ── refund ───────────────────────────────────────────────────────────────────────────────

    async def refund(
        self,
        payee: Principal,
        payment_id: UUID,
        amount: int | None,
        note: str,
        *,
        key: str,
        fingerprint: bytes,
        deadline: Deadline | None = None,
    ) -> tuple[Refund, bool]:
        """Give back all (None) or part of a payment, from its payee's wallet to its payer's.

        Gives the refund and whether it had been made before under this key. It is declined, as a
        value, when the parts would exceed the whole or the wallet cannot cover it. Raises NotFound,
        Forbidden for the payer, KeyReused, and Conflict when nothing is left to refund.
        """

        async def work(tx: Tx) -> tuple[Refund, bool]:
            payment = await self._lock(tx, payee, payment_id)
            if payment.payee_id != payee.person_id:
                raise Forbidden("only the payee can refund a payment")
            if earlier := await sql.refund_of_key(tx, payee.person_id, key):
                if earlier.fingerprint != fingerprint:
                    raise KeyReused("this idempotency key stands for another request", field="Idempotency-Key")
                return earlier, True
            if amount is None and not payment.refundable:
                raise Conflict(Reason.payment_not_refundable, "all of this payment has been refunded")
            new = self._refund(payment, amount or payment.refundable, note, key, fingerprint)
            refund = await _move_back(tx, payment, new)
            await sql.store_refund(tx, refund, payment.payer_id)
            return refund, False

        try:
            answer = await self._db.run(work, deadline)
        finally:
            self._moved((payee.person_id,))
        self._feed.poke()
        if not answer[1]:
            telemetry.count_payments([(f"refund_{answer[0].status}", answer[0].reason)])
        return answer

    def _refund(self, payment: Payment, amount: int, note: str, key: str, fingerprint: bytes) -> Refund:
        """The refund as it stands before any money moved: declined, unless the ledger does it."""
        return Refund(
            id=self._ids.new(),
            tenant_id=payment.tenant_id,
            payment_id=payment.id,
            payee_id=payment.payee_id,
            amount=amount,
            asset=payment.asset,
            note=note,
            status=Status.declined,
            reason=Reason.refund_exceeds_payment,
            balance_after=None,
            key=key,
            fingerprint=fingerprint,
            created_at=self._clock.now(),
        )

    async def _lock(self, tx: Tx, person: Principal, payment_id: UUID) -> Payment:
        """The payment, locked, for one who may see it: its payer, or its payee once completed."""
        payment = await sql.lock_payment(tx, person.tenant_id, payment_id)
        if payment is None or not payment.is_visible_to(person.person_id):
            raise NotFound("there is no such payment")
        return payment


async def _move_back(tx: Tx, payment: Payment, new: Refund) -> Refund:
    """The refund as it stands after the ledger's answer, counted on its payment when money moved."""
    if new.amount > payment.refundable:
        return new
    to, back = [(payment.tenant_id, owner, payment.asset) for owner in (payment.payer_id, payment.payee_id)]
    wallets = await ledger.find_wallets(tx, [to, back])
    transfer = model.refund_transfer(new, wallets[back], wallets[to])
    outcome = (await ledger.post(tx, [transfer], new.created_at))[0]
    if isinstance(outcome, ledger.Refused):
        return msgspec.structs.replace(new, reason=model.reason_of(outcome.refusal))
    await sql.add_refunded(tx, payment.id, new.amount, outcome.at)
    return msgspec.structs.replace(
        new, status=Status.completed, reason=None, balance_after=outcome.debit.balance, created_at=outcome.at
    )
