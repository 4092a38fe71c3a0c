"""Which banks there are and how each is reached: the file that the setting `banks` names.

One table a bank, its id the table's name:

    [sandbox]
    name = "Sandbox Bank"
    url = "https://api.bank.example/open-banking/v4.0/pisp"
    token_url = "https://auth.bank.example/token"
    client_id = "unbusy"
    key = "client.pem"                   # ours, to sign with; beside this file
    bank_key = "bank.public.pem"         # the bank's, to know its signature by
    account = { iban = "GB33BUKB20201555555555", name = "unbusy" }
    calls_per_s = 20                     # what the bank allows; without it there is no limit
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NamedTuple

import msgspec
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey
from msgspec import Meta

from unbusy.banks.port import ExternalAccount
from unbusy.errors import SetupError

_ID = r"[a-z][a-z0-9-]{0,31}"
# Money is not talked about where others can listen, but for talks within this machine.
_URL = r"^(https://|http://(127\.0\.0\.1|localhost)(:|/|$))"

_Text = Annotated[str, Meta(min_length=1)]
_Url = Annotated[str, Meta(pattern=_URL)]


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: _Text
    url: _Url
    token_url: _Url
    client_id: _Text
    key: _Text
    bank_key: _Text
    account: ExternalAccount
    # 99 % of banks' answers come within one second; whoever waits at a screen gives up at five.
    timeout_s: Annotated[float, Meta(gt=0, le=30)] = 5.0
    calls_per_s: Annotated[float, Meta(ge=0.1, le=100_000)] | None = None


class Entry(NamedTuple):
    """One bank. `account` is our own there; `timeout_s` is how long a call may take,
    `calls_per_s` how many the bank allows."""

    id: str
    name: str
    url: str
    token_url: str
    client_id: str
    key: RSAKey
    bank_key: RSAKey
    account: ExternalAccount
    timeout_s: float
    calls_per_s: float | None


def read(path: Path) -> Sequence[Entry]:
    """The banks of a file, in its order. Raises SetupError with what is wrong with it."""
    try:
        tables = msgspec.toml.decode(path.read_bytes(), type=dict[str, _Table])
        return [_entry(id, table, path.parent) for id, table in tables.items()]
    except OSError as error:
        raise SetupError(f"cannot read {error.filename}: {error.strerror}") from None
    except (msgspec.DecodeError, JoseError, ValueError) as error:
        raise SetupError(f"wrong banks in {path}: {error}") from None


def _entry(id: str, table: _Table, directory: Path) -> Entry:
    if not re.fullmatch(_ID, id):
        raise ValueError(f"{id!r} is no id of a bank; it must be small letters, digits and dashes")
    return Entry(
        id=id,
        name=table.name,
        url=table.url.rstrip("/"),
        token_url=table.token_url,
        client_id=table.client_id,
        key=RSAKey.import_key((directory / table.key).read_bytes()),
        bank_key=RSAKey.import_key((directory / table.bank_key).read_bytes()),
        account=table.account,
        timeout_s=table.timeout_s,
        calls_per_s=table.calls_per_s,
    )
