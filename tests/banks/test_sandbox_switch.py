"""The sandbox bank as a switch refuses what a switch must refuse, and takes back what it is told to."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Generator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.banks.sandbox import ANNA, Sandbox, instruction

from unbusy.banks import Direction, ExternalAccount, roster
from unbusy.banks.iso8583 import messages
from unbusy.banks.iso8583.messages import Ends, Fields

_traces = itertools.count(1)


class Client:
    """Somebody who writes to the switch by hand, as the client it knows."""

    def __init__(self, sandbox: Sandbox) -> None:
        *_, entry = roster.read(Path(sandbox.settings().banks))
        assert isinstance(entry, roster.Switch)
        self.ends = Ends(entry.table.account, entry.table.institution)
        self.seals = entry.seals
        parts = urlsplit(entry.table.url)
        assert parts.hostname
        self._socket = socket.create_connection((parts.hostname, parts.port or 0), timeout=30)

    def close(self) -> None:
        self._socket.close()

    def ask(self, fields: Fields) -> Fields:
        """The answer to a message."""
        self.say(messages.encode(messages.stamped(fields, next(_traces), datetime.now(UTC)), self.seals))
        return self.heard()

    def say(self, told: bytes) -> None:
        self._socket.sendall(told)

    def heard(self) -> Fields:
        """The next message; nothing when the bank has hung up."""
        try:
            if not (size := self._socket.recv(2)):
                return {}
            return messages.decode(self._socket.recv(int.from_bytes(size, "big"), socket.MSG_WAITALL), self.seals)
        except ConnectionResetError:
            return {}

    def sign_on(self) -> None:
        assert self.ask(messages.management(messages.SIGN_ON, self.ends))["39"] == "00"

    def pay(self, **changed: str) -> Fields:
        """A push that is changed so."""
        fields = messages.payment(instruction(Direction.push), self.ends)
        return self.ask(fields | {name.removeprefix("f"): value for name, value in changed.items()})


@pytest.fixture
def client(sandbox: Sandbox) -> Generator[Client]:
    client = Client(sandbox)
    client.sign_on()
    yield client
    client.close()


def test_a_good_message_is_executed(client: Client) -> None:
    """The measure of the refusals below; a repeat is answered as the first was."""
    told = messages.payment(instruction(Direction.push), client.ends)
    first = client.ask(told)
    assert (first["t"], first["39"]) == ("0210", "00")
    again = client.ask(told | {"t": "0201"})
    assert (again["t"], again["39"], again["38"]) == ("0210", "00", first["38"])


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("t", "0100", "12"),
        ("3", "000000", "30"),
        ("4", "000000000000", "30"),
        ("4", "00000001.250", "30"),
        ("32", "42018", "30"),
        ("49", "000", "30"),
        ("62", "", "30"),
        ("63", "no reference", "30"),
        ("102", ANNA.iban, "30"),
        ("103", "no account", "30"),
    ],
)
def test_what_is_wrong_is_refused(client: Client, field: str, value: str, code: str) -> None:
    """With a code, and the connection goes on."""
    assert client.pay(**{f"f{field}": value})["39"] == code
    assert client.pay()["39"] == "00"


def test_a_reference_names_one_payment(client: Client) -> None:
    """Another amount under the same reference is refused."""
    told = messages.payment(instruction(Direction.push), client.ends)
    assert client.ask(told)["39"] == "00"
    assert client.ask(told | {"4": "000000000001"})["39"] == "30"


def test_who_has_not_signed_on_is_not_heard(sandbox: Sandbox) -> None:
    """Also one who has signed off."""
    client = Client(sandbox)
    assert client.pay()["39"] == "58"
    assert client.ask(messages.management(messages.ECHO, client.ends))["39"] == "00"
    assert client.ask(messages.management("999", client.ends))["39"] == "12"
    assert client.pay()["39"] == "58"
    client.sign_on()
    assert client.pay()["39"] == "00"
    assert client.ask(messages.management(messages.SIGN_OFF, client.ends))["39"] == "00"
    assert client.pay()["39"] == "58"
    client.close()


@pytest.mark.parametrize(
    "said",
    [b"\x00\x00", b"\x07\xff" + b"0" * 2_047, b"\x00\x040200", b"\x08\x01"],
    ids=["none", "code", "short", "long"],
)
def test_nonsense_is_hung_up_on(client: Client, said: bytes) -> None:
    """No length that a message has, or no code of the client's: nothing more is said on this connection."""
    client.say(said)
    assert client.heard() == {}


def test_a_reversal_takes_back(sandbox: Sandbox, client: Client) -> None:
    """What moved is moved back, once; the payment is found as taken back, and comes no more."""
    kofi = ExternalAccount("NL91ABNA0417164300", "Kofi Mensah")
    for direction in Direction:
        sandbox.open_account(kofi, balance=10_000)
        told = instruction(direction, 1_250, kofi)
        assert client.ask(messages.payment(told, client.ends))["39"] == "00"
        for type in ("0420", "0421"):
            reversal = messages.reversal(told.reference, direction, client.ends)
            answer = client.ask(reversal | {"t": type})
            assert (answer["t"], answer["39"]) == ("0430", "00")
            assert sandbox.balance(kofi) == 10_000
        assert client.ask(messages.enquiry(told.reference, direction, client.ends))["39"] == "17"
        assert client.ask(messages.payment(told, client.ends))["39"] == "17"
        assert sandbox.executed(told.reference) == 0


def test_what_was_spent_is_not_taken_back(sandbox: Sandbox, client: Client) -> None:
    """Then the payment stands, and the bank says so."""
    kofi = ExternalAccount("NL91ABNA0417164300", "Kofi Mensah")
    sandbox.open_account(kofi, balance=0)
    told = instruction(Direction.push, 1_250, kofi)
    assert client.ask(messages.payment(told, client.ends))["39"] == "00"
    sandbox.open_account(kofi, balance=1_249)
    assert client.ask(messages.reversal(told.reference, told.direction, client.ends))["39"] == "21"
    assert client.ask(messages.enquiry(told.reference, told.direction, client.ends))["39"] == "00"


def test_the_end_is_told(sandbox: Sandbox, client: Client) -> None:
    """Of what was under way, on the connection it was asked for on."""
    sandbox.break_with(kind="pending", operation="send", seconds=0.1)
    told = client.pay()
    assert told["39"] == "09"
    advice = client.heard()
    assert (advice["t"], advice["39"], advice["63"], advice["37"]) == ("0220", "00", told["63"], told["37"])
    client.say(messages.encode(messages.answer(advice, "00"), client.seals))
    sandbox.mend()
    assert client.pay()["39"] == "00"
