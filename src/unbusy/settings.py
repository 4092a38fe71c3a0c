"""Every setting, in one typed place.

A setting comes from the environment (`UNBUSY_PORT=8080`), else from `unbusy.toml` (`port = 8080`),
else from its default here. An unknown or wrong one stops the start with a sentence.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from unbusy.errors import SetupError

PREFIX = "UNBUSY_"
FILE_NAME = "unbusy.toml"


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The settings of one installation. Amount limits are in whole units of any asset."""

    data: Annotated[str, Meta(description="Directory of the embedded database and the secret.")] = ".unbusy"
    database_url: Annotated[str, Meta(description="A PostgreSQL ≥ 16 of your own; empty means the embedded one.")] = ""
    secret: Annotated[
        str,
        Meta(
            description="Signs access tokens; at least 32 characters, the same for every gateway. "
            "Empty means one is made and kept in the data directory (embedded database only)."
        ),
    ] = ""
    host: Annotated[str, Meta(description="Address the gateways listen on.")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535, description="Port the gateways listen on; 0 takes a free one.")] = 8080
    workers: Annotated[int, Meta(ge=1, le=64, description="How many gateway processes.")] = 1
    default_asset: Annotated[
        str, Meta(pattern=r"^[A-Z][A-Z0-9]{2,11}$", description="Asset of a new customer's first account.")
    ] = "EUR"
    pool_size: Annotated[int, Meta(ge=2, le=100, description="Database connections of one process.")] = 8
    pool_queue: Annotated[
        int, Meta(ge=1, le=100_000, description="Most callers that wait for a connection in one process.")
    ] = 1_000
    request_deadline_ms: Annotated[
        int, Meta(ge=100, le=60_000, description="How long a request may take when its caller does not say.")
    ] = 10_000
    batch_max: Annotated[int, Meta(ge=1, le=8_000, description="Most payments that share one commit.")] = 500
    pipeline_queue: Annotated[
        int, Meta(ge=1, le=100_000, description="Most payments that wait for a batch in one gateway.")
    ] = 4_000
    queue_promise_s: Annotated[
        int, Meta(ge=1, le=86_400, description="A queued payment is done this many seconds later at the latest.")
    ] = 60
    request_expires_days: Annotated[
        int, Meta(ge=1, le=365, description="Days a request for money stays open when its maker does not say.")
    ] = 14
    limit_per_payment: Annotated[int, Meta(ge=1, description="Most one payment moves.")] = 5_000
    limit_per_day: Annotated[int, Meta(ge=1, description="Most one payer pays in a day (UTC).")] = 10_000
    limit_per_month: Annotated[int, Meta(ge=1, description="Most one payer pays in a month (UTC).")] = 50_000
    access_token_s: Annotated[int, Meta(ge=30, le=3_600, description="Life of an access token.")] = 600
    session_days: Annotated[int, Meta(ge=1, le=365, description="Life of a session that is not used.")] = 30
    log_format: Annotated[str, Meta(pattern="^(console|json)$", description="Log lines for people or machines.")] = (
        "console"
    )


def load(environ: Mapping[str, str] = os.environ, directory: Path | None = None) -> Settings:
    """The settings in force. Raises SetupError with the name of the first that is wrong."""
    values = _from_file((directory or Path.cwd()) / FILE_NAME) | _from_environment(environ)
    known = {field.name for field in msgspec.structs.fields(Settings)}
    for name in sorted(values.keys() - known):
        raise SetupError(f"unknown setting {name!r}; docs/reference/settings.md lists them all")
    try:
        return msgspec.convert(values, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise SetupError(f"wrong setting: {error}") from None


def _from_environment(environ: Mapping[str, str]) -> dict[str, object]:
    return {name[len(PREFIX) :].lower(): value for name, value in environ.items() if name.startswith(PREFIX)}


def _from_file(path: Path) -> dict[str, object]:
    if not path.exists():
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SetupError(f"cannot read {path}: {error}") from None
