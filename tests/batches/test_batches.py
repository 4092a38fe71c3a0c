"""Batches over HTTP: taken as one, settled in order, reported row by row."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest
from tests.app.site import Person, Site, reason, with_key

from unbusy.api import Role

PATH = "/v1/payment-batches"
CSV = {"content-type": "text/csv; charset=utf-8"}


def rows(count: int, **more: object) -> list[dict[str, Any]]:
    return [{"key": f"row-{n}", "payee": "@mei", "amount": 1, "asset": "EUR"} | more for n in range(count)]


async def send(person: Person, payments: list[dict[str, Any]], key: str | None = None, **more: Any) -> httpx.Response:
    return await person.post(PATH, json={"payments": payments} | more, headers=with_key(key))


@pytest.fixture
async def shop(site: Site) -> Person:
    await site.person("mei")
    return await site.person("shop", 100, role=Role.merchant)


async def test_taken_and_done(site: Site, shop: Person) -> None:
    """202 with a promise; then every row is done in the file's order, as far as the money reaches."""
    sent = await send(shop, rows(3, amount=40))
    body = sent.json()
    assert (sent.status_code, body["status"], body["accepted"], body["refused"]) == (202, "queued", 3, 0)
    assert body["finish_by"] > body["created_at"]
    assert int(sent.headers["retry-after"]) >= 1
    assert [row["status"] for row in body["rows"]["items"]] == ["queued"] * 3
    await site.bank.settle_queued()
    done = (await shop.get(sent.headers["location"])).json()
    assert (done["status"], done["payments"]) == ("finished", {"completed": 2, "declined": 1})
    assert [row.get("reason") for row in done["rows"]["items"]] == [None, None, "insufficient_funds"]
    assert "next_check_after" not in done
    paid = (await shop.get(f"/v1/payments/{done['rows']['items'][0]['payment_id']}")).json()
    assert (paid["status"], paid["money"]["amount"]) == ("completed", 40)
    assert await shop.balance() == 20


async def test_as_a_file(site: Site, shop: Person) -> None:
    """CSV and JSON lines are uploaded as they are."""
    csv = "key,payee,amount,asset\na,@mei,1,EUR\nb,@mei,2,EUR\n"
    ndjson = b"\n".join(json.dumps(row).encode() for row in rows(2))
    for kind, content in (("text/csv", csv.encode()), ("application/x-ndjson", ndjson)):
        sent = await shop.post(PATH, content=content, headers=with_key() | {"content-type": kind})
        assert (sent.status_code, sent.json()["accepted"]) == (202, 2), sent.text
    other = await shop.post(PATH, content=csv, headers=with_key() | {"content-type": "text/plain"})
    assert reason(other) == (415, "invalid")
    await site.bank.settle_queued()
    assert await shop.balance() == 100 - 3 - 2


async def test_bad_rows_stop_it(site: Site, shop: Person) -> None:
    """Each is named by line and field, and nothing is taken."""
    good = "a,@mei,1,EUR\n"
    wrong = "b,@nobody,1,EUR\nc,@mei,1.5,EUR\nd,@shop,1,EUR\ne,@mei,1,QQQ\n"
    body = "key,payee,amount,asset\n" + good + wrong + good
    refused = await shop.post(PATH, content=body, headers=with_key("k") | CSV)
    assert reason(refused) == (422, "invalid")
    assert [error["field"] for error in refused.json()["errors"]] == [
        "line 3: payee",
        "line 4: amount",
        "line 5: payee",
        "line 6: asset",
        "line 7: key",
    ]
    assert await site.bank.count("payments.payments") == await site.bank.count("batches.batches") == 0


async def test_good_rows_are_taken_when_asked(site: Site, shop: Person) -> None:
    """The others stand in the report with the reason; a file without a good row is refused all the same."""
    bad = rows(1, key="bad", payee="@nobody")
    sent = await send(shop, bad + rows(2), take_good_rows=True)
    assert (sent.status_code, sent.json()["accepted"], sent.json()["refused"]) == (202, 2, 1)
    first, *_ = sent.json()["rows"]["items"]
    assert (first["line"], first["key"], first["status"], first["reason"]) == (1, "bad", "refused", "not_found")
    assert first["field"] == "payee"
    by_query = await shop.post(f"{PATH}?take_good_rows=true", json={"payments": bad + rows(1)}, headers=with_key())
    assert by_query.status_code == 202
    assert reason(await send(shop, bad, take_good_rows=True)) == (422, "invalid")
    await site.bank.settle_queued()


