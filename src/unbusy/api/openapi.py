"""The description of the API (OpenAPI 3.1), made from the handlers' types.

What every endpoint has in common, Litestar cannot know: here it is added by rule, so that no
handler has to repeat which problems it may answer with.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any, cast

import msgspec
from litestar import Litestar, Router, get
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Components, SecurityScheme
from litestar.routes import HTTPRoute
from litestar.types import ControllerRouterHandler, Method

import unbusy
from unbusy.api import html, reference
from unbusy.api.answers import Answer
from unbusy.api.principals import Role, allow
from unbusy.api.requests import Request
from unbusy.api.rfc9457 import MEDIA_TYPE, Problem

_DESCRIPTION = """\
A wallet that is never busy: every request gets a fast, durable, honest answer.

Amounts are integers in an asset's smallest unit, beside its code. Times are RFC 3339, UTC. Every answer carries
`Request-Id`; every answer that is no success is a problem (RFC 9457) with one `reason` of a closed list, explained at
`/problems/{reason}`. Every 429 and 503 carries `Retry-After`. `POST` on money needs an `Idempotency-Key`: asking
again with the same key never does anything twice."""

NOT_CHANGED = {304: ResponseSpec(None, description="The caller has this version already.", media_type="")}
"""For `responses` of a handler that answers with `answer_if_changed`."""

_PROBLEMS = {
    400: "Something in the request is missing or wrong; `errors` names it.",
    401: "Not signed in, or not any more.",
    403: "Signed in, and this is not open to the caller's role.",
    404: "It does not exist, or is not the caller's.",
    409: "The state forbids it now; `reason` says which.",
    413: "The body is too large.",
    415: "The body is not JSON.",
    422: "The idempotency key stands for another request, or rows of what was sent are wrong; `errors` names each.",
    429: "The caller is over its own quota.",
    500: "Our mistake; whether it was done is found out by asking again with the same key.",
    503: "Not now, for a reason of ours; asking again is safe.",
}
_ALWAYS = (400, 429, 500, 503)
_WHEN_SIGNED_IN = (401, 403)
_WITH_BODY = (413, 415, 422)
_WHEN_CHANGING = (409,)
_WITH_ID = (404,)

_COMMON_PARAMETERS = {
    "RequestId": (
        "Request-Id",
        "1 to 64 letters, digits or `._:/+=@-`: what to call this request in the answer and our log.",
        {"type": "string", "maxLength": 64},
    ),
    "Deadline": (
        "X-Request-Deadline-Ms",
        "How long the caller waits. What cannot be done within is not begun.",
        {"type": "integer", "minimum": 1, "maximum": 60_000},
    ),
}

_STATE = "openapi"


class _NoRoutes(Router):
    """Keeps Litestar's own documentation pages out: they load scripts from other people's servers."""

    def register(self, value: ControllerRouterHandler) -> list[Any]:  # noqa: ARG002 - none is taken
        return []


def config() -> OpenAPIConfig:
    """For Litestar."""
    bearer = SecurityScheme(type="http", scheme="bearer", description="`access_token` of `POST /v1/sessions`.")
    return OpenAPIConfig(
        title="unbusy",
        version=unbusy.__version__,
        description=_DESCRIPTION,
        components=Components(security_schemes={"bearer": bearer}),
        use_handler_docstrings=True,
        operation_id_creator=_operation_id,
        openapi_router=_NoRoutes("/", route_handlers=[]),
    )


def schema(app: Litestar) -> dict[str, Any]:
    """The whole description, in a stable order; made once."""
    if _STATE not in app.state:
        app.state[_STATE] = _complete(app)
    return app.state[_STATE]


def schema_json(app: Litestar) -> bytes:
    """The same as text, ending with a newline: what `docs/reference/openapi.json` holds."""
    return json.dumps(schema(app), indent=2, ensure_ascii=False).encode() + b"\n"


@get("/openapi.json", opt=allow(Role.anyone), include_in_schema=False)
async def openapi_json(request: Request) -> Answer[Any]:
    """The description, for programs."""
    return Answer(schema_json(request.app), headers={"cache-control": "public, max-age=300"})


@get("/reference", opt=allow(Role.anyone), include_in_schema=False)
async def reference_page(request: Request) -> Answer[Any]:
    """The description, for people."""
    return html.page("unbusy API", reference.render(schema(request.app)))


HANDLERS = (openapi_json, reference_page)


def _operation_id(handler: HTTPRouteHandler, _method: Method, _path: list[Any]) -> str:
    return handler.handler_name


def _complete(app: Litestar) -> dict[str, Any]:
    text = json.dumps(app.openapi_schema.to_schema())
    described = cast("dict[str, Any]", _tidied(json.loads(_GENERIC.sub(r"\2\1", text))))
    components = described["components"]
    for path, method, handler in _operations(app):
        operation = described["paths"][path][method.lower()]
        _complete_operation(operation, path, handler)
        if _is_closed(handler):
            name = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
            components["schemas"][name]["additionalProperties"] = False
    components["schemas"] = dict(sorted({**_problem_schemas(), **components["schemas"]}.items()))
    components["responses"] = {f"Problem{status}": _problem(status) for status in _PROBLEMS}
    components["parameters"] = {name: _parameter(*about) for name, about in _COMMON_PARAMETERS.items()}
    described["paths"] = dict(sorted(described["paths"].items()))
    return described


# Litestar calls a Page[Payment] `Page_unbusy.payments.views.Payment_`; it becomes `PaymentPage`.
_GENERIC = re.compile(r"([A-Za-z]+)_(?:\w+\.)+(\w+)_(?=\")")


def _tidied(node: Any) -> Any:
    """Without what says nothing: that something is not deprecated, or that a header may be null."""
    if isinstance(node, list):
        return [_tidied(each) for each in cast("list[Any]", node)]
    if not isinstance(node, dict):
        return node
    known = {key: _tidied(value) for key, value in cast("dict[str, Any]", node).items()}
    if known.get("deprecated") is False:
        del known["deprecated"]
    if known.get("headers") == {}:
        del known["headers"]
    if "in" in known and "schema" in known:
        known["schema"] = _parameter_schema(known["schema"])
    return known


def _parameter_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """The type alone: the parameter beside it has the same description."""
    several: list[dict[str, Any]] = [each for each in schema.pop("oneOf", []) if each != {"type": "null"}]
    schema.pop("description", None)
    if len(several) == 1:
        return schema | several[0]
    return schema | {"oneOf": several} if several else schema


def _operations(app: Litestar) -> Iterator[tuple[str, str, HTTPRouteHandler]]:
    for route in app.routes:
        if not isinstance(route, HTTPRoute):
            continue
        for handler in route.route_handlers:
            if handler.resolve_include_in_schema():
                for method in sorted(handler.http_methods):
                    yield route.path_format, method, handler


def _complete_operation(operation: dict[str, Any], path: str, handler: HTTPRouteHandler) -> None:
    roles = cast("frozenset[Role]", handler.opt.get("roles", frozenset()))
    is_open = Role.anyone in roles
    operation["security"] = [] if is_open else [{"bearer": []}]
    operation["x-roles"] = sorted(roles)
    further = cast("tuple[int, ...]", handler.opt.get("problems", ()))
    statuses = {*_ALWAYS, *further, *(() if is_open else _WHEN_SIGNED_IN), *(_WITH_ID if "{" in path else ())}
    if "requestBody" in operation:
        statuses.update(_WITH_BODY)
    if handler.http_methods != {"GET"}:
        statuses.update(_WHEN_CHANGING)
    problems = {str(status): {"$ref": f"#/components/responses/Problem{status}"} for status in statuses}
    operation["responses"] = dict(sorted({**operation["responses"], **problems}.items()))
    own = sorted(operation.get("parameters", []), key=lambda parameter: (parameter["in"], parameter["name"]))
    operation["parameters"] = [*own, *({"$ref": f"#/components/parameters/{name}"} for name in _COMMON_PARAMETERS)]


def _is_closed(handler: HTTPRouteHandler) -> bool:
    """Whether its body may have no other fields than those of its type."""
    data = handler.parsed_fn_signature.parameters.get("data")
    return data is not None and data.annotation.__struct_config__.forbid_unknown_fields


def _problem_schemas() -> dict[str, Any]:
    _, schemas = msgspec.json.schema_components([Problem], ref_template="#/components/schemas/{name}")
    return schemas


def _problem(status: int) -> dict[str, Any]:
    described: dict[str, Any] = {
        "description": _PROBLEMS[status],
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    if status in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.SERVICE_UNAVAILABLE}:
        described["headers"] = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer", "minimum": 1}}}
    if status == HTTPStatus.UNAUTHORIZED:
        described["headers"] = {"WWW-Authenticate": {"description": "RFC 6750.", "schema": {"type": "string"}}}
    return described


def _parameter(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": False, "description": description, "schema": schema}
