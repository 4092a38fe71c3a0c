"""The small parts: the wallet's clock, streams of events, webhooks, and two clients that are one."""

from __future__ import annotations

import ast
import base64
import hmac
import inspect
import itertools
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unbusy_client import AsyncClient, Client, InvalidWebhook, Webhooks
from unbusy_client.event_stream import EventReader
from unbusy_client.server_time import ServerTime

BEGAN = datetime(2026, 3, 10, 12, tzinfo=UTC)

# ── the wallet's clock ───────────────────────────────────────────────────────────────────────

_Answers = st.lists(st.tuples(st.floats(0, 1_000), st.floats(0, 5), st.floats(0, 1.9)), min_size=1, max_size=20)


@given(_Answers)
def test_the_wallets_clock_is_never_thought_to_be_ahead(answers: list[tuple[float, float, float]]) -> None:
    """However old a `Date` is and however long its answer took: what is waited for has come at the wallet."""
    time = ServerTime()
    for said_at, took_s, stale_s in answers:
        date = BEGAN + timedelta(seconds=said_at - stale_s)
        time.hear_date(format_datetime(date.replace(microsecond=0), usegmt=True), said_at + took_s)
    at = time.monotonic(BEGAN + timedelta(seconds=2_000))
    assert at is not None
    assert at >= 2_000 - 1e-3


def test_a_clock_that_was_set_back_is_believed() -> None:
    """A wallet whose clock was an hour fast and was mended is not waited for an hour too short."""
    time = ServerTime()
    time.hear_date(format_datetime(BEGAN + timedelta(hours=1), usegmt=True), 0)
    time.hear_date(format_datetime(BEGAN, usegmt=True), 0)
    assert time.monotonic(BEGAN) == 0


@pytest.mark.parametrize(
    "header", [None, "", "yesterday", "Tue, 10 Mar 2026 12:00:00", "Tue, 99 Mar 2026 12:00:00 GMT"]
)
def test_what_is_no_date_teaches_nothing(header: str | None) -> None:
    """Nonsense, and a time without a zone."""
    time = ServerTime()
    time.hear_date(header, 0)
    assert time.monotonic(BEGAN) is None


# ── streams of events ────────────────────────────────────────────────────────────────────────

STREAM = (
    b'retry: 1500\n\n:\n\nid: 1-0\r\nevent: payment.completed\r\ndata: {"type": "payment.completed",\r\n'
    b'data: "at": "2026-03-10T12:00:00Z"}\r\n\r\nevent: x\n\nid: 2-0\nevent: of.a.newer.wallet\ndata: no json \xff\n\n'
)


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_a_stream_is_read_however_it_is_cut(cuts: list[int]) -> None:
    """The same events from any pieces, line ends of any kind, comments and unknown things passed over."""
    reader, edges = EventReader(None), [0, *sorted(cuts), len(STREAM)]
    pieces = [STREAM[begin:end] for begin, end in itertools.pairwise(edges)]
    events = [event for piece in pieces for event in reader.feed(piece)]
    assert [(event.id, event.type) for event in events] == [("1-0", "payment.completed"), ("2-0", "of.a.newer.wallet")]
    assert (events[0].at, reader.last_id, reader.retry_s) == (BEGAN, "2-0", 1.5)


def test_an_event_counts_once_it_was_taken() -> None:
    """Who stops reading in the middle goes on with what was not taken."""
    reader = EventReader("0-0")
    events = reader.feed(STREAM)
    next(events)
    assert reader.last_id == "1-0"


# ── webhooks ─────────────────────────────────────────────────────────────────────────────────

SECRET = "whsec_" + base64.b64encode(b"a secret of twenty-four").decode()
BODY = json.dumps({"type": "payment.completed", "at": "2026-03-10T12:00:00Z"}).encode()
NOW = 1_770_000_000


