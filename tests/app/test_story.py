"""A whole story over HTTP, from signing up to signing out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tests.app.site import Person, Site, reason, with_key
from tests.payments.bank import PASSWORD

from unbusy.api import Role


async def joined(site: Site, name: str) -> Person:
    """Somebody who signs up over HTTP."""
    stranger = await site.client()
    new = {"name": name.title(), "handle": f"@{name}", "email": f"{name}@example.com", "password": PASSWORD}
    assert (await stranger.post("/v1/customers", json=new)).status_code == 201
    return await site.sign_in(f"{name}@example.com")


async def test_from_signing_up_to_signing_out(site: Site) -> None:
    """Join, be credited, pay, read the receipt and the statement, refund, ask, be paid, leave."""
    ming, mei = await joined(site, "ming"), await joined(site, "mei")
    wallet = (await ming.get("/v1/wallet")).json()
    assert wallet["accounts"] == [{"asset": "EUR", "posted": 0, "held": 0, "available": 0, "state": "open", "id": None}]
    assert abs(datetime.fromisoformat(wallet["as_of"]) - datetime.now(UTC)) < timedelta(seconds=10)
    await site.bank.credit(site.principal(ming), 100_00)

    paid = await ming.pay("@mei", 12_50)
    payment = paid.json()
    assert (paid.status_code, payment["status"], payment["balance"]) == (201, "completed", 87_50)
    assert payment["message"] == "You paid 12.50 EUR to Mei."
    assert payment["money"]["state"] == "moved"
    assert payment["money"]["at"] == payment["receipt"]["at"]
    assert paid.headers["location"] == f"/v1/payments/{payment['id']}"
    receipt = (await mei.get(payment["receipt"]["url"])).json()
    assert (receipt["receipt"], receipt["message"]) == (payment["receipt"], "Ming paid you 12.50 EUR.")
    assert "balance" not in receipt

    refund = await mei.post(f"/v1/payments/{payment['id']}/refunds", json={"amount": 2_50}, headers=with_key())
    assert (refund.status_code, refund.json()["status"], refund.json()["balance"]) == (201, "completed", 10_00)
    seen = (await ming.get(paid.headers["location"])).json()
    assert (seen["refunded"], seen["money"]) == (2_50, payment["money"])
    [listed] = (await ming.get(f"/v1/payments/{payment['id']}/refunds")).json()["items"]
    assert (listed["id"], listed["message"]) == (refund.json()["id"], "You received a refund of 2.50 EUR.")
    assert "balance" not in listed

    asked = await mei.post("/v1/requests", json={"payer": "@ming", "amount": 5_00, "asset": "EUR"}, headers=with_key())
    assert asked.status_code == 201
    [received] = (await ming.get("/v1/requests")).json()["items"]
    assert received == asked.json()
    answered = await ming.post(f"{asked.headers['location']}/payment", headers=with_key())
    assert (answered.status_code, answered.json()["request_id"]) == (201, received["id"])
    assert (await mei.get(asked.headers["location"])).json()["status"] == "paid"

    assert (await ming.balance(), await mei.balance()) == (85_00, 15_00)
    assert (await ming.delete("/v1/sessions/current")).status_code == 204
    assert reason(await ming.get("/v1/wallet")) == (401, "unauthenticated")
    assert (await mei.get("/v1/wallet")).status_code == 200


async def test_a_statement_in_pages(site: Site) -> None:
    """Page by page, newest first, without a gap in the numbers, adding up to the balance."""
    ming, mei = await site.person("ming", 100), await site.person("mei", 100)
    for number in range(5):
        await (ming.pay("@mei", 10) if number % 2 else mei.pay("@ming", 1))
    pages: list[list[dict[str, object]]] = []
    cursor = ""
    while True:
        page = (await ming.get(f"/v1/statement?limit=2{cursor}")).json()
        pages.append(page["items"])
        if not page["next"]:
            break
        cursor = f"&cursor={page['next']}"
    entries = [entry for page in pages for entry in page]
    assert [len(page) for page in pages] == [2, 2, 2]
    assert [entry["number"] for entry in entries] == [6, 5, 4, 3, 2, 1]
    assert [entry["amount"] for entry in entries] == [1, -10, 1, -10, 1, 100]
    assert [entry["balance"] for entry in entries] == [83, 82, 92, 91, 101, 100]
    assert entries[0]["counterparty"] == {"id": mei.id, "handle": "@mei", "name": "Mei"}
    assert (entries[-1]["code"], entries[-1]["counterparty"]) == ("top_up", None)
    payment = await ming.get(f"/v1/payments/{entries[0]['payment_id']}")
    assert payment.json()["id"] == entries[0]["payment_id"]
    between = await ming.get("/v1/statement", params={"since": entries[3]["at"], "until": entries[1]["at"]})  # pyright: ignore[reportArgumentType] - times
    assert [entry["number"] for entry in between.json()["items"]] == [4, 3]
    assert len((await ming.get("/v1/statement?limit=100")).json()["items"]) == 6


async def test_a_list_of_payments_in_pages(site: Site) -> None:
    """Made and received together, each once, newest first, however long a page is."""
    ming, mei = await site.person("ming", 100), await site.person("mei", 100)
    made = [(await (ming.pay("@mei", 1) if number % 3 else mei.pay("@ming", 1))).json()["id"] for number in range(7)]
    first = (await ming.get("/v1/payments?limit=4")).json()
    rest = (await ming.get(f"/v1/payments?limit=100&cursor={first['next']}")).json()
    assert [payment["id"] for payment in first["items"] + rest["items"]] == made[::-1]
    assert rest["next"] is None


async def test_events_as_they_happen(site: Site) -> None:
    """A stream begins with where it is, tells what happens, and goes on where it was lost."""
    ming, mei = await site.person("ming", 100), await site.person("mei")
    async with mei.events() as stream:
        assert stream.response.headers["content-type"] == "text/event-stream"
        _, kind, data = await stream.next()
        assert (kind, data) == ("ready", {})
        paid = (await ming.pay("@mei", 10)).json()
        place, kind, data = await stream.next()
        assert (kind, data["type"], data["payment"]["id"]) == ("payment.completed", "payment.completed", paid["id"])
    await mei.post(f"/v1/payments/{paid['id']}/refunds", json={}, headers=with_key())
    await mei.post("/v1/requests", json={"payer": "@ming", "amount": 5, "asset": "EUR"}, headers=with_key())
    async with mei.events(last_event_id=place) as stream:
        assert [(await stream.next())[1] for _ in range(2)] == ["refund.completed", "request.open"]
    assert reason(await mei.get("/v1/events", headers={"last-event-id": "yesterday"})) == (400, "invalid")


async def test_a_merchant_is_paid(site: Site) -> None:
    """A shop that an operator added takes money and gives it back."""
    operator = await site.person("ops", role=Role.operator)
    shop = {"name": "Tea House", "handle": "tea_house", "email": "tea@example.com", "password": PASSWORD}
    assert (await operator.post("/v1/merchants", json=shop)).status_code == 201
    ming, tea = await site.person("ming", 100), await site.sign_in("@tea_house")
    paid = (await ming.pay("@tea_house", 60)).json()
    assert paid["payee"] == {"id": tea.id, "handle": "@tea_house", "name": "Tea House"}
    refund = await tea.post(f"/v1/payments/{paid['id']}/refunds", json={}, headers=with_key())
    assert refund.json()["money"]["amount"] == 60
    assert await ming.balance() == 100


async def test_what_operators_do_with_accounts(site: Site) -> None:
    """Freeze, thaw, close: the wallet shows it, payments name it, and what is closed stays closed."""
    operator = await site.person("ops", role=Role.operator)
    ming, mei = await site.person("ming", 100), await site.person("mei", 1)
    [account] = (await operator.get(f"/v1/people/{ming.id}/wallet")).json()["accounts"]
    assert [account] == (await ming.get("/v1/wallet")).json()["accounts"]
    state = f"/v1/accounts/{account['id']}/state"

    assert (await operator.post(state, json={"state": "frozen"})).json()["state"] == "frozen"
    declined = (await ming.pay("@mei", 1)).json()
    assert (declined["reason"], declined["matter"], declined["money"]["state"]) == (
        "payer_account_frozen",
        "payer",
        "not_moved",
    )
    assert (await mei.pay("@ming", 1)).json()["reason"] == "payee_account_frozen"
    assert (await operator.post(state, json={"state": "open"})).json()["state"] == "open"
    assert reason(await operator.post(state, json={"state": "closed"})) == (409, "account_not_empty")
    await ming.pay("@mei", 100)
    assert (await operator.post(state, json={"state": "closed"})).json()["state"] == "closed"
    assert reason(await operator.post(state, json={"state": "open"})) == (409, "account_closed")
    assert (await mei.pay("@ming", 1)).json()["reason"] == "payee_account_closed"
    assert (await ming.pay("@mei", 1)).json()["reason"] == "payer_account_closed"
