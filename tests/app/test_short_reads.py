"""`GET /v1/wallet` while more is asked than can be read."""

from __future__ import annotations

import pytest
from tests.app.site import Site

from unbusy.api import Gatekeeper


async def test_the_wallet_says_as_of_when(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is answered from memory only while reads are short, and shows one's own payment in any case."""
    ming, _ = await site.person("ming", 100), await site.person("mei")
    first = (await ming.get("/v1/wallet")).json()
    await site.bank.credit(site.principal(ming), 11)
    assert await ming.balance() == 111
    await site.bank.credit(site.principal(ming), 11)
    monkeypatch.setattr(Gatekeeper, "is_short_of_reads", True)
    recent = (await ming.get("/v1/wallet")).json()
    assert recent["accounts"][0]["posted"] == 111
    assert recent["as_of"] > first["as_of"]
    assert (await ming.pay("@mei", 22)).json()["balance"] == 100
    assert await ming.balance() == 100
