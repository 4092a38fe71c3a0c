"""A bank's table in the roster: what every dialect needs to reach its bank."""

from __future__ import annotations

from typing import Annotated, NamedTuple

import msgspec
from joserfc.jwk import RSAKey
from msgspec import Meta

from unbusy.banks.port import ExternalAccount

Text = Annotated[str, Meta(min_length=1)]
# Money is not talked about where others can listen, but for talks within this machine.
Url = Annotated[str, Meta(pattern=r"^(https://|http://(127\.0\.0\.1|localhost)(:|/|$))")]


class Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`account` is our own there; `timeout_s` is how long one step of a call may take,
    `calls_per_s` how many the bank allows; into `folder`, beside the roster, it puts its statements."""

    name: Text
    url: Url
    key: Text
    bank_key: Text
    account: ExternalAccount
    # 99 % of banks' answers come within one second; whoever waits at a screen gives up at five.
    timeout_s: Annotated[float, Meta(gt=0, le=30)] = 5.0
    calls_per_s: Annotated[float, Meta(ge=0.1, le=100_000)] | None = None
    folder: Text | None = None


class Keys(NamedTuple):
    """Ours to sign with, and the bank's to know its signature by."""

    ours: RSAKey
    bank: RSAKey
