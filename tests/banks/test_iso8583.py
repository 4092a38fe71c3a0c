"""A switch on one connection: answers find their questions, and what is odd harms nobody."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import structlog
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, strategies
from tests.banks.sandbox import ANNA, instruction
from tests.banks.switches import BANKS, OURS, ScriptedSwitch, approved

from unbusy.banks import DECLINES, Direction, ExternalAccount, Instruction, Result, State, wire
from unbusy.banks.iso8583 import ISO8583, messages, verdicts
from unbusy.banks.iso8583.messages import Ends, Fields, Unfit

ENDS = Ends(ExternalAccount("GB82WEST12345698765432", "unbusy"), "42017")
AT = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


@pytest.fixture
async def switch() -> AsyncGenerator[ScriptedSwitch]:
    async with ScriptedSwitch() as switch:
        yield switch


@pytest.fixture
async def connector(switch: ScriptedSwitch) -> AsyncGenerator[ISO8583]:
    connector = switch.connector()
    yield connector
    await connector.close()


def sealed(fields: Fields) -> bytes:
    """As the bank would say it."""
    return messages.encode(fields, BANKS)


def forged(told: bytes, right: bytes, wrong: bytes) -> bytes:
    assert right in told
    return told.replace(right, wrong, 1)


async def test_answers_find_their_questions(switch: ScriptedSwitch, connector: ISO8583) -> None:
    """Forty questions under way on one connection, answered from the last to the first, and each twice."""
    told = [instruction(Direction.push) for _ in range(40)]
    sending = [asyncio.create_task(connector.send(one)) for one in told]
    asked = [await switch.heard() for _ in told]
    assert switch.lines == 1
    for one in reversed(asked):
        for _ in range(2):
            switch.say(approved(one, one["63"][-6:]))
    assert [answer.bank_reference for answer in await asyncio.gather(*sending)] == [one.reference[-6:] for one in told]
    assert len({one["11"] for one in asked}) == len({one["37"] for one in asked}) == len(told)


@pytest.mark.parametrize("field", ["11", "37", "7"])
async def test_another_questions_answer_is_none(switch: ScriptedSwitch, connector: ISO8583, field: str) -> None:
    """An answer that repeats another trace number, reference or time is told of and passed over; ours still comes."""
    sending = asyncio.create_task(connector.send(instruction(Direction.push)))
    asked = await switch.heard()
    with structlog.testing.capture_logs() as logs:
        switch.say(approved(asked) | {field: asked[field][:-1] + ("1" if asked[field][-1] == "0" else "0")})
        switch.say(approved(asked))
        assert (await sending).state is State.settled
    assert [one["event"] for one in logs] == ["bank_answer_unasked"]


async def test_a_late_answer_is_heard(switch: ScriptedSwitch) -> None:
    """Who gave up knows nothing, but what the bank says then is told of; it is asked all the same, for somebody else
    may have reversed the payment meanwhile."""
    connector = switch.connector(timeout_s=0.25)
    told = instruction(Direction.push)
    sending = asyncio.create_task(connector.send(told))
    asked = await switch.heard()
    assert await sending == Result(State.unknown)
    with structlog.testing.capture_logs() as logs:
        switch.say(approved(asked))
        enquiring = asyncio.create_task(connector.enquire(told.reference, Direction.push))
        enquiry = await switch.heard()
        assert (enquiry["t"], enquiry["37"]) == ("0600", asked["37"])
        switch.say(approved(enquiry))
        assert (await enquiring).state is State.settled
    (late,) = [one for one in logs if one["event"] == "bank_answer_late"]
    assert (late["reference"], late["code"], late["bank_reference"]) == (told.reference, "00", "ABC123")
    assert switch.lines == 1
    await connector.close()


@pytest.mark.parametrize(
    "changed",
    [{"4": "000000001251"}, {"49": "840"}, {"63": "another"}, {"3": "100000"}],
    ids=["amount", "currency", "reference", "direction"],
)
async def test_other_money_is_no_answer(switch: ScriptedSwitch, connector: ISO8583, changed: Fields) -> None:
    """An answer to our question that tells of another payment says nothing of ours."""
    sending = asyncio.create_task(connector.send(instruction(Direction.push)))
    switch.say(approved(await switch.heard()) | changed)
    assert await sending == Result(State.unknown)


GOOD = sealed({"t": "0810", "7": "1125120000", "11": "000001", "39": "00"})
MALFORMED = {
    "nothing": b"\x00\x00",
    "too long": b"\xff\xff",
    "no code": b"\x00\x0c0210" + bytes(8),
    "forged": forged(GOOD, b"1125", b"1126"),
    "our own word": messages.encode({"t": "0810", "7": "1125120000", "11": "000001", "39": "00"}, OURS),
    "HTTP": b"HTTP/1.1 400 Bad Request\r\n\r\n",
}


@pytest.mark.parametrize("said", MALFORMED.values(), ids=list(MALFORMED))
async def test_a_bank_that_makes_no_sense_is_hung_up_on(
    switch: ScriptedSwitch, connector: ISO8583, said: bytes
) -> None:
    """What is under way is unknown at once, and the next call has a connection that can be trusted."""
    sending = asyncio.create_task(connector.send(instruction(Direction.push)))
    await switch.heard()
    switch.say_bytes(said)
    assert await sending == Result(State.unknown)
    sending = asyncio.create_task(connector.send(instruction(Direction.push)))
    switch.say(approved(await switch.heard()))
    assert (await sending).state is State.settled
    assert switch.lines == 2


@given(strategies.binary(max_size=200))
def test_what_cannot_be_read_is_unfit(body: bytes) -> None:
    """Whatever is in a message, also under a good code: it is read, or it is refused."""
    for told in (body, b"0210" + body):
        try:
            fields = messages.decode(told + BANKS.seal(told), OURS)
        except Unfit:
            continue
        assert fields["t"].isdecimal()


@pytest.mark.parametrize(
    "body",
    [
        b"0210" + bytes.fromhex("8000000000000001" + "0000000000000000"),  # a second bitmap, and the code in the first
        b"0210" + bytes.fromhex("8000000000000000" + "8000000000000000" + "8000000000000001"),  # a third bitmap
        b"0210" + bytes.fromhex("4000000000000001") + b"99" + b"1" * 16,  # longer than it may be
        b"0210" + bytes.fromhex("4000000000000001") + b"-1",
        b"0210" + bytes.fromhex("0000000000000004") + b"003\xff\xfe\xfd",  # no text
        b"0210" + bytes.fromhex("0000000002000000") + b"00",  # nothing left for a code
        b"02A0" + bytes.fromhex("0000000000000001"),
        b"",
    ],
    ids=lambda body: body.hex()[8:28],
)
def test_a_wrong_bitmap_is_unfit(body: bytes) -> None:
    """Fields that are announced must be there, no more and no less, and the code last."""
    with pytest.raises(Unfit):
        messages.decode(body + BANKS.seal(body), OURS)


async def test_the_bank_is_answered(switch: ScriptedSwitch, connector: ISO8583) -> None:
    """It asks whether we are there, and tells how a payment ended; what it should not ask is refused."""
    sending = asyncio.create_task(connector.send(instruction(Direction.push)))
    asked = await switch.heard()
    switch.say(messages.stamped(messages.management(messages.ECHO, ENDS), 7, AT))
    switch.say(asked | {"t": "0220", "39": "00"})
    switch.say(asked | {"t": "0421"})
    answers = [await switch.heard() for _ in range(3)]
    assert [(one["t"], one["39"]) for one in answers] == [("0810", "00"), ("0230", "00"), ("0430", "12")]
    assert answers[1]["11"] == asked["11"]
    switch.say(approved(asked))
    assert (await sending).state is State.settled


async def test_a_silent_bank_is_asked_whether_it_is_there(switch: ScriptedSwitch) -> None:
    """As long as it says so the connection stays; when it does not there is a new one."""
    connector = switch.connector(timeout_s=0.2, echo_s=0.05)
    sending = asyncio.create_task(connector.send(instruction(Direction.push)))
    switch.say(approved(await switch.heard()))
    await sending
    assert [(await switch.heard())["70"] for _ in range(2)] == [messages.ECHO] * 2
    switch.is_talkative = False
    with structlog.testing.capture_logs() as logs:
        async with asyncio.timeout(30):
            while not [one for one in logs if one["event"] == "bank_line_cut"]:  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.02)
    assert switch.lines == 1
    await asyncio.gather(connector.send(instruction(Direction.push)))
    assert switch.lines == 2
    await connector.close()


@pytest.mark.parametrize(
    "changed",
    [
        {"account": ExternalAccount("LC55HEMM000100010012001200023015", "Anna Berg")},
        {"account": ExternalAccount(ANNA.iban, "x" * 141)},
        {"account": ExternalAccount(ANNA.iban, "")},
        {"account": ExternalAccount(ANNA.iban, "Anna\x00Berg")},
        {"amount": 10**12},
    ],
    ids=["account", "long name", "no name", "control sign", "amount"],
)
async def test_what_fits_no_field_is_not_sent(
    switch: ScriptedSwitch, connector: ISO8583, changed: dict[str, Any]
) -> None:
    """It is declined for good, and the bank has not heard of it."""
    told = msgspec.structs.replace(instruction(Direction.push), **changed)
    assert await connector.send(told) == Result(State.declined, "refused")
    assert switch.lines == 0


def test_a_name_may_be_in_any_script() -> None:
    """As its holder writes it."""
    told = messages.payment(Instruction("r", Direction.pull, 1, "CNY", ExternalAccount(ANNA.iban, "陈美")), ENDS)
    frame = messages.encode(messages.stamped(told, 1, AT), OURS)
    assert messages.decode(frame[2:], BANKS)["62"] == "陈美"


def test_a_payment_is_named_alike_by_everybody() -> None:
    """After a crash, by another worker: the enquiry and the reversal name it as the payment was."""
    told = instruction(Direction.pull)
    said = [
        messages.payment(told, ENDS),
        messages.enquiry(told.reference, told.direction, ENDS),
        messages.reversal(told.reference, told.direction, ENDS),
    ]
    assert len({(one["37"], one["63"], one["3"], one["32"]) for one in said}) == 1
    assert len(said[2]["90"]) == 42


@pytest.mark.parametrize(
    ("code", "state", "reason"),
    [
        ("00", State.settled, ""),
        ("09", State.accepted, ""),
        ("51", State.declined, "insufficient_funds"),
        ("17", State.declined, "not_found"),
        ("05", State.declined, "refused"),
        *((code, State.unknown, "") for code in ("10", "25", "30", "68", "94", "96", "ZZ", "")),
    ],
)
def test_only_what_is_certain_is_said(code: str, state: State, reason: str) -> None:
    """A part, a duplicate, a malfunction, and what nobody has heard of are neither a yes nor a no."""
    found = verdicts.result({"39": code})
    assert (found.state, found.reason) == (state, reason)
    assert not reason or reason in DECLINES


async def test_a_stranger_is_not_spoken_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With TLS nothing is said before the bank has shown a certificate that somebody trusted has signed."""
    certificate = _certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    async with ScriptedSwitch(context) as switch:
        stranger = switch.connector()
        assert (await stranger.send(instruction(Direction.push))).reason == "unavailable"
        assert switch.lines == 0
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        wire.trusted.cache_clear()
        known = switch.connector()
        sending = asyncio.create_task(known.send(instruction(Direction.push)))
        switch.say(approved(await switch.heard()))
        assert (await sending).state is State.settled
        await known.close()
    wire.trusted.cache_clear()


def _certificate(directory: Path) -> Path:
    """For this machine, signed by itself; with its key in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    path = directory / "switch.pem"
    path.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain) + made.public_bytes(pem))
    return path
