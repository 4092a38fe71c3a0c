"""What a person is, and the rules for names, handles, addresses and passwords. Pure.

Each `read_…` takes what somebody typed and gives the one form we keep, so that two spellings of
one thing meet on one row; it raises Invalid, naming the field, when there is no such form.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple
from uuid import UUID

import msgspec
import phonenumbers
from email_validator import EmailNotValidError, validate_email

from unbusy import ids
from unbusy.errors import Invalid

PersonRole = Literal["customer", "merchant", "operator"]
PersonState = Literal["open", "closed"]
PersonLanguage = Literal["en", "zh"]

HANDLE_PATTERN = "^@?[a-z][a-z0-9_]{2,29}$"
LONGEST_HANDLE = 30
LONGEST_NAME = 80
LONGEST_EMAIL = 254  # RFC 5321, as corrected by erratum 1690
LONGEST_PHONE = 32
SHORTEST_PASSWORD = 8
LONGEST_PASSWORD = 128

_HANDLE = re.compile(r"[a-z][a-z0-9_]{2,29}")
_PHONE = re.compile(r"\+[0-9][0-9 ().-]{5,30}")
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_SPACES = re.compile("[ \u00a0\u3000]+")
# Join letters in Persian, Sinhala and others, and the parts of some emoji; invisible on their own.
_JOINERS = "\u200c\u200d"
# Count as letters and show nothing: Hangul fillers, the empty braille cell.
_BLANKS = "\u115f\u1160\u2800\u3164\uffa0"

# Handles by which a customer could pretend to speak for the bank.
RESERVED_HANDLES = frozenset(
    """
    admin administrator bank help helpdesk moderator official operator payments refund refunds root
    security staff support system unbusy wallet
    """.split()  # noqa: SIM905 - read as words, not as punctuation
)

# The most common passwords of at least eight characters in published breaches. A list this short
# stops those who spray the same few over many accounts; the delays of `guessing` stop the rest.
COMMON_PASSWORDS = frozenset(
    """
    0123456789 11223344 12341234 123123123 12345678 123456789 1234567890 12345678910 123654789 147258369
    1q2w3e4r 1q2w3e4r5t 1qaz2wsx 5201314520 87654321 987654321 9876543210 a1234567 a123456789 aa123456
    abc12345 abcd1234 admin123 administrator asdfasdf asdfghjkl baseball changeme football iloveyou iloveyou1
    letmein1 p@ssw0rd p@ssword passw0rd password password1 password12 password123 princess q1w2e3r4
    qazwsxedc qwerty12 qwerty123 qwertyui qwertyuiop sunshine superman trustno1 welcome1 woaini1314 woaini520
    zaq12wsx zxcvbnm1
    """.split()  # noqa: SIM905 - as above
)


class Person(msgspec.Struct, frozen=True):
    """Somebody with a wallet here, or who works here. `handle` is without its `@`."""

    id: UUID
    tenant_id: int
    role: PersonRole
    name: str
    handle: str
    email: str | None
    phone: str | None
    language: PersonLanguage
    state: PersonState
    created_at: datetime

    def named(self, handle: str) -> Person:
        """The same person under this handle."""
        return msgspec.structs.replace(self, handle=handle)


class Payee(msgspec.Struct, frozen=True):
    """Whom a payment can name. Nothing here ever changes, so that it may be kept in memory."""

    person_id: UUID
    tenant_id: int
    name: str
    handle: str
    role: PersonRole


class Unshown(msgspec.Struct, frozen=True):
    """A struct with secrets in it: no log line and no traceback shows more than its name."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return []


class NewPerson(Unshown, frozen=True, kw_only=True):
    """Who signs up, as typed. Without a handle one is made from the name."""

    name: str
    password: str
    handle: str | None = None
    email: str | None = None
    phone: str | None = None
    language: PersonLanguage = "en"


class SignedIn(Unshown, frozen=True, kw_only=True):
    """A session's tokens. `expires_in` is the access token's life in seconds."""

    access_token: str
    refresh_token: str
    expires_in: int
    person: Person


class Identifier(NamedTuple):
    """By what a person signs in, in the form we keep."""

    kind: Literal["email", "phone", "handle"]
    text: str


def read_person(new: NewPerson, role: PersonRole, tenant_id: int, id: UUID, at: datetime) -> Person:
    """The person to be. The handle is empty when one has yet to be chosen among `handles_for`.

    Raises Invalid with the first field that is wrong.
    """
    person = Person(
        id=id,
        tenant_id=tenant_id,
        role=role,
        name=read_name(new.name),
        handle="" if new.handle is None else read_handle(new.handle),
        email=None if new.email is None else read_email(new.email),
        phone=None if new.phone is None else read_phone(new.phone),
        language=new.language,
        state="open",
        created_at=at,
    )
    if not (person.email or person.phone):
        raise Invalid("an e-mail address or a phone number is needed", field="email")
    return person


