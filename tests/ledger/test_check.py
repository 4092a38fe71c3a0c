"""Books that are broken on purpose, in each way there is, are named with rule and place."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator

import asyncpg
import pytest
from tests.ledger.story import Story, id_of

from unbusy import ledger
from unbusy.ledger import proofs

BOOKS = """
    account BANK
    account A floor=0 ceiling=1000
    account B floor=0
    account D asset=USD
    account GONE floor=0
    state GONE closed            : ok
    post T1 BANK -> A 100        : ok
    wait 1
    post T2 A -> B 30            : ok
    wait 1
    hold H1 A -> B 20            : ok
    hold H2 A -> B 10            : ok
    capture C2 of H2 4           : ok
    hold H3 A -> B 5             : ok
    void V3 of H3 -              : ok
"""

# What is done to the books behind the engine's back: the rules that must be named, and where.
# `{A}` stands for the id that a story calls A; `-` leaves the statements apart.
DAMAGE: dict[str, tuple[str, list[tuple[str, str]]]] = {
    "a counter": (
        "UPDATE ledger.accounts SET credits_posted = credits_posted + 1 WHERE id = '{A}'",
        [("counters_equal_transfers", "A"), ("assets_sum_to_zero", "tenant 1, EUR")],
    ),
    "the newest time": (
        "UPDATE ledger.accounts SET posted_at = posted_at + interval '1 hour' WHERE id = '{B}'",
        [("counters_equal_transfers", "B")],
    ),
    "a running number of an account": (
        "UPDATE ledger.accounts SET running_number = 7 WHERE id = '{BANK}'",
        [("counters_equal_transfers", "BANK")],
    ),
    "a gap in the running numbers": (
        "UPDATE ledger.transfers SET credit_number = 9 WHERE id = '{V3}'",
        [("running_numbers_have_no_gap", "V3")],
    ),
    "a number that two transfers have": (
        "UPDATE ledger.transfers SET credit_number = 2 WHERE id = '{T1}'",
        [("running_numbers_have_no_gap", "T1"), ("running_numbers_have_no_gap", "T2")],
    ),
    "a balance after a transfer": (
        "UPDATE ledger.transfers SET debit_balance = debit_balance + 1 WHERE id = '{T2}'",
        [("balances_follow_transfers", "T2"), ("balances_follow_transfers", "H1")],
    ),
    "an amount": (
        "UPDATE ledger.transfers SET amount = 31 WHERE id = '{T2}'",
        [("balances_follow_transfers", "T2"), ("counters_equal_transfers", "A"), ("counters_equal_transfers", "B")],
    ),
    "a transfer that is gone": (
        "DELETE FROM ledger.transfers WHERE id = '{T1}'",
        [("running_numbers_have_no_gap", "T2"), ("counters_equal_transfers", "BANK")],
    ),
    "a time before the one before": (
        "UPDATE ledger.transfers SET posted_at = posted_at - interval '1 day' WHERE id = '{T2}'",
        [("time_never_runs_backwards", "T2")],
    ),
    "a floor": (
        "ALTER TABLE ledger.accounts DROP CONSTRAINT floor_is_kept;"
        "UPDATE ledger.accounts SET floor = 47 WHERE id = '{A}'",
        [("floor_is_kept", "A")],
    ),
    "a ceiling": (
        "ALTER TABLE ledger.accounts DROP CONSTRAINT ceiling_is_kept;"
        "UPDATE ledger.accounts SET ceiling = 53 WHERE id = '{B}'",
        [("ceiling_is_kept", "B")],
    ),
    "a closed account with money": (
        "ALTER TABLE ledger.accounts DROP CONSTRAINT closed_is_empty;"
        "UPDATE ledger.accounts SET state = 'closed' WHERE id = '{B}'",
        [("closed_is_empty", "B")],
    ),
    "a pending counter": (
        "UPDATE ledger.accounts SET debits_pending = 21 WHERE id = '{A}'",
        [("pending_equals_open_holds", "A"), ("assets_sum_to_zero", "tenant 1, EUR")],
    ),
    "a hold that nobody made": (
        "INSERT INTO ledger.holds (id, tenant_id, debit_id, credit_id, asset, amount)"
        " VALUES ('{X}', 1, '{A}', '{B}', 'EUR', 3)",
        [("holds_and_their_transfers_agree", "X"), ("pending_equals_open_holds", "A")],
    ),
    "a hold that is gone": (
        "DELETE FROM ledger.holds WHERE id = '{H2}'",
        [("holds_and_their_transfers_agree", "H2"), ("holds_end_as_their_transfers_say", "H2")],
    ),
    "the amount of a hold": (
        "UPDATE ledger.holds SET amount = 21 WHERE id = '{H1}'",
        [("holds_and_their_transfers_agree", "H1"), ("pending_equals_open_holds", "B")],
    ),
    "a hold that ended without a transfer": (
        "UPDATE ledger.holds SET state = 'voided' WHERE id = '{H1}'",
        [("holds_end_as_their_transfers_say", "H1"), ("pending_equals_open_holds", "A")],
    ),
    "a hold that is open again": (
        "UPDATE ledger.holds SET state = 'open' WHERE id = '{H3}'",
        [("holds_end_as_their_transfers_say", "H3"), ("pending_equals_open_holds", "A")],
    ),
    "what a hold says was captured": (
        "UPDATE ledger.holds SET captured = 5 WHERE id = '{H2}'",
        [("holds_end_as_their_transfers_say", "H2")],
    ),
    "more captured than was held": (
        "UPDATE ledger.transfers SET amount = 11 WHERE id = '{C2}'",
        [("captures_stay_within_their_hold", "H2"), ("balances_follow_transfers", "C2")],
    ),
    "a hold that ended twice": (
        "UPDATE ledger.transfers SET hold_id = '{H2}' WHERE id = '{V3}'",
        [("holds_end_as_their_transfers_say", "H2"), ("holds_end_as_their_transfers_say", "H3")],
    ),
    "a transfer of an account that is not there": (
        "UPDATE ledger.transfers SET credit_id = '{X}' WHERE id = '{T2}'",
        [("transfers_have_their_accounts", "T2"), ("counters_equal_transfers", "B")],
    ),
    "a transfer of another tenant": (
        "UPDATE ledger.transfers SET tenant_id = 2 WHERE id = '{T2}'",
        [("transfers_stay_within_their_tenant", "T2")],
    ),
    "an account that changed its tenant": (
        "INSERT INTO tenants.tenants (id, slug) VALUES (2, 'other');"
        "UPDATE ledger.accounts SET tenant_id = 2 WHERE id = '{B}'",
        [("transfers_stay_within_their_tenant", "T2"), ("assets_sum_to_zero", "tenant 2, EUR")],
    ),
    "a transfer of another asset": (
        "UPDATE ledger.transfers SET asset = 'USD' WHERE id = '{T1}'",
        [("transfers_stay_within_their_asset", "T1")],
    ),
    "an account that changed its asset": (
        "UPDATE ledger.accounts SET asset = 'USD' WHERE id = '{BANK}'",
        [("transfers_stay_within_their_asset", "T1"), ("assets_sum_to_zero", "tenant 1, USD")],
    ),
}


@pytest.fixture
async def superuser(url: str) -> AsyncGenerator[asyncpg.Connection[asyncpg.Record]]:
    """Somebody who can do anything to the database, and has switched its guards off."""
    connection = await asyncpg.connect(url)
    await connection.execute("ALTER TABLE ledger.transfers DISABLE TRIGGER ALL")
    yield connection
    await connection.close()


def _with_ids(text: str) -> str:
    names = ("A", "B", "BANK", "T1", "T2", "H1", "H2", "H3", "C2", "V3", "X")
    for name in names:
        text = text.replace(f"{{{name}}}", str(id_of(name)))
    return text


@pytest.mark.parametrize("what", DAMAGE)
async def test_damage_is_named(story: Story, superuser: asyncpg.Connection[asyncpg.Record], what: str) -> None:
    """Whatever is changed behind the engine's back, `check` names the rule and the place."""
    await story.act(BOOKS)
    damage, expected = DAMAGE[what]
    await superuser.execute(_with_ids(damage))

    async with story.db.connection() as connection:
        findings = await ledger.check(connection)
    named = {(finding.rule, finding.subject) for finding in findings}
    places = {(rule, where if where.startswith("tenant") else str(id_of(where))) for rule, where in expected}
    assert places <= named, findings
    assert all(finding.room == "ledger" and finding.detail for finding in findings)


def test_every_rule_is_broken_by_some_damage() -> None:
    """There is no rule that no test has seen fail."""
    rules = set(re.findall(r"'([a-z]+_[a-z_]+)'", "".join(proofs.PROOFS)))
    assert rules == {rule for _, expected in DAMAGE.values() for rule, _ in expected}


async def test_it_can_be_part_of_a_larger_proof(story: Story) -> None:
    """Inside a snapshot that others read too, it reads the same snapshot."""
    await story.act(BOOKS)
    async with (
        story.db.connection() as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        assert await ledger.check(connection) == []
        await story.act("post T9 BANK -> A 1 : ok")
        assert await ledger.check(connection) == []


async def test_broken_everywhere_is_still_an_answer(
    story: Story, superuser: asyncpg.Connection[asyncpg.Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of each proof, only so many findings are told."""
    await story.act(BOOKS)
    await superuser.execute("UPDATE ledger.transfers SET asset = 'JPY' WHERE kind = 'post'")
    monkeypatch.setattr(proofs, "MAX_FINDINGS", 1)
    async with story.db.connection() as connection:
        assert len(await ledger.check(connection)) == 1
