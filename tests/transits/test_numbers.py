"""Account numbers as people write them: what is accepted, and which field is told to be wrong."""

from __future__ import annotations

import pytest

from unbusy.errors import Invalid
from unbusy.transits import Number

IBAN = "DE89370400440532013000"


@pytest.mark.parametrize(
    ("number", "iban"),
    [
        (Number(iban="de89 3704 0044 0532 0130 00"), IBAN),
        (Number(iban=IBAN, bic="COBADEFFXXX", country="DE"), IBAN),
        (Number(country="DE", local="370400440 532013000"), IBAN),
        (Number(country="es", local="2100 0418 45 0200051332"), "ES9121000418450200051332"),
        (Number(country="NO", local="8601 11 17947"), "NO9386011117947"),
        (Number(country="BE", local="539-0075470-34"), "BE68539007547034"),
        (Number(country="FR", local="20041 01005 0500013M026 06"), "FR1420041010050500013M02606"),
        (Number(country="IT", local="X 05428 11101 000000123456"), "IT60X0542811101000000123456"),
        (Number(country="GB", local="BUKB 20-20-15 55555555"), "GB33BUKB20201555555555"),
        (Number(country="GB", local="20-20-15 55555555", bic="BUKBGB22XXX"), "GB33BUKB20201555555555"),
        (Number(country="SE", local="500 00000058398257466"), "SE4550000000058398257466"),
    ],
)
def test_a_number_is_an_iban(number: Number, iban: str) -> None:
    """However it is written: with blanks and dashes, in small letters, or as its country writes it."""
    assert number.read() == iban


@pytest.mark.parametrize(
    ("number", "field"),
    [
        (Number(), "iban"),
        (Number(iban=IBAN, local="1"), "iban"),
        (Number(iban="DE88370400440532013000"), "iban"),
        (Number(iban="XX89370400440532013000"), "iban"),
        (Number(iban=IBAN, country="FR"), "country"),
        (Number(local="370400440532013000"), "country"),
        (Number(country="US", local="021000021 12345678"), "country"),
        (Number(country="ES", local="2100 0418 46 0200051332"), "number"),
        (Number(country="NO", local="8601 11 17948"), "number"),
        (Number(country="DE", local="37040044"), "number"),
        (Number(country="GB", local="20-20-15 55555555"), "number"),
        (Number(country="DE", local="äöü-ß"), "number"),
        (Number(iban=IBAN, bic="COBADEFF1"), "bic"),
        (Number(iban=IBAN, bic="COBAXXFFXXX"), "bic"),
        (Number(iban=IBAN, bic="BNPAFRPPXXX"), "bic"),
        (Number(iban=IBAN, bic="DEUTDEFFXXX"), "bic"),
    ],
)
def test_the_field_that_is_wrong_is_named(number: Number, field: str) -> None:
    """A check digit, a length, a country, a bank: each is told where it stands."""
    with pytest.raises(Invalid) as refused:
        number.read()
    assert refused.value.field == field
