"""A request that is not accepted: one shape (RFC 9457), from every place it can come from.

    an error ─▶ describe: status, reason, detail, fields ─▶ render: titles in the caller's language ─▶ bytes

Inside Litestar the handlers of `exception_handlers` do both; outside it, the edge does.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Any, NamedTuple, cast

import litestar
import msgspec
import structlog
from litestar.exceptions import HTTPException, ValidationException
from litestar.params import ParameterKwarg
from litestar.types import Scope

from unbusy import telemetry
from unbusy.api.answers import Answer
from unbusy.api.bodies import MISSING, HeadTooLarge, TooLarge, UnsupportedMediaType
from unbusy.api.rfc9457 import MEDIA_TYPE, FieldError, Problem, Retry
from unbusy.api.scope import header, request_id
from unbusy.api.texts import Language, choose_language, reason_pages
from unbusy.errors import (
    Conflict,
    Forbidden,
    Invalid,
    InvalidRows,
    KeyReused,
    NotFound,
    QuotaExceeded,
    RequestError,
    Unauthenticated,
    Unavailable,
)
from unbusy.reasons import Reason

# Seconds after which to ask again when nobody knows better.
_AFTER_A_MISTAKE_S = 1.0

# Callers who were refused together must not come back together: each waits up to half as long again.
_JITTER = 0.5

_log = cast("structlog.stdlib.BoundLogger", structlog.get_logger("unbusy.api"))
_encode = msgspec.json.Encoder().encode


class Description(NamedTuple):
    """What went wrong, before it is put into anybody's language. `detail` may be empty."""

    status: int
    reason: Reason
    detail: str = ""
    errors: tuple[FieldError, ...] = ()
    retry_after: float | None = None
    allow: str | None = None


class Rendered(NamedTuple):
    """A problem as it goes out."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


Handler = Callable[[litestar.Request[Any, Any, Any], Exception], Answer[Problem]]

_STATUS: dict[type[RequestError], int] = {
    Invalid: 400,
    TooLarge: 413,
    HeadTooLarge: 431,
    UnsupportedMediaType: 415,
    InvalidRows: 422,
    Unauthenticated: 401,
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    KeyReused: 422,
    QuotaExceeded: 429,
}


def retry(reason: Reason, after: int | None = None) -> Retry:
    """What the catalogue says about asking again, `after` so many seconds."""
    page = reason_pages()[reason]
    return Retry(safe=page.safe, same_key=page.same_key, after=after)


def exception_handlers() -> dict[int | type[Exception], Any]:
    """For Litestar: every error to its problem."""
    return {HTTPException: answer, Exception: answer}


def answer(request: litestar.Request[Any, Any, Any], error: Exception) -> Answer[Problem]:
    """The problem that this error is, as Litestar sends it."""
    scope = request.scope
    description = describe(error, _names(scope))
    log(scope, description, error)
    status, headers, body = render(scope, description)
    return Answer(body, status_code=status, headers=dict(headers), media_type=MEDIA_TYPE)


def sent(scope: Scope, error: Exception) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Status, headers and body of the problem that this error is, for where Litestar is not."""
    description = describe(error)
    log(scope, description, error)
    status, headers, body = render(scope, description)
    headers += [("content-type", MEDIA_TYPE), ("content-length", str(len(body)))]
    return status, [(name.encode(), value.encode()) for name, value in headers], body


def describe(error: Exception, names: dict[str, str] | None = None) -> Description:
    """What an error means to the caller. Nothing of an unexpected one is told: it may hold anything.

    `names` are the parameters of the handler as the caller knows them.
    """
    if isinstance(error, RequestError):
        status = next(_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS)
        errors = (FieldError(error.field, error.detail),) if error.field else ()
        if isinstance(error, InvalidRows):
            errors = tuple(FieldError(*wrong) for wrong in error.wrong)
        after = error.retry_after if isinstance(error, QuotaExceeded) else None
        return Description(status, error.reason, error.detail, errors, after)
    if isinstance(error, Unavailable):
        return Description(503, error.reason, error.detail, retry_after=error.retry_after)
    if isinstance(error, HTTPException) and error.status_code < HTTPStatus.INTERNAL_SERVER_ERROR:
        return _describe_litestar(error, names or {})
    return Description(500, Reason.our_mistake, retry_after=_AFTER_A_MISTAKE_S)


