"""What `unbusy check` finds: one thing that must never be false, and is."""

from __future__ import annotations

import msgspec


class Finding(msgspec.Struct, frozen=True):
    """A broken rule. `rule` names it, `subject` says where (an id), `detail` what is wrong."""

    room: str
    rule: str
    subject: str
    detail: str
