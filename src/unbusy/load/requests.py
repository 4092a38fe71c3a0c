"""Streams of the requests that clients of a wallet send, as bytes that are made before the clock runs. Pure."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence

from unbusy.load.model import Client, Payer, Stream

# Who pays whom repeats after so many payments.
_MOST_PAIRS = 20_000
# What each of them may receive: amounts differ, so that a wrong one shows.
_AMOUNTS = (1, 7, 42, 99)


def payments(
    name: str,
    payers: Sequence[Payer],
    asset: str,
    rate: float,
    begins_s: float,
    ends_s: float,
    *,
    chance: random.Random,
    client: Client = Client.cooperative,
    payee: Payer | None = None,
    is_queued: bool = False,
) -> Stream:
    """Payments between random ones of `payers`, or from all of them to `payee`. Some cents each."""
    payees = [payee] if payee else list(payers)
    tails = [_payment(payee.id, amount, asset, is_queued=is_queued) for payee in payees for amount in _AMOUNTS]
    pairs: list[tuple[int, int]] = []
    while len(pairs) < min(_MOST_PAIRS, int(rate * (ends_s - begins_s)) + 1):
        payer, tail = chance.randrange(len(payers)), chance.randrange(len(tails))
        if payers[payer].id != payees[tail // len(_AMOUNTS)].id:
            pairs.append((payer, tail))
    return Stream(
        name=name,
        rate=rate,
        begins_s=begins_s,
        ends_s=ends_s,
        heads=[_head("POST", "/v1/payments", payer.token) + b"\r\nIdempotency-Key: " for payer in payers],
        tails=tails,
        pairs=pairs,
        client=client,
        keeps_answers=is_queued,
    )


def transits(
    name: str,
    path: str,
    linked: Sequence[tuple[Payer, str]],
    amounts: Sequence[int],
    asset: str,
    rate: float,
    ends_s: float,
    *,
    chance: random.Random,
) -> Stream:
    """Money over the edge of the wallet: top-ups or payouts by the `path`, each of a random one of `linked` (who, and
    their bank account) and of a random amount."""
    payers = [payer for payer, _ in linked]
    tails: dict[bytes, int] = {}
    pairs: list[tuple[int, int]] = []
    for _ in range(min(_MOST_PAIRS, int(rate * ends_s) + 1)):
        who = chance.randrange(len(linked))
        body = {"bank_account": linked[who][1], "amount": chance.choice(amounts), "asset": asset}
        pairs.append((who, tails.setdefault(_body(body), len(tails))))
    heads = [_head("POST", path, payer.token) + b"\r\nIdempotency-Key: " for payer in payers]
    return Stream(name=name, rate=rate, begins_s=0, ends_s=ends_s, heads=heads, tails=list(tails), pairs=pairs)


def reads(
    name: str,
    asked: Sequence[tuple[Payer, str]],
    rate: float,
    begins_s: float,
    ends_s: float,
    *,
    client: Client = Client.leaves,
    keeps_answers: bool = False,
) -> Stream:
    """GETs: each of `asked` is who asks and the path, taken in turn."""
    return Stream(
        name=name,
        rate=rate,
        begins_s=begins_s,
        ends_s=ends_s,
        heads=[_head("GET", path, payer.token) for payer, path in asked],
        tails=[b"\r\n\r\n"],
        pairs=[(number, 0) for number in range(len(asked))],
        client=client,
        has_key=False,
        keeps_answers=keeps_answers,
    )


def _head(method: str, path: str, token: str) -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: drill\r\nAuthorization: Bearer {token}".encode()


def _payment(payee: str, amount: int, asset: str, *, is_queued: bool) -> bytes:
    prefer = "Prefer: respond-async\r\n" if is_queued else ""
    return _body({"payee": payee, "amount": amount, "asset": asset}, prefer)


def _body(fields: Mapping[str, object], prefer: str = "") -> bytes:
    body = json.dumps(fields, separators=(",", ":"))
    return f"\r\n{prefer}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
