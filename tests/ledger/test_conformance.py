"""Any engine behind the port tells these stories, and the table of refusals is what it says."""

from __future__ import annotations

import re

import pytest
from tests.ledger.stories import STORIES
from tests.ledger.story import Story

from unbusy import ledger
from unbusy.ledger import AccountRefusal, Refusal


@pytest.mark.parametrize("name", STORIES)
async def test_story(story: Story, name: str) -> None:
    """The ledger does what its stories tell, and its books prove it."""
    await story.act(STORIES[name])


def test_every_refusal_has_a_story() -> None:
    """No refusal is in the closed list that no story produces."""
    told = set(re.findall(r"\w+", "\n".join(STORIES.values())))
    assert {*Refusal, *AccountRefusal} <= told


def documented() -> list[tuple[str, bool]]:
    """The rows of the table in the package's docstring: (refusal, whether it is sticky)."""
    rows = re.findall(r"^    (\d+) +(\w+) +(yes|no)", ledger.__doc__ or "", re.MULTILINE)
    assert [int(number) for number, _, _ in rows] == list(range(1, len(rows) + 1))
    return [(refusal, sticky == "yes") for _, refusal, sticky in rows]


def test_the_table_is_the_list() -> None:
    """The documented table names every refusal, in the order of precedence, sticky as it is."""
    assert documented() == [(refusal, refusal.is_sticky) for refusal in Refusal]
