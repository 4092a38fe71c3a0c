"""Is it alive, is it ready, how does it fare: for whoever runs it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

Probe = Callable[[], Awaitable[None]]
"""Something that must be well before this process takes requests; raises what is wrong when it is not."""
