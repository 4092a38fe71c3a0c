"""Everything the description promises, tried with what nobody would think of."""

# The package's types are partly unknown.
# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any

import hypothesis
import msgspec
import pytest
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.openapi import from_dict
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from tests.app.site import SETTINGS, Person, Site, serving, with_key

from unbusy.api import Role
from unbusy.db import Database

CHECKS: list[Any] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]

_HEALTH = (hypothesis.HealthCheck.too_slow, hypothesis.HealthCheck.filter_too_much)

# Of each operation; `FUZZ=1000 pytest tests/app/test_fuzz.py` tries more.
EXAMPLES = int(os.environ.get("FUZZ", "12"))

# A stream never ends; it has stories of its own.
STREAMS = {"follow_events"}


@pytest.fixture
async def site(url: str, db: Database) -> AsyncGenerator[Site]:
    """With the gate off: whoever tries everything at once would be told to come later, which is a 503."""
    async with serving(url, db, msgspec.structs.replace(SETTINGS, gate="off")) as site:
        yield site
    assert await site.bank.findings() == []


@pytest.mark.parametrize("role", [Role.customer, Role.operator])
async def test_no_answer_is_unforeseen(site: Site, role: Role) -> None:
    """No 5xx, and no status, type, header or body that the description does not name."""
    caller, mei = await site.person("ming", 10_000, role=role), await site.person("mei", 10_000)
    description = (await caller.get("/openapi.json")).json()
    ids = await real_ids(site, caller, mei, role)
    schema: Any = from_dict(description)
    schema.config.update(base_url=site.url)
    operations: list[Any] = [result.ok() for result in schema.get_all_operations()]
    # Signing out last: it ends the session the others ask with.
    for operation in sorted(operations, key=lambda each: each.method == "delete"):
        definition = operation.definition.raw
        if definition["operationId"] in STREAMS or (role is Role.operator and "operator" not in definition["x-roles"]):
            continue
        await asyncio.to_thread(attack(operation, ids, caller.client.headers["authorization"]))


async def real_ids(site: Site, caller: Person, mei: Person, role: Role) -> dict[str, str]:
    """Ids of things that are there, for examples that would otherwise all be told that they are not."""
    ids = {"person_id": mei.id, "account_id": (await mei.get("/v1/wallet")).json()["accounts"][0]["id"]}
    if role is Role.customer:
        paid = (await caller.pay("@mei", 1)).json()
        asking = {"payer": "@ming", "amount": 1, "asset": "EUR"}
        asked = (await mei.post("/v1/requests", json=asking, headers=with_key())).json()
        ids |= {"payment_id": paid["id"], "request_id": asked["id"]}
    return ids


def attack(operation: Any, ids: Mapping[str, str], authorization: str) -> Callable[[], None]:
    """One operation's examples, the same every time."""

    @hypothesis.settings(
        max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, suppress_health_check=[*_HEALTH]
    )
    @hypothesis.given(case=cases(operation), is_real=st.booleans())
    def examples(case: Any, is_real: bool) -> None:
        if is_real:
            case.path_parameters.update({name: id for name, id in ids.items() if name in case.path_parameters})
        case.call_and_validate(checks=CHECKS, headers={"authorization": authorization}, timeout=20)

    return examples


def cases(operation: Any) -> st.SearchStrategy[Any]:
    """Requests as they are described, and some that are not."""
    right = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
    wrong = operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)
    return right | wrong
