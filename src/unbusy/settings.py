"""Every setting, in one typed place.

A setting comes from a flag of the command (`--port 8080`), else from the environment
(`UNBUSY_PORT=8080`), else from `unbusy.toml` in the current directory (`port = 8080`), else from
its default here. An unknown or wrong one stops the start with a sentence that names it and what is
allowed; a value that is a secret is never shown.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, cast

import msgspec
from msgspec import Meta

from unbusy.errors import SetupError

PREFIX = "UNBUSY_"
FILE_NAME = "unbusy.toml"

_SECRET = {"is_secret": True}
_SHORTEST_SECRET = 32
_MOST_UNITS = 10**12


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The settings of one installation. Amount limits are in whole units of any asset."""

    data: Annotated[
        str, Meta(min_length=1, description="Directory of the embedded database, the secret and the metrics.")
    ] = ".unbusy"
    database_url: Annotated[
        str,
        Meta(
            pattern=r"^(postgres(ql)?://.*)?$",
            description="A PostgreSQL ≥ 16 of your own; empty means the embedded one.",
            extra=_SECRET | {"allowed": "`postgresql://user:password@host:port/database`"},
        ),
    ] = ""
    secret: Annotated[
        str,
        Meta(
            pattern=rf"^(.{{{_SHORTEST_SECRET},}})?$",
            description="Signs access tokens; the same for every gateway. Empty means one is made and kept in the "
            "data directory (embedded database only).",
            extra=_SECRET | {"allowed": f"at least {_SHORTEST_SECRET} characters"},
        ),
    ] = ""
    host: Annotated[
        str,
        Meta(
            min_length=1,
            description="Address the gateways listen on.",
            extra={"allowed": "an IPv4 address of this machine, or its name; `0.0.0.0` for all"},
        ),
    ] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535, description="Port the gateways listen on; 0 takes a free one.")] = 8080
    trusted_proxies: Annotated[
        str,
        Meta(
            description="Reverse proxies whose `X-Forwarded-For` is believed; empty means nobody's.",
            extra={"allowed": "addresses and networks, separated by commas"},
        ),
    ] = ""
    workers: Annotated[int, Meta(ge=1, le=64, description="How many gateway processes.")] = 1
    default_asset: Annotated[
        str,
        Meta(
            pattern=r"^[A-Z][A-Z0-9]{2,11}$",
            description="Asset of a new customer's first account.",
            extra={"allowed": "three to twelve capitals and digits, such as `EUR`"},
        ),
    ] = "EUR"
    pool_size: Annotated[int, Meta(ge=2, le=100, description="Database connections of one process.")] = 8
    read_pool_size: Annotated[
        int, Meta(ge=1, le=100, description="Connections more of a gateway, for what only reads.")
    ] = 4
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
    pipeline_lanes: Annotated[
        int, Meta(ge=1, le=32, description="Batches a gateway writes at once; more helps only a database far away.")
    ] = 1
    queue_promise_s: Annotated[
        int, Meta(ge=1, le=86_400, description="A queued payment is done this many seconds later at the latest.")
    ] = 60
    queue_drain_floor: Annotated[
        int, Meta(ge=1, le=10_000, description="Queued payments a second that are settled even at the peak.")
    ] = 300
    request_expires_days: Annotated[
        int, Meta(ge=1, le=365, description="Days a request for money stays open when its maker does not say.")
    ] = 14
    limit_per_payment: Annotated[int, Meta(ge=1, le=_MOST_UNITS, description="Most one payment moves.")] = 5_000
    limit_per_day: Annotated[int, Meta(ge=1, le=_MOST_UNITS, description="Most one payer pays in a day (UTC).")] = (
        10_000
    )
    limit_per_month: Annotated[int, Meta(ge=1, le=_MOST_UNITS, description="Most one payer pays in a month (UTC).")] = (
        50_000
    )
    limit_per_topup: Annotated[int, Meta(ge=1, le=_MOST_UNITS, description="Most one top-up moves.")] = 5_000
    limit_topups_per_day: Annotated[
        int, Meta(ge=1, le=_MOST_UNITS, description="Most one person tops up in a day (UTC).")
    ] = 10_000
    limit_topups_per_month: Annotated[
        int, Meta(ge=1, le=_MOST_UNITS, description="Most one person tops up in a month (UTC).")
    ] = 50_000
    limit_per_payout: Annotated[int, Meta(ge=1, le=_MOST_UNITS, description="Most one payout moves.")] = 5_000
    limit_payouts_per_day: Annotated[
        int, Meta(ge=1, le=_MOST_UNITS, description="Most one person is paid out in a day (UTC).")
    ] = 10_000
    limit_payouts_per_month: Annotated[
        int, Meta(ge=1, le=_MOST_UNITS, description="Most one person is paid out in a month (UTC).")
    ] = 50_000
    limit_unverified_per_day: Annotated[
        int,
        Meta(
            ge=1,
            le=_MOST_UNITS,
            description="Most one person tops up, and most is paid out, in a day (UTC) with bank accounts that are not "
            "verified.",
        ),
    ] = 500
    bank_call_s: Annotated[
        int, Meta(ge=1, le=60, description="Seconds after which a bank has not answered; then it is asked again.")
    ] = 15
    bank_resolve_s: Annotated[
        int,
        Meta(ge=60, le=604_800, description="A top-up or payout whose end no bank has told by then is reversed."),
    ] = 86_400
    gate: Annotated[
        Literal["on", "off"],
        Meta(description="Whether a crowd is let in as it can be served. `off` is for finding out what happens then."),
    ] = "on"
    line_longest_s: Annotated[
        int, Meta(ge=1, le=3_600, description="Longest wait for which a place in line is given, in seconds.")
    ] = 600
    customer_per_s: Annotated[int, Meta(ge=1, le=100_000, description="Requests a second one customer may make.")] = 50
    customer_burst: Annotated[
        int, Meta(ge=1, le=100_000, description="Requests one customer may make at once, after a pause.")
    ] = 100
    banks: Annotated[
        str,
        Meta(
            description="File that says which banks there are and how to reach them; empty means none.",
            extra={"allowed": "a path to a TOML file"},
        ),
    ] = ""
    access_token_s: Annotated[int, Meta(ge=30, le=3_600, description="Life of an access token.")] = 600
    session_days: Annotated[int, Meta(ge=1, le=365, description="Life of a session that is not used.")] = 30
    log_format: Annotated[Literal["console", "json"], Meta(description="Log lines for people, or for machines.")] = (
        "console"
    )

    def __repr__(self) -> str:
        """All but the secrets, so that no log line and no traceback can show them."""
        shown = (f"{one.name}={getattr(self, one.name)!r}" for one in settings() if not one.is_secret)
        return f"Settings({', '.join(shown)})"


