"""Payments with money from a bank account, over HTTP, as their callers rely on it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import httpx
import msgspec
import pytest
from tests.app.site import SETTINGS, Person, Site, reason, serving, with_key
from tests.transits.scripted import IBAN, SETTLED, ScriptedBank, declined

from unbusy.banks import Result, sandbox
from unbusy.db import Database
from unbusy.funding import Settler
from unbusy.ids import Ids
from unbusy.ledger import AccountState
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


@pytest.fixture
async def shop(site: Site) -> Person:
    return await site.person("shop", 1)


async def pay(person: Person, amount: int, *, key: str | None = None, **headers: str) -> httpx.Response:
    body = {"bank": "sandbox", "iban": IBAN, "holder": "Ming Li"}
    account = (await person.post("/v1/bank-accounts", json=body)).json()["id"]
    order = {"payee": "@shop", "amount": amount, "asset": "EUR", "bank_account": account}
    return await person.post("/v1/payments", json=order, headers=with_key(key) | headers)


async def go_on(site: Site, *answers: Result) -> None:
    """What the worker does when the bank says so."""
    bank = ScriptedBank()
    bank.bank = "sandbox"
    bank.answers.extend(answers)
    lane = Lane(site.bank.db, bank, clock=site.bank.clock, call_s=1)
    assert await lane.go_on(site.bank.clock.now()) == len(answers)
    await lane.finish()
    settler = Settler(ids=Ids(site.bank.clock), settings=SETTINGS)
    await site.bank.db.run(lambda tx: settler.settle(tx, site.bank.clock.now(), 100))


async def test_one_payment_from_two_places(site: Site, ming: Person, shop: Person) -> None:
    """202 and pending while the bank is asked; the same key and the same id tell how it stands, to the end."""
    begun = await pay(ming, 250, key="k")
    body = begun.json()
    assert (begun.status_code, body["status"], body["money"]["state"]) == (202, "pending", "held")
    assert (body["retry"], body["funding"]["amount"]) == ({"safe": False, "same_key": True, "after": None}, 150)
    assert body["message"].startswith("The money for Shop, 2.50 EUR, is on its way from your bank; it is paid by 20")
    assert body["next_check_after"] < body["finish_by"]
    assert body["if_missed"]
    assert int(begun.headers["retry-after"]) >= 1
    assert (await ming.get(f"/v1/topups/{body['funding']['topup']}")).json()["money"]["amount"] == 150
    assert (await shop.get(begun.headers["location"])).status_code == 404
    assert reason(await ming.post(f"{begun.headers['location']}/cancel")) == (409, "payment_not_cancellable")

    await go_on(site, SETTLED)
    done = (await ming.get(f"{begun.headers['location']}?wait=5")).json()
    assert (done["status"], done["balance"], done["funding"]["message"]) == (
        "completed",
        0,
        "1.50 EUR of it came from your account at Sandbox Bank.",
    )
    again = await pay(ming, 250, key="k")
    assert (again.status_code, again.json()["id"], again.headers["idempotent-replayed"]) == (201, body["id"], "true")
    received = (await shop.get(begun.headers["location"])).json()
    assert (received["status"], "funding" in received) == ("completed", False)


async def test_the_bank_says_no(site: Site, ming: Person, shop: Person) -> None:
    """Whose matter it is, in the reader's language, and that nothing was kept."""
    refused, poor = await pay(ming, 250), await pay(ming, 30)
    assert poor.json()["status"] == "pending", "what the first holds is not the second's"
    await go_on(site, declined("limit"), declined("insufficient_funds"))
    ming.client.headers["accept-language"] = "zh"
    told = (await ming.get(refused.headers["location"])).json()
    assert (told["reason"], told["matter"], told["money"]["state"]) == ("bank_limit", "bank:sandbox", "not_moved")
    assert told["funding"]["message"].startswith("曾向您在Sandbox Bank的账户请求 1.50 EUR")
    assert (await ming.get(poor.headers["location"])).json()["matter"] == "payer"
    [account] = (await ming.get("/v1/wallet")).json()["accounts"]
    assert (account["posted"], account["held"]) == (100, 0)
    assert shop


async def test_where_the_money_is_when_it_came_for_nothing(site: Site, ming: Person, shop: Person) -> None:
    """The payment names the payout that gives it back."""
    begun = await pay(ming, 250)
    await site.bank.set_state(site.principal(shop), AccountState.frozen)
    await go_on(site, SETTLED)
    told = (await ming.get(begun.headers["location"])).json()
    assert (told["status"], told["reason"]) == ("declined", "payee_account_frozen")
    payout = (await ming.get(f"/v1/payouts/{told['funding']['payout']}")).json()
    assert (payout["status"], payout["money"]["amount"]) == ("pending", 150)
    await go_on(site, SETTLED)
    assert (await ming.get(f"/v1/payouts/{payout['id']}")).json()["status"] == "completed"


async def test_what_cannot_work(ming: Person, shop: Person) -> None:
    """An account that is not one's own, a key of another payment, and no account at all."""
    order = {"payee": "@shop", "amount": 50, "asset": "EUR"}
    unknown = await ming.post("/v1/payments", json=order | {"bank_account": "ban_1"}, headers=with_key())
    assert reason(unknown) == (404, "not_found")
    assert (await ming.post("/v1/payments", json=order, headers=with_key("p"))).json()["status"] == "completed"
    assert reason(await pay(ming, 50, key="p")) == (422, "key_reused")
    none = await ming.post("/v1/payments", json=order | {"bank_account": None}, headers=with_key())
    assert reason(none) == (400, "invalid")
    assert shop
