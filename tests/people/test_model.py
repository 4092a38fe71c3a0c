"""Names, handles, addresses, passwords: one form of each, whatever is typed."""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.people.world import MING, PASSWORD, person

from unbusy.errors import Invalid
from unbusy.people import NewPerson
from unbusy.people.model import (
    COMMON_PASSWORDS,
    HANDLE_PATTERN,
    LONGEST_HANDLE,
    LONGEST_NAME,
    RESERVED_HANDLES,
    SHORTEST_PASSWORD,
    Identifier,
    SignedIn,
    handles_for,
    read_email,
    read_handle,
    read_identifier,
    read_name,
    read_password,
    read_payee,
    read_person,
    read_phone,
    words_to_avoid,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)

# Half surrogate pairs too: JSON can carry them.
anything = st.text(st.characters(), max_size=100)


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("Ming", "Ming"),
        ("  Li\u3000 Ming\u00a0", "Li Ming"),
        ("李明", "李明"),
        ("Jose\u0301", "José"),
        ("Ἀθηνᾶ", "Ἀθηνᾶ"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("Zoë 🦊", "Zoë 🦊"),
        ("🦊", "🦊"),
        ("x" * LONGEST_NAME, "x" * LONGEST_NAME),
        ("e\u0301" * LONGEST_NAME, "é" * LONGEST_NAME),
    ],
)
def test_names_of_every_script_are_kept_in_one_form(typed: str, kept: str) -> None:
    """A name is in normal form C, without spaces at its ends or in a row."""
    assert read_name(typed) == kept


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "   ",
        "\u3000",
        "x" * 81,
        "Ming\n",
        "Mi\x00ng",
        "Mi\u202eng",
        "\u200c \u200d",
        "\u3164",
        "\ud800x",
        "a\u2028b",
    ],
)
def test_names_nobody_can_read_are_refused(typed: str) -> None:
    """No control characters, no reversed writing, and not nothing at all."""
    with pytest.raises(Invalid) as refused:
        read_name(typed)
    assert refused.value.field == "name"


@given(anything)
def test_a_kept_name_is_kept_as_it_is(typed: str) -> None:
    """Reading a name twice is reading it once, whatever it is."""
    try:
        kept = read_name(typed)
    except Invalid:
        return
    assert read_name(kept) == kept
    assert unicodedata.is_normalized("NFC", kept)
    kept.encode()


@pytest.mark.parametrize("typed", ["min", "ming", "@ming", "li_ming_88", "a" * LONGEST_HANDLE])
def test_plain_handles_are_taken(typed: str) -> None:
    """Three to thirty small letters, digits and underscores; the sign may be typed."""
    assert read_handle(typed) == typed.removeprefix("@")


@pytest.mark.parametrize(
    "typed",
    ["", "mi", "a" * 31, "Ming", "1ming", "_ming", "mi ng", "mi-ng", "ming\n", "@@ming", "mıng", "míng", "明明明"],
)
def test_other_handles_are_refused(typed: str) -> None:
    """Two handles that look alike would take each other's money."""
    with pytest.raises(Invalid) as refused:
        read_handle(typed)
    assert refused.value.field == "handle"


@given(anything | st.from_regex(HANDLE_PATTERN))
def test_handles_are_as_the_description_says(typed: str) -> None:
    """What the service takes is what the API's pattern takes, except for a line break at the end."""
    try:
        kept = read_handle(typed)
    except Invalid:
        assert not re.match(HANDLE_PATTERN, typed) or typed.endswith("\n")
    else:
        assert re.match(HANDLE_PATTERN, kept)
        assert not kept.startswith("@")


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("ming@example.com", "ming@example.com"),
        ("Ming.Li+pay@Example.COM", "ming.li+pay@example.com"),
        ("李@例子.中国", "李@例子.中国"),
        ("ming@xn--fsqu00a.xn--fiqs8s", "ming@例子.中国"),
    ],
)
def test_spellings_of_one_address_are_one(typed: str, kept: str) -> None:
    """E-mail addresses are kept in small letters and normal form."""
    assert read_email(typed) == kept


@pytest.mark.parametrize(
    "typed",
    ["", "ming", "@example.com", "ming@", "ming@localhost", "a b@example.com", "x@" + "y" * 400],
)
def test_what_is_no_address_is_refused(typed: str) -> None:
    """Nothing is asked of the network to know it."""
    with pytest.raises(Invalid) as refused:
        read_email(typed)
    assert refused.value.field == "email"


@given(st.emails() | anything)
def test_a_kept_address_is_kept_as_it_is(typed: str) -> None:
    """Reading an address twice is reading it once, so that two spellings cannot be two people."""
    try:
        kept = read_email(typed)
    except Invalid:
        return
    assert read_email(kept) == kept
    assert not re.search("[A-Z ]", kept)
    assert len(kept) <= 254


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("+86 138 0013 8000", "+8613800138000"),
        ("+49 (0) 30 901820", "+4930901820"),
        ("＋８６ 13800138000", "+8613800138000"),
        ("+1-202-555-0101", "+12025550101"),
    ],
)
def test_spellings_of_one_number_are_one(typed: str, kept: str) -> None:
    """Phone numbers are kept in E.164."""
    assert read_phone(typed) == kept


@pytest.mark.parametrize(
    "typed", ["", "13800138000", "+", "+86", "+999123456789", "+8613800138000;ext=5", "+1800FLOWERS", "+86" + "1" * 40]
)
def test_what_is_no_number_is_refused(typed: str) -> None:
    """A number without its country is nobody's."""
    with pytest.raises(Invalid) as refused:
        read_phone(typed)
    assert refused.value.field == "phone"


