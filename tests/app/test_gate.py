"""The gate over HTTP: who is let in, who gets a place in line, and what an answer then says."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from tests.app.site import SETTINGS, Person, Site, reason, serving
from tests.app.wire import PAYMENT, Answered, Wire, get, payment, wire
from tests.payments.bank import SECRET

from unbusy.admission import LIFE_S, Shared, capacity, crowds
from unbusy.admission.tickets import Tickets
from unbusy.db import Database
from unbusy.secret import derive_key
from unbusy.settings import Settings

# Payments a second that a gateway of these tests believes it can do.
RATE = capacity.LEAST

_numbers = itertools.count()
Opening = Callable[..., AbstractAsyncContextManager[Site]]


@pytest.fixture
def opened(url: str, db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Opening:
    """Opens gateways of one data directory that never believe they can do more than `RATE`."""
    monkeypatch.setattr(capacity, "MOST", RATE)
    for index in range(2):
        shared = Shared(tmp_path / "gate", index, 8)
        shared.own.good = RATE
        shared.close()

    def open(**chosen: Any) -> AbstractAsyncContextManager[Site]:
        settings: Settings = msgspec.structs.replace(SETTINGS, data=str(tmp_path), **chosen)
        return serving(url, db, settings)

    return open


@pytest.fixture
async def site(opened: Opening) -> AsyncGenerator[Site]:
    async with opened() as site:
        yield site
    assert await site.bank.findings() == []


async def two(site: Site) -> tuple[Person, Person]:
    """Ming, who can pay, and Mei."""
    return await site.person("ming", 1_000), await site.person("mei", 1_000)


async def in_line(payer: Person, ahead_s: float = 1.0, **headers: str) -> tuple[str, httpx.Response]:
    """A payment that has a place in line some time ahead: its key, and the answer."""
    async with asyncio.timeout(20):
        while True:
            key = f"in-line-{next(_numbers)}"
            answer = await payer.pay("@mei", 1, key=key, **headers)
            if answer.status_code != 201 and until(slot(answer)) > ahead_s:
                return key, answer


def ticket(answer: httpx.Response) -> dict[str, str]:
    """The place that an answer gives. Whatever is refused says why and when to come back."""
    assert reason(answer) in {(503, "in_line"), (503, "payee_crowded")}, answer.text
    assert int(answer.headers["retry-after"]) >= 1
    return answer.json()["ticket"]


def slot(answer: httpx.Response) -> float:
    return datetime.fromisoformat(ticket(answer)["slot_at"]).timestamp()


def until(at: float) -> float:
    return at - datetime.now(UTC).timestamp()


async def served(payer: Person, key: str, answer: httpx.Response) -> tuple[httpx.Response, float]:
    """Come back as told until let in: the answer, and how many seconds after the first slot it was asked for."""
    first, late_s = slot(answer), 0.0
    while answer.status_code != 201:
        await asyncio.sleep(max(0.0, until(slot(answer))))
        late_s = -until(first)
        answer = await payer.pay("@mei", 1, key=key, unbusy_ticket=ticket(answer)["token"])
    return answer, late_s


# A place in line


async def test_a_place_in_line(site: Site) -> None:
    """Who cannot be served now is told when, in the own language, and gets a ticket for that time."""
    ming, _ = await two(site)
    for language, title in (("en", "You have a place in line"), ("zh", "已为您排队")):
        _, answer = await in_line(ming, accept_language=language)
        told, place = answer.json(), ticket(answer)
        assert (answer.headers["content-language"], told["title"]) == (language, title)
        assert set(place) == {"token", "slot_at", "expires_at", "class"}
        assert place["class"] == "pay"
        assert place["slot_at"].endswith("Z")
        assert len(place["token"]) <= 200
        after = int(answer.headers["retry-after"])
        assert told["retry"] == {"safe": True, "same_key": True, "after": after}
        assert 0 <= after - until(slot(answer)) < 1.5
        life = datetime.fromisoformat(place["expires_at"]).timestamp() - slot(answer)
        assert life == pytest.approx(LIFE_S, abs=0.01)


async def test_who_returns_at_the_slot_is_let_in(site: Site) -> None:
    """The very same request with the ticket, at its time, is done: before newcomers, who still stand in line."""
    ming, _ = await two(site)
    key, answer = await in_line(ming)
    done, late_s = await served(ming, key, answer)
    assert done.json()["status"] == "completed"
    assert late_s < 1
    assert until(slot((await in_line(ming, 0.1))[1])) > 0


async def test_who_comes_early_waits(site: Site) -> None:
    """Before its time a ticket gives the same place, not a better one and not a worse one."""
    ming, _ = await two(site)
    key, answer = await in_line(ming, 2)
    again = await ming.pay("@mei", 1, key=key, unbusy_ticket=ticket(answer)["token"])
    assert ticket(again) == ticket(answer)


async def test_a_ticket_that_is_worth_nothing(site: Site) -> None:
    """Forged, expired, used, somebody else's or cut short: whoever shows it is a newcomer, and it is counted."""
    ming, mei = await two(site)
    used_key, answer = await in_line(ming, 0.3)
    used = ticket(answer)["token"]
    await served(ming, used_key, answer)
    _, answer = await in_line(ming, 3)
    good = ticket(answer)["token"]
    tickets = Tickets(derive_key(SECRET, "tickets"))
    place = tickets.read(good)
    assert place
    long_ago = place.slot_at - LIFE_S - 60
    worthless = {
        "forged": Tickets(bytes(32)).issue(place.klass, place.number, place.tag, 0.0, place.who, crowd=False),
        "changed": good[:-4] + ("AAAA" if good[-4:] != "AAAA" else "BBBB"),
        "expired": tickets.issue(place.klass, place.number, place.tag, long_ago, place.who, crowd=False),
        "used": used,
        "cut short": good[:-1],
        "far too long": good * 100,
        "no base64": "%" * len(good),
        "not even ASCII": "é" * len(good),
    }
    before = await refused_tickets(site)
    for name, token in worthless.items():
        headers = [("unbusy-ticket", token.encode("latin-1")), ("idempotency-key", name.replace(" ", "-").encode())]
        encoded = httpx.Headers([(field.encode(), value) for field, value in headers])
        told = await ming.post("/v1/payments", json={"payee": "@mei", "amount": 1, "asset": "EUR"}, headers=encoded)
        assert told.status_code == 201 or ticket(told)["token"] not in {token, good}, name
    foreign = await mei.pay("@ming", 1, unbusy_ticket=good)
    assert foreign.status_code == 201 or ticket(foreign)["token"] != good
    other_class = await ming.get("/v1/payments", headers={"unbusy-ticket": good})
    assert other_class.status_code in {200, 503}
    assert await refused_tickets(site) == before + len(worthless) + 2


