"""Whether a bank account is its person's: names that banks confirm, and tiny amounts that only owners can tell."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from tests.app.site import SETTINGS, Person, Site, reason, serving, with_key
from tests.banks.conftest import running as running  # noqa: PLC0414 - a fixture
from tests.banks.conftest import sandbox as sandbox  # noqa: PLC0414 - a fixture
from tests.banks.sandbox import ANNA, Sandbox
from tests.transits.scripted import SETTLED, UNKNOWN, ScriptedBank, declined

from unbusy import ids
from unbusy.banks import Result
from unbusy.banks.sandbox import prepare
from unbusy.db import Database
from unbusy.transits import Lane


@pytest.fixture(scope="module")
def banks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of banks; nobody calls them, and what the worker hears is the story's."""
    return prepare(tmp_path_factory.mktemp("banks"), "http://127.0.0.1:1")


@pytest.fixture
async def site(url: str, db: Database, banks: Path) -> AsyncGenerator[Site]:
    """The real application."""
    async with serving(url, db, msgspec.structs.replace(SETTINGS, banks=str(banks))) as site:
        yield site
    assert await site.bank.findings() == []


@pytest.fixture
async def anna(site: Site) -> Person:
    return await site.person("anna", 1_000_00)


@pytest.fixture
async def curious(url: str, db: Database, sandbox: Sandbox) -> AsyncGenerator[Person]:
    """Somebody at an application that asks a real sandbox bank for names."""
    settings = msgspec.structs.replace(SETTINGS, banks=sandbox.settings(timeout_s=1).banks)
    async with serving(url, db, settings) as site:
        yield await site.person("anna")


async def link(person: Person, iban: str = ANNA.iban) -> str:
    body = {"bank": "sandbox", "iban": iban, "holder": ANNA.name}
    return (await person.post("/v1/bank-accounts", json=body)).json()["id"]


async def begin(person: Person, account: str, asset: str = "EUR") -> httpx.Response:
    return await person.post(f"/v1/bank-accounts/{account}/verification", json={"asset": asset})


async def tell(person: Person, account: str, amount: int) -> httpx.Response:
    return await person.post(f"/v1/bank-accounts/{account}/verification/amount", json={"amount": amount})


async def stands(person: Person, account: str) -> str | None:
    return (await person.get(f"/v1/bank-accounts/{account}/verification")).json().get("status")


async def go_on(site: Site, *answers: Result) -> list[int]:
    """What the worker does when the bank says so; the amounts that it sent."""
    bank = ScriptedBank()
    bank.bank = "sandbox"
    bank.answers.extend(answers)
    lane = Lane(site.bank.db, bank, clock=site.bank.clock, call_s=1)
    await lane.go_on(site.bank.clock.now())
    await lane.finish()
    return [each.amount for each in bank.sent]


async def test_who_can_read_the_statement_verifies(site: Site, anna: Person) -> None:
    """A tiny amount of the house's own is sent; told back, it verifies, once and for all."""
    account = await link(anna)
    begun = await begin(anna, account)
    assert (begun.status_code, begun.json()["status"], begun.json()["tries_left"]) == (201, "on_its_way", 3)
    assert (await begin(anna, account)).json() == begun.json(), "nothing more is sent"
    assert reason(await tell(anna, account, 1)) == (409, "verification_not_open")

    [amount] = await go_on(site, SETTLED)
    assert (1 <= amount <= 99, await stands(anna, account)) == (True, "arrived")
    told = await tell(anna, account, amount)
    assert (told.status_code, bool(told.json()["verified_at"])) == (200, True)
    assert (await tell(anna, account, amount % 99 + 1)).json() == told.json(), "there is nothing left to prove"
    assert (await begin(anna, account)).json()["message"] == "This account at Sandbox Bank is verified."
    assert (await anna.get("/v1/bank-accounts")).json()["items"] == [told.json()]
    assert await anna.balance() == 1_000_00
    house = "SELECT (credits_posted - debits_posted)::bigint FROM ledger.accounts WHERE code = 'verification'"
    assert await site.bank.as_superuser(house) == -amount


async def test_nothing_else_tells_the_amount(site: Site, anna: Person) -> None:
    """Not the payouts, not the payout by its id, not an event."""
    async with anna.events() as stream:
        assert (await stream.next())[1] == "ready"
        account = await link(anna)
        begun = await begin(anna, account)
        [amount] = await go_on(site, SETTLED)
        assert (await anna.get("/v1/payouts")).json()["items"] == []
        assert '"amount"' not in begun.text
        [hidden] = await _ids_of_payouts(site)
        assert (await anna.get(f"/v1/payouts/{hidden}")).status_code == 404
        await tell(anna, account, amount)
        await anna.delete(f"/v1/bank-accounts/{account}")
        heard = [await stream.next() for _ in range(3)]
    assert [kind for _, kind, _ in heard] == ["bank_account.linked", "bank_account.verified", "bank_account.unlinked"]
    assert heard[1][2]["bank_account"]["id"] == account


async def _ids_of_payouts(site: Site) -> list[str]:
    async with site.bank.db.connection() as connection:
        rows = await connection.fetch("SELECT id FROM transits.transits WHERE is_verification")
    return [ids.show("out", row["id"]) for row in rows]


async def test_three_wrong_amounts_end_it(site: Site, anna: Person) -> None:
    """Also when they are told at once; the right one after them is no better than a wrong one."""
    account = await link(anna)
    await begin(anna, account)
    [amount] = await go_on(site, SETTLED)
    wrong = [1 + (amount + step) % 99 for step in range(6)]
    answers = await asyncio.gather(*(tell(anna, account, each) for each in wrong if each != amount))
    told = Counter(reason(each) for each in answers)
    assert told[409, "verification_amount_wrong"] == 3
    assert reason(await tell(anna, account, amount)) == (409, "verification_not_open")
    assert await stands(anna, account) == "tried_out"
    assert (await begin(anna, account)).json()["status"] == "on_its_way"


