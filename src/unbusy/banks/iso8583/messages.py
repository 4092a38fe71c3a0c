"""What we write to a switch and what we read from one: fields of ISO 8583:1987, by their numbers.

3  what is done       7  sent at        32  our institution     49  currency           70  which management
4  amount            11  trace number   37  retrieval reference 62  holder's name     102  account that pays
                     38  bank's number  39  response code       63  our reference     103  account that is paid
                                        44  more of the response                      90  the message that is reversed
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

import iso8583
from iso4217 import Currency
from iso8583.specs import default

from unbusy.banks.iso8583.seals import LENGTH, Seals
from unbusy.banks.port import Direction, ExternalAccount, Instruction

Fields: TypeAlias = dict[str, str]

REQUEST, ENQUIRY, REVERSAL, MANAGEMENT = "0200", "0600", "0420", "0800"
SIGN_ON, SIGN_OFF, ECHO = "001", "002", "301"

# The bank's length of a message has two bytes; none of ours comes near to this.
MOST_BYTES = 2_048

# Characters are ASCII, bitmaps and codes are binary; a name may be written in any script.
_SPEC: Mapping[str, Mapping[str, Any]] = MappingProxyType({**default, "62": {**default["62"], "data_enc": "utf-8"}})
# Account funding and original credit, of the ranges for debits and for credits; the accounts are of no special kind.
_PROCESSING = {Direction.pull: "100000", Direction.push: "260000"}
_LONGEST_NAME = 140
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_SECONDARY = 64


class Unfit(Exception):
    """No message that can be trusted; its text says why."""


class Ends(NamedTuple):
    """Our own account at the bank, and our number there."""

    ours: ExternalAccount
    institution: str


class Key(NamedTuple):
    """By what an answer is known: its type, and what it repeats of its question."""

    type: str
    trace: str
    retrieval: str
    sent: str


def payment(instruction: Instruction, ends: Ends) -> Fields:
    """The message that moves the money. Raises ValueError for what no field can hold."""
    name = instruction.account.name
    if not name.isprintable() or not 0 < len(name) <= _LONGEST_NAME:
        raise ValueError("this is no name that can be written")
    accounts = instruction.account.iban, ends.ours.iban
    payer, payee = accounts if instruction.direction is Direction.pull else reversed(accounts)
    return {
        **_about(REQUEST, instruction.reference, instruction.direction, ends),
        "4": f"{instruction.amount:012}",
        "49": currency(instruction.asset),
        "62": name,
        "102": payer,
        "103": payee,
    }


def enquiry(reference: str, direction: Direction, ends: Ends) -> Fields:
    """The message that asks what became of a payment."""
    return _about(ENQUIRY, reference, direction, ends)


def reversal(reference: str, direction: Direction, ends: Ends) -> Fields:
    """The message after which a payment moves nothing any more, whether it came or is still on its way.

    Trace number and time of the first message are not known after a crash, and zeros say so: the bank
    finds it by its retrieval reference and by ours.
    """
    first = f"{REQUEST}{0:06}{0:010}{ends.institution.zfill(11)}{0:011}"
    return _about(REVERSAL, reference, direction, ends) | {"90": first}


def management(what: str, ends: Ends) -> Fields:
    """The message that signs on or off, or asks whether anybody is there."""
    return {"t": MANAGEMENT, "32": ends.institution, "70": what}


def answer(asked: Fields, code: str) -> Fields:
    """What we say to a message of the bank's."""
    repeated = {name: asked[name] for name in ("3", "4", "7", "11", "32", "37", "49", "63", "70") if name in asked}
    return {**repeated, "t": _answering(asked["t"]), "39": code}


def currency(asset: str) -> str:
    """The number of a currency, as three digits."""
    return f"{Currency(asset).number:03}"


def stamped(fields: Fields, trace: int, at: datetime) -> Fields:
    """A message as it is sent this time: no other has its trace number in this second."""
    return {**fields, "7": f"{at:%m%d%H%M%S}", "11": f"{trace:06}"}


def key_of_answer(asked: Fields) -> Key:
    """By what the answer to a message will be known."""
    return _key(asked, _answering(asked["t"]))


def key(told: Fields) -> Key:
    """By what a message is known that may be an answer."""
    return _key(told, told["t"])


def is_answer(told: Fields) -> bool:
    """Whether a message answers another: the third digit of its type is odd."""
    return told["t"][2] in "13579"


def encode(fields: Fields, seals: Seals) -> bytes:
    """Behind its length, and sealed. Raises ValueError for what no field can hold."""
    last = str(_SECONDARY if all(int(name) <= _SECONDARY for name in fields if name != "t") else 2 * _SECONDARY)
    message, _ = iso8583.encode({**fields, last: "00" * LENGTH}, _SPEC)
    body = bytes(message[:-LENGTH])
    return (len(message)).to_bytes(2, "big") + body + seals.seal(body)


def decode(message: bytes, seals: Seals) -> Fields:
    """A message of the bank's, without its length. Raises Unfit."""
    if not seals.is_banks(message[:-LENGTH], message[-LENGTH:]):
        raise Unfit("its code is not the bank's")
    try:
        fields, _ = iso8583.decode(message, _SPEC)
    except (iso8583.DecodeError, KeyError) as error:
        raise Unfit(f"it cannot be read: {error}") from None
    # Else what was taken for the code is something else, and could be made to fit by who sends it.
    if str(2 * _SECONDARY if "1" in fields else _SECONDARY) not in fields or not fields["t"].isdecimal():
        raise Unfit("it has no code, or no type")
    return fields


def _about(type: str, reference: str, direction: Direction, ends: Ends) -> Fields:
    processing = _PROCESSING[direction]
    retrieval = _retrieval(reference)
    return {"t": type, "3": processing, "32": ends.institution, "37": retrieval, "63": reference}


def _retrieval(reference: str) -> str:
    """Twelve letters and digits that are always the same for a reference: 62 bits, so that no two meet."""
    number = int.from_bytes(sha256(reference.encode()).digest(), "big")
    signs: list[str] = []
    for _ in range(12):
        number, sign = divmod(number, len(_ALPHABET))
        signs.append(_ALPHABET[sign])
    return "".join(signs)


def _answering(type: str) -> str:
    """0200 and its repeat 0201 are answered by 0210, 0420 and 0421 by 0430."""
    return f"{type[:2]}{int(type[2]) + 1}0"


def _key(told: Fields, type: str) -> Key:
    return Key(type, told.get("11", ""), told.get("37", ""), told.get("7", ""))
