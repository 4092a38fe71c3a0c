"""Transits and bank accounts as people see them, and how both rooms above answer over HTTP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from unbusy import ids, money
from unbusy.api import (
    Answer,
    Cursors,
    Language,
    Page,
    Preference,
    Principal,
    Request,
    Retry,
    answer_if_changed,
    etag,
    fingerprint,
    message,
    reason_pages,
)
from unbusy.banks import Direction
from unbusy.db import Connection
from unbusy.errors import NotFound
from unbusy.payments import Amount, Asset, Money, Polls, Show, Subjects
from unbusy.reasons import Reason
from unbusy.transits import accounts
from unbusy.transits.model import ACCOUNT, NAMES, BankAccount, Status, Transit
from unbusy.transits.numbers import Number
from unbusy.transits.service import Transits

PREFIXES: Mapping[Direction, str] = {Direction.pull: "top", Direction.push: "out"}
BANK_ACCOUNT = "ban"

_MONEY_STATE: Mapping[Status, Literal["moved", "held", "not_moved", "returned"]] = {
    Status.pending: "held",
    Status.unknown: "held",
    Status.completed: "moved",
    Status.declined: "not_moved",
    Status.reversed: "returned",
}
_CURSORS = {direction: Cursors(f"{name}s", UUID) for direction, name in NAMES.items()}
_SHOWN_DIGITS = 4
# The end twice, because Python's `$` also matches before a line break that comes last.
_ONE_LINE = r"^[^\u0000-\u001f\u007f]*$(?!\n)"


class NewTransit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Money to be moved from a linked bank account, or to it."""

    bank_account: Annotated[str, Meta(min_length=1, max_length=64, description="The id of a bank account of yours.")]
    amount: Amount
    asset: Asset


