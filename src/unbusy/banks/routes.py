"""How the banks fare, over HTTP: to be seen before one chooses."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

import msgspec
from litestar import get

from unbusy.api import Answer, Language, Page, Request, Role, allow, message
from unbusy.banks.health import Operation
from unbusy.banks.service import Banks
from unbusy.banks.sql import Told

# Of enquiries nothing is declined for want of them.
_SILENT = {"maintenance", "down"}


class BankOperationView(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that a bank is needed for, as it is now, and since when. `p50_ms` is what half of its answers
    took at most, lately; `unknown` says that no worker has looked lately."""

    state: Literal["operational", "degraded", "maintenance", "down", "unknown"]
    message: str
    since: datetime | None = None
    p50_ms: int | None = None
    last_good_at: datetime | None = None


class BankView(msgspec.Struct, frozen=True):
    """A connected bank. `enquiries` are our questions what became of something."""

    id: str
    name: str
    topups: BankOperationView
    payouts: BankOperationView
    enquiries: BankOperationView


@get("/v1/banks", opt=allow(Role.customer, Role.merchant, Role.operator), summary="See the banks", tags=["banks"])
async def list_banks(request: Request) -> Answer[Page[BankView]]:
    """Every connected bank, and how it fares just now: a fault shows within ten seconds, its end within thirty."""
    banks = request.part(Banks)
    told = {(each.bank, each.operation): each for each in await banks.told()}
    items = [_bank(id, name, told, request.language) for id, name in banks.names.items()]
    return Answer(Page(items), headers={"cache-control": "private, max-age=1"})


HANDLERS = (list_banks,)


def _bank(id: str, name: str, told: Mapping[tuple[str, Operation], Told], language: Language) -> BankView:
    def see(what: str, operation: Operation) -> BankOperationView:
        return _operation(what, name, told.get((id, operation)), language)

    return BankView(
        id=id,
        name=name,
        topups=see("topups", Operation.send_pull),
        payouts=see("payouts", Operation.send_push),
        enquiries=see("enquiries", Operation.enquire),
    )


def _operation(what: str, bank: str, told: Told | None, language: Language) -> BankOperationView:
    subject = message(f"bank_{what}", language, bank=bank)
    if told is None:
        return BankOperationView("unknown", message("bank_unknown", language, what=subject))
    is_silent = told.operation is Operation.enquire and told.condition in _SILENT
    sentence = "bank_silent" if is_silent else f"bank_{told.condition}"
    return BankOperationView(
        state=told.condition.value,
        message=message(sentence, language, what=subject),
        since=told.since,
        p50_ms=told.p50_ms,
        last_good_at=told.last_good,
    )
