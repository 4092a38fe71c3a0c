"""One batch of new transits inside one transaction: recall, lock, count, hold, store.

    recall: earlier answers, linked accounts ─▶ lock the wallets ─▶ count ─▶ decide and hold ─▶ store

The wallets are locked before anything is counted: what the same people begin meanwhile waits, and counts
these. So does whatever goes to the same bank, whose one account all of them hold: they wait once for all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

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


class _Places(NamedTuple):
    """The accounts of a batch, locked, and which of them is whose wallet: by tenant, person and asset."""

    wallets: Mapping[tuple[int, UUID, str], UUID]
    locked: ledger.Locked


class Recorder:
    """Records transits and holds their amounts."""

    def __init__(self, *, ids: Ids, settings: Settings) -> None:
        self._ids = ids
        self._resolve = timedelta(seconds=settings.bank_resolve_s)
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
        linked = await sql.find_bank_accounts(tx, [(order.person_id, order.bank_account_id) for order in orders])
        fresh = self._fresh(orders, earlier, linked, now)
        made = await self.begin(tx, fresh, now) if fresh else []
        known = earlier | {(transit.person_id, transit.key): transit for transit in made}
        return [_answer(order, known) for order in orders]

    async def begin(self, tx: Tx, new: Sequence[Transit], now: datetime) -> list[Transit]:
        """Hold their amounts, record them and tell their people; in any order.

        One is declined, as a value, when it is over a limit or the wallet cannot hold it.
        """
        begun = await self._hold(tx, new, now)
        await sql.insert(tx, begun)
        await payments.tell(tx, [transit.event for transit in begun])
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

    async def _hold(self, tx: Tx, new: Sequence[Transit], now: datetime) -> list[Transit]:
        """The transits with their amounts held in the ledger, or declined."""
        places = await self._lock(tx, new)
        allowances = await self._allowances(tx, new, now)
        made: list[Transit] = []
        # A second round is rare: one was over its person's limit only because of one before it in this
        # batch, which the ledger then refused.
        waiting = new
        while waiting:
            within, over = _apply_limits(waiting, allowances)
            held = await self._post(tx, within, places, now)
            freed = {each.purse for each in held if each.is_final}
            for declined in held:
                if declined.is_final:
                    allowances[declined.purse].spend(-declined.amount)
            made += held
            made += [each.declined(reason, now) for each, reason in over if each.purse not in freed]
            waiting = [each for each, _ in over if each.purse in freed]
        return made

    async def _lock(self, tx: Tx, new: Sequence[Transit]) -> _Places:
        """Find or open the wallets and the banks' accounts that these are about, and lock them."""
        wallets = {(each.tenant_id, each.person_id, each.asset): model.wallet(each, self._ids.new()) for each in new}
        nostros = {account.id: account for account in map(model.nostro_of, new)}
        opened = await ledger.open_accounts(tx, [*wallets.values(), *nostros.values()])
        found = {key: account.id for key, account in zip(wallets, opened, strict=False)}
        return _Places(found, await ledger.lock(tx, [account.id for account in opened]))

    async def _allowances(self, tx: Tx, new: Sequence[Transit], now: datetime) -> dict[Purse, Allowance]:
        purses = {each.purse: self._usual(each) for each in new}
        return await sql.allowances(tx, purses, *model.beginnings(now))

    def _usual(self, transit: Transit) -> Limits:
        return Limits.of_whole_units(*self._limits[transit.direction], money.iso_scales()[transit.asset])

    async def _post(self, tx: Tx, new: Sequence[Transit], places: _Places, now: datetime) -> list[Transit]:
        holds = [model.hold(each, places.wallets[each.tenant_id, each.person_id, each.asset]) for each in new]
        outcomes = await ledger.post_new(tx, places.locked, holds, now)
        return [
            each.declined(model.reason_of(outcome.refusal), now) if isinstance(outcome, Refused) else each
            for each, outcome in zip(new, outcomes, strict=True)
        ]


def _apply_limits(
    new: Sequence[Transit], allowances: Mapping[Purse, Allowance]
) -> tuple[list[Transit], list[tuple[Transit, Reason]]]:
    """Count each against its person's limits, in order: those within, and those over one."""
    within: list[Transit] = []
    over: list[tuple[Transit, Reason]] = []
    for each in new:
        allowance = allowances[each.purse]
        if reason := allowance.refuses(each.amount):
            over.append((each, reason))
        else:
            allowance.spend(each.amount)
            within.append(each)
    return within, over


def _answer(order: Order, known: Mapping[_Key, Transit]) -> Answer:
    transit = known.get((order.person_id, order.key))
    if transit is None:
        return NotFound("there is no such bank account", field="bank_account")
    if transit.fingerprint != order.fingerprint:
        return KeyReused("this idempotency key stands for another request", field="Idempotency-Key")
    return transit, transit.id != order.id
