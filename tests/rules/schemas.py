"""XML schemas of ISO 20022 messages, rebuilt from a model whose classes carry every rule of the published ones.

The published schemas may not be passed on by everybody; the model may (pyiso20022, MIT).
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from enum import Enum
from typing import Any, get_args, get_type_hints
from xml.sax.saxutils import quoteattr

from xsdata.models.datatype import XmlDate, XmlDateTime, XmlTime

from unbusy.banks.iso20022 import messages

_SIMPLE = {str: "string", Decimal: "decimal", bool: "boolean"} | {
    XmlDate: "date",
    XmlDateTime: "dateTime",
    XmlTime: "time",
}
# Names of the model for the facets of XML Schema, in the order in which they are written.
_FACETS = {
    "min_length": "minLength",
    "max_length": "maxLength",
    "pattern": "pattern",
    "min_inclusive": "minInclusive",
    "total_digits": "totalDigits",
    "fraction_digits": "fractionDigits",
}


def pages() -> dict[str, Callable[[], str]]:
    """The schema of every message that is sent: its path from the root, and who makes it."""
    return {f"src/unbusy/banks/iso20022/schemas/{name}.xsd": functools.partial(schema, name) for name in messages.SENT}


def schema(message: str) -> str:
    """The schema of a message such as `pacs.008.001.08`."""
    name = message.replace(".", "_")
    model = vars(importlib.import_module(f"pyiso20022.{message[:4]}.{name}.{name}"))
    root = "AppHdr" if message.startswith("head") else "Document"
    namespace = model["__NAMESPACE__"]
    lines = [
        f'<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns={quoteattr(namespace)}',
        f'    targetNamespace={quoteattr(namespace)} elementFormDefault="qualified">',
        "<!-- Made from the model of pyiso20022 by `make docs`. -->",
        f'<xs:element name="{root}" type="{root}"/>',
    ]
    for type in _reached(model[root], model):
        lines += _type(type, model)
    return "\n".join([*lines, "</xs:schema>", ""])


def _reached(root: type, model: dict[str, Any]) -> list[type]:
    """The types that a message is made of, by their names."""
    found = {root}
    left = [root]
    while left:
        for type in _hints(left.pop(), model).values():
            if type.__module__ == root.__module__ and type not in found:
                found.add(type)
                left.append(type)
    return sorted(found, key=lambda one: one.__name__)


def _hints(type: type, model: dict[str, Any]) -> dict[str, type]:
    """What each field holds, without "or nothing" and without "many"."""
    hints = get_type_hints(type, model) if dataclasses.is_dataclass(type) else {}
    return {
        name: next((part for part in get_args(hint) if part is not None.__class__), hint)
        for name, hint in hints.items()
    }


def _type(type: type[Any], model: dict[str, Any]) -> Iterator[str]:
    if issubclass(type, Enum):
        return _codes(type)
    return _complex(type, _hints(type, model))


def _codes(type: type[Enum]) -> Iterator[str]:
    yield f'<xs:simpleType name="{type.__name__}"><xs:restriction base="xs:string">'
    yield from (f"<xs:enumeration value={quoteattr(value.value)}/>" for value in type)
    yield "</xs:restriction></xs:simpleType>"


def _complex(type: type[Any], hints: dict[str, Any]) -> Iterator[str]:
    fields = dataclasses.fields(type)
    yield f'<xs:complexType name="{type.__name__}">'
    if "value" in hints:
        text, attribute = (field.metadata for field in fields)
        yield f"<xs:simpleContent><xs:extension base={quoteattr(type.__name__ + '.value')}>"
        yield f'<xs:attribute name="{attribute["name"]}" use="required">{_simple(str, attribute)}</xs:attribute>'
        yield "</xs:extension></xs:simpleContent></xs:complexType>"
        yield _simple(hints["value"], text).replace("simpleType", f'simpleType name="{type.__name__}.value"', 1)
        return
    order = "choice" if type.__name__.endswith("Choice") else "sequence"
    yield f"<xs:{order}>"
    for field in fields:
        yield _element(field, hints[field.name], is_choice=order == "choice")
    yield f"</xs:{order}></xs:complexType>"


def _element(field: dataclasses.Field[Any], type: type, *, is_choice: bool) -> str:
    facts = field.metadata
    if facts["type"] == "Wildcard":
        return f'<xs:any namespace={quoteattr(facts["namespace"])} processContents="lax"/>'
    is_list = field.default_factory is list
    least = int(is_choice or facts.get("required", False) or facts.get("min_occurs", 0))
    most = facts.get("max_occurs", "unbounded") if is_list else 1
    opened = f'<xs:element name="{facts["name"]}" minOccurs="{least}" maxOccurs="{most}"'
    if type in _SIMPLE:
        return f"{opened}>{_simple(type, facts)}</xs:element>"
    return f'{opened} type="{type.__name__}"/>'


def _simple(type: type, facts: Mapping[str, Any]) -> str:
    facets = "".join(
        f"<xs:{facet} value={quoteattr(str(facts[name]))}/>" for name, facet in _FACETS.items() if name in facts
    )
    return f'<xs:simpleType><xs:restriction base="xs:{_SIMPLE[type]}">{facets}</xs:restriction></xs:simpleType>'
