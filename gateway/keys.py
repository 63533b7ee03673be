"""Private key files of the gateway: made with mode 0600, refused when others can read them. What they are for is elsewhere."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from gateway.errors import KeyUnusable


def write_private_file(path: Path, content: bytes) -> None:
    """Makes the file, mode 0600, synced to disk. Never overwrites: KeyUnusable when it exists."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise KeyUnusable(f"Tệp khoá {path} đã có", f"key file {path} exists already") from None
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def read_private_file(path: Path, allow_repository: bool) -> bytes:
    """The content; KeyUnusable when it is missing, readable by others, or in a source repository (a commit away from the world)."""
    try:
        mode = path.stat().st_mode
        content = path.read_bytes()
    except OSError as error:
        name = type(error).__name__
        raise KeyUnusable(
            f"Không đọc được tệp khoá {path} ({name}); tạo: city-gateway init",
            f"cannot read key file {path} ({name}); make it: city-gateway init",
        ) from None
    if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise KeyUnusable(
            f"Người khác đọc được tệp khoá {path}; sửa: chmod 600",
            f"others can read key file {path}; repair it: chmod 600",
        )
    if not allow_repository:
        refuse_repository(path)
    return content


def refuse_repository(path: Path) -> None:
    """Raises KeyUnusable when some folder above the file is the root of a git work tree."""
    if any((folder / ".git").exists() for folder in path.resolve().parents):
        raise KeyUnusable(
            f"Tệp khoá {path} nằm trong kho mã nguồn; chuyển data_folder ra ngoài",
            f"key file {path} lies in a source repository; move data_folder out of it",
        )


def create_signing_key(path: Path) -> Ed25519PrivateKey:
    """A new Ed25519 key, stored as PKCS#8 PEM."""
    key = Ed25519PrivateKey.generate()
    write_private_file(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return key


def load_signing_key(path: Path, allow_repository: bool = False) -> Ed25519PrivateKey:
    """The key that signs delegations. Raises KeyUnusable."""
    content = read_private_file(path, allow_repository)
    try:
        key = load_pem_private_key(content, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyUnusable(f"Tệp khoá {path} không phải Ed25519 PEM", f"key file {path} is not an Ed25519 PEM")
    return key
