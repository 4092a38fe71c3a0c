"""Bank accounts, top-ups and payouts over HTTP, as their callers rely on it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from tests.app.site import SETTINGS, Person, Site, reason, serving, with_key
from tests.transits.scripted import IBAN, SETTLED, UNKNOWN, ScriptedBank, declined

from unbusy.banks import Result, sandbox
from unbusy.db import Database
from unbusy.transits import Lane


@pytest.fixture(scope="module")
def banks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of banks that names one; nobody calls it."""
    return sandbox.prepare(tmp_path_factory.mktemp("banks"), "http://127.0.0.1:1")


@pytest.fixture
async def site(url: str, db: Database, banks: Path) -> AsyncGenerator[Site]:
    """The real application. However its story ends, nothing in the books is wrong."""
    async with serving(url, db, msgspec.structs.replace(SETTINGS, banks=str(banks))) as site:
        yield site
    assert await site.bank.findings() == []


@pytest.fixture
async def ming(site: Site) -> Person:
    return await site.person("ming", 100)


async def link(person: Person, **other: str) -> httpx.Response:
    return await person.post("/v1/bank-accounts", json={"bank": "sandbox", "iban": IBAN, "holder": "Ming Li"} | other)


async def begin(
    person: Person, what: str, amount: int, *, key: str | None = None, account: str = "", **headers: str
) -> httpx.Response:
    account = account or (await link(person)).json()["id"]
    body = {"bank_account": account, "amount": amount, "asset": "EUR"}
    return await person.post(f"/v1/{what}", json=body, headers=with_key(key) | headers)


async def go_on(site: Site, *answers: Result) -> None:
    """What the worker does when the bank says so."""
    bank = ScriptedBank()
    bank.bank = "sandbox"
    bank.answers.extend(answers)
    lane = Lane(site.bank.db, bank, clock=site.bank.clock, call_s=1)
    assert await lane.go_on(site.bank.clock.now()) == len(answers)
    await lane.finish()


def about(answer: httpx.Response, *fields: str) -> list[Any]:
    return [answer.json().get(field) for field in fields]


async def test_from_the_bank_and_back(site: Site, ming: Person) -> None:
    """Link, top up, pay out: 202 while the bank is asked, then the balance."""
    linked = await link(ming)
    assert (linked.status_code, linked.json()["iban"], linked.json()["holder"]) == (201, "DE…3000", "Ming Li")
    assert (await link(ming, iban="DE89 3704 0044 0532 0130 00")).json() == linked.json()
    assert (await ming.get("/v1/bank-accounts")).json()["items"] == [linked.json()]

    begun = await begin(ming, "topups", 50)
    body = begun.json()
    assert (begun.status_code, body["status"], body["money"]["state"]) == (202, "pending", "held")
    assert (body["retry"], body["bank"]) == ({"safe": False, "same_key": True, "after": None}, "sandbox")
    assert body["message"].startswith("0.50 EUR is on its way from your account at Sandbox Bank.")
    assert body["next_check_after"] < body["resolve_by"]
    assert body["if_unresolved"]
    assert int(begun.headers["retry-after"]) >= 1
    await go_on(site, SETTLED)
    done = await ming.get(begun.headers["location"])
    assert about(done, "status", "balance", "resolve_by") == ["completed", 150, None]
    assert (done.json()["money"]["state"], done.json()["message"]) == (
        "moved",
        "0.50 EUR came in from your account at Sandbox Bank.",
    )

    paying = await begin(ming, "payouts", 120)
    [account] = (await ming.get("/v1/wallet")).json()["accounts"]
    assert (account["posted"], account["held"], account["available"]) == (150, 120, 30)
    await go_on(site, SETTLED)
    assert about(await ming.get(paying.headers["location"]), "status", "balance") == ["completed", 30]


async def test_told_whose_matter_it_is(site: Site, ming: Person) -> None:
    """The wallet's, the customer's at the bank, or the bank's; in both languages."""
    poor = await begin(ming, "payouts", 101)
    assert (poor.status_code, *about(poor, "reason", "matter")) == (201, "insufficient_funds", "payer")
    closed, limit = await begin(ming, "topups", 1), await begin(ming, "topups", 2)
    await go_on(site, declined("account_closed"), declined("limit"))
    assert about(await ming.get(closed.headers["location"]), "reason", "matter") == ["bank_account_closed", "payer"]
    ming.client.headers["accept-language"] = "zh"
    told = await ming.get(limit.headers["location"])
    assert about(told, "status", "matter", "message") == [
        "declined",
        "bank:sandbox",
        "超过银行限额。请减少金额，或明日再继续。",
    ]
    assert told.json()["money"]["state"] == "not_moved"


async def test_unknown_and_undone(site: Site, ming: Person) -> None:
    """Held while nobody knows, returned when the time is up."""
    begun = await begin(ming, "payouts", 10)
    await go_on(site, UNKNOWN)
    unknown = await ming.get(begun.headers["location"])
    assert (unknown.json()["status"], unknown.json()["money"]["state"]) == ("unknown", "held")
    site.bank.clock.go(days=2)
    await go_on(site, UNKNOWN)
    undone = (await ming.get(begun.headers["location"])).json()
    assert (undone["status"], undone["reason"], undone["money"]["state"]) == ("reversed", "bank_no_answer", "returned")
    assert await ming.balance() == 100


