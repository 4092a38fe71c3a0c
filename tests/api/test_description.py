"""The API describes itself: OpenAPI, the reference, the reasons, its health."""

from __future__ import annotations

import json
import os
import re
import string
import subprocess
import sys

import httpx
import pytest
from tests.api import sample

from unbusy import api
from unbusy.api.texts import LANGUAGES, message, messages, reason_pages
from unbusy.reasons import Reason

BROWSER = {"accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"}

PRINT_SCHEMA = """
import sys
from tests.api import sample
from unbusy import api
sys.stdout.buffer.write(api.schema_json(sample.application().litestar))
"""


class TestReasons:
    """Every reason has its words in every language, and a page that anybody can read."""

    def test_each_has_its_words(self) -> None:
        """None without, and no words without a reason."""
        assert set(reason_pages()) == set(Reason)
        for page in reason_pages().values():
            for language in LANGUAGES:
                text = page.text(language)
                assert text.title.strip()
                assert text.title[-1] not in ".。"
                assert text.explanation.endswith((".", "。"))
                assert text.fix.endswith((".", "。"))

    def test_chinese_is_chinese(self) -> None:
        """Chinese texts have Chinese characters and punctuation, English ones have none."""
        for page in reason_pages().values():
            assert re.search("[一-鿿]", page.zh.title + page.zh.explanation)
            assert not re.search("[,;()]", page.zh.title + page.zh.explanation + page.zh.fix)
            assert not re.search("[一-鿿，。]", page.en.title + page.en.explanation + page.en.fix)

    def test_a_decline_says_that_nothing_was_moved(self) -> None:
        """A reason that a payment is declined for leaves no doubt about the money."""
        for reason, page in reason_pages().items():
            if page.matter in {"payer", "payee", "limits", "risk"}:
                assert "No money was moved." in page.en.explanation, reason
                assert "款项没有转出" in page.zh.explanation, reason

    @pytest.mark.parametrize("language", LANGUAGES)
    @pytest.mark.parametrize("reason", Reason)
    async def test_pages(self, client: httpx.AsyncClient, reason: Reason, language: api.Language) -> None:
        """As data and as a page, in the language asked for, without asking anybody else for anything."""
        headers = {"accept-language": language}
        text = reason_pages()[reason].text(language)
        data = await client.get(f"/problems/{reason}", headers=headers)
        assert (data.json()["title"], data.json()["fix"]) == (text.title, text.fix)
        page = await client.get(f"/problems/{reason}", headers={**BROWSER, **headers})
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert f'<html lang="{language}">' in page.text
        assert text.title in page.text
        assert_self_contained(page)

    async def test_all_of_them(self, client: httpx.AsyncClient) -> None:
        """The list leads to each."""
        assert [each["reason"] for each in (await client.get("/problems")).json()] == list(Reason)
        page = await client.get("/problems", headers=BROWSER)
        assert all(f"/problems/{reason}" in page.text for reason in Reason)

    @pytest.mark.parametrize("name", ["unheard_of", "Invalid", "invalid.md", "%3Cscript%3E"])
    async def test_no_other(self, client: httpx.AsyncClient, name: str) -> None:
        """The list is closed."""
        assert (await client.get(f"/problems/{name}")).status_code == 404

    def test_files(self) -> None:
        """The same pages as Markdown: one for each reason, in both languages, and a list of them."""
        files = api.reasons_markdown()
        assert set(files) == {"README.md", *(f"{reason}.md" for reason in Reason)}
        assert all(f"({reason}.md)" in files["README.md"] for reason in Reason)
        assert "余额不足" in files["insufficient_funds.md"]


class TestMessages:
    """Each status of a payment has a sentence in each language, with the same blanks."""

    STATUSES = ("completed", "declined", "needs_action", "queued", "scheduled", "pending", "unknown", "reversed")

    @pytest.mark.parametrize("status", [*STATUSES, "cancelled", "expired"])
    def test_each_status(self, status: str) -> None:
        """None is missing in either language."""
        texts = messages()[status]
        assert set(texts) == set(LANGUAGES)
        assert len({frozenset(_blanks(text)) for text in texts.values()}) == 1

    def test_filled(self) -> None:
        """What is filled in is not read as a blank again."""
        said = message("completed", "zh", amount="12.50 EUR", payee="{amount}")
        assert said == "您已向{amount}支付 12.50 EUR。"

    def test_of_a_reason(self) -> None:
        """A declined payment says why, and what to do."""
        assert message(Reason.insufficient_funds, "en") == "Not enough money. Top up, or pay less, as a new payment."


