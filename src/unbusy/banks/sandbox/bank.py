"""The sandbox bank as a function from a request to its answer, with nothing in it that waits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import parse_qs

import msgspec

from unbusy.banks.sandbox import iso20022, messages, names, statement
from unbusy.banks.sandbox.books import Books, Opened, Unknown
from unbusy.banks.sandbox.faults import Fault, Faults, Operation
from unbusy.banks.sandbox.guard import Guard, Stranger
from unbusy.banks.sandbox.keys import API
from unbusy.banks.sandbox.orders import Order, Wrong
from unbusy.clock import Clock

_PUSHES, _PULLS = f"{API}/domestic-payments", f"{API}/domestic-vrps"
_NAMES = f"{API}/name-verification"
_PUSH_CONSENTS, _PULL_CONSENTS = f"{API}/domestic-payment-consents", f"{API}/domestic-vrp-consents"

OPERATIONS: Mapping[tuple[str, str], Operation] = {
    ("POST", "/token"): Operation.token,
    ("POST", _PUSH_CONSENTS): Operation.consent,
    ("POST", _PULL_CONSENTS): Operation.consent,
    ("POST", _NAMES): Operation.check_name,
    ("POST", _PUSHES): Operation.send,
    ("POST", _PULLS): Operation.send,
    ("GET", _PUSHES): Operation.enquire,
    ("GET", _PULLS): Operation.enquire,
    ("DELETE", _PUSHES): Operation.withdraw,
    ("DELETE", _PULLS): Operation.withdraw,
}


class Asked(NamedTuple):
    """A request. Names of headers are in small letters; `base` is the address it came to."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    base: str

    @property
    def operation(self) -> Operation | None:
        """None for what no client of a bank asks."""
        if self.is_iso20022:
            return iso20022.operation(self.body)
        return OPERATIONS.get((self.method, self.path))

    @property
    def amount(self) -> int | None:
        """What is to be sent, in minor units; None for what sends nothing, and where that cannot be read."""
        if self.operation is not Operation.send:
            return None
        return (iso20022 if self.is_iso20022 else messages).amount_in(self.body)

    @property
    def is_iso20022(self) -> bool:
        return (self.method, self.path) == ("POST", iso20022.PATH)

    @property
    def is_pull(self) -> bool:
        return self.path in {_PULLS, _PULL_CONSENTS}


class Answer(NamedTuple):
    """What is answered, and under which signature, if any."""

    status: int
    body: bytes
    signature: str = ""
    content_type: str = "application/json"
    retry_after: float | None = None


