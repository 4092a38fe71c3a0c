"""The reference page: the OpenAPI description, for reading. One page, no script."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any

from unbusy.api.html import prose

Json = dict[str, Any]


def render(described: Json) -> str:
    """The body of the page, from the whole description."""
    info = described["info"]
    operations = list(_operations(described))
    contents = "".join(
        f'<tr><td><code><span class="method">{method}</span> <a href="#{id}">{escape(path)}</a></code></td>'
        f"<td>{escape(operation.get('summary', ''))}</td></tr>"
        for method, path, id, operation in operations
    )
    sections = "".join(_operation(described, *each) for each in operations)
    schemas = "".join(_schema(name, schema) for name, schema in described["components"]["schemas"].items())
    return (
        f"<h1>{escape(info['title'])} {escape(info['version'])}</h1>{_paragraphs(info.get('description', ''))}"
        '<p class="quiet"><a href="/openapi.json">OpenAPI</a> · <a href="/problems">reasons</a></p>'
        f"<table>{contents}</table>{sections}<section><h2>Schemas</h2>{schemas}</section>"
    )


def _operations(described: Json) -> Iterator[tuple[str, str, str, Json]]:
    for path, item in described["paths"].items():
        for method, operation in item.items():
            yield method.upper(), path, operation["operationId"], operation


def _operation(described: Json, method: str, path: str, id: str, operation: Json) -> str:
    parts = [
        f'<section id="{id}"><h2><code>{method} {escape(path)}</code></h2>',
        f'<p class="quiet">For {", ".join(operation["x-roles"])}.</p>',
        _paragraphs(operation.get("description", "")),
        _parameters([_resolved(described, parameter) for parameter in operation["parameters"]]),
    ]
    if body := operation.get("requestBody"):
        parts.append(f"<h3>Body</h3><p>{_contents(body['content'])}</p>")
    parts.append(f"<h3>Answers</h3>{_responses(described, operation['responses'])}</section>")
    return "".join(parts)


def _parameters(parameters: list[Json]) -> str:
    rows = [
        (
            f"<code>{escape(each['name'])}</code>{'' if each.get('required') else '?'}",
            each["in"],
            _type(each["schema"]),
            prose(each.get("description", each["schema"].get("description", ""))),
        )
        for each in parameters
    ]
    return f"<h3>Parameters</h3>{_table(rows)}"


def _responses(described: Json, responses: Json) -> str:
    resolved = {status: _resolved(described, response) for status, response in responses.items()}
    return _table(
        [(status, prose(r.get("description", "")), _contents(r.get("content", {}))) for status, r in resolved.items()]
    )


def _contents(content: Json) -> str:
    return ", ".join(
        f"<code>{escape(media_type)}</code> {_type(about.get('schema', {}))}" for media_type, about in content.items()
    )


def _schema(name: str, schema: Json) -> str:
    head = f'<section id="schema-{escape(name)}"><h3>{escape(name)}</h3>{_paragraphs(schema.get("description", ""))}'
    if "properties" not in schema:
        return f"{head}<p>{_type(schema)}</p></section>"
    required = schema.get("required", [])
    rows = [
        (
            f"<code>{escape(key)}</code>{'' if key in required else '?'}",
            _type(value),
            prose(value.get("description", "")),
        )
        for key, value in schema["properties"].items()
    ]
    return f"{head}{_table(rows)}</section>"


_LIMITS = {
    "minimum": "≥",
    "maximum": "≤",
    "exclusiveMinimum": ">",
    "exclusiveMaximum": "<",
    "minLength": "length ≥",
    "maxLength": "length ≤",
    "pattern": "like",
}


def _type(schema: Json) -> str:
    """A type in a few words, such as `integer ≥ 1 ≤ 100` or a link to its own section."""
    if reference := schema.get("$ref"):
        name = escape(reference.rpartition("/")[2])
        return f'<a href="#schema-{name}">{name}</a>'
    for several in ("oneOf", "anyOf"):
        if several in schema:
            return " or ".join(_type(each) for each in schema[several])
    if "enum" in schema or "const" in schema:
        return " · ".join(f"<code>{escape(str(value))}</code>" for value in schema.get("enum", [schema.get("const")]))
    kind: str | list[str] = schema.get("format", schema.get("type", "anything"))
    kinds = kind if isinstance(kind, str) else " or ".join(kind)
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    limits = [f"{sign} <code>{escape(str(schema[key]))}</code>" for key, sign in _LIMITS.items() if key in schema]
    return " ".join([escape(kinds), *limits])


def _resolved(described: Json, each: Json) -> Json:
    if "$ref" not in each:
        return each
    *_, group, name = each["$ref"].split("/")
    return described["components"][group][name]


def _paragraphs(text: str) -> str:
    return "".join(f"<p>{prose(part)}</p>" for part in text.split("\n\n") if part.strip())


def _table(rows: list[tuple[str, ...]]) -> str:
    cells = ("".join(f"<td>{cell}</td>" for cell in row) for row in rows)
    return f"<table>{''.join(f'<tr>{row}</tr>' for row in cells)}</table>"
