"""The secret of the installation: given as a setting, or made once and kept. Every use has a key of its own."""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from pathlib import Path

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from unbusy.errors import SetupError
from unbusy.settings import Settings

_BYTES = 48


def signing_secret(settings: Settings) -> bytes:
    """The setting `secret`, else the one kept in the data directory, made the first time.

    Raises SetupError with an external database and no setting: its gateways may run on several
    machines, and each would make its own and refuse the others' tokens.
    """
    if settings.secret:
        return settings.secret.encode()
    if settings.database_url:
        raise SetupError("with database_url a secret is needed, the same for every gateway: set UNBUSY_SECRET")
    return _kept(Path(settings.data).expanduser() / "secret")


def derive_key(secret: bytes, use: str) -> bytes:
    """32 bytes for this use alone (HKDF, RFC 5869)."""
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=f"unbusy {use}".encode()).derive(secret)


def _kept(path: Path) -> bytes:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            _make(path)
        secret = path.read_bytes().strip()
    except OSError as error:
        raise SetupError(f"cannot keep the secret in {path}: {error.strerror}") from None
    if not secret:
        raise SetupError(f"the secret in {path} is empty; remove the file, and everybody signs in again")
    return secret


def _make(path: Path) -> None:
    """Write a new secret that nobody else may read. Of several that try at once, the first one stays."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix="secret.")
    draft = Path(name)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(secrets.token_urlsafe(_BYTES))
        file.flush()
        os.fsync(file.fileno())
    with contextlib.suppress(FileExistsError):
        path.hardlink_to(draft)
    draft.unlink()
