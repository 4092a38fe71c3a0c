"""What a payment asks of the room above it that pulls money from banks (`unbusy.funding`)."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from unbusy.api import Principal
from unbusy.clock import Deadline
from unbusy.payments.model import Payment


class PayFromBank(Protocol):
    """As `Payments.pay`, with money from a bank account (its id as it is shown) for what the wallet is short of."""

    async def __call__(
        self,
        payer: Principal,
        payee: str,
        amount: int,
        asset: str,
        note: str,
        bank_account: str,
        *,
        key: str,
        fingerprint: bytes,
        deadline: Deadline,
    ) -> tuple[Payment, bool]: ...


class FromBank(NamedTuple):
    """The room above that pulls money from banks."""

    pay: PayFromBank
