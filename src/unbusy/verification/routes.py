"""Verification of bank accounts over HTTP."""

from __future__ import annotations

from datetime import datetime

import msgspec
from litestar import get, post
from litestar.params import FromPath, JSONBody

from unbusy import transits
from unbusy.api import Answer, Language, Request, Role, allow, message
from unbusy.banks import NameMatch
from unbusy.payments import Amount, Asset
from unbusy.transits import BANK_ACCOUNT, BankAccountView, BankNames, NewBankAccount
from unbusy.verification.model import Stand
from unbusy.verification.service import Seen, Verifications

PEOPLE = allow(Role.customer, Role.merchant)
# The body names a bank, which may not be connected.
NAMES_A_BANK = allow(Role.customer, Role.merchant, problems=(404,))


class NameView(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the bank says of the holder's name; `holder` is how the bank shows it, masked. `message` says it to a
    person, before they choose."""

    name: NameMatch
    message: str
    holder: str | None = None


class NewVerification(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which currency the bank account is in."""

    asset: Asset


class Told(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The amount that came, as the bank's statement says."""

    amount: Amount


class VerificationView(msgspec.Struct, frozen=True, omit_defaults=True):
    """How the verification of a bank account stands; without a status none was begun. The amount is never shown."""

    bank_account: BankAccountView
    message: str
    status: Stand | None = None
    tries_left: int | None = None
    expires_at: datetime | None = None


@post(
    "/v1/bank-accounts/name-check",
    opt=NAMES_A_BANK,
    status_code=200,
    summary="Ask the bank whose an account is",
    tags=["banks"],
)
async def check_name(request: Request, data: JSONBody[NewBankAccount]) -> Answer[NameView]:
    """Before you link it: whether the bank knows it under this holder's name. Nothing is linked and nothing is moved.
    So many times a day, for names are other people's too."""
    iban = data.read_number()
    answer = await request.part(Verifications).check_name(request.principal, data.bank, iban, data.holder)
    bank = request.part(BankNames).name(data.bank)
    told = message(f"name_{answer.match}", request.language, bank=bank, holder=answer.holder or "–")
    return Answer(NameView(answer.match, told, answer.holder or None))


@post("/v1/bank-accounts/{bank_account_id:str}/verification", opt=PEOPLE, summary="Verify it", tags=["banks"])
async def begin_verification(
    request: Request, bank_account_id: FromPath[str], data: JSONBody[NewVerification]
) -> Answer[VerificationView]:
    """Sends a tiny amount there from the house's own account, for you to tell. While one is on its way or can be told,
    asking again sends nothing: so it needs no key."""
    id = transits.read_id(BANK_ACCOUNT, bank_account_id)
    seen = await request.part(Verifications).begin(request.principal, id, data.asset, request.deadline)
    return Answer(_view(seen, request.part(BankNames), request.language), status_code=201)


@get("/v1/bank-accounts/{bank_account_id:str}/verification", opt=PEOPLE, summary="See how it stands", tags=["banks"])
async def see_verification(request: Request, bank_account_id: FromPath[str]) -> Answer[VerificationView]:
    """The newest one."""
    id = transits.read_id(BANK_ACCOUNT, bank_account_id)
    seen = await request.part(Verifications).see(request.principal, id)
    return Answer(_view(seen, request.part(BankNames), request.language))


@post(
    "/v1/bank-accounts/{bank_account_id:str}/verification/amount",
    opt=PEOPLE,
    status_code=200,
    summary="Tell the amount that came",
    tags=["banks"],
)
async def tell_amount(
    request: Request, bank_account_id: FromPath[str], data: JSONBody[Told]
) -> Answer[BankAccountView]:
    """The bank account, verified. A wrong amount counts, and after three of them it ends. Telling it again, once it
    was right, is the same as once."""
    id = transits.read_id(BANK_ACCOUNT, bank_account_id)
    verified = await request.part(Verifications).tell(request.principal, id, data.amount, request.deadline)
    return Answer(transits.bank_account(verified))


HANDLERS = (check_name, begin_verification, see_verification, tell_amount)


def _view(seen: Seen, banks: BankNames, language: Language) -> VerificationView:
    account, verification = seen.account, seen.verification
    stand = Stand.verified if account.verified_at else seen.stand
    text = message(f"verification_{stand or 'none'}", language, bank=banks.name(account.bank))
    is_open = verification is not None and stand in {Stand.on_its_way, Stand.arrived}
    return VerificationView(
        bank_account=transits.bank_account(account),
        message=text,
        status=stand,
        tries_left=verification.tries_left if verification and is_open else None,
        expires_at=verification.expires_at if verification and is_open else None,
    )
