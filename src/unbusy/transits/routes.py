"""Bank accounts over HTTP. Top-ups and payouts have their endpoints in rooms of their own."""

from __future__ import annotations

from litestar import delete, get, post
from litestar.params import FromPath, JSONBody

from unbusy.api import Answer, Page, Request, Role, allow
from unbusy.transits import views
from unbusy.transits.accounts import BankAccounts
from unbusy.transits.views import BANK_ACCOUNT, BankAccountView, NewBankAccount

PEOPLE = allow(Role.customer, Role.merchant)


@post(
    "/v1/bank-accounts",
    opt=allow(Role.customer, Role.merchant, problems=(404,)),
    summary="Link a bank account",
    tags=["banks"],
)
async def link_bank_account(request: Request, data: JSONBody[NewBankAccount]) -> Answer[BankAccountView]:
    """Linking the same account again gives the one that is linked."""
    linked = await request.part(BankAccounts).link(request.principal, data.bank, data.read_number(), data.holder)
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
