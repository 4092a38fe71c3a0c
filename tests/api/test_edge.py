"""What holds for every request, whatever happens inside: seen over a real socket."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator

import httpx
import pytest
from tests.api.conftest import CUSTOMER, Served

from unbusy.api.bodies import MOST_BODY, MOST_DRAINED

HEADERS = {**CUSTOMER, "idempotency-key": "k", "content-type": "application/json"}
BODY = b'{"payee":"@ming","amount":1250}'


async def exchange(served: Served, request: bytes, *, seconds: float = 10) -> bytes:
    """Send raw bytes and read until the server has nothing more to say."""
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    try:
        writer.write(request)
        await writer.drain()
        async with asyncio.timeout(seconds):
            return await reader.read()
    finally:
        writer.close()


def raw(*headers: str, body: bytes = BODY, length: int | None = None) -> bytes:
    own = ("Host: unbusy", "Authorization: Bearer customer", "Content-Type: application/json", "Connection: close")
    lines = ["POST /payments HTTP/1.1", *own, f"Content-Length: {len(body) if length is None else length}", *headers]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


class TestRequestId:
    """Every answer says by which id it is found again."""

    async def test_made_when_the_caller_has_none(self, client: httpx.AsyncClient) -> None:
        """Two requests never share one."""
        ids = {(await client.get("/bare")).headers["request-id"] for _ in range(50)}
        assert len(ids) == 50

    @pytest.mark.parametrize("given", ["a", "x" * 64, "Root=1-67891233:abc/def+9@h_.=-"])
    async def test_taken_from_the_caller(self, client: httpx.AsyncClient, given: str) -> None:
        """A safe one is kept as it is."""
        assert (await client.get("/bare", headers={"request-id": given})).headers["request-id"] == given

    @pytest.mark.parametrize("given", ["", "x" * 65, "a b", "<script>", 'a"b', "é", "a\tb"])
    async def test_not_taken_when_unsafe(self, client: httpx.AsyncClient, given: str) -> None:
        """One that could harm a log or a page is replaced, which is no reason to refuse the request."""
        answer = await client.get("/bare", headers={b"request-id": given.encode()})
        assert answer.status_code == 200
        assert re.fullmatch(r"[0-9a-f]{12}-[0-9a-f]+", answer.headers["request-id"])

    async def test_on_answers_from_outside_the_application(self, client: httpx.AsyncClient) -> None:
        """Also when nothing inside was reached."""
        assert (await client.get("/nowhere", headers={"request-id": "me"})).headers["request-id"] == "me"


class TestHeaders:
    """Headers that protect the reader, and headers that confuse us."""

    async def test_nothing_is_stored_or_sniffed(self, client: httpx.AsyncClient) -> None:
        """What is about money is in no cache, unless the handler allows it."""
        answer = await client.get("/bare")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert (await client.get("/payments/1")).headers.get_list("cache-control") == ["private, no-cache"]

    @pytest.mark.parametrize(
        "twice", ["Idempotency-Key: a", "Authorization: Bearer merchant", "Content-Type: text/plain", "Host: b"]
    )
    async def test_one_that_means_one_thing_is_there_once(self, served: Served, twice: str) -> None:
        """Given twice, two readers might each believe another, so neither is believed."""
        answer = await exchange(served, raw("Idempotency-Key: k", twice))
        assert b" 400 " in answer.splitlines()[0]
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["field"] == twice.partition(":")[0].lower()

    async def test_not_too_many(self, served: Served) -> None:
        """A hundred are more than anybody needs."""
        answer = await exchange(served, raw("Idempotency-Key: k", *(f"X-{n}: 1" for n in range(100))))
        assert b" 400 " in answer.splitlines()[0]

    @pytest.mark.parametrize("language", ["en;q=" + "9" * 5_000, "," * 9_000, "zh-" * 3_000, "*;q=NaN", "\x80\xff"])
    async def test_absurd_languages_are_english(self, client: httpx.AsyncClient, language: str) -> None:
        """A header nobody can mean changes nothing."""
        answer = await client.get("/nowhere", headers={b"accept-language": language.encode("latin-1")})
        assert answer.headers["content-language"] in {"en", "zh"}
        assert answer.status_code == 404


class TestDeadline:
    """How long the caller waits is told to those who do the work."""

    async def test_the_callers(self, client: httpx.AsyncClient) -> None:
        """Milliseconds, counted from when the request arrived."""
        answer = await client.post("/payments", content=BODY, headers={**HEADERS, "x-request-deadline-ms": "1500"})
        assert 1_000 < answer.json()["remaining_ms"] <= 1_500

    async def test_ours(self, client: httpx.AsyncClient) -> None:
        """Who does not say waits as long as the setting has it."""
        answer = await client.post("/payments", content=BODY, headers=HEADERS)
        assert 9_000 < answer.json()["remaining_ms"] <= 10_000

    @pytest.mark.parametrize("wrong", ["0", "60001", "-1", "1.5", "ten", "1e3", "", " ", "999999999999", "１"])
    async def test_one_that_is_none(self, client: httpx.AsyncClient, wrong: str) -> None:
        """A deadline that cannot be understood is refused rather than ignored."""
        answer = await client.get("/bare", headers={b"x-request-deadline-ms": wrong.encode()})
        assert (answer.status_code, answer.json()["field"]) == (400, "X-Request-Deadline-Ms")


class TestBodySize:
    """No request takes more memory or time than it needs."""

    async def test_the_largest(self, served: Served) -> None:
        """Blanks count, too."""
        async with httpx.AsyncClient(base_url=served.url, headers=HEADERS) as client:
            assert (await client.post("/payments", content=BODY.ljust(MOST_BODY))).status_code == 201
            assert (await client.post("/payments", content=BODY.ljust(MOST_BODY + 1))).status_code == 413

    async def test_ten_megabytes(self, served: Served) -> None:
        """The sender reads its answer, and the connection can be used again."""
        async with httpx.AsyncClient(base_url=served.url, headers=HEADERS) as client:
            answer = await client.post("/payments", content=b" " * 10_000_000)
            assert (answer.status_code, answer.json()["reason"]) == (413, "invalid")
            assert (await client.post("/payments", content=BODY)).status_code == 201

    async def test_in_pieces(self, served: Served) -> None:
        """The same for a body that does not say how long it is, of which nothing is kept."""

        async def pieces(count: int) -> AsyncIterator[bytes]:
            for _ in range(count):
                yield b" " * 65_536

        async with httpx.AsyncClient(base_url=served.url, headers=HEADERS) as client:
            assert (await client.post("/payments", content=pieces(160))).status_code == 413
            assert (await client.post("/payments", content=BODY)).status_code == 201

    async def test_without_end(self, served: Served) -> None:
        """Who says that the body is endless is answered at once, and hung up on."""
        answer = await exchange(
            served, raw("Idempotency-Key: k", body=b"", length=MOST_DRAINED + 1).replace(b"close", b"keep-alive")
        )
        assert b" 413 " in answer.splitlines()[0]
        assert b"connection: close" in answer

    async def test_that_never_arrives(self, served: Served) -> None:
        """A body that stops half-way is waited for until the deadline and no longer."""
        answer = await exchange(served, raw("X-Request-Deadline-Ms: 200", "Idempotency-Key: k", length=200))
        assert b" 400 " in answer.splitlines()[0]
        assert b"before the deadline" in answer

    async def test_whose_sender_leaves(self, served: Served) -> None:
        """Somebody who hangs up half-way disturbs nobody."""
        _, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(raw("Idempotency-Key: k", length=200))
        await writer.drain()
        writer.close()
        async with httpx.AsyncClient(base_url=served.url, headers=HEADERS) as client:
            assert (await client.post("/payments", content=BODY)).status_code == 201


async def test_an_answer_that_breaks_off_is_cut(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    """What has begun cannot be taken back; the reader sees that it is not whole, and we know why."""
    async with httpx.AsyncClient(base_url=served.url) as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get("/broken")
    assert "SELECT secret" in caplog.text


@pytest.mark.parametrize(
    "request_line",
    ["GET /%00 HTTP/1.1", "GET /%ff%fe HTTP/1.1", "GET //..//etc/passwd HTTP/1.1", "GET /payments/%2e%2e HTTP/1.1"],
)
async def test_strange_addresses(served: Served, request_line: str) -> None:
    """An address that nobody has is not found, or not ours to answer; never a mistake of ours."""
    answer = await exchange(served, f"{request_line}\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
    assert answer.splitlines()[0].split()[1] in {b"401", b"404"}


async def test_requests_are_measured(client: httpx.AsyncClient) -> None:
    """By method, route and status; the route as it is written, so that ids make no series of their own."""
    await client.get("/payments/some-id")
    await client.request("BREW", "/nowhere")
    text = (await client.get("/metrics")).text
    assert 'unbusy_http_request_seconds_count{method="GET",route="/payments/{payment_id}",status="200"}' in text
    assert 'unbusy_http_request_seconds_count{method="other",route="unknown",status="404"}' in text
    assert "some-id" not in text