async def test_the_same_key_again(site: Site, ming: Person) -> None:
    """Told as it is now; with another body, or at the other endpoint, the key is refused."""
    first = await begin(ming, "topups", 5, key="k")
    await go_on(site, SETTLED)
    again = await begin(ming, "topups", 5, key="k")
    assert (again.status_code, again.headers["idempotent-replayed"]) == (201, "true")
    assert about(again, "id", "status") == [first.json()["id"], "completed"]
    assert reason(await begin(ming, "topups", 6, key="k")) == (422, "key_reused")
    assert reason(await begin(ming, "payouts", 5, key="k")) == (422, "key_reused")


async def test_waiting(site: Site, ming: Person) -> None:
    """`Prefer: wait` and `?wait=` answer as soon as the bank has; a version that is known is not sent again."""
    account = (await link(ming)).json()["id"]
    posting = asyncio.create_task(begin(ming, "topups", 5, account=account, prefer="wait=20"))
    while not (listed := (await ming.get("/v1/topups")).json()["items"]):  # noqa: ASYNC110 - it tells nobody
        await asyncio.sleep(0.02)
    looking = asyncio.create_task(ming.get(f"/v1/topups/{listed[0]['id']}?wait=20"))
    await go_on(site, SETTLED)
    async with asyncio.timeout(10):
        posted, looked = await posting, await looking
    assert (posted.status_code, posted.headers["preference-applied"]) == (201, "wait=20")
    assert posted.json() == looked.json()
    known = {"if-none-match": looked.headers["etag"]}
    assert (await ming.get(posted.headers["location"], headers=known)).status_code == 304


async def test_lists_in_pages(site: Site, ming: Person) -> None:
    """Newest first, each once, top-ups and payouts apart."""
    made = [(await begin(ming, "topups", amount)).json()["id"] for amount in (1, 2, 3)]
    await begin(ming, "payouts", 4)
    first = (await ming.get("/v1/topups?limit=2")).json()
    rest = (await ming.get(f"/v1/topups?limit=2&cursor={first['next']}")).json()
    assert [each["id"] for each in first["items"] + rest["items"]] == made[::-1]
    assert len((await ming.get("/v1/payouts")).json()["items"]) == 1
    assert reason(await ming.get(f"/v1/payouts?cursor={first['next']}")) == (400, "invalid")
    await go_on(site, *[SETTLED] * 4)


async def test_what_is_not_there(site: Site, ming: Person) -> None:
    """No such bank, no such IBAN, and nothing of other people's."""
    account = (await link(ming)).json()["id"]
    begun = await begin(ming, "payouts", 1, account=account)
    mei = await site.person("mei", 100)
    assert reason(await mei.get(begun.headers["location"])) == (404, "not_found")
    assert reason(await begin(mei, "payouts", 1, account=account)) == (404, "not_found")
    assert reason(await mei.delete(f"/v1/bank-accounts/{account}")) == (404, "not_found")
    assert reason(await mei.get("/v1/topups/out_1")) == (404, "not_found")
    assert reason(await link(mei, bank="nobody")) == (404, "not_found")
    assert reason(await link(mei, iban="DE00370400440532013000")) == (400, "invalid")
    for _ in range(2):
        assert (await ming.delete(f"/v1/bank-accounts/{account}")).status_code == 204
    assert reason(await begin(ming, "payouts", 1, account=account)) == (404, "not_found")
    await go_on(site, SETTLED)


async def test_how_the_banks_fare(site: Site, ming: Person) -> None:
    """Not known while no worker looks; then what workers told last, in words, in both languages."""
    bank, partner, switch = (await ming.get("/v1/banks")).json()["items"]
    assert (partner["name"], switch["name"]) == ("Sandbox Partner Bank", "Sandbox Switch Bank")
    assert (bank["id"], bank["name"]) == ("sandbox", "Sandbox Bank")
    assert bank["topups"] == {"state": "unknown", "message": "Top-ups from Sandbox Bank: not known just now."}
    there = ScriptedBank()
    there.bank = "sandbox"
    lane = Lane(site.bank.db, there, clock=site.bank.clock, call_s=1)
    for answer in (SETTLED, *[UNKNOWN] * 12):
        there.answers = [answer]
        await lane.look_after(site.bank.clock.now())
        await lane.finish()
        site.bank.clock.go(seconds=1)
    await asyncio.sleep(1)  # so long a gateway tells what it has read
    bank, *_ = (await ming.get("/v1/banks")).json()["items"]
    payouts, enquiries = bank["payouts"], bank["enquiries"]
    assert (payouts["state"], enquiries["state"]) == ("down", "down")
    assert payouts["message"].startswith("Payouts to Sandbox Bank: not possible now, the bank does not answer.")
    assert enquiries["message"].endswith("We go on asking, and money that waits for one stays held.")
    assert enquiries["last_good_at"] < enquiries["since"]
    ming.client.headers["accept-language"] = "zh"
    bank, *_ = (await ming.get("/v1/banks")).json()["items"]
    assert bank["payouts"]["message"].startswith("提现到Sandbox Bank：银行没有响应")