class Bank:
    """Answers requests out of its books."""

    def __init__(self, books: Books, guard: Guard, faults: Faults, *, clock: Clock) -> None:
        self._books = books
        self._guard = guard
        self._faults = faults
        self._clock = clock
        self._verbs: Mapping[Operation, Callable[[Asked, Fault | None], tuple[int, bytes]]] = {
            Operation.consent: self._consent,
            Operation.check_name: self._name,
            Operation.send: self._send,
            Operation.enquire: self._enquire,
            Operation.withdraw: self._withdraw,
        }
        self._controls: Mapping[tuple[str, str], Callable[[bytes], object]] = {
            ("GET", "/faults"): lambda _: self._faults.listed,
            ("POST", "/faults"): self._switch_on,
            ("DELETE", "/faults"): lambda _: self._clear(),
            ("PUT", "/accounts"): self._open,
            ("GET", "/books"): lambda _: self._books.statement(),
        }

    def answer(self, asked: Asked, fault: Fault | None = None) -> Answer:
        """Do what is asked, and say what came of it."""
        try:
            if asked.operation is None:
                return self._control(asked)
            if asked.operation is Operation.token:
                issued = self._guard.issue(asked.body, f"{asked.base}/token")
                return Answer(HTTPStatus.OK, msgspec.json.encode(issued))
            return self._exchange(asked, fault) if asked.is_iso20022 else self._call(asked, asked.operation, fault)
        except Stranger as error:
            return Answer(HTTPStatus.UNAUTHORIZED, messages.problem(401, str(error)))
        except Wrong as error:
            return self.refusal(asked, HTTPStatus.BAD_REQUEST, str(error))
        except Unknown:
            return self.refusal(asked, HTTPStatus.NOT_FOUND, "there is no such payment")

    def refusal(self, asked: Asked, status: int, text: str, retry_after: float | None = None) -> Answer:
        """The bank's own word that it did nothing."""
        return self._signed(asked, status, messages.problem(status, text))._replace(retry_after=retry_after)

    def _signed(self, asked: Asked, status: int, body: bytes) -> Answer:
        return Answer(status, body, self._guard.sign(body, is_plain=asked.is_iso20022))

    def _call(self, asked: Asked, operation: Operation, fault: Fault | None) -> Answer:
        self._guard.admit(asked.headers.get("authorization", ""))
        return self._signed(asked, *self._verbs[operation](asked, fault))

    def _exchange(self, asked: Asked, fault: Fault | None) -> Answer:
        """One message for another. What is enquired about and not there is withdrawn at once."""
        self._guard.check(asked.body, asked.headers.get("x-jws-signature", ""), is_plain=True)
        told = iso20022.read(asked.body)
        if isinstance(told, Order):
            payment = self._books.pay(told, fault)
        else:
            payment = self._books.withdraw(told.reference, is_pull=told.is_pull)
        body = iso20022.report(payment, self._clock.now())
        return self._signed(asked, HTTPStatus.OK, body)._replace(content_type="application/xml")

    def _consent(self, asked: Asked, fault: Fault | None) -> tuple[int, bytes]:
        del fault
        self._check(asked)
        consent = messages.consent(asked.body, is_pull=asked.is_pull)
        return HTTPStatus.CREATED, messages.document(self._books.consent(asked.headers["x-idempotency-key"], consent))

    def _name(self, asked: Asked, fault: Fault | None) -> tuple[int, bytes]:
        del fault
        self._guard.check(asked.body, asked.headers.get("x-jws-signature", ""), is_plain=False)
        account = messages.named(asked.body)
        return HTTPStatus.OK, messages.document(names.verified(self._books.holder(account), account.name))

    def _send(self, asked: Asked, fault: Fault | None) -> tuple[int, bytes]:
        self._check(asked)
        order = messages.order(asked.body, is_pull=asked.is_pull)
        return HTTPStatus.CREATED, messages.document(messages.drawn(self._books.pay(order, fault)))

    def _enquire(self, asked: Asked, fault: Fault | None) -> tuple[int, bytes]:
        del fault
        payment = self._books.find(_reference(asked), is_pull=asked.is_pull)
        return HTTPStatus.OK, messages.document(messages.drawn(payment))

    def _withdraw(self, asked: Asked, fault: Fault | None) -> tuple[int, bytes]:
        del fault
        payment = self._books.withdraw(_reference(asked), is_pull=asked.is_pull)
        return HTTPStatus.OK, messages.document(messages.drawn(payment))

    def _check(self, asked: Asked) -> None:
        self._guard.check(asked.body, asked.headers.get("x-jws-signature", ""), is_plain=False)
        if not asked.headers.get("x-idempotency-key"):
            raise Wrong("x-idempotency-key is missing")

    def _control(self, asked: Asked) -> Answer:
        """What whoever tries out the wallet asks: it needs no token, and is not signed."""
        if (asked.method, asked.path) == ("GET", "/statement"):
            return self._statement(asked)
        verb = self._controls.get((asked.method, asked.path))
        if verb is None:
            return Answer(HTTPStatus.NOT_FOUND, messages.problem(404, "there is nothing here"))
        try:
            return Answer(HTTPStatus.OK, msgspec.json.encode(verb(asked.body)))
        except (msgspec.DecodeError, RecursionError) as error:
            return Answer(HTTPStatus.BAD_REQUEST, messages.problem(400, str(error)))

    def _statement(self, asked: Asked) -> Answer:
        told = statement.Asked.read(asked.query)
        brought_in, entries = self._books.entries(told.account, told.asset, told.begin, told.end)
        body = statement.write(told, brought_in, entries)
        return Answer(HTTPStatus.OK, body, content_type=statement.CONTENT[told.format])

    def _switch_on(self, body: bytes) -> list[Fault]:
        self._faults.switch_on(msgspec.json.decode(body, type=Fault))
        return self._faults.listed

    def _clear(self) -> list[Fault]:
        self._faults.clear()
        return self._faults.listed

    def _open(self, body: bytes) -> Opened:
        opened = msgspec.json.decode(body, type=Opened)
        self._books.open_account(opened)
        return opened


def _reference(asked: Asked) -> str:
    given = parse_qs(asked.query).get("EndToEndIdentification", [])
    if len(given) != 1:
        raise Wrong("EndToEndIdentification is missing")
    return given[0]
