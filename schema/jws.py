"""Compact JWS with one algorithm: Ed25519 (RFC 7515, RFC 8037, RFC 9864). Not JWT claims, not keys on disk, no I/O.

The header is fixed bytes for a key id and a type. A verifier compares the received header segment with the segments it
expects and never reads an algorithm from it, so there is nothing to confuse: no "none", no second key type.
"""

from __future__ import annotations

import binascii
import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

ALGORITHM = "Ed25519"
TOKEN_BYTES_LIMIT = 32_768  # HTTP servers give up on longer header lines


class JwsError(ValueError):
    """code is MALFORMED (not such a token), UNKNOWN_KEY (right shape, a key id not held) or SIGNATURE. Never carries the token."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class _Header(msgspec.Struct, frozen=True):
    alg: str
    kid: str
    typ: str


def encode_segment(data: bytes) -> bytes:
    """base64url without padding."""
    return urlsafe_b64encode(data).rstrip(b"=")


def decode_segment(segment: bytes) -> bytes:
    """The bytes of a base64url segment; JwsError(MALFORMED) unless encode_segment would write exactly this segment."""
    try:
        data = binascii.a2b_base64(segment.translate(_URL_SAFE) + b"=" * (-len(segment) % 4), strict_mode=True)
    except binascii.Error:
        raise JwsError("MALFORMED") from None
    # strict_mode lets unused trailing bits through: two spellings of one signature would be two tokens.
    if encode_segment(data) != segment:
        raise JwsError("MALFORMED")
    return data


_URL_SAFE = bytes.maketrans(b"-_", b"+/")


def key_id(key: Ed25519PublicKey) -> str:
    """The name of a key: base64url of the first 16 bytes of SHA-256 over its raw 32 bytes (22 characters)."""
    return encode_segment(hashlib.sha256(key.public_bytes_raw()).digest()[:16]).decode()


@lru_cache(maxsize=256)
def header_segment(kid: str, typ: str, alg: str = ALGORITHM) -> bytes:
    """The one header segment that a token of this type, signed by this key, may have."""
    return encode_segment(msgspec.json.encode({"alg": alg, "kid": kid, "typ": typ}))


def sign(key: Ed25519PrivateKey, kid: str, typ: str, payload: bytes) -> str:
    """A compact JWS over payload."""
    signed = header_segment(kid, typ) + b"." + encode_segment(payload)
    return (signed + b"." + encode_segment(key.sign(signed))).decode()


def verify(token: str, keys: Mapping[str, Ed25519PublicKey], typ: str) -> bytes:
    """The payload of a token of type `typ` signed by one of `keys` (key id -> key); raises JwsError."""
    parts = take_apart(token, keys, typ)
    try:
        parts.key.verify(parts.proof, parts.signed)
    except InvalidSignature:
        raise JwsError("SIGNATURE") from None
    return parts.payload


class Parts(NamedTuple):
    """A token of the right form whose proof was not looked at yet. signed: header and payload segments, as sent."""

    key: Ed25519PublicKey
    signed: bytes
    payload: bytes
    proof: bytes


def take_apart(token: str, keys: Mapping[str, Ed25519PublicKey], typ: str, alg: str = ALGORITHM) -> Parts:
    """The parts of a token that names one of `keys`; raises JwsError(MALFORMED or UNKNOWN_KEY)."""
    if len(token) > TOKEN_BYTES_LIMIT or not token.isascii():
        raise JwsError("MALFORMED")
    signed, _, proof = token.encode().rpartition(b".")
    header, _, body = signed.partition(b".")
    key = next((key for kid, key in keys.items() if header_segment(kid, typ, alg) == header), None)
    if key is None:
        raise JwsError(_why_unknown(header, typ, alg))
    return Parts(key, signed, decode_segment(body), decode_segment(proof))


def _why_unknown(header: bytes, typ: str, alg: str) -> str:
    """Tells an honest token of a strange key from anything else; only for the log, both are refused."""
    try:
        kid = msgspec.json.decode(decode_segment(header), type=_Header).kid
    except (JwsError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return "MALFORMED"
    return "UNKNOWN_KEY" if len(kid) <= 64 and header_segment.__wrapped__(kid, typ, alg) == header else "MALFORMED"