class NewBankAccount(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An account at a bank, to be linked: by its IBAN, or by its country's own number."""

    bank: Annotated[str, Meta(min_length=1, max_length=32, description="The bank's id.")]
    iban: Annotated[str, Meta(max_length=42, description="With or without blanks.")] = ""
    country: Annotated[str, Meta(max_length=2, description="Of the number, or to check the IBAN by: `ES`.")] = ""
    number: Annotated[
        str,
        Meta(max_length=42, description="As it is written in the country, all its parts: `2100 0418 45 0200051332`."),
    ] = ""
    bic: Annotated[str, Meta(max_length=16, description="The bank's BIC, to check the number by.")] = ""
    holder: Annotated[
        str, Meta(min_length=1, max_length=80, pattern=_ONE_LINE, description="The holder's name, as the bank has it.")
    ]

    def read_number(self) -> str:
        """The account's IBAN. Raises Invalid, with the field that is wrong."""
        return Number(iban=self.iban, bic=self.bic, country=self.country, local=self.number).read()


class BankAccountView(msgspec.Struct, frozen=True):
    """A linked bank account. Of its number only the country and the last digits are shown.

    Until it is verified only little may be moved with it in a day.
    """

    id: str
    bank: str
    iban: str
    holder: str
    created_at: datetime
    verified_at: datetime | None = None


class TransitView(msgspec.Struct, frozen=True, omit_defaults=True):
    """A top-up or a payout as it is now. `balance` is the wallet's right after it.

    While it is not final the money is held, and by `resolve_by` it is certain what became of it;
    `if_unresolved` says what happens then. `next_check_after` is when looking again is worth it.
    """

    id: str
    status: Status
    money: Money
    retry: Retry
    message: str
    bank: str
    bank_account: str
    created_at: datetime
    updated_at: datetime
    reason: Reason | None = None
    matter: str | None = None
    fix: str | None = None
    balance: int | None = None
    resolve_by: datetime | None = None
    if_unresolved: str | None = None
    next_check_after: datetime | None = None


class BankNames:
    """The connected banks as customers know them: the name of each, by its id."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = names

    def name(self, bank: str) -> str:
        """Its name; its id when it is connected no more."""
        return self._names.get(bank, bank)


async def begin(
    request: Request, direction: Direction, new: NewTransit, key: str, preference: Preference
) -> Answer[TransitView]:
    """Begin one: 201 with what is final, 202 with what is not, and where to look."""
    transits = request.part(Transits)
    route = f"POST /v1/{NAMES[direction]}s"
    transit, replayed = await transits.begin(
        request.principal,
        direction,
        read_id(BANK_ACCOUNT, new.bank_account, field="bank_account"),
        new.amount,
        new.asset,
        key=key,
        fingerprint=fingerprint(route, new),
        deadline=request.deadline,
    )
    if preference.wait_s:
        transit = await transits.wait(request.principal, direction, transit.id, preference.wait_s)
    view, again = _show(request, transit)
    headers = {"Location": f"/v1/{NAMES[direction]}s/{view.id}"} | preference.applied() | again
    return Answer(
        view,
        status_code=201 if transit.is_final else 202,
        headers=headers | ({"Idempotent-Replayed": "true"} if replayed else {}),
    )


async def see(request: Request, direction: Direction, shown_id: str, wait_s: int) -> Answer[TransitView]:
    """One of the caller's own, once it is final or after so many seconds."""
    id = read_id(PREFIXES[direction], shown_id)
    if not wait_s:
        request.part(Polls).look(request.principal.person_id, id)
    transit = await request.part(Transits).wait(request.principal, direction, id, wait_s)
    view, headers = _show(request, transit)
    version = etag(view.id, transit.updated_at, transit.status, view.next_check_after, request.language)
    return answer_if_changed(request, view, version, headers=headers)


async def page_of(request: Request, direction: Direction, limit: int, cursor: str | None) -> Answer[Page[TransitView]]:
    """A page of the caller's own, newest first."""
    cursors = _CURSORS[direction]
    found = await request.part(Transits).list(request.principal, direction, cursors.read(cursor), limit + 1)
    return Answer(cursors.page(found, limit, lambda each: _in_words(request, each), lambda each: each.id))


def _in_words(request: Request, transit: Transit) -> TransitView:
    return view(transit, request.part(BankNames), request.language)


def _show(request: Request, transit: Transit) -> tuple[TransitView, dict[str, str]]:
    """The transit; one that is not final with when to look again, and a header that says so."""
    polls, viewer = request.part(Polls), request.principal
    shown = _in_words(request, transit)
    if transit.is_final:
        polls.forget(viewer.person_id, transit.id)
        return shown, {}
    next_check = polls.next_check(viewer.person_id, transit.id, transit.due_at)
    return msgspec.structs.replace(shown, next_check_after=next_check), polls.retry_after(next_check)


def view(transit: Transit, banks: BankNames, language: Language) -> TransitView:
    """A transit in a language."""
    page = reason_pages()[transit.reason] if transit.reason else None
    params = {
        "amount": f"{money.show_amount(transit.amount, money.iso_scales()[transit.asset])} {transit.asset}",
        "bank": banks.name(transit.bank),
        "resolve_by": f"{transit.resolve_by:%Y-%m-%d %H:%M:%S} UTC",
    }
    is_open = not transit.is_final
    return TransitView(
        id=ids.show(PREFIXES[transit.direction], transit.id),
        status=transit.status,
        money=Money(_MONEY_STATE[transit.status], transit.amount, transit.asset, transit.updated_at),
        retry=Retry(page.safe, page.same_key) if page else Retry(safe=False, same_key=True),
        message=message(transit.reason or f"{NAMES[transit.direction]}_{transit.status}", language, **params),
        bank=transit.bank,
        bank_account=ids.show(BANK_ACCOUNT, transit.bank_account_id),
        created_at=transit.created_at,
        updated_at=transit.updated_at,
        reason=transit.reason,
        matter=(f"bank:{transit.bank}" if page.matter == "bank" else page.matter) if page else None,
        fix=page.text(language).fix if page else None,
        balance=transit.balance_after,
        resolve_by=transit.resolve_by if is_open else None,
        if_unresolved=message("if_unresolved", language, **params) if is_open else None,
    )


def subjects(transits: Transits, banks: BankNames) -> Mapping[str, Show]:
    """How the stream of events shows a top-up, a payout and a bank account."""

    async def show(connection: Connection, ids: Sequence[UUID], person: Principal, language: Language) -> Subjects:
        found = await transits.told_of(connection, person, ids)
        return {each.id: view(each, banks, language) for each in found}

    async def show_accounts(connection: Connection, ids: Sequence[UUID], person: Principal, _: Language) -> Subjects:
        return {each.id: bank_account(each) for each in await accounts.found(connection, person, ids)}

    return {**dict.fromkeys(NAMES.values(), show), ACCOUNT: show_accounts}


def bank_account(account: BankAccount) -> BankAccountView:
    """A linked account, as its owner sees it."""
    iban = f"{account.iban[:2]}…{account.iban[-_SHOWN_DIGITS:]}"
    id = ids.show(BANK_ACCOUNT, account.id)
    return BankAccountView(id, account.bank, iban, account.holder, account.created_at, account.verified_at)


def read_id(prefix: str, text: str, *, field: str | None = None) -> UUID:
    """The id in a path or a field. What has not even its form is unknown, like any other that is not there."""
    if (id := ids.read(prefix, text)) is None:
        raise NotFound("there is nothing with this id", field=field)
    return id
