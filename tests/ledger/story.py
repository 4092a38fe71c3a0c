"""Stories about the ledger, told as text and acted out on a real one.

    account A floor=0                               opens; `asset`, `tenant`, `ceiling`, `code`, `owner` may be said
    post    T1 BANK -> A 100              : ok      id, debit, credit, amount, then any `field=value` or flag
    capture C1 of H1 60                   : ok      `-` for an amount, an account or a hold means: not said
    begin … end                                     the transfers between are posted in one call
    state A frozen                        : ok
    limits A floor=10 ceiling=none        : balance_below_floor
    sweep                                 : 2       releases what is due; how many
    wait 60                                         moves the clock, in seconds
    see A posted=100 held=0 available=100           what an account must show

What stands behind the colon must come out: `ok` (or `ok 30`: moved), `again` (the answer of the
first time, or `again insufficient_funds`), or a refusal, with its field where it has one.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import NAMESPACE_OID, UUID, uuid5

import msgspec

from unbusy.db import Database
from unbusy.ledger import AccountState, Kind, NewAccount, Outcome, Port, Posted, Transfer

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
_KINDS = frozenset(Kind)


def id_of(name: str) -> UUID:
    """The id that a name of a story stands for."""
    return uuid5(NAMESPACE_OID, name)


class Story:
    """One story on one ledger. Raises AssertionError with the line that came out differently."""

    def __init__(self, port: Port, db: Database) -> None:
        self.port = port
        self.db = db
        self.now = NOON
        self._assets: dict[str, str] = {}
        self._batch: list[tuple[str, Transfer, str]] | None = None

    async def act(self, text: str) -> None:
        """Act the lines out in order, then prove the books."""
        for line in _lines(text):
            words, _, expected = (part.strip() for part in line.partition(" : "))
            verb, *rest = words.split()
            if verb in _KINDS:
                await self._transfer(line, verb, rest, expected)
            else:
                await getattr(self, f"_{verb}")(line, rest, expected)
        async with self.db.connection() as connection:
            assert await self.port.check(connection) == []

    async def _account(self, _line: str, words: list[str], _expected: str) -> None:
        name, *rest = words
        fields = _fields(rest)
        self._assets[name] = fields.get("asset", "EUR")
        new = NewAccount(
            id=id_of(name),
            tenant_id=int(fields.get("tenant", 1)),
            asset=self._assets[name],
            code=fields.get("code", "wallet"),
            owner_id=id_of(fields["owner"]) if "owner" in fields else None,
            floor=_number(fields.get("floor", "none")),
            ceiling=_number(fields.get("ceiling", "none")),
        )
        async with self.db.transaction() as tx:
            await self.port.open_accounts(tx, [new])

    async def _asset(self, _line: str, words: list[str], _expected: str) -> None:
        async with self.db.transaction() as tx:
            await self.port.register_asset(tx, words[0], int(words[1]))

    async def _transfer(self, line: str, verb: str, words: list[str], expected: str) -> None:
        transfer = self._read(Kind(verb), words)
        if self._batch is not None:
            self._batch.append((line, transfer, expected))
        else:
            await self._post([(line, transfer, expected)])

    async def _post(self, batch: list[tuple[str, Transfer, str]]) -> None:
        async with self.db.transaction() as tx:
            outcomes = await self.port.post(tx, [transfer for _, transfer, _ in batch], self.now)
        for (line, transfer, expected), outcome in zip(batch, outcomes, strict=True):
            assert outcome.id == transfer.id, line
            _expect(line, _show(outcome, expected), expected)

    def _read(self, kind: Kind, words: list[str]) -> Transfer:
        if kind in {Kind.post, Kind.hold}:
            id, debit, arrow, credit, amount, *rest = words
            assert arrow == "->", words
            said: dict[str, Any] = {"debit_id": _id(debit), "credit_id": _id(credit)}
            asset = self._assets.get(debit, "EUR")
        else:
            id, of, hold, amount, *rest = words
            assert of == "of", words
            said = {"hold_id": _id(hold)}
            asset = "EUR"
        said |= {"amount": 0 if amount == "-" else int(amount), "asset": asset, "code": "payment", "tenant_id": 1}
        for name, value in _fields(rest).items():
            said |= self._field(name, value)
        return Transfer(id=id_of(id), kind=kind, **said)

    def _field(self, name: str, value: str) -> dict[str, Any]:
        match name:
            case "linked" | "up_to":
                return {name: True}
            case "expires":
                return {"expires_at": self.now + timedelta(seconds=int(value))}
            case "tenant":
                return {"tenant_id": int(value)}
            case "debit" | "credit" | "hold":
                return {f"{name}_id": _id(value)}
            case "asset" | "code":
                return {name: value}
            case _:
                raise AssertionError(f"no story has a {name!r}")

    async def _begin(self, _line: str, _words: list[str], _expected: str) -> None:
        self._batch = []

    async def _end(self, _line: str, _words: list[str], _expected: str) -> None:
        assert self._batch is not None
        batch, self._batch = self._batch, None
        await self._post(batch)

    async def _state(self, line: str, words: list[str], expected: str) -> None:
        async with self.db.transaction() as tx:
            result = await self.port.set_state(tx, id_of(words[0]), AccountState(words[1]))
        _expect(line, result if isinstance(result, str) else "ok", expected)

    async def _limits(self, line: str, words: list[str], expected: str) -> None:
        fields = _fields(words[1:])
        floor, ceiling = _number(fields.get("floor", "none")), _number(fields.get("ceiling", "none"))
        async with self.db.transaction() as tx:
            result = await self.port.set_limits(tx, id_of(words[0]), floor=floor, ceiling=ceiling)
        _expect(line, result if isinstance(result, str) else "ok", expected)

    async def _sweep(self, line: str, _words: list[str], expected: str) -> None:
        async with self.db.transaction() as tx:
            released = await self.port.expire_holds(tx, self.now)
        _expect(line, str(released), expected)

    async def _wait(self, _line: str, words: list[str], _expected: str) -> None:
        self.now += timedelta(seconds=int(words[0]))

    async def _see(self, line: str, words: list[str], _expected: str) -> None:
        name, *rest = words
        async with self.db.transaction() as tx:
            account = (await self.port.accounts(tx, [id_of(name)]))[id_of(name)]
        shown = {**msgspec.to_builtins(account), "posted": account.posted, "held": account.held}
        shown["available"] = account.available
        for field, value in _fields(rest).items():
            seen = shown[field]
            _expect(f"{line} ({field})", "none" if seen is None else str(seen), value)


def _lines(text: str) -> Iterator[str]:
    for line in text.splitlines():
        told = line.partition("#")[0].strip()
        if told:
            yield told


def _fields(words: list[str]) -> dict[str, str]:
    return {name: value for name, _, value in (word.partition("=") for word in words)}


def _id(name: str) -> UUID | None:
    return None if name == "-" else id_of(name)


def _number(text: str) -> int | None:
    return None if text == "none" else int(text)


def _show(outcome: Outcome, expected: str) -> str:
    """The outcome in the words of a story; what was moved only where the story says it."""
    words = ["again"] if outcome.replayed else []
    if isinstance(outcome, Posted):
        words = words or ["ok"]
        if len(expected.split()) > 1:
            words.append(str(outcome.amount))
    else:
        words += [outcome.refusal, outcome.field or ""]
    return " ".join(word for word in words if word)


def _expect(line: str, seen: str, expected: str) -> None:
    assert seen == expected, f"{line!r} came out as {seen!r}"
