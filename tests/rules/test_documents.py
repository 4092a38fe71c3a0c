"""The documents say what is so, and each rule about them can fail."""

from __future__ import annotations

import re

import pytest
from tests.rules import documents
from tests.rules.documents import RULES, Document, Rule, read

from unbusy import payments, transits
from unbusy.reasons import Reason

DOCUMENTS = documents.documents()

# For each rule, a page that breaks it.
BAD: dict[Rule, str] = {
    documents.links_lead_somewhere: "[the ledger](src/unbusy/nowhere.py)",
    documents.pointers_point_at_code: "`src/unbusy/ids.py::nothing` and more",
    documents.data_can_be_read: "```json\n{amount: 1}\n```\n",
    documents.blocks_name_their_language: "```\nwhat is this\n```\n",
    documents.names_exist: "`make nothing`",
    documents.nothing_is_promised: "Coming soon: more.",
}
ALSO_BAD = ["[here](#nowhere)", "`UNBUSY_NO_SUCH_SETTING`", "`unbusy fly`", "`docs/no-such-file.md`"]

GOOD = """# Good: pages, with care

[this](#good-pages-with-care), [that](ARCHITECTURE.md), `src/unbusy/ids.py::Ids.new`, `make help`, `UNBUSY_PORT`.

```json
{"amount": 1250}
```
"""


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_documents_keep_the_rules(rule: Rule) -> None:
    """No page of the project breaks a rule about documents."""
    breaches = [str(breach) for document in DOCUMENTS for breach in rule(document)]
    assert not breaches, f"{rule.__doc__}\n" + "\n".join(breaches)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_every_rule_about_documents_can_fail(rule: Rule) -> None:
    """A rule that finds nothing wrong with a bad page protects nothing."""
    assert list(rule(Document("README.md", BAD[rule])))


@pytest.mark.parametrize("text", ALSO_BAD)
def test_other_lies_are_found(text: str) -> None:
    """A heading, a setting, a command or a file that does not exist is found."""
    assert [breach for rule in RULES for breach in rule(Document("README.md", text))]


def test_no_rule_about_documents_cries_wolf() -> None:
    """A good page passes every rule."""
    assert not [str(breach) for rule in RULES for breach in rule(Document("README.md", GOOD))]


def test_both_readmes_say_the_same() -> None:
    """The Chinese README has the commands, the pointers and the sections of the English one."""
    english, chinese = read("README.md"), read("README.zh-CN.md")
    assert _skeleton(english) == _skeleton(chinese)


def test_every_page_can_be_reached() -> None:
    """Every page of docs/ is linked from another one."""
    linked = {
        str((documents.ROOT / document.path).parent.joinpath(target.partition("#")[0]).resolve())
        for document in DOCUMENTS
        for target in re.findall(r"\]\(([^)\s]+)\)", document.text)
    }
    lost = [document.path for document in DOCUMENTS if str((documents.ROOT / document.path).resolve()) not in linked]
    assert not [path for path in lost if path.startswith("docs/")]


def test_every_kind_of_event_has_its_line() -> None:
    """The reference names every kind of event, and no other."""
    rows = re.findall(r"^\| `([\w.]+)` \|", read("docs/reference/events.md").text, re.MULTILINE)
    assert sorted(rows) == sorted([*payments.KINDS, *transits.KINDS])


def test_every_reason_has_its_page() -> None:
    """The reference lists every reason, in the order of the code."""
    assert re.findall(r"\(([a-z_]+)\.md\)", read("docs/reference/reasons/README.md").text) == list(Reason)


def test_facts_are_held_by_constraints_that_exist() -> None:
    """The architecture names constraints, indexes and triggers as the schema does."""
    table = read("ARCHITECTURE.md").text.partition("## What must never be false")[2].partition("\n## ")[0]
    named = re.findall(r"`([a-z]+(?:_[a-z]+){2,})`", table)
    schema = (documents.ROOT / "src/unbusy/db/schema.sql").read_text(encoding="utf-8")
    assert len(named) > len(RULES)
    assert not [name for name in named if name not in schema]


def _skeleton(document: Document) -> list[object]:
    pointers = [code for _, code in document.code() if "::" in code]
    commands = [line for block in document.blocks for line in block.text.splitlines() if line.startswith("$ ")]
    return [pointers, commands, len(re.findall(r"^#+ ", document.prose, re.MULTILINE))]
