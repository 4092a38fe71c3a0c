"""Bank accounts over HTTP. Top-ups and payouts have their endpoints in rooms of their own."""

from __future__ import annotations

from typing import Annotated

import msgspec
from litestar import delete, get, post
from litestar.params import FromPath, JSONBody
from msgspec import Meta

from unbusy.api import Answer, Page, Request, Role, allow
from unbusy.transits import views
from unbusy.transits.accounts import BankAccounts
from unbusy.transits.views import BANK_ACCOUNT, BankAccountView

PEOPLE = allow(Role.customer, Role.merchant)

# The end twice, because Python's `$` also matches before a line break that comes last.
_ONE_LINE = r"^[^\u0000-\u001f\u007f]*$(?!\n)"


class NewBankAccount(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An account at a bank, to be linked."""

    bank: Annotated[str, Meta(min_length=1, max_length=32, description="The bank's id.")]
    iban: Annotated[str, Meta(min_length=15, max_length=42, description="With or without blanks.")]
    holder: Annotated[
        str, Meta(min_length=1, max_length=80, pattern=_ONE_LINE, description="The holder's name, as the bank has it.")
    ]


@post(
    "/v1/bank-accounts",
    opt=allow(Role.customer, Role.merchant, problems=(404,)),
    summary="Link a bank account",
    tags=["banks"],
)
async def link_bank_account(request: Request, data: JSONBody[NewBankAccount]) -> Answer[BankAccountView]:
    """Linking the same account again gives the one that is linked."""
    linked = await request.part(BankAccounts).link(request.principal, data.bank, data.iban, data.holder)
    return Answer(views.bank_account(linked), status_code=201)


@get("/v1/bank-accounts", opt=PEOPLE, summary="List your bank accounts", tags=["banks"])
async def list_bank_accounts(request: Request) -> Answer[Page[BankAccountView]]:
    """Newest first, the newest hundred."""
    linked = await request.part(BankAccounts).list(request.principal)
    return Answer(Page([views.bank_account(each) for each in linked]))


@delete(
    "/v1/bank-accounts/{bank_account_id:str}",
    opt=PEOPLE,
    status_code=204,
    summary="Unlink a bank account",
    tags=["banks"],
)
async def unlink_bank_account(request: Request, bank_account_id: FromPath[str]) -> None:
    """Doing it twice is the same as once. What is on its way from or to it goes on."""
    id = views.read_id(BANK_ACCOUNT, bank_account_id)
    await request.part(BankAccounts).unlink(request.principal, id)


HANDLERS = (link_bank_account, list_bank_accounts, unlink_bank_account)
