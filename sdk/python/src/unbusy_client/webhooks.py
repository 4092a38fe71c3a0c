"""Webhooks, told from forgeries by the rules of Standard Webhooks (https://www.standardwebhooks.com).

Forty lines of the standard library; a dependency would bring no more than these.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import time
from collections.abc import Callable, Mapping
from hashlib import sha256

import msgspec

from unbusy_client.errors import InvalidWebhook
from unbusy_client.problems import UNREADABLE
from unbusy_client.views import Happened

# The standard's advice: a message that was recorded cannot be sent again after that.
TOLERANCE_S = 5 * 60

_PREFIX = "whsec_"
_SHORTEST_SECRET = 16
_LONGEST_NUMBER = 12


class Webhooks:
    """Verifies what is sent to one endpoint. `secret` is what the wallet showed for it: `whsec_…`."""

    def __init__(self, secret: str, *, clock: Callable[[], float] = time.time) -> None:
        try:
            self._key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
        except binascii.Error as error:
            raise ValueError("the secret of a webhook is base64, after `whsec_`") from error
        if len(self._key) < _SHORTEST_SECRET:
            raise ValueError("this secret is too short to be one")
        self._clock = clock

    def verify(self, body: bytes, headers: Mapping[str, str]) -> Happened:
        """What happened, with the message's id: keep it, for a message may come more than once.

        `body` is what arrived, byte for byte. Raises InvalidWebhook.
        """
        given = {name.lower(): value for name, value in headers.items()}
        id, sent_at = given.get("webhook-id", ""), given.get("webhook-timestamp", "")
        expected = self._sign(id, sent_at, body)
        signatures = [one.removeprefix("v1,") for one in given.get("webhook-signature", "").split() if one[:3] == "v1,"]
        if not id or not any(hmac.compare_digest(expected, one.encode()) for one in signatures):
            raise InvalidWebhook("not signed with this secret")
        if not _is_number(sent_at) or abs(self._clock() - int(sent_at)) > TOLERANCE_S:
            raise InvalidWebhook("sent too long ago, or one of the two clocks is wrong")
        try:
            return msgspec.structs.replace(msgspec.json.decode(body, type=Happened), id=id)
        except UNREADABLE as error:
            raise InvalidWebhook("signed, but it cannot be read") from error

    def _sign(self, id: str, sent_at: str, body: bytes) -> bytes:
        signed = f"{id}.{sent_at}.".encode() + body
        return base64.b64encode(hmac.digest(self._key, signed, sha256))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _LONGEST_NUMBER
