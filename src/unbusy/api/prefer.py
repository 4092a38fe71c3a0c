"""`Prefer` (RFC 7240): how a caller would like its answer. A preference is never an error."""

from __future__ import annotations

from typing import Annotated

import msgspec
from litestar.params import HeaderParameter

MOST_WAIT_S = 30

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
        raise NotImplementedError


def read_prefer(header: str | None) -> Preference:
    """The preferences in the header; unknown and malformed ones are passed over, the first of each kind counts."""
    raise NotImplementedError
