"""Page cursors: the last global key of a page, sealed (AES-GCM) and bound to who asked, about whom, for what (DESIGN 5)."""

from __future__ import annotations

import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

LIFE_SECONDS = 3_600
NONCE_BYTES = 12


class BadCursor(Exception):
    """Altered, expired, another caller's or for another query: BAD_CURSOR and nothing else."""


class Position(msgspec.Struct, frozen=True, array_like=True):
    """Where a page ended in the total order, and until when (Unix seconds) the cursor may be used."""

    sort_time: str
    facility: str
    id: str
    expires: int

    @property
    def key(self) -> tuple[str, str, str]:
        """The place in the total order."""
        return self.sort_time, self.facility, self.id

    def text(self) -> str:
        """The form a node takes as `after`."""
        return f"{self.sort_time}|{self.facility}|{self.id}"


@dataclass(frozen=True, slots=True)
class CursorSeal:
    """Seals and opens cursors. `binding` is what a cursor is tied to; it is authenticated, not stored."""

    cipher: AESGCM

    @staticmethod
    def of(secret: bytes) -> CursorSeal:
        """A seal under a 32-byte key."""
        return CursorSeal(AESGCM(secret))

    def seal(self, position: Position, binding: bytes) -> str:
        """An opaque cursor."""
        nonce = os.urandom(NONCE_BYTES)
        return urlsafe_b64encode(nonce + self.cipher.encrypt(nonce, msgspec.msgpack.encode(position), binding)).decode()

    def open(self, cursor: object, binding: bytes, now: float) -> Position:
        """The position; raises BadCursor."""
        if not isinstance(cursor, str) or not 20 <= len(cursor) <= 2_000:
            raise BadCursor
        try:
            raw = urlsafe_b64decode(cursor.encode())
            if urlsafe_b64encode(raw).decode() != cursor:  # the decoder skips what is no base64
                raise BadCursor
            plain = self.cipher.decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], binding)
            position = msgspec.msgpack.decode(plain, type=Position)
        except (ValueError, InvalidTag, msgspec.DecodeError):
            raise BadCursor from None
        if position.expires < now:
            raise BadCursor
        return position


def binding_of(*parts: bytes | str | None) -> bytes:
    """Length-prefixed parts, so that no two bindings read alike."""
    raw = [p if isinstance(p, bytes) else (p or "").encode() for p in parts]
    return b"".join(len(p).to_bytes(4, "big") + p for p in raw)
