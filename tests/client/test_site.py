"""Both clients against the real application: every verb, and the errors people meet."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from tests.app.site import SETTINGS, Site, serving
from tests.client.conftest import Connect
from tests.payments.bank import PASSWORD
from tests.transits.scripted import IBAN, SETTLED, ScriptedBank

from unbusy.banks import sandbox
from unbusy.db import Database
from unbusy.funding import Settler
from unbusy.ids import Ids
from unbusy.transits import Lane
from unbusy_client import (
    AsyncClient,
    Conflict,
    Declined,
    Ended,
    Forbidden,
    Invalid,
    KeyReused,
    NewPayment,
    NotFound,
    Session,
    Unauthenticated,
    Underway,
)


@pytest.fixture
async def ming(site: Site, connect: Connect) -> AsyncClient:
    """Ming, signed in, with 100.00 EUR; Anna has nothing."""
    for name, amount in [("ming", 100_00), ("anna", 0)]:
        await site.bank.person(name, amount)
    return await signed_in(site, connect, "ming")


async def signed_in(site: Site, connect: Connect, name: str) -> AsyncClient:
    client = connect(site.url)
    await client.sign_in(f"@{name}", PASSWORD)
    return client


async def test_from_signing_up_to_signing_out(site: Site, connect: Connect) -> None:
    """Join, look, leave; afterwards nobody is signed in."""
    client = connect(site.url, language="zh")
    person = await client.sign_up("Wei", PASSWORD, handle="@wei", email="wei@example.com", language="zh")
    assert (person.handle, person.language, client.session) == ("@wei", "zh", None)
    assert await client.sign_in("wei@example.com", PASSWORD) == person
    assert await client.me() == person
    wallet = await client.wallet()
    assert wallet.account("EUR").available == 0
    with pytest.raises(Conflict) as raised:
        await client.sign_up("Wei", PASSWORD, handle="@wei", email="other@example.com")
    assert (raised.value.reason, raised.value.request_id != "") == ("handle_taken", True)
    await client.sign_out()
    assert client.session is None
    with pytest.raises(Unauthenticated):
        await client.wallet()


async def test_pay_and_look_back(site: Site, connect: Connect, ming: AsyncClient) -> None:
    """A payment, its balance, its receipt, the statement of both, in pages."""
    payment = (await ming.pay("@anna", 5_00, "EUR", "tea")).require_completed()
    assert (payment.balance, payment.note, payment.money.state, payment.is_final) == (95_00, "tea", "moved", True)
    assert payment.receipt is not None
    assert await ming.payment(payment.id) == payment
    entries = [entry async for entry in ming.statement("EUR")]
    assert [entry.amount for entry in entries] == [-5_00, 100_00]
    assert entries[0].payment_id == payment.id
    since = datetime.now(UTC) + timedelta(hours=1)
    assert [entry async for entry in ming.statement("EUR", since=since)] == []
    anna = await signed_in(site, connect, "anna")
    assert [seen.id async for seen in anna.payments()] == [payment.id]
    assert (await anna.wallet()).account("EUR").posted == 5_00


async def test_a_long_list_is_gone_through(ming: AsyncClient) -> None:
    """Page after page, each item once."""
    made = await asyncio.gather(*(ming.pay("@anna", 1, "EUR") for _ in range(103)))
    listed = [payment.id async for payment in ming.payments()]
    assert len(listed) == 103
    assert set(listed) == {payment.id for payment in made}


async def test_the_same_key_is_the_same_payment(ming: AsyncClient) -> None:
    """Repeated by another process, days later: one payment. Another body under it is refused."""
    first = await ming.pay("@anna", 5_00, "EUR", key="order-7")
    assert await ming.pay("@anna", 5_00, "EUR", key="order-7") == first
    with pytest.raises(KeyReused) as raised:
        await ming.pay("@anna", 6_00, "EUR", key="order-7")
    assert raised.value.key == "order-7"
    assert (await ming.wallet()).account("EUR").posted == 95_00


async def test_declined_is_an_answer(ming: AsyncClient) -> None:
    """It is given back, with whose matter it is; who wants an exception asks for it."""
    payment = await ming.pay("@anna", 100_01, "EUR")
    assert (payment.status, payment.reason, payment.matter) == ("declined", "insufficient_funds", "payer")
    with pytest.raises(Declined) as raised:
        payment.require_completed()
    assert (raised.value.reason, raised.value.matter) == ("insufficient_funds", "payer")
    assert raised.value.fix
    assert not raised.value.may_have_moved


async def test_what_is_wrong_is_told(ming: AsyncClient) -> None:
    """The kind of mistake by its class, the place by its field, and nothing is tried twice."""
    with pytest.raises(Invalid) as invalid:
        await ming.pay("@anna", 0, "EUR")
    assert [error.field for error in invalid.value.fields] == ["amount"]
    with pytest.raises(NotFound):
        await ming.pay("@nobody_here", 1, "EUR")
    with pytest.raises(NotFound):
        await ming.payment("pay_../../me")
    with pytest.raises(Unauthenticated):
        await ming.sign_in("@ming", "not the password")
    payment = await ming.pay("@anna", 1, "EUR")
    with pytest.raises(Forbidden):
        await ming.refund(payment.id)


async def test_a_queued_payment(site: Site, ming: AsyncClient) -> None:
    """Promised at once, looked after until it is done or taken back."""
    queued = await ming.queue("@anna", 5_00, "EUR")
    assert (queued.status, queued.is_final) == ("queued", False)
    assert queued.finish_by is not None
    with pytest.raises(Underway) as raised:
        queued.require_completed()
    assert raised.value.may_have_moved
    assert (await ming.payment(queued.id, wait_s=1)).status == "queued"
    assert (await ming.wait_for(queued.id, within_s=1.5)).status == "queued"
    cancelled = await ming.cancel(queued.id)
    assert cancelled == await ming.cancel(queued.id)
    with pytest.raises(Ended):
        cancelled.require_completed()

    other = await ming.queue("@anna", 5_00, "EUR")
    waiting = asyncio.create_task(ming.wait_for(other.id, within_s=20))
    await asyncio.sleep(0.1)
    await site.bank.settle_queued()
    assert (await waiting).is_completed
    with pytest.raises(Conflict):
        await ming.cancel(other.id)


async def test_refunds(site: Site, connect: Connect, ming: AsyncClient) -> None:
    """A part, then the rest, then no more than there is."""
    payment = await ming.pay("@anna", 5_00, "EUR")
    anna = await signed_in(site, connect, "anna")
    part = (await anna.refund(payment.id, 2_00, "one tea less")).require_completed()
    rest = await anna.refund(payment.id)
    assert (part.money.amount, rest.money.amount, rest.balance) == (2_00, 3_00, 0)
    assert [refund.id async for refund in ming.refunds(payment.id)] == [rest.id, part.id]


async def test_requests_for_money(site: Site, connect: Connect, ming: AsyncClient) -> None:
    """Ask, pay, decline, withdraw."""
    anna = await signed_in(site, connect, "anna")
    asked = [await anna.ask("@ming", amount, "EUR", "rent", expires_in_days=3) for amount in (3_00, 2_00, 1_00)]
    assert [request.id async for request in ming.requests()] == [request.id for request in reversed(asked)]
    payment = (await ming.pay_request(asked[0].id)).require_completed()
    assert payment.request_id == asked[0].id
    assert (await anna.request(asked[0].id)).payment_id == payment.id
    assert (await ming.decline_request(asked[1].id)).status == "declined"
    assert (await anna.withdraw_request(asked[2].id)).status == "cancelled"
    with pytest.raises(Conflict) as raised:
        await ming.pay_request(asked[2].id)
    assert raised.value.reason == "request_not_open"


async def test_a_batch(site: Site, ming: AsyncClient) -> None:
    """Good rows are taken if that was asked for, bad ones are named, and the report says what became of each."""
    rows = [
        NewPayment(key="wage-1", payee="@anna", amount=60_00, asset="EUR", note="wages"),
        NewPayment(key="wage-2", payee="@nobody_here", amount=1, asset="EUR"),
        NewPayment(key="wage-3", payee="@anna", amount=60_00, asset="EUR"),
    ]
    with pytest.raises(Invalid) as invalid:
        await ming.pay_batch(rows, key="wages")
    assert [error.field for error in invalid.value.fields] == ["line 2: payee"]
    batch = await ming.pay_batch(rows, take_good_rows=True, key="wages")
    assert (batch.accepted, batch.refused, batch.payments, batch.is_finished) == (2, 1, {"queued": 2}, False)
    assert batch.finish_by is not None
    assert batch.next_check_after is not None
    assert (await ming.pay_batch(rows, take_good_rows=True, key="wages")).id == batch.id

    await site.bank.settle_queued()
    finished = await ming.batch(batch.id)
    assert (finished.is_finished, finished.payments) == (True, {"completed": 1, "declined": 1})
    paid, refused, declined = [row async for row in ming.batch_rows(batch.id)]
    assert (paid.line, paid.key, paid.status) == (1, "wage-1", "completed")
    assert (refused.status, refused.reason, refused.field, refused.payment_id) == (
        "refused",
        "not_found",
        "payee",
        None,
    )
    assert refused.detail
    assert (declined.status, declined.reason) == ("declined", "insufficient_funds")
    assert paid.payment_id is not None
    assert (await ming.payment(paid.payment_id)).note == "wages"


async def test_a_file_of_many_rows(ming: AsyncClient) -> None:
    """Sent as it is, and its report is gone through page by page, each row once and in order."""
    content = "key,payee,amount,asset\n" + "".join(f"row-{number},@anna,1,EUR\n" for number in range(203))
    batch = await ming.pay_file(content.encode(), "text/csv")
    rows = [row async for row in ming.batch_rows(batch.id)]
    assert [row.key for row in rows] == [f"row-{number}" for number in range(203)]
    assert [row.line for row in rows] == list(range(2, 205))


async def test_events(site: Site, connect: Connect, ming: AsyncClient) -> None:
    """From now on, and from where one was."""
    anna = await signed_in(site, connect, "anna")
    async with contextlib.aclosing(anna.events()) as events:
        ready = await anext(events)
        assert ready.type == "ready"
        payment = await ming.pay("@anna", 5_00, "EUR")
        happened = await anext(events)
    assert happened.payment is not None
    assert (happened.type, happened.payment.id, happened.at is None) == ("payment.completed", payment.id, False)
    async with contextlib.aclosing(anna.events(after=ready.id)) as events:
        assert (await anext(events)).id == happened.id


async def test_a_session_is_kept_and_renewed(site: Site, connect: Connect, ming: AsyncClient) -> None:
    """Another process goes on with the tokens; when the access token is bad, the refresh token brings another."""
    assert ming.session is not None
    kept = Session(
        access_token="gone",
        refresh_token=ming.session.refresh_token,
        expires_in=ming.session.expires_in,
        person=ming.session.person,
    )
    again = connect(site.url, session=kept)
    assert (await again.pay("@anna", 1, "EUR")).is_completed
    assert again.session is not None
    assert again.session.access_token != "gone"


@pytest.fixture
async def at_banks(url: str, db: Database, tmp_path: Path) -> AsyncGenerator[Site]:
    """The application with a bank that answers what the story says."""
    settings = msgspec.structs.replace(SETTINGS, banks=str(sandbox.prepare(tmp_path, "http://127.0.0.1:1")))
    async with serving(url, db, settings) as site:
        yield site
    assert await site.bank.findings() == []


async def go_on(site: Site, count: int) -> list[int]:
    """The worker does what is due, and the bank settles it; the amounts."""
    bank = ScriptedBank()
    bank.bank = "sandbox"
    bank.answers.extend([SETTLED] * count)
    lane = Lane(site.bank.db, bank, clock=site.bank.clock, call_s=1)
    await lane.go_on(site.bank.clock.now())
    await lane.finish()
    settler = Settler(ids=Ids(site.bank.clock), settings=SETTINGS)
    await site.bank.db.run(lambda tx: settler.settle(tx, site.bank.clock.now(), 100))
    return [each.amount for each in bank.sent]


async def test_banks(at_banks: Site, connect: Connect) -> None:
    """See how they fare, link, verify, top up, pay out, pay with what the bank sends, unlink."""
    site = at_banks
    for name, amount in [("ming", 100), ("anna", 0)]:
        await site.bank.person(name, amount)
    ming = await signed_in(site, connect, "ming")
    assert [(bank.id, bank.topups.state) async for bank in ming.banks()] == [
        ("sandbox", "unknown"),
        ("partner", "unknown"),
        ("switch", "unknown"),
    ]
    with pytest.raises(Invalid) as raised:
        await ming.link_bank_account("sandbox", "Ming Li", country="ES", number="2100 0418 46 0200051332")
    assert [each.field for each in raised.value.fields] == ["number"]
    assert (await ming.check_name("sandbox", "Ming Li", iban=IBAN)).name == "unchecked"
    account = await ming.link_bank_account("sandbox", "Ming Li", iban=IBAN)
    assert [each async for each in ming.bank_accounts()] == [account]

    assert (await ming.verify(account.id, "EUR")).status == "on_its_way"
    [sent] = await go_on(site, 1)
    with pytest.raises(Conflict):
        await ming.tell_amount(account.id, sent + 1)
    assert ((await ming.verification(account.id)).status, (await ming.verification(account.id)).tries_left) == (
        "arrived",
        2,
    )
    assert (await ming.tell_amount(account.id, sent)).verified_at

    topup = await ming.top_up(account.id, 50, "EUR", key="t")
    assert (await ming.top_up(account.id, 50, "EUR", key="t")).id == topup.id
    payout = await ming.pay_out(account.id, 20, "EUR")
    with pytest.raises(Underway):
        (await ming.topup(topup.id)).require_completed()
    await go_on(site, 2)
    assert (await ming.wait_for_topup(topup.id)).require_completed().money.state == "moved"
    assert (await ming.wait_for_payout(payout.id)).is_completed
    assert (await ming.payout(payout.id)).is_final
    assert [each.id async for each in ming.topups()] == [topup.id]
    assert [each.id async for each in ming.payouts()] == [payout.id]

    payment = await ming.pay("@anna", 200, "EUR", bank_account=account.id)
    assert (payment.status, payment.is_final) == ("pending", False)
    await go_on(site, 1)
    paid = (await ming.wait_for(payment.id)).require_completed()
    assert (paid.balance, paid.funding and paid.funding.amount) == (0, 70)
    await ming.unlink_bank_account(account.id)
    with pytest.raises(NotFound):
        await ming.top_up(account.id, 50, "EUR")