async def refused_tickets(site: Site) -> float:
    """What the metric says, once it was told."""
    await asyncio.sleep(0.25)
    text = (await (await site.client()).get("/metrics")).text
    return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith("unbusy_tickets_refused"))


async def test_a_ticket_is_good_at_every_gateway(opened: Opening) -> None:
    """It does not matter which gateway of an installation one comes back to, nor for whom it was used: only once."""
    async with opened() as site, opened() as other:
        ming, _ = await two(site)
        elsewhere = await other.sign_in("@ming")
        key, answer = await in_line(ming)
        early = await elsewhere.pay("@mei", 1, key=key, unbusy_ticket=ticket(answer)["token"])
        assert ticket(early) == ticket(answer)
        _, late_s = await served(elsewhere, key, answer)
        assert late_s < 1
        _, filled = await in_line(ming)
        again = await ming.pay("@mei", 1, unbusy_ticket=ticket(answer)["token"])
        assert ticket(again)["token"] not in {ticket(answer)["token"], ticket(filled)["token"]}


async def test_a_ticket_outlives_its_gateway(opened: Opening) -> None:
    """The signing key and where the line stood survive a restart: same place before its time, let in at it."""
    async with opened() as site:
        ming, _ = await two(site)
        key, answer = await in_line(ming, 3)
    async with opened() as site:
        ming = await site.sign_in("@ming")
        if until(slot(answer)) > 0.1:
            early = await ming.pay("@mei", 1, key=key, unbusy_ticket=ticket(answer)["token"])
            assert ticket(early) == ticket(answer)
        _, late_s = await served(ming, key, answer)
        assert late_s < 1


