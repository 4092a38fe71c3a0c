"""The verbs of a funding: pay with it, show it, and end it when the bank has spoken."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from msgspec.structs import replace

from unbusy import ids, ledger, money, payments, telemetry, transits
from unbusy.api import Language, Principal, message
from unbusy.banks import Direction
from unbusy.clock import Clock, Deadline
from unbusy.db import Database, Tx
from unbusy.errors import Invalid, KeyReused, RequestError
from unbusy.funding import model, sql
from unbusy.funding.model import Funding
from unbusy.ids import Ids
from unbusy.ledger import NewAccount, Refused
from unbusy.payments import FundingView, Order, Payment, Payments, Settlement
from unbusy.reasons import Reason
from unbusy.settings import Settings
from unbusy.transits import BankAccount, BankNames, Recorder, Status, Transit


class Fundings:
    """Payments with money from a bank account, as one gateway begins and shows them."""

    def __init__(
        self,
        db: Database,
        reads: Database,
        pay: Payments,
        banks: BankNames,
        *,
        clock: Clock,
        ids: Ids,
        settings: Settings,
        moved: Callable[[Iterable[UUID]], None],
    ) -> None:
        """`moved` is told, after each commit and before each answer, in whose wallet something was held."""
        self._db = db
        self._reads = reads
        self._payments = pay
        self._banks = banks
        self._clock = clock
        self._ids = ids
        self._moved = moved
        self._settlement = Settlement(ids=ids, settings=settings)
        self._recorder = Recorder(ids=ids, settings=settings)

    async def pay(
        self,
        payer: Principal,
        payee: str,
        amount: int,
        asset: str,
        note: str,
        bank_account: str,
        *,
        key: str,
        fingerprint: bytes,
        deadline: Deadline,
    ) -> tuple[Payment, bool]:
        """Pay as `Payments.pay` does; what the wallet is short of comes from this bank account of the payer's.

        Gives the payment, pending while the bank is asked, and whether it had been made before under this key.
        Raises what `Payments.pay` raises, NotFound for an account that is not linked, and Invalid for an asset that
        no bank moves.
        """
        to = await self._payments.payee(payer, payee)
        if asset not in money.iso_scales():
            raise Invalid(f"banks do not move {asset}", field="asset")
        account_id = transits.read_id("ban", bank_account, field="bank_account")
        order = Order(
            id=self._ids.new(),
            tenant_id=payer.tenant_id,
            payer_id=payer.person_id,
            payee_id=to.person_id,
            amount=amount,
            asset=asset,
            note=note,
            key=key,
            fingerprint=fingerprint,
        )
        try:
            payment, replayed = await self._db.run(lambda tx: self._begin(tx, payer, order, account_id), deadline)
        finally:  # what failed may have been committed all the same
            self._moved((payer.person_id,))
        if not replayed:
            self._payments.tell([payment])
        return payment, replayed

    async def show(self, payment_ids: Sequence[UUID], language: Language) -> Mapping[UUID, FundingView]:
        """Those of these payments that are or were funded by a bank account: `payments.ShowFundings`."""
        async with self._reads.connection() as connection:
            seen = await sql.see(connection, payment_ids)
        return {each.funding.payment_id: self._view(each, language) for each in seen}

    def _view(self, seen: sql.Seen, language: Language) -> FundingView:
        funding, scale = seen.funding, money.iso_scales()[seen.asset]
        subject = model.outcome(seen.paid, Status(seen.pulled), funding.payout_id)
        amount = f"{money.show_amount(funding.amount, scale)} {seen.asset}"
        return FundingView(
            bank=seen.bank,
            bank_account=ids.show("ban", funding.bank_account_id),
            amount=funding.amount,
            topup=ids.show(transits.PREFIXES[Direction.pull], funding.transit_id),
            message=message(subject, language, amount=amount, bank=self._banks.name(seen.bank)),
            payout=ids.show(transits.PREFIXES[Direction.push], funding.payout_id) if funding.payout_id else None,
        )

    async def _begin(self, tx: Tx, payer: Principal, order: Order, account_id: UUID) -> tuple[Payment, bool]:
        now = self._clock.now()
        if earlier := (await payments.earlier(tx, payer.person_id, [order.key])).get(order.key):
            if earlier.fingerprint != order.fingerprint:
                raise KeyReused("this idempotency key stands for another request", field="Idempotency-Key")
            return earlier, True
        account = await transits.find(tx, payer, account_id, field="bank_account")
        purse = await self._look(tx, order, account)
        if purse.available >= order.amount:
            [answer] = await self._settlement.settle(tx, [order], now)
            if isinstance(answer, RequestError):
                raise answer
            return answer
        reason = model.payee_refuses(purse.payee_state) or await self._settlement.refuses(tx, order, now)
        if reason:
            return await self._settlement.put_off(tx, order, now, now, reason=reason), False
        return await self._pull(tx, order, account, purse, now), False

    async def _look(self, tx: Tx, order: Order, account: BankAccount) -> _Purse:
        """What the payer has, and whether the payee may be paid: everything that this is about, locked at once."""
        wallet, nostro = await ledger.open_accounts(
            tx,
            [
                NewAccount(
                    id=self._ids.new(),
                    tenant_id=order.tenant_id,
                    owner_id=order.payer_id,
                    asset=order.asset,
                    code="wallet",
                    floor=0,
                ),
                transits.nostro(order.tenant_id, order.asset, account.bank),
            ],
        )
        payee = (order.tenant_id, order.payee_id, order.asset)
        payee_id = (await ledger.find_wallets(tx, [payee])).get(payee)
        locked = await ledger.lock(tx, [wallet.id, nostro.id, *([payee_id] if payee_id else [])])
        ours = locked[wallet.id.int]
        available = ours.credits_posted - ours.debits_posted - ours.debits_pending - (ours.floor or 0)
        return _Purse(wallet.id, max(0, available), locked[payee_id.int].state if payee_id else None)

    async def _pull(self, tx: Tx, order: Order, account: BankAccount, purse: _Purse, now: datetime) -> Payment:
        missing = order.amount - purse.available
        new = self._recorder.new(
            account,
            Direction.pull,
            missing,
            order.asset,
            now,
            key=ids.show("pay", order.id),
            fingerprint=order.fingerprint,
        )
        [transit] = await self._recorder.begin(tx, [replace(new, payment_id=order.id)], now)
        until = model.finish_by(transit.resolve_by)
        payment = await self._settlement.put_off(tx, order, until, now, reason=transit.reason)
        if transit.is_final:
            return payment
        if purse.available:
            held = transits.kept(transit, purse.wallet_id, purse.available, transits.OWN)
            [outcome] = await ledger.post(tx, [held], now)
            assert not isinstance(outcome, Refused), outcome
        await sql.insert(
            tx,
            Funding(
                payment_id=order.id,
                tenant_id=order.tenant_id,
                person_id=order.payer_id,
                transit_id=transit.id,
                bank_account_id=account.id,
                amount=missing,
                own=purse.available,
            ),
        )
        return payment


class _Purse(NamedTuple):
    """The payer's wallet and what can be spent of it; the state of the payee's account, if there is one."""

    wallet_id: UUID
    available: int
    payee_state: str | None


class _Turn(NamedTuple):
    """A payment that waits no more, how it was funded, and how its pull ended."""

    payment: Payment
    funding: Funding
    transit: Transit

    @property
    def has_come(self) -> bool:
        return self.transit.status is Status.completed

    @property
    def reason(self) -> Reason | None:
        return model.why_not(self.transit.status, self.transit.reason)

    def releases(self) -> Iterable[ledger.Transfer]:
        """What frees the money that was held for the payment."""
        if self.funding.own:
            yield transits.no_longer_kept(self.transit, transits.OWN)
        if self.has_come:
            yield transits.no_longer_kept(self.transit, transits.PULLED)


class Settler:
    """Ends payments whose pull has ended, for one worker."""

    def __init__(self, *, ids: Ids, settings: Settings) -> None:
        self._settlement = Settlement(ids=ids, settings=settings)
        self._recorder = Recorder(ids=ids, settings=settings)

    async def settle(self, tx: Tx, now: datetime, limit: int) -> int:
        """End the payments whose pull has ended. Gives how many; safe from many workers."""
        return await self._settle(tx, await sql.take_ended(tx, limit), now)

    async def expire(self, tx: Tx, now: datetime, limit: int) -> int:
        """End the payments whose time is over, whatever becomes of their pull. Gives how many."""
        return await self._settle(tx, await sql.take_overdue(tx, model.waits_since(now), limit), now)

    async def _settle(self, tx: Tx, taken: Sequence[UUID], now: datetime) -> int:
        if not taken:
            return 0
        turns = await self._read(tx, taken)
        await self._lock(tx, turns)
        for outcome in await ledger.post(tx, [each for turn in turns for each in turn.releases()], now):
            assert not isinstance(outcome, Refused), outcome
        reasons = {turn.payment.id: turn.reason for turn in turns if turn.reason}
        became = await self._settlement.settle_pending(tx, [turn.payment for turn in turns], reasons, now)
        ended = [await self._end(tx, turn, became[turn.payment.id], now) for turn in turns]
        await sql.end(tx, ended, now)
        return len(turns)

    async def _read(self, tx: Tx, taken: Sequence[UUID]) -> list[_Turn]:
        fundings = {each.payment_id: each for each in await sql.of_transits(tx, taken)}
        pulls = {each.id: each for each in await transits.read_all(tx, taken)}
        waiting = await payments.waiting(tx, list(fundings))
        return [_Turn(each, fundings[each.id], pulls[fundings[each.id].transit_id]) for each in waiting]

    async def _lock(self, tx: Tx, turns: Sequence[_Turn]) -> None:
        """Every account that is about to be touched, at once and so in the one order; piece by piece, two that meet
        from opposite sides would wait for each other."""
        owners = {
            (turn.payment.tenant_id, owner, turn.payment.asset)
            for turn in turns
            for owner in (turn.payment.payer_id, turn.payment.payee_id)
        }
        wallets = await ledger.find_wallets(tx, sorted(owners))
        nostros = {transits.nostro(turn.transit.tenant_id, turn.transit.asset, turn.transit.bank).id for turn in turns}
        await ledger.lock(tx, {*wallets.values(), *nostros})

    async def _end(self, tx: Tx, turn: _Turn, became: payments.Status, now: datetime) -> Funding:
        """The funding at its end. What came for a payment that was not made goes back to where it came from."""
        if not turn.has_come or became is payments.Status.completed:
            return turn.funding
        payout = await self._give_back(tx, turn.transit, now)
        telemetry.count_payments([(f"payout_{payout.status}", payout.reason)])
        return replace(turn.funding, payout_id=payout.id)

    async def _give_back(self, tx: Tx, pulled: Transit, now: datetime) -> Transit:
        account = BankAccount(
            id=pulled.bank_account_id,
            tenant_id=pulled.tenant_id,
            person_id=pulled.person_id,
            bank=pulled.bank,
            iban=pulled.iban,
            holder=pulled.holder,
            created_at=pulled.created_at,
        )
        new = self._recorder.new(
            account,
            Direction.push,
            pulled.amount,
            pulled.asset,
            now,
            key=f"back-{pulled.id.hex}",
            fingerprint=pulled.fingerprint,
        )
        # No limit keeps back what is only given back.
        [back] = await self._recorder.begin(tx, [new], now, is_limited=False)
        return back
