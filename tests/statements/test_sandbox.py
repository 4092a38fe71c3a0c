"""Top-ups and payouts at the real sandbox bank, whose statement is taken in by the real command."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import msgspec
from tests.banks.sandbox import Sandbox
from tests.payments.bank import Bank, findings, fingerprint

from unbusy.api import Hub
from unbusy.banks import Direction, connect
from unbusy.clock import Deadline, SystemClock
from unbusy.ids import Ids
from unbusy.settings import Settings
from unbusy.transits import BankAccounts, Transits, lanes

_AMOUNTS = {Direction.pull: [2_500, 6_620, 6_602], Direction.push: [1_000, 333]}


async def _move(bank: Bank, settings: Settings) -> int:
    """Everything through the bank, also what it declines and what it answers too late; gives what the books say."""
    clock = SystemClock()
    ids = Ids(clock)
    ming = await bank.person("ming", 5_000)
    accounts = BankAccounts(bank.db, bank.db, {"sandbox"}, clock=clock, ids=ids)
    transits = Transits(bank.db, bank.db, Hub(), clock=clock, ids=ids, settings=settings, moved=lambda _ids: None)
    account = await accounts.link(ming, "sandbox", "DE89370400440532013000", "Anna Berg")
    for direction, amounts in _AMOUNTS.items():
        for amount in amounts:
            key = f"{direction}-{amount}"
            await transits.begin(
                ming, direction, account.id, amount, "EUR",
                key=key, fingerprint=fingerprint(key), deadline=Deadline(clock, 10),
            )  # fmt: skip
    connectors = connect(settings, clock=clock, ids=ids)
    (lane,) = lanes(bank.db, [connectors["sandbox"]], {}, clock=clock, settings=settings)
    open_ones = "SELECT count(*) FROM transits.transits WHERE status IN ('pending', 'unknown')"
    async with asyncio.timeout(30):
        while await bank.as_superuser(open_ones):
            await lane.go_on(clock.now())
            await lane.finish()
            await asyncio.sleep(0.1)
    await connectors["sandbox"].close()
    owed = "SELECT sum(debits_posted - credits_posted)::bigint FROM ledger.accounts WHERE code = 'nostro'"
    return await bank.as_superuser(owed)


async def _reconcile(url: str, banks: str, file: Path) -> tuple[int, list[dict[str, Any]]]:
    command = [Path(sys.executable).with_name("unbusy"), "reconcile", file, "--bank", "sandbox", "--json"]
    settings = {"UNBUSY_DATABASE_URL": url, "UNBUSY_BANKS": banks}
    process = await asyncio.create_subprocess_exec(
        *command, env=os.environ | settings, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    printed, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, json.loads(printed)[0]["statements"]


def _statement(sandbox: Sandbox, format: str) -> str:
    day = datetime.now(UTC).date().isoformat()
    answer = httpx.get(f"{sandbox.address}/statement", params={"format": format, "day": day})
    assert answer.status_code == 200
    return answer.text


async def test_our_books_are_the_banks(bank: Bank, url: str, sandbox: Sandbox, tmp_path: Path) -> None:
    """To the cent, whatever the bank did on the way; a line that is left out breaks the sum and is found."""
    settings = msgspec.structs.replace(sandbox.settings(), bank_call_s=5)
    books = await _move(bank, settings)
    assert books == 2_500 + 6_620 - 1_000 - 333
    told = _statement(sandbox, "camt.053")
    file = tmp_path / "statement"
    file.write_text(re.sub("<Ntry>.*</Ntry>\n", "", told, count=1))
    status, (parked,) = await _reconcile(url, settings.banks, file)
    assert (status, [case["kind"] for case in parked["cases"]]) == (1, ["broken_sum"])
    file.write_text(told)
    status, (taking,) = await _reconcile(url, settings.banks, file)
    assert (taking["matched"], taking["books"]) == ({"reference": 4}, books)
    assert taking["bank"] - taking["brought_in"] == books
    assert (status, taking["cases"], taking["resolved"]) == (0, [], 1)
    assert await findings(url) == []
