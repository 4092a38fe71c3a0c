"""The HTTP contract, as callers rely on it."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
from tests.app.site import Person, Site, reason, with_key


async def settle(site: Site) -> None:
    """What the worker does."""
    assert await site.bank.settle_queued()


class TestTheSameKey:
    """Asked again, told again."""

    async def test_a_replay_says_so(self, site: Site) -> None:
        """Status, body and address are the same; a header tells that nothing was done anew."""
        ming, _ = await site.person("ming", 100), await site.person("mei")
        first, second = await ming.pay("@mei", 1, key="k"), await ming.pay("@mei", 1, key="k")
        assert "idempotent-replayed" not in first.headers
        assert second.headers["idempotent-replayed"] == "true"
        assert (first.status_code, first.content) == (second.status_code, second.content)
        assert first.headers["location"] == second.headers["location"]

    async def test_on_every_route_that_takes_one(self, site: Site) -> None:
        """Refunds, requests and their payments replay as payments do."""
        ming, mei = await site.person("ming", 100), await site.person("mei")
        paid = (await ming.pay("@mei", 10)).json()["id"]
        asked = (await self._twice(mei, "/v1/requests", {"payer": "@ming", "amount": 1, "asset": "EUR"})).json()["id"]
        await self._twice(mei, f"/v1/payments/{paid}/refunds", {"amount": 4})
        await self._twice(ming, f"/v1/requests/{asked}/payment", None)
        assert await ming.balance() == 100 - 10 + 4 - 1

    async def _twice(self, person: Person, path: str, body: dict[str, Any] | None) -> httpx.Response:
        first, second = [await person.post(path, json=body, headers=with_key("twice")) for _ in range(2)]
        assert (first.status_code, second.headers["idempotent-replayed"]) == (201, "true")
        assert first.json()["id"] == second.json()["id"]
        return first

    async def test_in_another_spelling(self, site: Site) -> None:
        """Blanks, the order of fields and a default written out do not make another request."""
        ming, _ = await site.person("ming", 100), await site.person("mei")
        headers = with_key("k") | {"content-type": "application/json"}
        bodies = (
            '{"payee":"@mei","amount":1,"asset":"EUR"}',
            ' { "asset" : "EUR", "note": "", "amount":1,\n"payee":"@mei"}',
        )
        answers = [await ming.post("/v1/payments", content=body, headers=headers) for body in bodies]
        assert [answer.status_code for answer in answers] == [201, 201]
        assert answers[0].json() == answers[1].json()


class TestNotWaiting:
    """`Prefer: respond-async`, `wait`, and looking again."""

    async def test_queued_and_looked_at(self, site: Site) -> None:
        """202 with the promise, where to look and the place; then the end of it."""
        ming, _ = await site.person("ming", 100), await site.person("mei")
        queued = await ming.pay("@mei", 1, prefer="respond-async")
        body = queued.json()
        assert (queued.status_code, body["status"], body["money"]["state"]) == (202, "queued", "not_moved")
        assert queued.headers["preference-applied"] == "respond-async"
        assert (body["place"], body["retry"]["safe"]) == (1, False)
        assert body["finish_by"] > body["created_at"]
        assert body["if_missed"]
        assert (await ming.get(queued.headers["location"])).json() == body
        await settle(site)
        done = (await ming.get(queued.headers["location"])).json()
        assert (done["status"], done["money"]["state"], done["balance"]) == ("completed", "moved", 99)
        assert "place" not in done

    async def test_waiting_for_the_end(self, site: Site) -> None:
        """A long poll answers as soon as there is an end, and with what there is when there is none."""
        ming, _ = await site.person("ming", 100), await site.person("mei")
        where = (await ming.pay("@mei", 1, prefer="respond-async")).headers["location"]
        assert (await ming.get(where, params={"wait": 0})).json()["status"] == "queued"
        waiting = asyncio.create_task(ming.get(where, params={"wait": 30}))
        posting = asyncio.create_task(ming.pay("@mei", 2, prefer="respond-async, wait=30"))
        await asyncio.sleep(0.1)
        await settle(site)
        async with asyncio.timeout(10):
            assert (await waiting).json()["status"] == "completed"
            done = await posting
        assert (done.status_code, done.json()["status"]) == (201, "completed")
        assert done.headers["preference-applied"] == "respond-async, wait=30"

    async def test_cancelled_and_expired(self, site: Site) -> None:
        """A payer may think again; a promise that was missed is an outcome with its reason."""
        ming, _ = await site.person("ming", 100), await site.person("mei")
        first, second = [(await ming.pay("@mei", 1, prefer="respond-async")).headers["location"] for _ in range(2)]
        for _ in range(2):
            cancelled = await ming.post(f"{first}/cancel")
            assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
        site.bank.clock.go(seconds=61)
        await settle(site)
        missed = (await ming.get(second)).json()
        assert (missed["status"], missed["reason"]) == ("expired", "promise_missed")
        assert reason(await ming.post(f"{second}/cancel")) == (409, "payment_not_cancellable")


class TestLooking:
    """Reads that cost little."""

    async def test_a_version_that_is_known(self, site: Site) -> None:
        """304 without a body for who has it; another language, another version or news get it anew."""
        ming, mei = await site.person("ming", 100), await site.person("mei")
        where = (await ming.pay("@mei", 10)).headers["location"]
        first = await ming.get(where)
        known = {"if-none-match": first.headers["etag"]}
        again = await ming.get(where, headers=known)
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
        assert (await ming.get(where, headers=known | {"accept-language": "zh"})).status_code == 200
        await mei.post(f"{where}/refunds", json={"amount": 1}, headers=with_key())
        assert (await ming.get(where, headers=known)).json()["refunded"] == 1

    async def test_a_request_that_is_known(self, site: Site) -> None:
        """Requests for money have versions too."""
        ming, mei = await site.person("ming", 100), await site.person("mei")
        body = {"payer": "@ming", "amount": 1, "asset": "EUR"}
        where = (await mei.post("/v1/requests", json=body, headers=with_key())).headers["location"]
        known = {"if-none-match": (await ming.get(where)).headers["etag"]}
        assert (await ming.get(where, headers=known)).status_code == 304
        await ming.post(f"{where}/decline")
        assert (await ming.get(where, headers=known)).json()["status"] == "declined"

    async def test_moving_up_in_line_is_news(self, site: Site) -> None:
        """The place of a queued payment is part of its version."""
        ming, _ = await site.person("ming", 100), await site.person("mei")
        first, second = [(await ming.pay("@mei", 1, prefer="respond-async")).headers["location"] for _ in range(2)]
        behind = await ming.get(second)
        await ming.post(f"{first}/cancel")
        ahead = await ming.get(second, headers={"if-none-match": behind.headers["etag"]})
        assert [answer.json()["place"] for answer in (behind, ahead)] == [2, 1]


async def test_in_chinese(site: Site) -> None:
    """Messages, fixes and problems are in the language asked for."""
    ming, _ = await site.person("ming", 100), await site.person("mei")
    ming.client.headers["accept-language"] = "zh-CN,en;q=0.5"
    assert (await ming.pay("@mei", 100)).json()["message"] == "您已向Mei支付 1.00 EUR。"
    declined = (await ming.pay("@mei", 1)).json()
    assert (declined["reason"], declined["message"][:4]) == ("insufficient_funds", "余额不足")
    problem = await ming.pay("@nobody", 1)
    assert problem.json()["title"] == "找不到所请求的内容"
    assert problem.headers["content-language"] == "zh"


async def test_every_limit_has_its_reason(site: Site) -> None:
    """Declined payments are 201: they are final. Each names its limit and whose matter it is."""
    ming, _ = await site.person("ming", 10_000_00), await site.person("mei")
    await site.bank.as_superuser("INSERT INTO payments.limits VALUES (1, 'EUR', 1000_00, 1500_00, 1200_00)")
    said = [(await ming.pay("@mei", amount)).json() for amount in (1000_01, 1000_00, 500_01, 300_00)]
    assert [payment.get("reason") for payment in said] == [
        "limit_per_payment",
        None,
        "limit_per_day",
        "limit_per_month",
    ]
    assert {payment["matter"] for payment in said if "matter" in payment} == {"limits"}


async def test_a_deadline_nobody_can_keep(site: Site) -> None:
    """A caller who waits a millisecond is told when to come back, and nothing was done; the key stays good."""
    ming, _ = await site.person("ming", 100), await site.person("mei")
    await ming.pay("@mei", 1)
    async with site.bank.standing_still():
        blocked = asyncio.create_task(ming.pay("@mei", 1))
        await site.bank.begun()
        # Both at once: who comes when somebody has waited for too long already is given a place in line.
        late, in_doubt = await asyncio.gather(
            ming.pay("@mei", 1, key="k", x_request_deadline_ms="50"),
            ming.pay("@mei", 1, key="l", x_request_deadline_ms="1"),
        )
    assert reason(late) == reason(in_doubt) == (503, "deadline_unreachable")
    assert int(late.headers["retry-after"]) >= 1
    assert (await blocked).status_code == 201
    answer = await ming.pay("@mei", 1, key="k")
    assert (answer.status_code, "idempotent-replayed" in answer.headers) == (201, False)


async def test_books_that_do_not_answer(site: Site) -> None:
    """Whoever's deadline passes during the work is told that it may have been done, and the key tells."""
    ming, _ = await site.person("ming", 100), await site.person("mei")
    await ming.pay("@mei", 1)
    async with site.bank.standing_still():
        answer = await ming.pay("@mei", 1, key="k", x_request_deadline_ms="300")
    assert reason(answer) == (503, "ledger_unavailable")
    assert answer.json()["retry"]["same_key"]
    assert (await ming.pay("@mei", 1, key="k")).json()["balance"] == 98
