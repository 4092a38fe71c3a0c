"""Which banks there are and how each is reached: the file that the setting `banks` names.

One table a bank, its id the table's name; `dialect` says what it speaks, and with that what else the table says:

    [sandbox]
    name = "Sandbox Bank"
    url = "https://api.bank.example/open-banking/v4.0/pisp"
    token_url = "https://auth.bank.example/token"
    client_id = "unbusy"
    names_url = "https://api.bank.example/name-verification"   # where it confirms holders' names, if it does
    key = "client.pem"                   # ours, to sign with; beside this file
    bank_key = "bank.public.pem"         # the bank's, to know its signature by
    account = { iban = "GB33BUKB20201555555555", name = "unbusy" }
    calls_per_s = 20                     # what the bank allows; without it there is no limit

    [partner]
    dialect = "iso20022"
    name = "Partner Bank"
    url = "https://messages.bank.example/iso20022"
    bic = "UNBUGB2LXXX"                  # ours
    bank_bic = "SANDGB2LXXX"
    key = "client.pem"
    bank_key = "bank.public.pem"
    account = { iban = "GB94BARC10201530093459", name = "unbusy" }

    [switch]
    dialect = "iso8583"
    name = "Switch Bank"
    url = "tls://switch.bank.example:8583"
    institution = "42017"                # our number there
    key = "switch.key"                   # the secret under what we say, in hexadecimal digits
    bank_key = "switch.bank.key"         # the one under what the bank says
    account = { iban = "GB82WEST12345698765432", name = "unbusy" }
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from unbusy.banks import iso8583, iso20022, openbanking
from unbusy.banks.tables import Keys
from unbusy.errors import SetupError

_ID = r"[a-z][a-z0-9-]{0,31}"
_USUAL = "openbanking"
_DIALECTS: Mapping[str, type[openbanking.Table | iso20022.Table | iso8583.Table]] = MappingProxyType(
    {_USUAL: openbanking.Table, "iso20022": iso20022.Table, "iso8583": iso8583.Table}
)


class Entry(NamedTuple):
    """One bank: what its table says, and the keys that it names."""

    id: str
    table: openbanking.Table | iso20022.Table
    keys: Keys


class Switch(NamedTuple):
    """One bank behind a switch, with which we share secrets."""

    id: str
    table: iso8583.Table
    seals: iso8583.Seals


def read(path: Path) -> Sequence[Entry | Switch]:
    """The banks of a file, in its order. Raises SetupError with what is wrong with it."""

    def content(name: str) -> bytes:
        return (path.parent / name).read_bytes()

    # Banks may share a key, and reading one takes long: once each.
    @cache
    def key(name: str) -> RSAKey:
        return RSAKey.import_key(content(name))

    try:
        tables = msgspec.toml.decode(path.read_bytes(), type=dict[str, dict[str, Any]])
        return [_entry(id, table, key, content) for id, table in tables.items()]
    except OSError as error:
        raise SetupError(f"cannot read {error.filename}: {error.strerror}") from None
    except (msgspec.DecodeError, JoseError, ValueError) as error:
        raise SetupError(f"wrong banks in {path}: {error}") from None


def _entry(
    id: str, fields: dict[str, Any], key: Callable[[str], RSAKey], content: Callable[[str], bytes]
) -> Entry | Switch:
    if not re.fullmatch(_ID, id):
        raise ValueError(f"{id!r} is no id of a bank; it must be small letters, digits and dashes")
    dialect = fields.pop("dialect", _USUAL)
    if dialect not in _DIALECTS:
        raise ValueError(f"no bank speaks {dialect!r}; `dialect` is one of {', '.join(_DIALECTS)}")
    table = msgspec.convert(fields, _DIALECTS[dialect])
    if isinstance(table, iso8583.Table):
        return Switch(id, table, iso8583.Seals.read(content(table.key), content(table.bank_key)))
    return Entry(id, table, Keys(ours=key(table.key), bank=key(table.bank_key)))
