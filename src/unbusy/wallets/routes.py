"""Wallets over HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, cast
from uuid import UUID

import msgspec
from litestar import get, post
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta

from unbusy import ids, money
from unbusy.api import Answer, Cursor, Cursors, Limit, Page, Request, Role, allow
from unbusy.errors import Invalid, NotFound
from unbusy.ledger import Account, AccountState, Entry, Kind
from unbusy.people import Payee
from unbusy.settings import Settings
from unbusy.wallets.service import Wallets

# The number of an entry, as the database counts.
_Number = Annotated[int, Meta(ge=1, le=2**63 - 1)]
_STATEMENT: Cursors[int] = Cursors("statement", cast("type[int]", _Number))

Asset = Annotated[
    str | None,
    QueryParameter(pattern=money.ASSET_PATTERN, description="Whose statement; the installation's usual asset if none."),
]
Since = Annotated[datetime | None, QueryParameter(description="Only entries at or after this time (RFC 3339).")]
Until = Annotated[datetime | None, QueryParameter(description="Only entries before this time (RFC 3339).")]


class AccountView(msgspec.Struct, frozen=True):
    """What a person holds of one asset, in minor units. `available` is what can be spent now."""

    asset: str
    posted: int
    held: int
    available: int | None
    state: AccountState
    id: str | None


class WalletView(msgspec.Struct, frozen=True):
    """All a person holds, as it was at `as_of`: now, or a few seconds ago when more is asked than can be read.
    Never older than one's own last payment."""

    accounts: list[AccountView]
    as_of: datetime


class Counterparty(msgspec.Struct, frozen=True):
    """The other side of an entry."""

    id: str
    handle: str
    name: str


class EntryView(msgspec.Struct, frozen=True):
    """One line of a statement: `amount` is negative when money went out, `balance` is right after."""

    number: int
    kind: Kind
    code: str
    amount: int
    balance: int
    at: datetime
    transfer_id: str
    payment_id: FromPath[str] | None
    counterparty: Counterparty | None


class NewState(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an account is to become."""

    state: Literal["open", "frozen", "closed"]


@get("/v1/wallet", opt=allow(Role.customer, Role.merchant), summary="See your wallet", tags=["wallet"])
async def see_wallet(request: Request) -> Answer[WalletView]:
    """One account per asset. Before the first receipt, an empty one in the installation's usual asset."""
    seen = await request.part(Wallets).see(request.principal, may_be_recent=request.is_short_of_reads)
    shown = [_account(account) for account in seen.accounts]
    empty = AccountView(request.part(Settings).default_asset, 0, 0, 0, AccountState.open, None)
    return Answer(WalletView(shown or [empty], seen.as_of))


@get("/v1/statement", opt=allow(Role.customer, Role.merchant), summary="Read your statement", tags=["wallet"])
async def read_statement(
    request: Request,
    asset: Asset = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 20,
    cursor: Cursor = None,
) -> Answer[Page[EntryView]]:
    """What moved the balance of one asset, newest first, without a gap in `number`."""
    wallets = request.part(Wallets)
    entries = await wallets.statement(
        request.principal,
        asset or request.part(Settings).default_asset,
        before=_STATEMENT.read(cursor),
        limit=limit + 1,
        since=_zoned(since, "since"),
        until=_zoned(until, "until"),
    )
    others = await wallets.counterparties(request.principal, entries)
    page = _STATEMENT.page(
        entries, limit, lambda entry: _entry(entry, others.get(entry.counterparty_id)), lambda entry: entry.number
    )
    return Answer(page)


@post(
    "/v1/accounts/{account_id:str}/state",
    opt=allow(Role.operator),
    status_code=200,
    summary="Freeze, thaw or close an account",
    tags=["operators"],
)
async def set_account_state(
    request: Request, account_id: FromPath[str], data: JSONBody[NewState]
) -> Answer[AccountView]:
    """Frozen lets no money in or out; closed is final, and only for an empty account."""
    if (id := ids.read("acc", account_id)) is None:
        raise NotFound("there is no such account")
    account = await request.part(Wallets).set_state(request.principal, id, AccountState(data.state))
    return Answer(_account(account))


@get(
    "/v1/people/{person_id:str}/wallet",
    opt=allow(Role.operator),
    summary="See a person's wallet",
    tags=["operators"],
)
async def see_wallet_of(request: Request, person_id: FromPath[str]) -> Answer[WalletView]:
    """As the person sees it, within the operator's tenant."""
    id: UUID | None = ids.read("per", person_id)
    if id is None:
        raise NotFound("there is nobody with this id")
    seen = await request.part(Wallets).see_of(request.principal, id)
    return Answer(WalletView([_account(account) for account in seen.accounts], seen.as_of))


HANDLERS = (see_wallet, read_statement, see_wallet_of, set_account_state)


def _zoned(at: datetime | None, field: str) -> datetime | None:
    """The time, which says in which zone it is meant. Raises Invalid."""
    if at and at.tzinfo is None:
        raise Invalid("a time needs its zone, such as `Z` at its end", field=field)
    return at


def _account(account: Account) -> AccountView:
    return AccountView(
        asset=account.asset,
        posted=account.posted,
        held=account.held,
        available=account.available,
        state=account.state,
        id=ids.show("acc", account.id),
    )


def _entry(entry: Entry, other: Payee | None) -> EntryView:
    return EntryView(
        number=entry.number,
        kind=entry.kind,
        code=entry.code,
        amount=entry.amount,
        balance=entry.balance,
        at=entry.at,
        transfer_id=ids.show("trf", entry.transfer_id),
        payment_id=ids.show("pay", entry.transfer_id) if entry.code == "payment" else None,
        counterparty=Counterparty(ids.show("per", other.person_id), f"@{other.handle}", other.name) if other else None,
    )
