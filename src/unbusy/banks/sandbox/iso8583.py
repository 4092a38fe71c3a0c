"""What is sent to the sandbox bank and what it answers, in messages of ISO 8583:1987.

Each ends with AES-CMAC, of which field 64 or 128 holds the first eight bytes; before that nothing is believed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from hmac import compare_digest
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC
from iso4217 import Currency
from iso8583 import DecodeError, decode, encode
from iso8583.specs import default

from unbusy.banks.sandbox.faults import Operation
from unbusy.banks.sandbox.keys import CLIENT_INSTITUTION
from unbusy.banks.sandbox.orders import Order, Party, Wrong
from unbusy.banks.sandbox.sql import Payment

Fields: TypeAlias = dict[str, str]

# Response codes (field 39).
APPROVED, UNDER_WAY, TAKEN_BACK, NOT_TAKEN_BACK, NOWHERE = "00", "09", "17", "21", "25"
UNREADABLE, NOT_SIGNED_ON, NO_SUCH_MESSAGE = "30", "58", "12"
CUT_OFF, INOPERATIVE, MALFUNCTION, TOO_LATE = "90", "91", "96", "68"
# What books say in the words of ISO 20022.
_CODES = {"ACCC": APPROVED, "ACSP": UNDER_WAY, "CANC": TAKEN_BACK}
_REASONS = {"AM04": "51", "AC04": "46", "AC01": "14", "BE01": "6P", "AM02": "61", "MS03": "05"}

SIGN_ON, SIGN_OFF, ECHO = "001", "002", "301"
# By the first three digits of a message's type: the fourth says who began it, and that it is a repeat.
_FAULTY = {"020": Operation.send, "060": Operation.enquire, "040": Operation.withdraw, "042": Operation.withdraw}
_PULL, _PUSH = "100000", "260000"
_CODE_BYTES = 8
# The last field of the first bitmap.
_PRIMARY = 64
_SPEC: Mapping[str, Mapping[str, Any]] = MappingProxyType({**default, "62": {**default["62"], "data_enc": "utf-8"}})
_REPEATED = ("3", "4", "7", "11", "32", "37", "49", "63", "70", "90")
_REFERENCE = re.compile(r"[A-Za-z0-9-]{1,35}")
_ACCOUNT = re.compile(r"[A-Z0-9]{4,28}")
_DATA = ("3", "4", "49", "62", "102", "103")


class Nonsense(Exception):
    """Nothing that could be answered: whoever says it is hung up on."""


class Asked(NamedTuple):
    """A message of the client's, its code checked."""

    fields: Fields

    @property
    def kind(self) -> str:
        """020 is a financial request, also when it is repeated."""
        return self.fields["t"][:3]

    @property
    def is_answer(self) -> bool:
        """To an advice of the bank's: types of answers have an odd third digit."""
        return int(self.kind[-1]) % 2 == 1

    @property
    def operation(self) -> Operation | None:
        """None for what goes wrong nowhere: signing off, echo tests, and answers."""
        if self.kind == "080" and self.fields.get("70") == SIGN_ON:
            return Operation.token
        return _FAULTY.get(self.kind)

    @property
    def amount(self) -> int | None:
        """What it is about, in minor units; None where that cannot be read."""
        told = self.fields.get("4", "")
        return int(told) if told.isdecimal() else None

    @property
    def reference(self) -> str:
        """The client's, of the payment that it is about. Raises Wrong."""
        reference = self.fields.get("63", "")
        if not _REFERENCE.fullmatch(reference):
            raise Wrong("field 63 is no reference")
        return reference

    @property
    def is_pull(self) -> bool:
        """Which way the money goes. Raises Wrong."""
        processing = self.fields.get("3")
        if processing not in {_PULL, _PUSH}:
            raise Wrong("field 3 is neither account funding nor original credit")
        return processing == _PULL


def read(frame: bytes, secret: bytes) -> Asked:
    """A message without its length. Raises Nonsense."""
    body, code = frame[:-_CODE_BYTES], frame[-_CODE_BYTES:]
    if not compare_digest(_code(body, secret), code):
        raise Nonsense("not the client's code")
    try:
        fields, _ = decode(frame, _SPEC)
    except (DecodeError, KeyError) as error:
        raise Nonsense(str(error)) from None
    if ("128" if "1" in fields else "64") not in fields or not fields["t"].isdecimal():
        raise Nonsense("no code where it should be, or no type")
    return Asked(fields)


def order(asked: Asked) -> Order:
    """The payment that is asked for. Raises Wrong."""
    told = asked.fields
    for account in ("102", "103"):
        if not _ACCOUNT.fullmatch(told.get(account, "")):
            raise Wrong(f"field {account} is no account")
    if not asked.amount:
        raise Wrong("field 4 is no amount")
    if not told.get("62"):
        raise Wrong("field 62 is no name")
    payer, payee = Party(told["102"], told["62"]), Party(told["103"], told["62"])
    return Order(
        reference=asked.reference,
        is_pull=asked.is_pull,
        agreed=None,
        ours=payee if asked.is_pull else payer,
        customer=payer if asked.is_pull else payee,
        amount=asked.amount,
        asset=_currency(told.get("49", "")),
        data={name: told[name] for name in _DATA},
    )


def check(asked: Asked) -> None:
    """Raises Wrong for another client's message."""
    if asked.fields.get("32") != CLIENT_INSTITUTION:
        raise Wrong("field 32 is not the client's number")


def answer(asked: Asked, code: str, secret: bytes, *, payment: Payment | None = None, more: str = "") -> bytes:
    """What is said to a message, behind its length. `more` goes into field 44."""
    type = asked.fields["t"]
    fields = {name: asked.fields[name] for name in _REPEATED if name in asked.fields}
    fields |= {"t": f"{type[:2]}{int(type[2]) + 1}0", "39": code}
    if payment and payment.asset:
        fields["38"] = _number(payment)
    if more:
        fields["44"] = more
    return _sealed(fields, secret)


def advice(asked: Asked, payment: Payment, at: datetime, trace: int, secret: bytes) -> bytes:
    """How a payment ended that was under way before, behind its length."""
    fields = {name: asked.fields[name] for name in ("3", "4", "32", "37", "49", "63")}
    fields |= {"t": "0220", "7": f"{at:%m%d%H%M%S}", "11": f"{trace:06}", "38": _number(payment), "39": code(payment)}
    return _sealed(fields, secret)


def code(payment: Payment) -> str:
    """What became of a payment."""
    return _CODES.get(payment.status) or _REASONS[payment.reason]


def _number(payment: Payment) -> str:
    return payment.id[-6:].upper()


def _currency(number: str) -> str:
    found = next((one for one in Currency if f"{one.number:03}" == number), None)
    if found is None:
        raise Wrong("field 49 is no currency")
    return str(found.code)


def _sealed(fields: Fields, secret: bytes) -> bytes:
    last = "128" if any(int(name) > _PRIMARY for name in fields if name != "t") else "64"
    message, _ = encode({**fields, last: "00" * _CODE_BYTES}, _SPEC)
    body = bytes(message[:-_CODE_BYTES])
    return len(message).to_bytes(2, "big") + body + _code(body, secret)


def _code(body: bytes, secret: bytes) -> bytes:
    made = CMAC(AES(secret))
    made.update(body)
    return made.finalize()[:_CODE_BYTES]
