"""The description of the API (OpenAPI 3.1), made from the handlers' types."""

from __future__ import annotations

from litestar import Litestar


def schema_json(app: Litestar) -> bytes:
    """The whole description, in a stable order, ending with a newline: what `docs/reference/openapi.json` holds."""
    raise NotImplementedError
