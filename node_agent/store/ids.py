"""Ids that tell nothing: keyed digests of what the source calls a thing, so that replay gives the same ones."""

from __future__ import annotations

import base64
import hmac
import os
from dataclasses import dataclass
from pathlib import Path

from node_agent.errors import KeyUnusable
from schema.elements import RecordKind

KEY_BYTES = 32


@dataclass(frozen=True, slots=True, repr=False)
class Ids:
    """HMAC-SHA256 under the node's record key, cut to 16 bytes, as 26 characters of lower-case base32."""

    key: bytes

    def _digest(self, purpose: str, *parts: str) -> str:
        raw = [part.encode() for part in (purpose, *parts)]
        mac = hmac.digest(self.key, b"".join(len(r).to_bytes(4, "big") + r for r in raw), "sha256")
        return base64.b32encode(mac[:16]).decode().rstrip("=").lower()

    def record(self, facility: str, kind: RecordKind, source_key: str) -> str:
        """A record's id; an encounter_id is the id of (facility, ENCOUNTER, encounter_key)."""
        return self._digest("record", facility, kind.value, source_key)

    def ref(self, facility: str, local_id: str) -> str:
        """A patient's ref: all that the gateway ever says about whom it asks."""
        return self._digest("patient", facility, local_id)


def load_ids(path: Path) -> Ids:
    """The ids under the key in this file; made with mode 0600 if there is none. Raises KeyUnusable for a damaged file."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        key = path.read_bytes()
    else:
        key = os.urandom(KEY_BYTES)
        with os.fdopen(handle, "wb") as file:
            file.write(key)
            file.flush()
            os.fsync(file.fileno())
    if len(key) != KEY_BYTES:
        raise KeyUnusable(
            f"Tệp khoá {path} hỏng (cần {KEY_BYTES} byte); khôi phục từ bản sao lưu, không tạo khoá mới",
            f"key file {path} is damaged (needs {KEY_BYTES} bytes); restore it from backup, a new key changes every id",
        )
    return Ids(key)