async def test_ten_days_end_it(site: Site, anna: Person) -> None:
    """The right amount comes too late; another one is sent."""
    account = await link(anna)
    await begin(anna, account)
    [amount] = await go_on(site, SETTLED)
    await site.bank.as_superuser(
        "UPDATE verification.verifications SET created_at = created_at - interval '11 days',"
        " expires_at = expires_at - interval '11 days' RETURNING 1"
    )
    assert await stands(anna, account) == "expired"
    assert reason(await tell(anna, account, amount)) == (409, "verification_not_open")
    assert (await begin(anna, account)).json()["status"] == "on_its_way"


async def test_what_the_bank_does_not_take(site: Site, anna: Person) -> None:
    """Says so; an answer that is lost leaves it on its way."""
    account = await link(anna)
    await begin(anna, account)
    await go_on(site, UNKNOWN)
    assert await stands(anna, account) == "on_its_way"
    site.bank.clock.go(seconds=5)
    await go_on(site, declined("account_closed"))
    assert await stands(anna, account) == "failed"


async def test_so_many_a_month(site: Site, anna: Person) -> None:
    """Whatever account they are for: who guesses has nine tries in thirty days, unlinked and linked anew or not."""
    for _ in range(3):
        account = await link(anna)
        assert (await begin(anna, account)).status_code == 201
        await anna.delete(f"/v1/bank-accounts/{account}")
    account = await link(anna)
    over = await begin(anna, account)
    assert reason(over) == (429, "quota_exceeded")
    assert int(over.headers["retry-after"]) > 29 * 86_400
    mei = await site.person("mei")
    assert (await begin(mei, account)).status_code == 404, "and nobody begins for others"
    assert (await tell(mei, account, 1)).status_code == 404


async def test_little_moves_before_it_is_verified(site: Site, anna: Person) -> None:
    """500 a day, in and out each and over all accounts that are not verified; then the usual limits."""
    account, other = await link(anna), await link(anna, "GB33BUKB20201555555555")

    async def move(what: str, amount: int, of: str = account) -> str:
        body = {"bank_account": of, "amount": amount, "asset": "EUR"}
        told = (await anna.post(f"/v1/{what}", json=body, headers=with_key())).json()
        return told.get("reason") or told["status"]

    assert [await move("payouts", amount) for amount in (500_01, 499_00, 1_01)] == [
        "bank_account_unverified",
        "pending",
        "bank_account_unverified",
    ]
    assert (await move("payouts", 1_01, other), await move("payouts", 1_00, other)) == (
        "bank_account_unverified",
        "pending",
    )
    assert await move("topups", 500_00) == "pending"
    await go_on(site, SETTLED, SETTLED, SETTLED)
    await begin(anna, account)
    [amount] = await go_on(site, SETTLED)
    await tell(anna, account, amount)
    assert (await move("topups", 500_01), await move("payouts", 400_00)) == ("pending", "pending")


async def test_the_bank_is_asked_for_the_name(curious: Person, sandbox: Sandbox) -> None:
    """A match, nearly one, and none, in both languages and before anything is linked; the name is masked."""
    sandbox.open_account(ANNA, balance=1)

    async def ask(holder: str) -> list[Any]:
        body = {"bank": "sandbox", "iban": ANNA.iban, "holder": holder}
        told = (await curious.post("/v1/bank-accounts/name-check", json=body)).json()
        return [told["name"], told.get("holder"), told["message"]]

    assert await ask(ANNA.name.upper()) == ["match", None, "Sandbox Bank knows this account under this name."]
    assert (await ask("Ana Berg"))[:2] == ["close_match", "A*** B***"]
    assert (await ask("Kofi Mensah"))[:2] == ["no_match", "A*** B***"]
    curious.client.headers["accept-language"] = "zh"
    assert (await ask("Kofi Mensah"))[2].startswith("Sandbox Bank登记的户名与您填写的不同：A*** B***。")
    assert (await curious.get("/v1/bank-accounts")).json()["items"] == []


async def test_a_bank_that_does_not_say(curious: Person, sandbox: Sandbox) -> None:
    """Is not guessed at, nor believed without its signature."""
    body = {"bank": "sandbox", "iban": ANNA.iban, "holder": ANNA.name}
    for kind in ("error", "reset", "garbled", "forged", "maintenance"):
        sandbox.break_with(kind=kind, operation="check_name", times=1)
        told = await curious.post("/v1/bank-accounts/name-check", json=body)
        assert (kind, told.json()["name"]) == (kind, "unchecked")
    assert (await curious.post("/v1/bank-accounts/name-check", json=body)).json()["name"] == "match"


async def test_a_bank_that_cannot_say(anna: Person) -> None:
    """One whose table names no place to ask at is not asked; one that there is not is told so."""
    body = {"bank": "partner", "iban": ANNA.iban, "holder": ANNA.name}
    assert (await anna.post("/v1/bank-accounts/name-check", json=body)).json()["name"] == "unchecked"
    assert (await anna.post("/v1/bank-accounts/name-check", json=body | {"bank": "none"})).status_code == 404


async def test_names_are_asked_for_so_many_times_a_day(anna: Person) -> None:
    """However many at once."""
    body = {"bank": "sandbox", "iban": ANNA.iban, "holder": "Somebody"}
    answers = await asyncio.gather(*(anna.post("/v1/bank-accounts/name-check", json=body) for _ in range(23)))
    assert Counter(each.status_code for each in answers) == {200: 20, 429: 3}
