"""The sandbox bank refuses what a bank must refuse, so that a connector that passes here can be trusted there."""

from __future__ import annotations

from pathlib import Path

import httpx
import msgspec
import pytest
from tests.banks.sandbox import ANNA, Sandbox, instruction

from unbusy.banks import Direction, roster
from unbusy.banks.openbanking import Table, messages
from unbusy.banks.openbanking.signatures import Signer
from unbusy.clock import SystemClock
from unbusy.ids import Ids


class Developer:
    """Somebody who writes to the bank by hand, as the client it knows."""

    def __init__(self, sandbox: Sandbox) -> None:
        entry, *_ = roster.read(Path(sandbox.settings().banks))
        assert isinstance(entry, roster.Entry)
        assert isinstance(entry.table, Table)
        self.table = entry.table
        clock = SystemClock()
        self.signer = Signer(self.table.client_id, entry.keys, clock=clock, ids=Ids(clock))
        self.token = self.ask_for_token(self.table.token_url).json()["access_token"]

    def ask_for_token(self, audience: str, **changed: str) -> httpx.Response:
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": self.signer.assertion(audience),
        }
        return httpx.post(self.table.token_url, data=form | changed)

    def post(self, path: str, body: bytes, **headers: str) -> httpx.Response:
        usual = {
            "authorization": f"Bearer {self.token}",
            "x-jws-signature": self.signer.sign(body),
            "x-idempotency-key": "by-hand",
        }
        sent = usual | {name.replace("_", "-"): value for name, value in headers.items()}
        return httpx.post(f"{self.table.url}{path}", content=body, headers=sent)

    def pay(self, amount: int = 1_250, reference: str = "") -> tuple[bytes, httpx.Response]:
        """A push with the consent it needs; gives the message and what the bank says to it."""
        told = instruction(Direction.push, amount)
        told = msgspec.structs.replace(told, reference=reference or told.reference)
        key = f"{told.reference}-{amount}"
        asked = self.post(
            "/domestic-payment-consents", messages.consent(told, self.table.account), x_idempotency_key=key
        )
        body = messages.payment(told, self.table.account, asked.json()["Data"]["ConsentId"])
        return body, self.post("/domestic-payments", body)


@pytest.fixture
def developer(sandbox: Sandbox) -> Developer:
    return Developer(sandbox)


def test_a_good_message_is_executed(developer: Developer) -> None:
    """The measure of the refusals below."""
    _, answer = developer.pay()
    assert (answer.status_code, answer.json()["Data"]["Status"]) == (201, "ACCC")
    assert developer.signer.is_banks(answer.content, answer.headers["x-jws-signature"])
    assert not developer.signer.is_banks(answer.content + b" ", answer.headers["x-jws-signature"])


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": ""},
        {"authorization": "Bearer nonsense"},
        {"x_jws_signature": ""},
        {"x_jws_signature": "a.b.c"},
        {"x_idempotency_key": ""},
    ],
    ids=str,
)
def test_who_speaks_must_be_known(sandbox: Sandbox, developer: Developer, headers: dict[str, str]) -> None:
    """Without a good token, a good signature and a key, nothing is done."""
    body, _ = developer.pay()
    told = instruction(Direction.push)
    other = body.replace(
        msgspec.json.decode(body)["Data"]["Initiation"]["EndToEndIdentification"].encode(), told.reference.encode()
    )
    answer = developer.post("/domestic-payments", other, **headers)
    assert answer.status_code == (401 if "authorization" in headers else 400)
    assert sandbox.executed(told.reference) == 0


def test_a_signature_is_for_one_message(sandbox: Sandbox, developer: Developer) -> None:
    """Whoever changes a digit on the way must sign again."""
    body, _ = developer.pay()
    forged = body.replace(b'"12.50"', b'"99.50"')
    assert developer.post("/domestic-payments", forged, x_jws_signature=developer.signer.sign(body)).status_code == 400


@pytest.mark.parametrize("change", [{"grant_type": "password"}, {"client_assertion": "e30.e30.e30"}], ids=str)
def test_a_token_is_for_the_client(developer: Developer, change: dict[str, str]) -> None:
    """Another grant, or an assertion that the client did not sign for this bank."""
    assert developer.ask_for_token(developer.table.token_url, **change).status_code == 401
    assert developer.ask_for_token("https://another.bank/token").status_code == 401


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b'{"Data": {}}',
        b"[" * 60_000,
        b'{"Data": "' + b"x" * 70_000 + b'"}',
        b"\xff\xfe",
    ],
    ids=lambda body: str(body[:12]),
)
def test_what_cannot_be_read_is_refused(developer: Developer, body: bytes) -> None:
    """Nothing, half of it, too deep, too long, no text: a sentence, and no harm."""
    assert developer.post("/domestic-payments", body).status_code == 400


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        (b'"12.50"', b'"-12.50"'),
        (b'"12.50"', b'"12.505"'),
        (b'"12.50"', b'"0.00"'),
        (b'"EUR"', b'"XYZ"'),
        (ANNA.iban.encode(), b"FR1420041010050500013M02606"),
        (b"GB33BUKB20201555555555", b"GB94BARC10201530093459"),
    ],
    ids=str,
)
def test_what_was_not_agreed_is_refused(developer: Developer, right: bytes, wrong: bytes) -> None:
    """No amount, no currency, another account than the consent is for."""
    body, first = developer.pay()
    reference = msgspec.json.decode(body)["Data"]["Initiation"]["EndToEndIdentification"].encode()
    assert first.status_code == 201
    changed = body.replace(reference, b"another-reference").replace(right, wrong)
    assert developer.post("/domestic-payments", changed).status_code == 400


def test_a_reference_names_one_payment(developer: Developer) -> None:
    """Another amount under the same reference is refused, and the first stays what it was."""
    _, first = developer.pay(1_250, "the-same")
    _, other = developer.pay(1_251, "the-same")
    _, again = developer.pay(1_250, "the-same")
    assert (first.status_code, other.status_code) == (201, 400)
    assert again.json() == first.json()


def test_faults_are_spelt_right(sandbox: Sandbox) -> None:
    """A fault that does not exist is not switched on in silence."""
    for wrong in (b"", b'{"kind": "earthquake"}', b'{"kind": "slow", "often": 1}', b'{"kind": "slow", "rate": 2}'):
        assert httpx.post(f"{sandbox.address}/faults", content=wrong).status_code == 400
    assert httpx.get(f"{sandbox.address}/faults").json() == []
    assert httpx.get(f"{sandbox.address}/nowhere").status_code == 404