@given(st.from_regex(r"\+[0-9 ().-]{0,40}", fullmatch=True) | anything)
def test_a_kept_number_is_kept_as_it_is(typed: str) -> None:
    """Reading a number twice is reading it once."""
    try:
        kept = read_phone(typed)
    except Invalid:
        return
    assert read_phone(kept) == kept
    assert re.fullmatch(r"\+[1-9][0-9]{6,14}", kept)


@pytest.mark.parametrize("typed", [PASSWORD, "密码是一只红狐狸哦", "x y" * 40, "Pa55 w0rd", "🦊🐢🦉🐸🦊🐢🦉🐸"])
def test_long_passwords_of_any_signs_are_taken(typed: str) -> None:
    """Eight characters or more, and no rule about which."""
    assert read_password(typed, avoid=[]) == typed


def test_one_password_typed_on_two_keyboards_is_one() -> None:
    """Normal form C: an accent typed apart is the same accent."""
    assert read_password("cafe\u0301 bleu", avoid=[]) == read_password("café bleu", avoid=[])


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "short 7",
        "x y" * 50,
        "password",
        "PassWord1",
        "aaaaaaaaaa",
        "tab\tin password",
        "half \ud800 of a pair",
        "I am Ming!",
    ],
)
def test_passwords_a_thief_tries_first_are_refused(typed: str) -> None:
    """Too short, too long, common, of one sign, or made of the handle."""
    with pytest.raises(Invalid) as refused:
        read_password(typed, avoid=["ming"])
    assert refused.value.field == "password"


def test_common_passwords_would_pass_otherwise() -> None:
    """A word in the list that is too short anyway, or that is not in small letters, protects nobody."""
    assert len(COMMON_PASSWORDS) >= 50
    assert all(len(word) >= SHORTEST_PASSWORD and word == word.casefold() for word in COMMON_PASSWORDS)


@pytest.mark.parametrize(
    "password", ["Ming and more", "about ming@example.com", "MING@EXAMPLE.COM", "with LI.MEI in it"]
)
def test_a_password_tells_nothing_about_its_owner(password: str) -> None:
    """Neither the handle, nor the e-mail address, nor the part before its sign."""
    new = NewPerson(name="x", handle="ming", email="ming@example.com", password=password)
    if "MEI" in password:
        new = NewPerson(name="x", email="li.mei@example.com", password=password)
    who = read_person(new, "customer", 1, UUID(int=1), NOON)
    with pytest.raises(Invalid):
        read_password(password, avoid=words_to_avoid(who))


def test_somebody_who_cannot_be_reached_is_refused() -> None:
    """An e-mail address or a phone number is needed."""
    with pytest.raises(Invalid) as refused:
        read_person(NewPerson(name="Ming", handle="ming", password=PASSWORD), "customer", 1, UUID(int=1), NOON)
    assert refused.value.field == "email"


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("@Ming", Identifier("handle", "ming")),
        (" ming@Example.com ", Identifier("email", "ming@example.com")),
        ("ming＠example.com", Identifier("email", "ming@example.com")),
        ("+86 138 0013 8000", Identifier("phone", "+8613800138000")),
        ("ming", None),
        ("@", None),
        ("13800138000", None),
    ],
)
def test_three_kinds_of_identifiers_sign_in(typed: str, read: Identifier | None) -> None:
    """A handle with its sign, an e-mail address, a phone number; capitals and spaces do not matter."""
    assert read_identifier(typed) == read


@given(anything)
def test_no_identifier_is_an_error(typed: str) -> None:
    """Whatever is typed is an identifier or is not."""
    read_identifier(typed)
    read_payee(typed)


def test_payees_are_handles_or_ids() -> None:
    """`@ming` and `per_…`; a bare word is neither, so that a typing error is no payee."""
    id = UUID(int=5)
    assert read_payee("@Ming") == "ming"
    assert read_payee(f"per_{id.hex}") == id
    assert read_payee("ming") is read_payee(f"acc_{id.hex}") is read_payee("@m") is read_payee("") is None


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("Li Ming", "li_ming"),
        ("José María", "jose_maria"),
        ("3M Company", "m_company"),
        ("Al", "al07"),
        ("李明", "pal070707070"),
    ],
)
def test_handles_are_made_from_names(name: str, first: str) -> None:
    """What is left of the name in plain letters, with digits where that is too short."""
    assert handles_for(person(70_707_070, name=name, handle=""))[0] == first


@given(st.text(min_size=1, max_size=80), st.uuids())
def test_every_name_has_handles(name: str, id: UUID) -> None:
    """Every name leads to handles that are allowed, all different; the last can hardly be taken."""
    made = handles_for(person(1, id=id, name=name, handle=""))
    assert len(made) == len(set(made)) >= 2
    assert [read_handle(handle) for handle in made] == made
    assert not RESERVED_HANDLES.intersection(made)
    assert any(len(handle) >= 12 for handle in made)


def test_secrets_are_not_shown() -> None:
    """Neither `repr` nor rich's own show a password or a token."""
    tokens = SignedIn(access_token="access", refresh_token="refresh", expires_in=1, person=person(1))
    assert repr(MING) == "NewPerson(…)"
    assert repr(tokens) == f"{tokens}" == "SignedIn(…)"
    assert not [*MING.__rich_repr__(), *tokens.__rich_repr__()]