async def test_the_same_batch_again(site: Site, shop: Person) -> None:
    """The same key is the same batch as it is now; with another body it is refused."""
    first = await send(shop, rows(2), "k")
    await site.bank.settle_queued()
    again = await send(shop, rows(2), "k")
    assert (again.status_code, again.headers["idempotent-replayed"]) == (202, "true")
    assert (again.json()["id"], again.json()["status"]) == (first.json()["id"], "finished")
    assert reason(await send(shop, rows(3), "k")) == (422, "key_reused")
    assert await shop.balance() == 98


async def test_two_at_once(site: Site, shop: Person) -> None:
    """One batch, two equal answers; and two batches with the same rows pay once."""
    answers = await asyncio.gather(
        *(send(shop, rows(50), "k") for _ in range(4)), *(send(shop, rows(50)) for _ in range(3))
    )
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers[:4]}) == 1
    await site.bank.settle_queued()
    assert await shop.balance() == 50


async def test_rows_know_payments_made_alone(site: Site, shop: Person) -> None:
    """The same key with the same body is that payment; with another body the row is bad."""
    alone = (await shop.pay("@mei", 1, key="row-0")).json()
    sent = await send(shop, rows(2))
    assert sent.json()["rows"]["items"][0] == {
        "line": 1,
        "key": "row-0",
        "payment_id": alone["id"],
        "status": "completed",
    }
    refused = await send(shop, rows(2, amount=2))
    assert [error["field"] for error in refused.json()["errors"]] == ["line 1: key", "line 2: key"]
    some = await send(shop, [*rows(1, amount=2), *rows(1, key="new")], take_good_rows=True)
    assert [row.get("reason") for row in some.json()["rows"]["items"]] == ["key_reused", None]
    replayed = await shop.pay("@mei", 1, key="row-1")
    assert (replayed.status_code, replayed.headers["idempotent-replayed"]) == (202, "true")
    await site.bank.settle_queued()
    assert await shop.balance() == 97


async def test_the_largest(site: Site, shop: Person) -> None:
    """8,000 rows of Chinese notes are one request; one more is none. Nobody else waits for it."""
    largest = rows(8_000, note="工" * 100)
    largest = [row | {"key": f"{n:064}"} for n, row in enumerate(largest)]
    ming = await site.person("ming", 100)
    await ming.pay("@mei", 1)
    sending = asyncio.create_task(send(shop, largest))
    waits: list[float] = []
    while not sending.done():
        began = asyncio.get_running_loop().time()
        assert (await ming.pay("@mei", 1)).status_code == 201
        waits.append(asyncio.get_running_loop().time() - began)
        await asyncio.sleep(0.05)
    sent = await sending
    assert (sent.status_code, sent.json()["accepted"]) == (202, 8_000), sent.text[:500]
    assert max(waits) < 1
    assert reason(await send(shop, [*largest, rows(1)[0]])) == (400, "invalid")
    assert (await shop.post(PATH, content=b" " * 5_000_000, headers=with_key())).status_code == 413
    page = (await shop.get(f"{sent.headers['location']}?limit=100")).json()
    assert [row["line"] for row in page["rows"]["items"]] == list(range(1, 101))
    further = (await shop.get(f"{sent.headers['location']}?limit=100&cursor={page['rows']['next']}")).json()
    assert further["rows"]["items"][0]["line"] == 101


async def test_no_room(site: Site, shop: Person) -> None:
    """What cannot be promised is not taken, and one that was taken is still told."""
    first = await send(shop, rows(8_000), "first")
    assert first.status_code == 202
    assert (await send(shop, rows(8_000, amount=2, key="x"), "other")).status_code == 422
    second = [row | {"key": f"second-{n}"} for n, row in enumerate(rows(8_000))]
    third = [row | {"key": f"third-{n}"} for n, row in enumerate(rows(8_000))]
    assert (await send(shop, second)).status_code == 202
    refused = await send(shop, third)
    assert reason(refused) == (503, "deadline_unreachable")
    assert int(refused.headers["retry-after"]) >= 1
    assert (await send(shop, rows(8_000), "first")).headers["idempotent-replayed"] == "true"


async def test_only_its_sender_sees_it(site: Site, shop: Person) -> None:
    """For anybody else it is not there; nor is an id that is none, or a cursor that is not ours."""
    where = (await send(shop, rows(1))).headers["location"]
    ming = await site.person("ming")
    assert reason(await ming.get(where)) == (404, "not_found")
    assert reason(await shop.get(f"{PATH}/pay_1")) == (404, "not_found")
    assert reason(await shop.get(f"{where}?cursor=x")) == (400, "invalid")
    await site.bank.settle_queued()
