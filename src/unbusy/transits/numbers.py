"""Numbers of accounts at banks, checked as far as they prove themselves: IBAN, BIC, and what a country writes instead.

Pure. Registries and check digits are schwifty's: ISO 13616, ISO 9362, and the algorithms of the countries.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from typing import NamedTuple

from schwifty import BBAN, BIC, IBAN
from schwifty.exceptions import InvalidBBANChecksum, InvalidCountryCode, SchwiftyException

from unbusy.errors import Invalid

# How many letters of a BIC name the bank.
_BANK_LETTERS = 4
_COUNTRY = re.compile(r"[A-Za-z]{2}")
# What people write between the parts of a number.
_BETWEEN = str.maketrans("", "", " .-/")


class Number(NamedTuple):
    """An account as its owner writes it: by its IBAN, or by the country's own number (`local`) and the country.

    The BIC may stand beside either.
    """

    iban: str = ""
    bic: str = ""
    country: str = ""
    local: str = ""

    def read(self) -> str:
        """Its IBAN. Raises Invalid, with the field that is wrong."""
        if bool(self.iban) == bool(self.local):
            raise Invalid("an account has an IBAN, or a number of its country; give one of them", field="iban")
        if (self.local or self.country) and not _COUNTRY.fullmatch(self.country):
            raise Invalid("a country is two letters such as ES, and a number needs one", field="country")
        bic = read_bic(self.bic) if self.bic else ""
        iban = read_iban(self.iban) if self.iban else read_local(self.country, self.local, bic)
        if self.country and self.country.upper() != iban[:2]:
            raise Invalid(f"this IBAN is of {iban[:2]}", field="country")
        if bic:
            fit(iban, bic)
        return iban


def read_iban(text: str) -> str:
    """An IBAN in its electronic form (ISO 13616), country, length and check digits checked. Raises Invalid."""
    try:
        return IBAN(text).compact
    except SchwiftyException as error:
        raise Invalid(f"this is not an IBAN: {error}", field="iban") from None


def read_bic(text: str) -> str:
    """A BIC (ISO 9362): its length, its letters, and its country. Raises Invalid."""
    try:
        return BIC(text).compact
    except SchwiftyException as error:
        raise Invalid(f"this is not a BIC: {error}", field="bic") from None


def read_local(country: str, number: str, bic: str) -> str:
    """The IBAN of an account number as it is written in a country: all its parts in their order, the country's own
    check digits among them. Where the number begins with the bank's letters (GB, IE) the BIC may say them.

    Raises Invalid, with the field that is wrong.
    """
    digits = number.translate(_BETWEEN).upper()
    if not (digits.isascii() and digits.isalnum()):
        raise Invalid("an account number has digits and letters, with blanks, dots or dashes between", field="number")
    wrong: SchwiftyException | None = None
    for one in _ways_to_write(digits, bic):
        try:
            return _iban_of(country.upper(), one)
        except InvalidCountryCode:
            raise Invalid(f"we know no account numbers of {country!r}; give the IBAN", field="country") from None
        except InvalidBBANChecksum as error:
            raise Invalid(f"the check digits of this account number are wrong: {error}", field="number") from None
        except SchwiftyException as error:
            wrong = wrong or error
    hint = "" if bic else "; where it begins with the bank's letters, give the BIC too"
    raise Invalid(f"account numbers of {country.upper()} are written otherwise: {wrong}{hint}", field="number")


def fit(iban: str, bic: str) -> None:
    """Raises Invalid for a BIC of another country than the account's, or, where the number says it, of another bank."""
    known = IBAN(iban).bic
    if bic[4:6] != iban[:2]:
        raise Invalid(f"this BIC is of {bic[4:6]}, and the account of {iban[:2]}", field="bic")
    if known and known.compact[:_BANK_LETTERS] != bic[:_BANK_LETTERS]:
        raise Invalid("this BIC is another bank's than the account's", field="bic")


def _ways_to_write(digits: str, bic: str) -> Sequence[str]:
    return (digits, bic[:_BANK_LETTERS] + digits) if bic else (digits,)


def _iban_of(country: str, number: str) -> str:
    with warnings.catch_warnings():
        # Of countries without check digits of their own nothing is left to verify.
        warnings.simplefilter("ignore")
        return IBAN.from_bban(country, BBAN(country, number), validate_bban=True).compact
