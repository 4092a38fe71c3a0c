"""What is sent to the sandbox bank and what it answers, in the shapes of UK Open Banking 4.0."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple, TypeVar

import msgspec
from msgspec import Meta

from unbusy.banks.sandbox.orders import Agreed, Order, Party, Wrong, units
from unbusy.banks.sandbox.sql import Payment

_Form = TypeVar("_Form", bound=msgspec.Struct)

Text = Annotated[str, Meta(min_length=1, max_length=140)]
Reference = Annotated[str, Meta(pattern=r"^[A-Za-z0-9-]{1,35}$")]


class _Pascal(msgspec.Struct, rename="pascal"):
    """The standard writes its names so."""


class Amount(_Pascal):
    """Money as a decimal: `{"Amount": "12.50", "Currency": "EUR"}`."""

    amount: Annotated[str, Meta(pattern=r"^[0-9]{1,13}(\.[0-9]{1,5})?$")]
    currency: Annotated[str, Meta(pattern=r"^[A-Z]{3}$")]


class Account(_Pascal):
    """An account, named by its IBAN."""

    identification: Text
    name: Text
    scheme_name: Annotated[str, Meta(pattern=r"^UK\.OBIE\.IBAN$")]


class _Movement(_Pascal):
    end_to_end_identification: Reference
    instructed_amount: Amount
    creditor_account: Account


class _PushInitiation(_Movement):
    debtor_account: Account


class _PullInitiation(_Pascal):
    debtor_account: Account
    creditor_account: Account


class _Push(_Pascal):
    consent_id: Text
    initiation: _PushInitiation


class _Pull(_Pascal):
    consent_id: Text
    initiation: _PullInitiation
    instruction: _Movement


class _PushConsent(_Pascal):
    initiation: _PushInitiation


class _PullConsent(_Pascal):
    initiation: _PullInitiation


class _Body(_Pascal):
    data: msgspec.Raw


class Consent(NamedTuple):
    """What a consent is for: pushes of one payment, or pulls from one account. `scope` is compared."""

    scope: str
    data: dict[str, Any]


def consent(body: bytes, *, is_pull: bool) -> Consent:
    """Read what a consent is asked for. Raises Wrong."""
    raw = _data(body)
    if is_pull:
        return Consent(_scope(_read(raw, _PullConsent).initiation), _as_sent(raw))
    return Consent(_scope(_read(raw, _PushConsent).initiation), _as_sent(raw))


def order(body: bytes, *, is_pull: bool) -> Order:
    """Read a payment that is asked for. Raises Wrong."""
    raw = _data(body)
    if is_pull:
        pull = _read(raw, _Pull)
        moved, ours, customer = pull.instruction, pull.initiation.creditor_account, pull.initiation.debtor_account
        consent_id, scope = pull.consent_id, _scope(pull.initiation)
    else:
        push = _read(raw, _Push)
        moved, ours, customer = push.initiation, push.initiation.debtor_account, push.initiation.creditor_account
        consent_id, scope = push.consent_id, _scope(push.initiation)
    money = moved.instructed_amount
    return Order(
        reference=moved.end_to_end_identification,
        is_pull=is_pull,
        agreed=Agreed(consent_id, scope),
        ours=Party(ours.identification, ours.name),
        customer=Party(customer.identification, customer.name),
        amount=units(money.amount, money.currency),
        asset=money.currency,
        data=_as_sent(raw),
    )


def named(body: bytes) -> Party:
    """Read the account whose holder is asked for. Raises Wrong."""
    account = _read(_data(body), Account)
    return Party(account.identification, account.name)


def amount_in(body: bytes) -> int | None:
    """The amount that a message is about, in minor units; None where it has none that can be read."""
    for is_pull in (False, True):
        try:
            return order(body, is_pull=is_pull).amount
        except Wrong:
            continue
    return None


def drawn(payment: Payment) -> dict[str, Any]:
    """A payment as the client reads it: what was sent, and what became of it."""
    id = "DomesticVRPId" if payment.is_pull else "DomesticPaymentId"
    told = msgspec.json.decode(payment.data, type=dict[str, Any]) | {id: payment.id, "Status": payment.status}
    if payment.status == "CANC":
        told["Instruction" if payment.is_pull else "Initiation"] = {"EndToEndIdentification": payment.reference}
    if payment.status == "RJCT":
        told["StatusReason"] = [{"StatusReasonCode": payment.reason}]
    return told


def document(data: Mapping[str, object]) -> bytes:
    """An answer around its data."""
    return msgspec.json.encode({"Data": data, "Links": {}, "Meta": {}})


def problem(status: int, text: str) -> bytes:
    """An answer that says what is wrong."""
    return msgspec.json.encode({"Code": str(status), "Errors": [{"ErrorCode": "U000", "Message": text}]})


def _data(body: bytes) -> msgspec.Raw:
    return _read(body, _Body).data


def _as_sent(raw: msgspec.Raw) -> dict[str, Any]:
    return msgspec.json.decode(raw, type=dict[str, Any])


def _scope(initiation: _PushInitiation | _PullInitiation) -> str:
    return msgspec.json.encode(initiation).decode()


def _read(raw: bytes | msgspec.Raw, type: type[_Form]) -> _Form:
    try:
        return msgspec.json.decode(raw, type=type)
    except (msgspec.DecodeError, RecursionError) as error:
        raise Wrong(str(error)) from None
