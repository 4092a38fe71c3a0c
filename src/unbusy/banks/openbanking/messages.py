"""What we write to a bank and what we understand of its answers, in the shapes of UK Open Banking 4.0."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

import msgspec

from unbusy import money
from unbusy.banks import statuses
from unbusy.banks.port import Direction, ExternalAccount, Instruction, NameAnswer, NameMatch, Result

Form = TypeVar("Form", bound=msgspec.Struct)


class Paths(NamedTuple):
    """Where the two resources of a direction live, below the bank's URL."""

    consents: str
    payments: str


PATHS: Mapping[Direction, Paths] = MappingProxyType(
    {
        Direction.push: Paths("/domestic-payment-consents", "/domestic-payments"),
        Direction.pull: Paths("/domestic-vrp-consents", "/domestic-vrps"),
    }
)


class _Pascal(msgspec.Struct, rename="pascal"):
    """The standard writes its names so. Fields that we do not read may come and go."""


class _Amount(_Pascal):
    amount: str
    currency: str


class _Movement(_Pascal):
    """The part that names the payment; a pull has it in `Instruction`, a push in `Initiation`."""

    end_to_end_identification: str = ""
    instructed_amount: _Amount | None = None


class _Reason(_Pascal):
    status_reason_code: str = ""


class Payment(_Pascal):
    """A payment as the bank tells of it."""

    status: str
    status_reason: list[_Reason] = msgspec.field(default_factory=list[_Reason])
    initiation: _Movement = msgspec.field(default_factory=_Movement)
    instruction: _Movement = msgspec.field(default_factory=_Movement)
    payment_id: str = msgspec.field(name="DomesticPaymentId", default="")
    vrp_id: str = msgspec.field(name="DomesticVRPId", default="")

    def movement(self, direction: Direction) -> _Movement:
        """What it moves, and under which reference."""
        return self.instruction if direction is Direction.pull else self.initiation

    def result(self, direction: Direction) -> Result:
        """In the words of the port."""
        code = self.status_reason[0].status_reason_code if self.status_reason else ""
        return statuses.result(self.status, code, direction, self.vrp_id or self.payment_id)


class Consent(_Pascal):
    """A consent as the bank tells of it."""

    consent_id: str
    status: str

    @property
    def may_be_used(self) -> bool:
        """Whether a payment may be made with it, or was: a payment that is repeated needs it again."""
        return self.status in {"AUTH", "COND"}


class _NameReport(_Pascal):
    matched: bool
    reason_code: str = ""
    name: str = ""


class NameVerification(_Pascal):
    """What the bank says of a holder's name."""

    verification_report: _NameReport

    @property
    def answer(self) -> NameAnswer:
        """In the words of the port."""
        told = self.verification_report
        match = NameMatch.match if told.matched else _MATCHES.get(told.reason_code, NameMatch.unchecked)
        return NameAnswer(match, "" if told.matched else told.name[:_LONGEST_NAME])


# Of Confirmation of Payee: the account name nearly matches, and does not. Other codes say that it cannot be told.
_MATCHES = MappingProxyType({"MBAM": NameMatch.close_match, "ANNM": NameMatch.no_match})
_LONGEST_NAME = 140


class Token(msgspec.Struct):
    """An access token, and for how many seconds it is good."""

    access_token: str
    expires_in: int


def consent_key(instruction: Instruction, ours: ExternalAccount) -> str:
    """The idempotency key of the consent: each push has its own, all pulls from one account share one."""
    if instruction.direction is Direction.push:
        return instruction.reference
    parties = msgspec.json.encode([instruction.account, ours])
    return f"mandate-{sha256(parties).hexdigest()[:32]}"


def consent(instruction: Instruction, ours: ExternalAccount) -> bytes:
    """The message that asks for a consent."""
    if instruction.direction is Direction.push:
        return _message({"Initiation": _push(instruction, ours)})
    control = {"VRPType": ["UK.OBIE.VRPType.Sweeping"], "PSUAuthenticationMethods": ["UK.OBIE.SCA"]}
    return _message({"ControlParameters": control, "Initiation": _parties(instruction.account, ours)})


def payment(instruction: Instruction, ours: ExternalAccount, consent_id: str) -> bytes:
    """The message that moves the money: the same bytes for the same instruction and consent."""
    if instruction.direction is Direction.push:
        return _message({"ConsentId": consent_id, "Initiation": _push(instruction, ours)})
    return _message(
        {
            "ConsentId": consent_id,
            "PSUAuthenticationMethod": "UK.OBIE.SCANotRequired",
            "Initiation": _parties(instruction.account, ours),
            "Instruction": _movement(instruction) | {"CreditorAccount": _account(ours)},
        }
    )


def name_question(account: ExternalAccount) -> bytes:
    """The message that asks whether an account is in a name."""
    return _message({"AccountType": "Personal", **_account(account)})


def is_about(payment: Payment, instruction: Instruction) -> bool:
    """Whether the bank's answer is about what it was told: the same reference and the same money."""
    moved = payment.movement(instruction.direction)
    if moved.end_to_end_identification != instruction.reference:
        return False
    # What was withdrawn before it came has no amount.
    return statuses.is_never(payment.status) or moved.instructed_amount == _amount(instruction)


def _message(data: dict[str, Any]) -> bytes:
    return msgspec.json.encode({"Data": data, "Risk": {"PaymentContextCode": "TransferToSelf"}})


def _push(instruction: Instruction, ours: ExternalAccount) -> dict[str, Any]:
    return _movement(instruction) | _parties(ours, instruction.account)


def _movement(instruction: Instruction) -> dict[str, Any]:
    return {
        "InstructionIdentification": instruction.reference,
        "EndToEndIdentification": instruction.reference,
        "InstructedAmount": _amount(instruction),
    }


def _amount(instruction: Instruction) -> _Amount:
    scale = money.iso_scales()[instruction.asset]
    return _Amount(money.show_amount(instruction.amount, scale), instruction.asset)


def _parties(debtor: ExternalAccount, creditor: ExternalAccount) -> dict[str, Any]:
    return {"DebtorAccount": _account(debtor), "CreditorAccount": _account(creditor)}


def _account(account: ExternalAccount) -> dict[str, str]:
    return {"SchemeName": "UK.OBIE.IBAN", "Identification": account.iban, "Name": account.name}
