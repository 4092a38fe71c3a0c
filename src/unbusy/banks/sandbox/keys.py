"""What the sandbox bank and its one client agree on beforehand, kept in the bank's directory.

The bank makes the client's key, as a portal for developers would, and writes `banks.toml`: the
wallet's setting `banks` points at it.
"""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import NamedTuple

from joserfc.jwk import RSAKey

from unbusy.settings import Settings

CLIENT_ID = "unbusy"
# The client's own accounts at the bank, one for each dialect, which pushes are paid from and pulls are paid to.
CLIENT_ACCOUNTS = ("GB33BUKB20201555555555", "GB29NWBK60161331926819", "GB82WEST12345698765432")
CLIENT_BIC, BANK_BIC = "UNBUGB2LXXX", "SANDGB2LXXX"
CLIENT_INSTITUTION = "42017"
API = "/open-banking/v4.0/pisp"

_BITS = 2048
_SECRET_BYTES = 32

_BANKS = """\
# Made by the sandbox bank; written again whenever it starts.
[sandbox]
name = "Sandbox Bank"
url = "{address}{api}"
token_url = "{address}/token"
client_id = "{client_id}"
names_url = "{address}{api}/name-verification"
key = "client.pem"
bank_key = "bank.public.pem"
account = {{ iban = "{accounts[0]}", name = "unbusy" }}

[partner]
dialect = "iso20022"
name = "Sandbox Partner Bank"
url = "{address}/iso20022"
bic = "{client_bic}"
bank_bic = "{bank_bic}"
key = "client.pem"
bank_key = "bank.public.pem"
account = {{ iban = "{accounts[1]}", name = "unbusy" }}

[switch]
dialect = "iso8583"
name = "Sandbox Switch Bank"
url = "{switch}"
institution = "{institution}"
key = "switch.key"
bank_key = "switch.bank.key"
account = {{ iban = "{accounts[2]}", name = "unbusy" }}
"""


class Keys(NamedTuple):
    """The bank's own key, and the client's to know it by; and the secrets under what each of them says to a switch."""

    bank: RSAKey
    client: RSAKey
    bank_secret: bytes
    client_secret: bytes


def home(settings: Settings) -> Path:
    """Where an installation's sandbox bank keeps everything."""
    return Path(settings.data).expanduser() / "sandbox-bank"


def prepare(directory: Path, address: str) -> Path:
    """Make what is missing, and give the path of `banks.toml` for a bank that answers at `address`."""
    directory.mkdir(parents=True, exist_ok=True)
    for name in ("bank", "client"):
        if not (directory / f"{name}.pem").exists():
            key = RSAKey.generate_key(_BITS)
            _write(directory / f"{name}.public.pem", key.as_pem(private=False))
            _write(directory / f"{name}.pem", key.as_pem(private=True))
    for name in ("switch.key", "switch.bank.key"):
        if not (directory / name).exists():
            _write(directory / name, secrets.token_hex(_SECRET_BYTES).encode())
    banks = directory / "banks.toml"
    text = _BANKS.format(
        address=address,
        api=API,
        client_id=CLIENT_ID,
        client_bic=CLIENT_BIC,
        bank_bic=BANK_BIC,
        switch=address.replace("http://", "tcp://"),
        institution=CLIENT_INSTITUTION,
        accounts=CLIENT_ACCOUNTS,
    )
    _write(banks, text.encode())
    return banks


def load(directory: Path) -> Keys:
    """The keys that `prepare` made."""
    return Keys(
        bank=RSAKey.import_key((directory / "bank.pem").read_bytes()),
        client=RSAKey.import_key((directory / "client.public.pem").read_bytes()),
        bank_secret=bytes.fromhex((directory / "switch.bank.key").read_text()),
        client_secret=bytes.fromhex((directory / "switch.key").read_text()),
    )


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all, and for nobody else to read."""
    draft = path.with_name(f"{path.name}.new")
    draft.touch(mode=0o600)
    draft.write_bytes(content)
    draft.replace(path)