class TestOpenApi:
    """The description is whole, honest, and the same every time."""

    async def test_every_operation(self, client: httpx.AsyncClient) -> None:
        """Each has a name of its own, its roles, and every problem that it may answer with."""
        described = (await client.get("/openapi.json")).json()
        operations = [each for item in described["paths"].values() for each in item.values()]
        names = [each["operationId"] for each in operations]
        assert described["openapi"].startswith("3.1")
        assert len(set(names)) == len(names)
        for operation in operations:
            assert {"400", "429", "500", "503"} <= set(operation["responses"])
            signed_in = operation["x-roles"] != ["anyone"]
            assert ("401" in operation["responses"]) == signed_in == bool(operation["security"])

    async def test_what_goes_in_and_out(self, client: httpx.AsyncClient) -> None:
        """Bodies, answers and parameters are the handler's types."""
        described = (await client.get("/openapi.json")).json()
        pay = described["paths"]["/payments"]["post"]
        assert pay["requestBody"]["content"]["application/json"]["schema"]["$ref"].endswith("/NewPayment")
        assert pay["responses"]["201"]["content"]["application/json"]["schema"]["$ref"].endswith("/Payment")
        assert {"401", "403", "409", "413", "415", "422"} <= set(pay["responses"])
        assert described["components"]["schemas"]["NewPayment"]["additionalProperties"] is False
        key = next(each for each in pay["parameters"] if each.get("name") == "Idempotency-Key")
        assert key["required"]
        assert key["schema"]["maxLength"] == 64

    async def test_every_reference_leads_somewhere(self, client: httpx.AsyncClient) -> None:
        """No `$ref` points at what is not there."""
        text = (await client.get("/openapi.json")).text
        described = json.loads(text)
        for reference in set(re.findall(r'"\$ref": "#/components/(\w+)/([^"]+)"', text)):
            assert reference[1] in described["components"][reference[0]]

    def test_is_the_same_every_time(self) -> None:
        """Whatever order sets have in a process, so that a difference in the file is one in the API."""
        made = {
            subprocess.run(
                [sys.executable, "-c", PRINT_SCHEMA],
                env={**os.environ, "PYTHONHASHSEED": seed},
                stdout=subprocess.PIPE,
                check=True,
            ).stdout
            for seed in ("1", "2")
        }
        assert made == {api.schema_json(sample.application().litestar)}

    async def test_the_reference(self, client: httpx.AsyncClient) -> None:
        """Every operation and schema is on one page, which asks nobody else for anything."""
        page = await client.get("/reference", headers=BROWSER)
        described = (await client.get("/openapi.json")).json()
        assert all(path in page.text for path in described["paths"])
        targets = set(re.findall(r'href="#([^"]+)"', page.text))
        assert targets <= set(re.findall(r'id="([^"]+)"', page.text))
        assert_self_contained(page)


class TestHealth:
    """Alive, ready, and how it fares."""

    async def test_alive(self, client: httpx.AsyncClient) -> None:
        """For anyone."""
        del client.headers["authorization"]
        assert (await client.get("/healthz")).json() == {"status": "alive"}

    async def test_ready(self, client: httpx.AsyncClient) -> None:
        """Without probes there is nothing to wait for."""
        assert (await client.get("/readyz")).json() == {"status": "ready"}

    async def test_not_ready(self) -> None:
        """503 names what is not well, and not why: that is in the log."""

        async def well() -> None:
            pass

        async def ill() -> None:
            raise ConnectionError("password=hunter2")

        application = sample.application(probes={"database": ill, "revocations": well, "books": ill})
        transport = httpx.ASGITransport(application)
        async with httpx.AsyncClient(transport=transport, base_url="http://unbusy.test") as client:
            answer = await client.get("/readyz")
        assert answer.status_code == 503
        assert answer.json()["detail"] == "not ready: books, database"
        assert "hunter2" not in answer.text

    async def test_metrics(self, client: httpx.AsyncClient) -> None:
        """In Prometheus' text format."""
        answer = await client.get("/metrics")
        assert answer.headers["content-type"].startswith("text/plain; version=")
        assert "# TYPE unbusy_http_request_seconds histogram" in answer.text


def assert_self_contained(page: httpx.Response) -> None:
    """A page that fetches nothing and runs nothing, and says so to the browser."""
    assert "<script" not in page.text
    assert not re.search(r"""(?:src|href)=["']?(?:https?:)?//""", page.text)
    assert "url(" not in page.text
    assert "@import" not in page.text
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert page.headers["referrer-policy"] == "no-referrer"


def _blanks(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}
