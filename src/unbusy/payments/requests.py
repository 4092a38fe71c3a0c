"""The verbs of a request for money: ask, look, pay, decline, withdraw, expire."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from unbusy.api import Principal
from unbusy.clock import Clock, Deadline
from unbusy.db import Database, Tx
from unbusy.errors import Conflict, Forbidden, KeyReused, NotFound
from unbusy.ids import Ids
from unbusy.payments import sql
from unbusy.payments.model import MoneyRequest, Order, Payment, RequestStatus
from unbusy.payments.service import Payments
from unbusy.reasons import Reason
from unbusy.settings import Settings


class Requests:
    """Requests for money as one gateway handles them."""

    def __init__(
        self, db: Database, reads: Database, payments: Payments, *, clock: Clock, ids: Ids, settings: Settings
    ) -> None:
        self._db = db
        self._reads = reads
        self._payments = payments
        self._clock = clock
        self._ids = ids
        self._usually_open_for = timedelta(days=settings.request_expires_days)

    async def ask(
        self,
        requester: Principal,
        payer: str,
        amount: int,
        asset: str,
        note: str,
        *,
        open_for: timedelta | None,
        key: str,
        fingerprint: bytes,
        deadline: Deadline | None = None,
    ) -> tuple[MoneyRequest, bool]:
        """Ask a handle or a person's id for `amount` minor units.

        Gives the request and whether it had been made before under this key. Raises NotFound,
        Invalid, and KeyReused.
        """
        asked = await self._payments.payee(requester, payer, field="payer")
        await self._payments.scale(asset)
        now = self._clock.now()
        new = MoneyRequest(
            id=self._ids.new(),
            tenant_id=requester.tenant_id,
            requester_id=requester.person_id,
            payer_id=asked.person_id,
            amount=amount,
            asset=asset,
            note=note,
            status=RequestStatus.open,
            payment_id=None,
            key=key,
            fingerprint=fingerprint,
            expires_at=now + (open_for or self._usually_open_for),
            created_at=now,
            updated_at=now,
        )

        async def work(tx: Tx) -> tuple[MoneyRequest, bool]:
            if earlier := await sql.request_of_key(tx, requester.person_id, key):
                if earlier.fingerprint != fingerprint:
                    raise KeyReused("this idempotency key stands for another request", field="Idempotency-Key")
                return earlier, True
            await sql.store_request(tx, new)
            return new, False

        return await self._db.run(work, deadline)

    async def find(self, person: Principal, request_id: UUID) -> MoneyRequest:
        """A request this person made or was asked with. Raises NotFound, also for other people's."""
        return await _find(self._reads, person, request_id)

    async def list(self, person: Principal, before: UUID | None, limit: int) -> list[MoneyRequest]:
        """A person's requests, made and received, newest first, at most `limit`, older than `before`."""
        async with self._reads.connection() as connection:
            return await sql.list_requests(connection, person.person_id, before, limit)

    async def pay(
        self, payer: Principal, request_id: UUID, *, key: str, fingerprint: bytes, deadline: Deadline
    ) -> tuple[Payment, bool]:
        """Pay what was asked for; as `Payments.pay`. A request is paid once: when it is open no more
        this raises Conflict, and a payment that was declined leaves it open."""
        request = await _find(self._db, payer, request_id)
        if request.payer_id != payer.person_id:
            raise Forbidden("only the person who was asked can pay a request")
        order = Order(
            id=self._ids.new(),
            tenant_id=request.tenant_id,
            payer_id=request.payer_id,
            payee_id=request.requester_id,
            amount=request.amount,
            asset=request.asset,
            note=request.note,
            key=key,
            fingerprint=fingerprint,
            request_id=request.id,
        )
        return await self._payments.submit(order, deadline)

    async def decline(self, payer: Principal, request_id: UUID, deadline: Deadline | None = None) -> MoneyRequest:
        """Say no to a request. Raises NotFound, Forbidden for its maker, and Conflict once it has ended."""
        return await self._end(payer, request_id, RequestStatus.declined, deadline)

    async def withdraw(self, requester: Principal, request_id: UUID, deadline: Deadline | None = None) -> MoneyRequest:
        """Take back a request. Raises NotFound, Forbidden for who was asked, and Conflict once it has ended."""
        return await self._end(requester, request_id, RequestStatus.cancelled, deadline)

    async def _end(
        self, person: Principal, request_id: UUID, status: RequestStatus, deadline: Deadline | None
    ) -> MoneyRequest:
        async def work(tx: Tx) -> MoneyRequest:
            request = (await sql.lock_requests(tx, [request_id])).get(request_id)
            if request is None or person.person_id not in (request.requester_id, request.payer_id):
                raise NotFound("there is no such request")
            allowed = request.payer_id if status is RequestStatus.declined else request.requester_id
            if person.person_id != allowed:
                raise Forbidden("the other side of this request can do that")
            if request.status is status:
                return request
            now = self._clock.now()
            if not request.is_open_at(now):
                raise Conflict(Reason.request_not_open, "this request for money is open no more")
            await sql.close_requests(tx, [request_id], status, now)
            return msgspec.structs.replace(request, status=status, updated_at=now)

        return await self._db.run(work, deadline)


async def _find(db: Database, person: Principal, request_id: UUID) -> MoneyRequest:
    async with db.connection() as connection:
        found = await sql.find_request(connection, person.person_id, request_id)
    if found is None:
        raise NotFound("there is no such request")
    return found


async def expire_requests(tx: Tx, now: datetime, limit: int) -> int:
    """End requests nobody answered in time. Gives how many; safe from many workers."""
    expired = await sql.take_requests_to_expire(tx, now, limit)
    if expired:
        await sql.close_requests(tx, expired, RequestStatus.expired, now)
    return len(expired)
