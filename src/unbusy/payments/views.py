"""Payments, refunds and requests as people see them: over HTTP and in events."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from unbusy import ids, money
from unbusy.api import Language, Principal, Retry, message, reason_pages
from unbusy.payments.model import MoneyRequest, Payment, Refund, RequestStatus, Status
from unbusy.payments.service import Payments
from unbusy.people import Payee, People
from unbusy.promises import Standing
from unbusy.reasons import Reason

# The end twice, because Python's `$` also matches before a line break that comes last.
_ONE_LINE = r"^[^\u0000-\u001f\u007f]*$(?!\n)"

Amount = Annotated[int, Meta(ge=1, le=money.MAX_AMOUNT, description="In minor units of the asset: 1250 is 12.50 EUR.")]
Asset = Annotated[str, Meta(pattern=money.ASSET_PATTERN, description="An ISO 4217 code, or another registered asset.")]
Whom = Annotated[str, Meta(min_length=1, max_length=64, description="A handle such as `@ming`, or a person's id.")]
Note = Annotated[
    str,
    Meta(max_length=140, pattern=_ONE_LINE, description="One line for both sides."),
]


class NewPayment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A payment somebody wants to make."""

    payee: Whom
    amount: Amount
    asset: Asset
    note: Note = ""


class AskedPayment(NewPayment, frozen=True, forbid_unknown_fields=True):
    """A payment somebody wants to make; what the wallet is short of may come from a bank account of theirs.

    Without one it is the same payment as before there was this field: the same key finds it.
    """

    bank_account: (
        Annotated[str, Meta(min_length=1, max_length=64, description="A linked bank account, for what is missing.")]
        | msgspec.UnsetType
    ) = msgspec.UNSET


