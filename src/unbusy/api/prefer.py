"""`Prefer` (RFC 7240): how a caller would like its answer. A preference is never an error."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated

import msgspec
from litestar.params import HeaderParameter

MOST_WAIT_S = 30

# As many as there are kinds that we know, many times over.
_MOST_PREFERENCES = 16
_LONGEST_NUMBER = 9

PreferHeader = Annotated[
    str | None,
    HeaderParameter(
        name="Prefer",
        description="`respond-async` asks for 202 at once, `wait=N` to wait up to N seconds (30 at most) for the "
        "final answer. What was honoured comes back in `Preference-Applied`.",
    ),
]
"""A handler's parameter: `prefer: api.PreferHeader = None`."""


class Preference(msgspec.Struct, frozen=True):
    """What was understood of the header. `wait_s` is between 0 and 30."""

    respond_async: bool = False
    wait_s: int | None = None

    def applied(self) -> dict[str, str]:
        """The `Preference-Applied` header, or nothing when nothing was asked."""
        said = ["respond-async"] if self.respond_async else []
        if self.wait_s is not None:
            said.append(f"wait={self.wait_s}")
        return {"preference-applied": ", ".join(said)} if said else {}


_NONE = Preference()


@lru_cache(1024)
def read_prefer(header: str | None) -> Preference:
    """The preferences in the header. Unknown and malformed ones are passed over, the first of each kind counts."""
    if not header:
        return _NONE
    found: dict[str, str] = {}
    for preference in header.split(",", _MOST_PREFERENCES)[:_MOST_PREFERENCES]:
        name, _, value = preference.partition(";")[0].partition("=")
        found.setdefault(name.strip().lower(), value.strip().strip('"'))
    return Preference(respond_async="respond-async" in found, wait_s=_seconds(found.get("wait", "")))


def _seconds(text: str) -> int | None:
    if not text.isascii() or not text.isdigit() or len(text) > _LONGEST_NUMBER:
        return None
    return min(int(text), MOST_WAIT_S)