def read_name(text: str) -> str:
    """1 to 80 printable characters in normal form C, spaces at the ends and in a row removed."""
    name = _SPACES.sub(" ", unicodedata.normalize("NFC", text)).strip(" ")
    if not 1 <= len(name) <= LONGEST_NAME:
        raise Invalid(f"a name has 1 to {LONGEST_NAME} characters", field="name")
    if not all(sign in _JOINERS or (sign.isprintable() and sign not in _BLANKS) for sign in name):
        raise Invalid("a name has only characters that can be seen", field="name")
    if not name.strip(_JOINERS + " "):
        raise Invalid("a name has at least one character that can be seen", field="name")
    return name


def read_handle(text: str) -> str:
    """3 to 30 of a–z, 0–9 and _, beginning with a letter. The `@` may be typed and is not kept."""
    handle = text.removeprefix("@")
    if not _HANDLE.fullmatch(handle):
        raise Invalid(
            "a handle has 3 to 30 small letters, digits and underscores, and begins with a letter", field="handle"
        )
    return handle


def read_email(text: str) -> str:
    """The address as we keep it: normal form C, small letters throughout.

    The part before the `@` may by the standard tell capitals from small letters; no provider of
    note does, and two people whose addresses differ only so are one person or a trap.
    """
    try:
        typed = validate_email(text[: LONGEST_EMAIL + 1], check_deliverability=False).normalized
        # Small letters can lengthen an address or take it out of normal form, so once more.
        kept = unicodedata.normalize("NFC", typed.lower())
        return validate_email(kept, check_deliverability=False).normalized
    except EmailNotValidError:
        raise Invalid("this is not an e-mail address", field="email") from None


def read_phone(text: str) -> str:
    """The number in E.164, such as `+8613800138000`. It is typed with its country code.

    Only its possible length is checked: which ranges are in use changes faster than any list.
    """
    typed = unicodedata.normalize("NFKC", text[: LONGEST_PHONE + 1]).strip()
    wrong = Invalid("a phone number begins with + and its country code, such as +86 138 0013 8000", field="phone")
    if not _PHONE.fullmatch(typed):
        raise wrong
    try:
        number = phonenumbers.parse(typed, None)
    except phonenumbers.NumberParseException:
        raise wrong from None
    kept = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    if not phonenumbers.is_possible_number(number) or not _E164.fullmatch(kept):
        raise wrong
    return kept


def read_password(text: str, *, avoid: Sequence[str]) -> str:
    """8 to 128 characters in normal form C, so that every keyboard's spelling is the same password.

    Refused when everybody tries it first, or when it contains one of `avoid`.
    """
    password = spelled(text)
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise Invalid(f"a password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters", field="password")
    if any(unicodedata.category(sign) in ("Cc", "Cs") for sign in password):
        raise Invalid("a password has no control characters", field="password")
    plain = password.casefold()
    if plain in COMMON_PASSWORDS or len(set(plain)) == 1:
        raise Invalid("this password is among the first that a thief tries", field="password")
    if any(word.casefold() in plain for word in avoid if word):
        raise Invalid("the password contains the handle or the e-mail address", field="password")
    return password


def spelled(password: str) -> str:
    """The password in normal form C."""
    return unicodedata.normalize("NFC", password)


def words_to_avoid(person: Person) -> list[str]:
    """What a thief who knows the person tries first. A made handle is not known yet, nor any phone."""
    before_at = (person.email or "").partition("@")[0]
    # Three letters or fewer stand by chance in too many good passwords.
    return [word for word in (person.handle, person.email or "", before_at if len(before_at) > 3 else "") if word]  # noqa: PLR2004 - said above


def read_identifier(text: str) -> Identifier | None:
    """What somebody signs in with: `@handle`, an e-mail address or a phone number. None is neither."""
    # A Chinese keyboard has an @ and a + of its own.
    typed = text.strip().replace("＠", "@").replace("＋", "+")
    try:
        if typed.startswith("@"):
            return Identifier("handle", read_handle(typed.lower()))
        if "@" in typed:
            return Identifier("email", read_email(typed))
        return Identifier("phone", read_phone(typed))
    except Invalid:
        return None


def read_payee(text: str) -> UUID | str | None:
    """Whom a payment names: an id for `per_…`, a handle for `@…`, else None."""
    if text.startswith("@"):
        handle = text[1:].lower()
        return handle if _HANDLE.fullmatch(handle) else None
    return ids.read("per", text)


def handles_for(person: Person) -> list[str]:
    """Handles to try in this order: the one asked for, or some made from the name.

    The digits come from the id's random part, so that a run can be replayed.
    """
    if person.handle:
        return [person.handle]
    letters = unicodedata.normalize("NFKD", person.name).encode("ascii", "ignore").decode().lower()
    stem = re.sub(r"[^a-z0-9]+", "_", letters).strip("_").lstrip("0123456789_")
    digits = f"{person.id.int % 10**9:09}"
    made = [stem[: LONGEST_HANDLE - count] + digits[:count] for count in (0, 2, 4, 6, 9)]
    # A name of which nothing is left in ASCII, such as 李明.
    made += [f"pal{digits}", f"pal{person.id.int % 10**18:018}"]
    return [handle for handle in made if _HANDLE.fullmatch(handle) and not is_reserved(handle, person.role)]


def is_reserved(handle: str, role: PersonRole) -> bool:
    """Whether the handle is kept for those who speak for the bank."""
    return role == "customer" and handle in RESERVED_HANDLES
