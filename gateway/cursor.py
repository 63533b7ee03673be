"""Page cursors: the state of a walk through a history, sealed (AES-GCM) and bound to who asked, about whom, for what (DESIGN 5).

How a page changes the state is walk.py.
"""

from __future__ import annotations

import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

LIFE_SECONDS = 3_600
NONCE_BYTES = 12
LONGEST = 40_000  # characters; 700 hospitals, each with a gap of its own

Place = tuple[str, str, str]  # a row's key in the total order: sort time, facility, id
BELOW_ALL: Place = ("", "", "")  # below every row: asked after it, a node has none


class BadCursor(Exception):
    """Altered, expired, another caller's or for another query: BAD_CURSOR and nothing else."""


class Gap(msgspec.Struct, frozen=True, array_like=True):
    """What these nodes could not give: their rows below `above` and above `until` (None: from the top, to the bottom)."""

    above: Place | None
    until: Place | None
    nodes: tuple[bytes, ...]


class Walk(msgspec.Struct, frozen=True, array_like=True):
    """Where a client stands in one list, and until when (Unix seconds) it may go on from there.

    pinned: marks of the patient rows that had their part in every page so far. after: the place below which the next page begins, None
    at the top. more: whether there were rows below it. late: this cursor asks for what the gaps hold, not for the next page.
    """

    expires: int
    pinned: tuple[bytes, ...]
    after: Place | None = None
    gaps: tuple[Gap, ...] = ()
    more: bool = False
    late: bool = False


@dataclass(frozen=True, slots=True)
class CursorSeal:
    """Seals and opens cursors. `binding` is what a cursor is tied to; it is authenticated, not stored."""

    cipher: AESGCM

    @staticmethod
    def of(secret: bytes) -> CursorSeal:
        """A seal under a 32-byte key."""
        return CursorSeal(AESGCM(secret))

    def seal(self, walk: Walk, binding: bytes) -> str:
        """An opaque cursor."""
        nonce = os.urandom(NONCE_BYTES)
        return urlsafe_b64encode(nonce + self.cipher.encrypt(nonce, msgspec.msgpack.encode(walk), binding)).decode()

    def open(self, cursor: object, binding: bytes, now: float) -> Walk:
        """The walk; raises BadCursor."""
        if not isinstance(cursor, str) or not 20 <= len(cursor) <= LONGEST:
            raise BadCursor
        try:
            raw = urlsafe_b64decode(cursor.encode())
            if urlsafe_b64encode(raw).decode() != cursor:  # the decoder skips what is no base64
                raise BadCursor
            plain = self.cipher.decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], binding)
            walk = msgspec.msgpack.decode(plain, type=Walk)
        except (ValueError, InvalidTag, msgspec.DecodeError):
            raise BadCursor from None
        if walk.expires < now:
            raise BadCursor
        return walk


def binding_of(*parts: bytes | str | None) -> bytes:
    """Length-prefixed parts, so that no two bindings read alike."""
    raw = [p if isinstance(p, bytes) else (p or "").encode() for p in parts]
    return b"".join(len(p).to_bytes(4, "big") + p for p in raw)