def signed(body: bytes = BODY, *, id: str = "msg_1", at: str = str(NOW), secret: str = SECRET) -> dict[str, str]:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signature = base64.b64encode(hmac.digest(key, f"{id}.{at}.".encode() + body, sha256)).decode()
    return {"Webhook-Id": id, "Webhook-Timestamp": at, "Webhook-Signature": f"v1,bad== v1a,other v1,{signature}"}


def webhooks() -> Webhooks:
    return Webhooks(SECRET, clock=lambda: NOW + 100.5)


def test_a_webhook_is_verified() -> None:
    """One good signature of several is enough, as while a secret is changed; the id is the message's."""
    happened = webhooks().verify(BODY, signed())
    assert (happened.id, happened.type, happened.at) == ("msg_1", "payment.completed", BEGAN)


def test_the_standards_own_example() -> None:
    """The example that the standard's libraries are tested with."""
    own = Webhooks("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", clock=lambda: 1614265330.0)
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    with pytest.raises(InvalidWebhook, match="cannot be read"):  # signed well, and not of a wallet
        own.verify(b'{"test": 2432232314}', headers)


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (BODY + b" ", signed()),
        (BODY, signed(secret="whsec_" + base64.b64encode(b"another secret, as long").decode())),
        (BODY, signed() | {"Webhook-Id": "msg_2"}),
        (BODY, signed() | {"Webhook-Timestamp": str(NOW + 1)}),
        (BODY, signed(at=str(NOW - 301))),
        (BODY, signed(at=str(NOW + 500))),
        (BODY, signed(at="-1")),
        (BODY, signed(at="9" * 400)),
        (BODY, signed() | {"Webhook-Signature": ""}),
        (BODY, signed() | {"Webhook-Signature": "v1,schlüssel"}),
        (BODY, {}),
        (b"no json", signed(b"no json")),
        (b"{}", signed(b"{}")),
        (b'{"type": "\xff"}', signed(b'{"type": "\xff"}')),
    ],
)
def test_a_forged_webhook_is_found(body: bytes, headers: dict[str, str]) -> None:
    """Another body, secret, id or time, a message that is too old, or none at all."""
    with pytest.raises(InvalidWebhook):
        webhooks().verify(body, headers)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_MTIz", "no base64!"])
def test_a_secret_that_is_none_is_refused(secret: str) -> None:
    """At the start, not with the first message."""
    with pytest.raises(ValueError, match="secret"):
        Webhooks(secret)


# ── two clients that are one ─────────────────────────────────────────────────────────────────


def test_both_clients_have_the_same_verbs() -> None:
    """The same names, arguments and defaults; what one gives at once the other gives to who awaits it."""
    sync, asynchronous = dict(_verbs(Client)), dict(_verbs(AsyncClient))
    assert list(sync) == list(asynchronous)
    assert len(sync) > 20
    for name, verb in sync.items():
        expected, found = inspect.signature(verb), inspect.signature(asynchronous[name])
        assert expected.parameters == found.parameters, name
        given = str(found.return_annotation).replace("AsyncGenerator[", "Iterator[")
        assert expected.return_annotation == given, name
        assert inspect.iscoroutinefunction(asynchronous[name]) != given.startswith("Iterator["), name
        assert verb.__doc__ == asynchronous[name].__doc__, name


def test_neither_client_decides_anything() -> None:
    """There is no `if` about an answer in them: a decision made twice is made differently one day."""
    for client in (Client, AsyncClient):
        for name, verb in _verbs(client):
            tree = ast.parse(inspect.cleandoc("\n" + inspect.getsource(verb)))
            branches = [node for node in ast.walk(tree) if isinstance(node, ast.If | ast.Try | ast.While | ast.For)]
            assert not branches or name == "close", name


def _verbs(client: type) -> Iterator[tuple[str, Any]]:
    return ((name, verb) for name, verb in vars(client).items() if not name.startswith("_") and callable(verb))