def render(scope: Scope, description: Description, chance: Callable[[], float] = random.random) -> Rendered:
    """The problem in the caller's language, counted. `chance` is between 0 and 1 and moves `Retry-After`."""
    status, reason, detail, errors, retry_after, allow = description
    language = choose_language(header(scope, b"accept-language"))
    text = reason_pages()[reason].text(language)
    after = None if retry_after is None else math.ceil(max(retry_after, 0.001) * (1 + _JITTER * chance()))
    problem = Problem(
        type=f"/problems/{reason}",
        title=text.title,
        status=status,
        detail=detail or text.explanation,
        reason=reason,
        fix=text.fix,
        retry=retry(reason, after),
        request_id=request_id(scope),
        field=errors[0].field if len(errors) == 1 else None,
        errors=errors,
    )
    telemetry.count_problem(reason, status)
    return Rendered(status, _headers(scope, status, language, after, allow), _encode(problem))


def log(scope: Scope, description: Description, error: BaseException) -> None:
    """Write down what is our matter, with its traceback when it is a mistake. The caller sees neither."""
    if description.reason is Reason.our_mistake:
        _log.error("our mistake", **_where(scope), exc_info=error)
    elif description.status == HTTPStatus.SERVICE_UNAVAILABLE:
        _log.warning(str(description.reason), **_where(scope), detail=description.detail, cause=repr(error.__cause__))


def _headers(
    scope: Scope, status: int, language: Language, after: int | None, allow: str | None
) -> list[tuple[str, str]]:
    headers = [("content-language", language), ("vary", "accept-language")]
    if after is not None:
        headers.append(("retry-after", str(after)))
    if status == HTTPStatus.UNAUTHORIZED:
        error = ', error="invalid_token"' if header(scope, b"authorization") else ""
        headers.append(("www-authenticate", f'Bearer realm="unbusy"{error}'))
    if allow:
        headers.append(("allow", allow))
    return headers


def _where(scope: Scope) -> dict[str, Any]:
    known = cast("dict[str, Any]", scope)
    return {
        "request_id": request_id(scope),
        "method": known.get("method"),
        "route": known.get("path_template", "unknown"),
    }


# What Litestar found wrong with a request

_MISSING = re.compile(r"Missing required (\w+) parameter '([^']*)'")


def _describe_litestar(error: HTTPException, names: dict[str, str]) -> Description:
    status, headers = error.status_code, error.headers or {}
    if status == HTTPStatus.NOT_FOUND:
        return Description(404, Reason.not_found, "There is nothing at this address.")
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        allow = headers.get("allow", "")
        return Description(405, Reason.invalid, f"This address takes {allow} only.", allow=allow)
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return Description(413, Reason.invalid, "The body is too large.")
    if isinstance(error, ValidationException):
        errors = _field_errors(error, names)
        return Description(400, Reason.invalid, _sum_up(errors), errors)
    # Its text may name our code or the whole address, so what stays is the catalogue's.
    return Description(400, Reason.invalid)


def _field_errors(error: ValidationException, names: dict[str, str]) -> tuple[FieldError, ...]:
    if missing := _MISSING.match(error.detail):
        return (FieldError(missing[2], f"this {missing[1]} parameter is missing"),)
    found = cast("list[dict[str, Any]]", error.extra or [])
    return tuple(_field_error(str(entry.get("key", "")), str(entry.get("message", "")), names) for entry in found)


def _field_error(key: str, message: str, names: dict[str, str]) -> FieldError:
    if key == "data":
        return FieldError("body", MISSING)
    return FieldError(names.get(key, key), message)


def _sum_up(errors: Sequence[FieldError]) -> str:
    if len(errors) == 1 and errors[0].detail == MISSING:
        return MISSING
    return "; ".join(f"{error.field}: {error.detail}" for error in errors)


def _names(scope: Scope) -> dict[str, str]:
    """The names of the handler's parameters in Python, with those that the caller knows them by."""
    handler = cast("dict[str, Any]", scope).get("route_handler")
    if handler is None:
        return {}
    parameters = handler.parsed_fn_signature.parameters
    return {
        name: definition.kwarg_definition.name or name
        for name, definition in parameters.items()
        if isinstance(definition.kwarg_definition, ParameterKwarg)
    }