class Setting(NamedTuple):
    """What there is to know about one setting."""

    name: str
    type: Any
    default: object
    allowed: str
    meaning: str
    is_secret: bool


class _Given(NamedTuple):
    """A value as somebody wrote it: `written` is how they called it."""

    name: str
    written: str
    value: object


def load(
    environ: Mapping[str, str] = os.environ, directory: Path | None = None, flags: Mapping[str, object] | None = None
) -> Settings:
    """The settings in force; `flags` are the command's, and None among them means "not given".

    Raises SetupError with the name of the first that is unknown or wrong.
    """
    given = [
        *_from_file((directory or Path.cwd()) / FILE_NAME),
        *_from_environment(environ),
        *_from_flags(flags or {}),
    ]
    known = {setting.name: setting for setting in settings()}
    values: dict[str, object] = {}
    for one in given:
        if one.name not in known:
            raise SetupError(_unknown(one, known))
        values[one.name] = _read(one, known[one.name])
    return Settings(**values)  # pyright: ignore[reportArgumentType] - each was converted to its field's type


def settings() -> Iterator[Setting]:
    """Every setting there is, in the order they are declared."""
    types = {field.name: field.type for field in msgspec.structs.fields(Settings)}
    info = msgspec.inspect.type_info(Settings)
    assert isinstance(info, msgspec.inspect.StructType)
    for field in info.fields:
        assert isinstance(field.type, msgspec.inspect.Metadata)
        extra = cast("Mapping[str, Any]", field.type.extra or {})
        described = cast("Mapping[str, Any]", field.type.extra_json_schema or {})
        yield Setting(
            name=field.name,
            type=types[field.name],
            default=field.default,
            allowed=extra.get("allowed") or _allowed(field.type.type),
            meaning=described["description"],
            is_secret=bool(extra.get("is_secret")),
        )


def reference() -> str:
    """The page `docs/reference/settings.md`, made from the declarations above."""
    lines = [
        "# Settings",
        "",
        "Made from `src/unbusy/settings.py` by `make docs`. A setting comes from a flag of the command, else from the",
        "environment, else from `unbusy.toml` in the current directory, else from its default. An unknown or wrong one",
        "stops the start with a sentence.",
        "",
        "| `unbusy.toml` | environment | default | allowed | meaning |",
        "| --- | --- | --- | --- | --- |",
    ]
    for setting in settings():
        default = "" if setting.default == "" else f"`{setting.default}`"
        variable = f"`{PREFIX}{setting.name.upper()}`"
        lines.append(f"| `{setting.name}` | {variable} | {default} | {setting.allowed} | {setting.meaning} |")
    return "\n".join([*lines, ""])


def _from_environment(environ: Mapping[str, str]) -> Iterator[_Given]:
    for variable, value in sorted(environ.items()):
        if variable.upper().startswith(PREFIX):
            # Only capitals are a variable of ours: a wrong case is told, not guessed at.
            name = variable.removeprefix(PREFIX).lower() if variable == variable.upper() else variable
            yield _Given(name, variable, value)


def _from_flags(flags: Mapping[str, object]) -> Iterator[_Given]:
    for name, value in flags.items():
        if value is not None:
            yield _Given(name, f"--{name.replace('_', '-')}", value)


def _from_file(path: Path) -> Iterator[_Given]:
    if not path.exists():
        return
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SetupError(f"cannot read {path}: {error}") from None
    for name, value in values.items():
        yield _Given(name, f"{name} in {path}", value)


def _unknown(given: _Given, known: Mapping[str, Setting]) -> str:
    bare = given.name.upper().removeprefix(PREFIX).lower()
    near = difflib.get_close_matches(bare, known, n=1)
    is_variable = given.written.upper().startswith(PREFIX)
    hint = f"; did you mean {PREFIX + near[0].upper() if is_variable else near[0]}?" if near else ""
    return f"unknown setting {given.written}{hint} (docs/reference/settings.md lists them all)"


def _read(given: _Given, setting: Setting) -> object:
    try:
        return msgspec.convert(given.value, setting.type, strict=False)
    except msgspec.ValidationError:
        shown = "what it is" if setting.is_secret else repr(given.value)
        allowed = setting.allowed.replace("`", "")
        raise SetupError(f"wrong setting {given.written}: {shown} will not do; it must be {allowed}") from None


def _allowed(type: msgspec.inspect.Type) -> str:
    match type:
        case msgspec.inspect.IntType(ge=least, le=None):
            return f"a whole number, at least {least}"
        case msgspec.inspect.IntType(ge=least, le=most):
            return f"a whole number from {least} to {most}"
        case msgspec.inspect.LiteralType(values=values):
            return " or ".join(f"`{value}`" for value in values)
        case _:
            return "a text that is not empty"
