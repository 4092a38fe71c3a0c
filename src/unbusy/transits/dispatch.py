"""Begins a transit within a transaction: its amount held in the ledger, its row there for the pump to find."""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec.structs import replace

from unbusy import ledger, money, payments
from unbusy.banks import Direction
from unbusy.db import Tx
from unbusy.ids import Ids
from unbusy.ledger import Refused
from unbusy.payments import Limits
from unbusy.reasons import Reason
from unbusy.settings import Settings
from unbusy.transits import model, sql
from unbusy.transits.model import BankAccount, Status, Transit


class Dispatch:
    """Makes transits as the settings say, and begins them."""

    def __init__(self, *, ids: Ids, settings: Settings) -> None:
        self._ids = ids
        self._resolve = timedelta(seconds=settings.bank_resolve_s)
        self._unverified = settings.limit_unverified_per_day
        self._limits = {
            Direction.pull: (settings.limit_per_topup, settings.limit_topups_per_day, settings.limit_topups_per_month),
            Direction.push: (
                settings.limit_per_payout,
                settings.limit_payouts_per_day,
                settings.limit_payouts_per_month,
            ),
        }

    def new(
        self,
        account: BankAccount,
        direction: Direction,
        amount: int,
        asset: str,
        now: datetime,
        *,
        key: str,
        fingerprint: bytes,
    ) -> Transit:
        """A transit of `amount` minor units, as it is before anything was done."""
        return Transit(
            id=self._ids.new(),
            tenant_id=account.tenant_id,
            person_id=account.person_id,
            direction=direction,
            bank=account.bank,
            bank_account_id=account.id,
            iban=account.iban,
            holder=account.holder,
            amount=amount,
            asset=asset,
            status=Status.pending,
            reason=None,
            balance_after=None,
            key=key,
            fingerprint=fingerprint,
            tries=0,
            sent_at=None,
            accepted_at=None,
            bank_reference="",
            resolve_by=now + self._resolve,
            due_at=now,
            parked_id=None,
            created_at=now,
            updated_at=now,
        )

    async def begin(self, tx: Tx, new: Transit, *, is_limited: bool = True) -> Transit:
        """Hold the amount and record the transit, and tell its person.

        It is declined, as a value, when it is over a limit or the wallet cannot hold it.
        """
        begun = await self._hold(tx, new, is_limited=is_limited)
        await sql.insert(tx, begun)
        await payments.tell(tx, begun.events)
        return begun

    async def _hold(self, tx: Tx, new: Transit, *, is_limited: bool) -> Transit:
        """The transit with its amount held in the ledger, or declined.

        The wallet is locked before anything is counted: what the same person begins meanwhile waits, and counts this.
        """
        now = new.created_at
        ours, nostro = await ledger.open_accounts(
            tx, [model.ours(new, self._ids.new()), model.nostro(new.tenant_id, new.asset, new.bank)]
        )
        locked = await ledger.lock(tx, [ours.id, nostro.id])
        if is_limited and (reason := await self._over_a_limit(tx, new, now)):
            return _not_begun(new, reason)
        [outcome] = await ledger.post_new(tx, locked, [model.hold(new, ours.id)], now)
        if isinstance(outcome, Refused):
            return _not_begun(new, model.reason_of(outcome.refusal))
        return new

    async def _over_a_limit(self, tx: Tx, new: Transit, now: datetime) -> Reason | None:
        scale = money.iso_scales()[new.asset]
        default = Limits.of_whole_units(*self._limits[new.direction], scale)
        day, month = model.beginnings(now)
        limits, this_day, this_month = await sql.counted(tx, new, default, day, month)
        if reason := limits.refuses(new.amount, this_day, this_month):
            return reason
        if (unverified := await sql.moved_unverified(tx, new, day)) is None:
            return None
        return Reason.bank_account_unverified if unverified + new.amount > self._unverified * 10**scale else None


def _not_begun(transit: Transit, reason: Reason) -> Transit:
    """No payment waits for what is declined at once."""
    return replace(transit.declined(reason, transit.created_at), payment_id=None)
