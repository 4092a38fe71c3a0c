"""Plain requests: whole, in one piece, with nothing unusual about them. Read at a glance; pure.

A parser calls back for each header, must be able to stop anywhere, and knows much that hardly anybody
sends. Most requests come as one piece of data, and some lines of it can be told to be all of it by one
regular expression. Whatever differs in the least is left to the parser.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

# Names and values as everybody sends them (RFC 9110, 5.1 and 5.5), of visible ASCII and single lines.
_PLAIN: Final = re.compile(
    rb"(GET|POST) (/[!-~]*+) HTTP/1\.1\r\n((?:[!#$%&'*+\-.^_`|~0-9A-Za-z]++: [!-~][ -~]*+\r\n)++)\r\n"
)
# What is stripped by some and kept by others.
_TRAILING: Final = b" \r\n"
# They change where a request ends, or what its connection is for.
_UNUSUAL: Final = frozenset({b"expect", b"transfer-encoding", b"upgrade"})
_LENGTH: Final = re.compile(rb"[0-9]{1,9}")


class Plain(NamedTuple):
    """A request. `fields` are its headers in order, names in small letters, each there once; `headers` the same."""

    method: bytes
    url: bytes
    fields: list[tuple[bytes, bytes]]
    headers: dict[bytes, bytes]
    body: bytes


def read_plain(data: bytes) -> Plain | None:
    """The request that these bytes are, from the first to the last; None unless all of it is plain."""
    match = _PLAIN.match(data)
    if match is None:
        return None
    method, url, lines = match.groups()
    if _TRAILING in lines:
        return None
    fields: list[tuple[bytes, bytes]] = []
    for line in lines[:-2].split(b"\r\n"):
        name, _, value = line.partition(b": ")
        fields.append((name.lower(), value))
    headers = dict(fields)
    body = data[match.end() :]
    if len(headers) < len(fields) or not _UNUSUAL.isdisjoint(headers) or not _is_kept(headers):
        return None
    length = headers.get(b"content-length")
    if length is None:
        return Plain(method, url, fields, headers, b"") if not body else None
    return Plain(method, url, fields, headers, body) if _LENGTH.fullmatch(length) and int(length) == len(body) else None


def _is_kept(headers: dict[bytes, bytes]) -> bool:
    """Whether the connection goes on afterwards, as it does unless it is said."""
    connection = headers.get(b"connection")
    return connection is None or connection.lower() == b"keep-alive"