# Other refusals


async def test_a_line_that_is_too_long(opened: Opening) -> None:
    """Beyond the longest wait that makes sense there is no ticket, but a time to come back."""
    async with opened(line_longest_s=1) as site:
        ming, _ = await two(site)
        while (answer := await ming.pay("@mei", 1)).status_code == 201 or answer.json()["reason"] == "in_line":
            pass
        assert reason(answer) == (503, "line_full")
        assert int(answer.headers["retry-after"]) >= 1
        assert "ticket" not in answer.json()
        assert answer.json()["retry"]["after"] == int(answer.headers["retry-after"])


async def test_a_crowded_payee(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """To whom too many pay at once has a line of its own, with tickets that are honoured all the same."""
    monkeypatch.setattr(crowds, "_LEAST_COUNT", 5)
    ming, _ = await two(site)
    await site.bank.person("anna", 0)
    told: dict[str, httpx.Response] = {}
    async with asyncio.timeout(20):
        while not told:
            keys = [f"crowd-{next(_numbers)}" for _ in range(20)]
            payees = itertools.cycle(["@mei", "@anna"])
            answers = await asyncio.gather(*(ming.pay(next(payees), 1, key=key) for key in keys))
            told = {
                key: answer
                for key, answer in zip(keys, answers, strict=True)
                if answer.status_code == 503 and answer.json()["reason"] == "payee_crowded"
            }
    for done, late_s in await asyncio.gather(*(served(ming, key, answer) for key, answer in told.items())):
        assert done.json()["status"] == "completed"
        assert late_s < 1


async def test_a_customer_over_the_quota(opened: Opening) -> None:
    """Who asks more often than anybody should is told to wait; nobody else is."""
    async with opened(customer_per_s=1, customer_burst=2) as site:
        ming, mei = await two(site)
        answers = [await ming.pay("@mei", 1) for _ in range(3)]
        assert reason(answers[-1]) == (429, "quota_exceeded")
        assert 1 <= int(answers[-1].headers["retry-after"]) <= 2
        assert "ticket" not in answers[-1].json()
        assert (await mei.get("/v1/wallet")).status_code == 200
        await asyncio.sleep(int(answers[-1].headers["retry-after"]))
        assert (await ming.pay("@mei", 1)).status_code == 201


async def test_what_was_begun_is_never_refused(site: Site) -> None:
    """Cancelling, signing out and the probes go on however long the line is."""
    ming, _ = await two(site)
    queued = await ming.pay("@mei", 1, prefer="respond-async")
    assert queued.status_code == 202
    await in_line(ming, 2)
    for _ in range(20):
        assert (await ming.get("/healthz")).status_code == 200
    cancelled = await ming.post(f"/v1/payments/{queued.json()['id']}/cancel")
    assert cancelled.json()["status"] == "cancelled"
    assert (await ming.delete("/v1/sessions/current")).status_code == 204


async def test_without_a_gate_everybody_is_let_in(opened: Opening) -> None:
    """`gate = off`: no place, no ticket, no quota."""
    async with opened(gate="off", customer_per_s=1, customer_burst=1) as site:
        ming, _ = await two(site)
        answers = [await ming.pay("@mei", 1, unbusy_ticket="x") for _ in range(int(RATE) * 2)]
        assert {answer.status_code for answer in answers} == {201}


# On the wire


async def refused(connection: Wire, request: Callable[[str], bytes], *, has_body: bool = True) -> Answered:
    """The first refusal: what those who were given a place and do not come leave is for newcomers."""
    for _ in range(100):
        name = f"refused-{next(_numbers)}"
        await connection.send(request(name))
        answer = await connection.receive(has_body=has_body)
        assert answer.headers["request-id"] == name
        if answer.status == 503:
            assert int(answer.headers["retry-after"]) >= 1
            return answer
    raise AssertionError("everybody is let in")


@asynccontextmanager
async def crowded(site: Site) -> AsyncGenerator[tuple[Wire, str]]:
    """A connection of somebody who stands in a long line, and the token."""
    ming, _ = await two(site)
    await in_line(ming, 2)
    async with wire(site.url) as connection:
        yield connection, ming.session["access_token"]


async def test_a_refusal_keeps_the_connection(site: Site) -> None:
    """Whoever was refused goes on with the same connection."""
    async with crowded(site) as (connection, token):
        for _ in range(3):
            answer = await refused(connection, lambda key: payment(token, key))
            assert answer.json["reason"] == "in_line"
            await connection.send(get("/healthz"))
            assert (await connection.receive()).status == 200


async def test_requests_in_one_segment(site: Site) -> None:
    """Requests that came together are each answered, in their order, let in or not."""
    async with crowded(site) as (connection, token):
        seen: set[tuple[int, ...]] = set()
        for number in range(5):
            keys = [f"{number}-{place}" for place in range(6)]
            one, two, *rest = (payment(token, key) for key in keys)
            await connection.send(one + get("/healthz", token) + two + b"".join(rest))
            first, health, *others = [await connection.receive() for _ in range(7)]
            assert [answer.headers["request-id"] for answer in (first, *others)] == keys
            assert health.status == 200
            assert all(answer.status == 201 or answer.headers["retry-after"] for answer in (first, *others))
            seen.add(tuple(answer.status for answer in (first, *others)))
        assert {201, 503} >= {status for statuses in seen for status in statuses} >= {503}


async def test_a_refused_body_in_pieces(site: Site) -> None:
    """The answer waits for the body, so that its sender reads it; what follows is the next request."""
    async with crowded(site) as (connection, token):
        status = 201
        while status == 201:
            whole = payment(token, f"whole-{next(_numbers)}")
            for place in range(0, len(whole), 60):
                await connection.send(whole[place : place + 60])
                await asyncio.sleep(0.001)
            status = (await connection.receive()).status
        assert status == 503

        def chunked(key: str) -> bytes:
            head, _, _ = payment(token, key, "Transfer-Encoding: chunked").partition(b"Content-Length")
            return head + b"\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(PAYMENT), PAYMENT)

        assert (await refused(connection, chunked)).json["reason"] == "in_line"
        await connection.send(get("/healthz"))
        assert (await connection.receive()).status == 200


async def test_a_refusal_without_a_body(site: Site) -> None:
    """HEAD is refused like GET, but nothing follows the head; OPTIONS has a body like any other."""
    async with crowded(site) as (connection, token):
        for method in ("HEAD", "OPTIONS"):
            answer = await refused(
                connection,
                lambda name, method=method: get("/v1/payments", token, f"Request-Id: {name}", method=method),
                has_body=method != "HEAD",
            )
            assert int(answer.headers["content-length"]) > 100
            await connection.send(get("/healthz"))
            assert (await connection.receive()).status == 200


async def test_who_asks_before_sending_a_body(site: Site) -> None:
    """`Expect: 100-continue`: who is let in is told to go on; who is not is told at once, and the connection ends."""
    ming, _ = await two(site)
    token = ming.session["access_token"]
    async with wire(site.url) as connection:
        await connection.send(payment(token, "let-in", "Expect: 100-continue", body=b"").replace(b"h: 0", b"h: 41"))
        assert (await connection.receive(has_body=False)).status == 100
        await connection.send(PAYMENT)
        assert (await connection.receive()).status == 201
    await in_line(ming, 2)
    status = 100
    while status == 100:
        async with wire(site.url) as connection:
            await connection.send(payment(token, "not", "Expect: 100-continue", body=b"").replace(b"h: 0", b"h: 41"))
            answer = await connection.receive(has_body=False)
            status = answer.status
            if status == 503:
                assert answer.headers["connection"] == "close"
                assert b'"reason":"in_line"' in await connection.rest()
    assert status == 503
