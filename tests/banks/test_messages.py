"""What a connector makes of a bank's words, and of the file that says which banks there are."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from tests.banks.sandbox import instruction

from unbusy.banks import DECLINES, Direction, State, connect, roster
from unbusy.banks.iso8583 import ISO8583
from unbusy.banks.iso20022 import ISO20022
from unbusy.banks.openbanking import OpenBanking, messages
from unbusy.banks.openbanking.messages import Payment
from unbusy.banks.sandbox import prepare
from unbusy.clock import SystemClock
from unbusy.errors import SetupError
from unbusy.ids import Ids
from unbusy.settings import Settings


@pytest.mark.parametrize(
    ("status", "push", "pull"),
    [
        ("ACCC", State.settled, State.settled),
        ("ACSC", State.settled, State.accepted),
        ("ACSP", State.accepted, State.accepted),
        ("RCVD", State.accepted, State.accepted),
        ("PDNG", State.accepted, State.accepted),
        ("RJCT", State.declined, State.declined),
        ("CANC", State.declined, State.declined),
        ("BLCK", State.unknown, State.unknown),
        ("ACCEPTED", State.unknown, State.unknown),
        ("", State.unknown, State.unknown),
    ],
)
def test_only_what_is_certain_is_said(status: str, push: State, pull: State) -> None:
    """A pull is not settled before our account has it, and a status nobody has heard of is no answer."""
    assert Payment(status=status).result(Direction.push).state is push
    assert Payment(status=status).result(Direction.pull).state is pull


def test_a_reason_we_do_not_know_is_a_refusal() -> None:
    """Banks have hundreds of codes; what is declined is declined, and in a word of the closed list."""
    told = msgspec.json.decode(b'{"Status":"RJCT","StatusReason":[{"StatusReasonCode":"XX99"}]}', type=Payment)
    assert told.result(Direction.push).reason == "refused"
    assert Payment(status="RJCT").result(Direction.pull).reason == "refused"
    assert "refused" in DECLINES


@pytest.mark.parametrize("direction", list(Direction))
def test_an_answer_must_be_about_the_question(direction: Direction) -> None:
    """Another reference, another amount or another currency: whatever it is, it is not our answer."""
    told = instruction(direction)
    part = "Instruction" if direction is Direction.pull else "Initiation"

    def answered(reference: str, amount: str, currency: str) -> bool:
        moved = {"EndToEndIdentification": reference, "InstructedAmount": {"Amount": amount, "Currency": currency}}
        return messages.is_about(msgspec.convert({"Status": "ACCC", part: moved}, Payment), told)

    assert answered(told.reference, "12.50", "EUR")
    assert not answered("another", "12.50", "EUR")
    assert not answered(told.reference, "12.51", "EUR")
    assert not answered(told.reference, "12.50", "USD")


def test_the_same_instruction_is_the_same_message() -> None:
    """A bank compares what comes under the same key; so not a byte may differ from one try to the next."""
    told = instruction(Direction.push)
    ours = told.account
    assert messages.payment(told, ours, "c") == messages.payment(told, ours, "c")
    assert messages.consent_key(told, ours) == told.reference
    pulls = [instruction(Direction.pull, amount) for amount in (1, 2)]
    assert len({messages.consent_key(pull, ours) for pull in pulls}) == 1


@pytest.fixture(scope="module")
def banks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    banks = prepare(tmp_path_factory.mktemp("bank"), "http://127.0.0.1:1")
    banks.with_name("short.key").write_text("00" * 8)
    return banks


def test_a_roster_is_read(banks: Path) -> None:
    """Each table is a bank; no file is no bank."""
    clock = SystemClock()
    assert list(connect(Settings(), clock=clock, ids=Ids(clock))) == []
    entries = roster.read(banks)
    assert [(entry.id, entry.table.name, entry.table.timeout_s) for entry in entries] == [
        ("sandbox", "Sandbox Bank", 5.0),
        ("partner", "Sandbox Partner Bank", 5.0),
        ("switch", "Sandbox Switch Bank", 5.0),
    ]
    assert [
        type(connector) for connector in connect(Settings(banks=str(banks)), clock=clock, ids=Ids(clock)).values()
    ] == [
        OpenBanking,
        ISO20022,
        ISO8583,
    ]
    assert banks.stat().st_mode & 0o077 == 0
    assert (banks.parent / "client.pem").stat().st_mode & 0o077 == 0
    assert (banks.parent / "switch.key").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("http://127.0.0.1:1/token", "http://bank.example/token"),
        ("http://127.0.0.1:1/token", "http://127.0.0.1.bank.example/token"),
        ("[sandbox]", "[Sandbox]"),
        ("client.pem", "nowhere.pem"),
        ("client.pem", "banks.toml"),
        ('client_id = "unbusy"', ""),
        ('client_id = "unbusy"', 'client_id = "unbusy"\ncolour = "red"'),
        ("name", "name ="),
        ('dialect = "iso20022"', 'dialect = "esperanto"'),
        ('dialect = "iso20022"', ""),
        ("SANDGB2LXXX", "SAND"),
        ('bic = "UNBUGB2LXXX"', ""),
        ("tcp://127.0.0.1:1", "tcp://switch.bank.example:1"),
        ("tcp://127.0.0.1:1", "tcp://127.0.0.1"),
        ("tcp://127.0.0.1:1", "http://127.0.0.1:1"),
        ("switch.key", "client.pem"),
        ("switch.key", "short.key"),
        ('institution = "42017"', 'institution = "UNBUSY"'),
    ],
)
def test_a_wrong_roster_stops_the_start(banks: Path, right: str, wrong: str) -> None:
    """With a sentence; above all where a bank would be spoken to in the open."""
    spoilt = banks.with_name("spoilt.toml")
    spoilt.write_text(banks.read_text().replace(right, wrong, 1))
    with pytest.raises(SetupError):
        roster.read(spoilt)
    with pytest.raises(SetupError):
        roster.read(banks.with_name("missing.toml"))
