"""One batch of new transits inside one transaction: recall, lock, count, hold, store.

    recall: earlier answers, linked accounts ─▶ lock the wallets ─▶ count ─▶ decide and hold ─▶ store

The wallets are locked before anything is counted: what the same people begin meanwhile waits, and counts
these. So does whatever goes to the same bank, whose one account all of them hold: they wait once for all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from msgspec.structs import replace

from unbusy import ledger, money, payments
from unbusy.banks import Direction
from unbusy.db import Tx
from unbusy.errors import KeyReused, NotFound, RequestError
from unbusy.ids import Ids
from unbusy.ledger import Refused
from unbusy.payments import Limits
from unbusy.reasons import Reason
from unbusy.settings import Settings
from unbusy.transits import model, sql
from unbusy.transits.model import Allowance, BankAccount, Order, Purse, Transit

# What a caller gets: the transit and whether it had been begun before, or why there is none.
Answer = tuple[Transit, bool] | RequestError

# A person and an idempotency key.
_Key = tuple[UUID, str]


_Side = tuple[int, UUID, str, bool]


class _Places(NamedTuple):
    """The accounts of a batch, locked, and which of them is on whose side: by tenant, person and asset, and whether it
    is the house's own for verifications."""

    ours: Mapping[_Side, UUID]
    locked: ledger.Locked


class Recorder:
    """Records transits and holds their amounts."""

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

    async def record(self, tx: Tx, orders: Sequence[Order], now: datetime) -> list[Answer]:
        """Record new orders, each answered on its own; one that is declined disturbs no other."""
        earlier = await sql.transits_of_keys(tx, [(order.person_id, order.key) for order in orders])
        linked = await sql.linked(tx, [(order.person_id, order.bank_account_id) for order in orders])
        fresh = self._fresh(orders, earlier, linked, now)
        made = await self.begin(tx, fresh, now) if fresh else []
        known = earlier | {(transit.person_id, transit.key): transit for transit in made}
        return [_answer(order, known) for order in orders]

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
        order = Order(self._ids.new(), account.person_id, direction, account.id, amount, asset, key, fingerprint)
        return model.begun(order, account, now, now + self._resolve)

    async def begin(self, tx: Tx, new: Sequence[Transit], now: datetime, *, is_limited: bool = True) -> list[Transit]:
        """Hold their amounts, record them and tell their people; in any order.

        One is declined, as a value, when it is over a limit or the wallet cannot hold it.
        """
        places = await self._lock(tx, new)
        hold = self._hold_within_limits if is_limited else self._hold
        begun = await hold(tx, new, places, now)
        await sql.insert(tx, begun)
        await payments.tell(tx, [told for transit in begun for told in transit.events])
        return begun

    def _fresh(
        self,
        orders: Sequence[Order],
        earlier: Mapping[_Key, Transit],
        linked: Mapping[tuple[UUID, UUID], BankAccount],
        now: datetime,
    ) -> list[Transit]:
        """The transits to be begun: neither answered before, nor the same key again in this batch."""
        fresh: dict[_Key, Transit] = {}
        for order in orders:
            key, account = (order.person_id, order.key), linked.get((order.person_id, order.bank_account_id))
            if account and key not in earlier and key not in fresh:
                fresh[key] = model.begun(order, account, now, now + self._resolve)
        return list(fresh.values())

    async def _hold_within_limits(
        self, tx: Tx, new: Sequence[Transit], places: _Places, now: datetime
    ) -> list[Transit]:
        """The transits with their amounts held in the ledger, or declined. Counted only now that the wallets are
        locked: what the same people begin meanwhile waits, and counts these."""
        allowances = await self._allowances(tx, new, now)
        made: list[Transit] = []
        # A second round is rare: one was over its person's limit only because of one before it in this
        # batch, which the ledger then refused.
        waiting = new
        while waiting:
            within, over = allowances.apply(waiting)
            held = await self._hold(tx, within, places, now)
            freed = {each.purse for each in held if each.is_final}
            for declined in held:
                if declined.is_final:
                    allowances.give_back(declined)
            made += held
            made += [_not_begun(each, reason, now) for each, reason in over if each.purse not in freed]
            waiting = [each for each, _ in over if each.purse in freed]
        return made

    async def _hold(self, tx: Tx, new: Sequence[Transit], places: _Places, now: datetime) -> list[Transit]:
        """The transits with their amounts held in the ledger, or declined."""
        holds = [model.hold(each, places.ours[_side(each)]) for each in new]
        outcomes = await ledger.post_new(tx, places.locked, holds, now)
        return [
            _not_begun(each, model.reason_of(outcome.refusal), now) if isinstance(outcome, Refused) else each
            for each, outcome in zip(new, outcomes, strict=True)
        ]

    async def _lock(self, tx: Tx, new: Sequence[Transit]) -> _Places:
        """Find or open the accounts on our side and the banks' that these are about, and lock them."""
        ours = {_side(each): model.ours(each, self._ids.new()) for each in new}
        nostros = {account.id: account for account in map(model.nostro_of, new)}
        opened = await ledger.open_accounts(tx, [*ours.values(), *nostros.values()])
        found = {side: account.id for side, account in zip(ours, opened, strict=False)}
        return _Places(found, await ledger.lock(tx, [account.id for account in opened]))

    async def _allowances(self, tx: Tx, new: Sequence[Transit], now: datetime) -> _Allowances:
        usual = {each.purse: self._usual(each) for each in new}
        return _Allowances(
            await sql.allowances(tx, usual, *model.beginnings(now)),
            await sql.unverified(tx, [each.bank_account_id for each in new]),
        )

    def _usual(self, transit: Transit) -> tuple[Limits, int]:
        scale = money.iso_scales()[transit.asset]
        return Limits.of_whole_units(*self._limits[transit.direction], scale), self._unverified * 10**scale


class _Allowances(NamedTuple):
    """What the people of a batch may still move, and which of their bank accounts nobody has verified."""

    of: Mapping[Purse, Allowance]
    unverified: AbstractSet[UUID]

    def apply(self, new: Sequence[Transit]) -> tuple[list[Transit], list[tuple[Transit, Reason]]]:
        """Count each against its person's limits, in order: those within, and those over one."""
        within: list[Transit] = []
        over: list[tuple[Transit, Reason]] = []
        for each in new:
            allowance, is_verified = self.of[each.purse], each.bank_account_id not in self.unverified
            if reason := allowance.refuses(each.amount, is_verified=is_verified):
                over.append((each, reason))
            else:
                allowance.spend(each.amount, is_verified=is_verified)
                within.append(each)
        return within, over

    def give_back(self, declined: Transit) -> None:
        """It does not count after all."""
        is_verified = declined.bank_account_id not in self.unverified
        self.of[declined.purse].spend(-declined.amount, is_verified=is_verified)


def _side(transit: Transit) -> _Side:
    return transit.tenant_id, transit.person_id, transit.asset, transit.is_verification


def _not_begun(transit: Transit, reason: Reason, now: datetime) -> Transit:
    """No payment waits for what is declined at once."""
    return replace(transit.declined(reason, now), payment_id=None)


def _answer(order: Order, known: Mapping[_Key, Transit]) -> Answer:
    transit = known.get((order.person_id, order.key))
    if transit is None:
        return NotFound("there is no such bank account", field="bank_account")
    if transit.fingerprint != order.fingerprint:
        return KeyReused("this idempotency key stands for another request", field="Idempotency-Key")
    return transit, transit.id != order.id