class NewRefund(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to give back; without an amount, all that is left."""

    amount: Amount | None = None
    note: Note = ""


class NewRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Money somebody asks another for."""

    payer: Whom
    amount: Amount
    asset: Asset
    note: Note = ""
    expires_in_days: Annotated[int, Meta(ge=1, le=365)] | None = None


class Money(msgspec.Struct, frozen=True):
    """Where the money is. `not_moved` is said only when it is certain."""

    state: Literal["moved", "held", "not_moved", "returned"]
    amount: int
    asset: str
    at: datetime


class Party(msgspec.Struct, frozen=True):
    """One side of a payment."""

    id: str
    handle: str
    name: str


class Receipt(msgspec.Struct, frozen=True):
    """The proof of a completed payment; `number` is the same for both sides and for ever."""

    number: str
    url: str
    at: datetime


class FundingView(msgspec.Struct, frozen=True, omit_defaults=True):
    """What of a payment comes from a bank account: `amount`, as the top-up that brings it. When the payment could not
    be made, it goes back as a `payout`. `message` says where the money is."""

    bank: str
    bank_account: str
    amount: int
    topup: str
    message: str
    payout: str | None = None


class PaymentView(msgspec.Struct, frozen=True, omit_defaults=True):
    """A payment as it is now. `balance` is the payer's after it, and only the payer sees it.

    Queued: half of all are done by `expected_at`, nine in ten by `likely_by`, and after `finish_by`
    nothing happens any more. While the queue stands still (`paused_since`) there is only `finish_by`.
    Pending: a bank is asked for what the wallet is short of (`funding`).
    """

    id: str
    status: Status
    money: Money
    retry: Retry
    message: str
    payer: Party
    payee: Party
    note: str
    refunded: int
    created_at: datetime
    updated_at: datetime
    reason: Reason | None = None
    matter: str | None = None
    fix: str | None = None
    balance: int | None = None
    receipt: Receipt | None = None
    finish_by: datetime | None = None
    expected_at: datetime | None = None
    likely_by: datetime | None = None
    revised_at: datetime | None = None
    paused_since: datetime | None = None
    place: int | None = None
    if_missed: str | None = None
    next_check_after: datetime | None = None
    request_id: str | None = None
    funding: FundingView | None = None


class RefundView(msgspec.Struct, frozen=True, omit_defaults=True):
    """A refund. `balance` is its giver's after it, and only the giver sees it."""

    id: str
    payment_id: str
    status: Status
    money: Money
    retry: Retry
    message: str
    note: str
    created_at: datetime
    reason: Reason | None = None
    matter: str | None = None
    fix: str | None = None
    balance: int | None = None


class RequestView(msgspec.Struct, frozen=True, omit_defaults=True):
    """A request for money: `requester` asks `payer`."""

    id: str
    status: RequestStatus
    requester: Party
    payer: Party
    amount: int
    asset: str
    note: str
    expires_at: datetime
    created_at: datetime
    updated_at: datetime
    payment_id: str | None = None


# Whether trying once more is safe, and under which key, for what is not told by a reason.
_RETRY = {
    Status.completed: Retry(safe=False, same_key=True),
    Status.queued: Retry(safe=False, same_key=True),
    Status.pending: Retry(safe=False, same_key=True),
    Status.cancelled: Retry(safe=True, same_key=False),
}

_MONEY_STATE: dict[Status, Literal["moved", "held", "not_moved"]] = {
    Status.completed: "moved",
    Status.pending: "held",
}


_IF_MISSED = {Status.queued: "if_missed", Status.pending: "if_not_funded"}

# Of whatever is not queued there is nothing to tell; `place` 0 stands for none.
_NOT_QUEUED = Standing(place=0, expected_at=None, likely_by=None, revised_at=None, paused_since=None)

# People whose names one process remembers: some 20 MB.
_MOST_PARTIES = 50_000


ShowFundings = Callable[[Sequence[UUID], Language], Awaitable[Mapping[UUID, FundingView]]]
"""Shows those of these payments that are or were funded by a bank account, by the payment's id."""


class Views:
    """Draws what is shown. Knows people's names and assets' scales, both kept in memory."""

    def __init__(self, people: People, payments: Payments, fundings: ShowFundings | None = None) -> None:
        """`fundings` is the room above that pulls money for payments; None where there is none."""
        self._people = people
        self._payments = payments
        self._fundings = fundings
        self._known_parties: dict[UUID, Party] = {}

    async def payment(
        self, payment: Payment, viewer: Principal, language: Language, standing: Standing | None = None
    ) -> PaymentView:
        """The payment, as `viewer` may see it; `standing` when it is known already."""
        return (await self.payments([payment], viewer, language, {payment.id: standing} if standing else None))[0]

    async def payments(
        self,
        payments: Sequence[Payment],
        viewer: Principal,
        language: Language,
        standings: Mapping[UUID, Standing] | None = None,
    ) -> list[PaymentView]:
        """Each payment, as `viewer` may see it, in the order given."""
        parties = await self._parties(viewer.tenant_id, [i for p in payments for i in (p.payer_id, p.payee_id)])
        for asset in {payment.asset for payment in payments}:
            await self._payments.scale(asset)
        standings = standings or await self._payments.standings(payments)
        fundings = await self._funded(payments, viewer, language)
        return [
            self._payment(
                payment, viewer, language, parties, standings.get(payment.id, _NOT_QUEUED), fundings.get(payment.id)
            )
            for payment in payments
        ]

    async def _funded(
        self, payments: Sequence[Payment], viewer: Principal, language: Language
    ) -> Mapping[UUID, FundingView]:
        """How the viewer's own were funded. Only one that was put off can have been."""
        put_off = [
            each.id
            for each in payments
            if each.finish_by and each.status is not Status.queued and each.payer_id == viewer.person_id
        ]
        return await self._fundings(put_off, language) if self._fundings and put_off else {}

    def knows(self, *person_ids: UUID) -> bool:
        """Whether payments between these people can be shown at once (`final_payment`)."""
        return all(id in self._known_parties for id in person_ids)

    def final_payment(self, payment: Payment, viewer: Principal, language: Language) -> PaymentView:
        """A final payment between people who are known, in an asset that is."""
        return self._payment(payment, viewer, language, self._known_parties, _NOT_QUEUED)

    async def refunds(
        self, refunds: Sequence[Refund], payments: Sequence[Payment], viewer: Principal, language: Language
    ) -> list[RefundView]:
        """Each refund, with the payment it gives back at the same position."""
        parties = await self._parties(viewer.tenant_id, [payment.payer_id for payment in payments])
        for asset in {payment.asset for payment in payments}:
            await self._payments.scale(asset)
        return [
            self._refund(refund, parties[payment.payer_id], viewer, language)
            for refund, payment in zip(refunds, payments, strict=True)
        ]

    async def requests(self, requests: Sequence[MoneyRequest], viewer: Principal) -> list[RequestView]:
        parties = await self._parties(viewer.tenant_id, [i for r in requests for i in (r.requester_id, r.payer_id)])
        return [_request(request, parties) for request in requests]

    def _payment(
        self,
        payment: Payment,
        viewer: Principal,
        language: Language,
        parties: Mapping[UUID, Party],
        standing: Standing,
        funding: FundingView | None = None,
    ) -> PaymentView:
        is_payer = viewer.person_id == payment.payer_id
        reason, id = payment.reason, ids.show("pay", payment.id)
        page = reason_pages()[reason] if reason else None
        payer, payee = parties[payment.payer_id], parties[payment.payee_id]
        return PaymentView(
            id=id,
            status=payment.status,
            money=Money(
                _MONEY_STATE.get(payment.status, "not_moved"),
                payment.amount,
                payment.asset,
                payment.completed_at or payment.updated_at,
            ),
            retry=Retry(page.safe, page.same_key) if page else _RETRY[payment.status],
            message=message(
                reason or (_subject(payment, standing) if is_payer else "received"),
                language,
                amount=self._amount(payment.amount, payment.asset),
                payee=payee.name,
                payer=payer.name,
                finish_by="" if payment.is_final else f"{payment.finish_by:%Y-%m-%d %H:%M:%S} UTC",
            ),
            payer=payer,
            payee=payee,
            note=payment.note,
            refunded=payment.refunded,
            created_at=payment.created_at,
            updated_at=payment.updated_at,
            reason=reason,
            matter=_matter(page.matter, funding) if page else None,
            fix=page.text(language).fix if page else None,
            balance=payment.balance_after if is_payer else None,
            receipt=_receipt(payment, id),
            finish_by=payment.finish_by,
            expected_at=standing.expected_at,
            likely_by=standing.likely_by,
            revised_at=standing.revised_at,
            paused_since=standing.paused_since,
            place=standing.place or None,
            if_missed=None if payment.is_final else message(_IF_MISSED[payment.status], language),
            request_id=ids.show("req", payment.request_id) if payment.request_id else None,
            funding=funding,
        )

    def _refund(self, refund: Refund, payer: Party, viewer: Principal, language: Language) -> RefundView:
        is_giver = viewer.person_id == refund.payee_id
        page = reason_pages()[refund.reason] if refund.reason else None
        return RefundView(
            id=ids.show("ref", refund.id),
            payment_id=ids.show("pay", refund.payment_id),
            status=refund.status,
            money=Money(_MONEY_STATE.get(refund.status, "not_moved"), refund.amount, refund.asset, refund.created_at),
            retry=Retry(page.safe, page.same_key) if page else _RETRY[refund.status],
            message=message(
                refund.reason or ("refund_completed" if is_giver else "refund_received"),
                language,
                amount=self._amount(refund.amount, refund.asset),
                payer=payer.name,
            ),
            note=refund.note,
            created_at=refund.created_at,
            reason=refund.reason,
            matter=page.matter if page else None,
            fix=page.text(language).fix if page else None,
            balance=refund.balance_after if is_giver else None,
        )

    def _amount(self, amount: int, asset: str) -> str:
        return f"{money.show_amount(amount, self._payments.scales[asset])} {asset}"

    async def _parties(self, tenant_id: int, person_ids: Sequence[UUID]) -> Mapping[UUID, Party]:
        """Who these people are. Names never change, so they are looked up once."""
        parties = {id: party for id in person_ids if (party := self._known_parties.get(id))}
        if len(parties) < len(person_ids) and (unknown := [id for id in person_ids if id not in parties]):
            names = {id: ids.show("per", id) for id in unknown}
            found = await self._people.resolve([(tenant_id, name) for name in names.values()])
            new = {id: _party(found[tenant_id, name], name) for id, name in names.items()}
            if len(self._known_parties) > _MOST_PARTIES:
                self._known_parties.clear()
            self._known_parties |= new
            parties |= new
        return parties


def _subject(payment: Payment, standing: Standing) -> str:
    """Which message tells the payer how the payment stands."""
    return "paused" if standing.paused_since else payment.status


def _party(person: Payee, id: str) -> Party:
    return Party(id=id, handle=f"@{person.handle}", name=person.name)


def _matter(matter: str, funding: FundingView | None) -> str:
    """Whose it is; a bank is named."""
    return f"bank:{funding.bank}" if funding and matter == "bank" else matter


def _receipt(payment: Payment, id: str) -> Receipt | None:
    if payment.completed_at is None:
        return None
    return Receipt(number=payment.id.hex.upper(), url=f"/v1/payments/{id}/receipt", at=payment.completed_at)


def _request(request: MoneyRequest, parties: Mapping[UUID, Party]) -> RequestView:
    return RequestView(
        id=ids.show("req", request.id),
        status=request.status,
        requester=parties[request.requester_id],
        payer=parties[request.payer_id],
        amount=request.amount,
        asset=request.asset,
        note=request.note,
        expires_at=request.expires_at,
        created_at=request.created_at,
        updated_at=request.updated_at,
        payment_id=ids.show("pay", request.payment_id) if request.payment_id else None,
    )
