"""One Ed25519 signature over many statements (the Merkle tree of RFC 6962, batched as in Roughtime). Not JWT claims, no I/O.

A gateway asks forty hospitals with forty different statements and signs once. Each token carries the signature over the
tree's root and the hashes that lead from its own leaf to it. The path has the same length whatever the number of statements,
a missing neighbour is random bytes, and a pair is hashed in the order of its bytes: a token tells nothing of how many others
were signed with it. Every statement must carry an unguessable part (a `jti`), or its hash would tell it to its neighbours.

Measured: signing one by one costs 0.035 ms a token, five 0.18, forty-two 1.5; together 0.05, 0.07 and 0.22. Verifying: 0.12.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from schema.jws import JwsError, encode_segment, header_segment, take_apart

ALGORITHM = "urn:hanoi-health-graph:ed25519-tree"
DEPTH = 6
_SIGNED = b"hanoi-health-graph tree 1\x00"  # nothing else signed with this key may begin so
_LEAF, _PAIR = b"\x00", b"\x01"
_SIGNATURE, _HASH = 64, 32


def sign_all(key: Ed25519PrivateKey, kid: str, typ: str, payloads: Sequence[bytes]) -> list[str]:
    """A token a payload, in their order: header.payload.signature in base64url, the signature with its path."""
    head = header_segment(kid, typ, ALGORITHM) + b"."
    signed = [head + encode_segment(payload) for payload in payloads]
    width = 2**DEPTH
    if len(signed) > width:
        return [*sign_all(key, kid, typ, payloads[:width]), *sign_all(key, kid, typ, payloads[width:])]
    paths: list[list[bytes]] = [[] for _ in signed]
    below = [(_hash(_LEAF + text), [path]) for text, path in zip(signed, paths, strict=True)]
    for _ in range(DEPTH if signed else 0):
        if len(below) % 2:
            below.append((secrets.token_bytes(_HASH), []))
        above = []
        for (left, of_left), (right, of_right) in zip(below[::2], below[1::2], strict=True):
            for path in of_left:
                path.append(right)
            for path in of_right:
                path.append(left)
            above.append((_pair(left, right), of_left + of_right))
        below = above
    signature = key.sign(_SIGNED + below[0][0]) if signed else b""
    return [
        (text + b"." + encode_segment(signature + b"".join(path))).decode()
        for text, path in zip(signed, paths, strict=True)
    ]


def verify(token: str, keys: Mapping[str, Ed25519PublicKey], typ: str) -> bytes:
    """The payload of a token of type `typ` signed by one of `keys` (key id -> key); raises jws.JwsError."""
    key, signed, payload, proof = take_apart(token, keys, typ, ALGORITHM)
    if len(proof) != _SIGNATURE + DEPTH * _HASH:
        raise JwsError("MALFORMED")
    root = _hash(_LEAF + signed)
    for at in range(_SIGNATURE, len(proof), _HASH):
        root = _pair(root, proof[at : at + _HASH])
    try:
        key.verify(proof[:_SIGNATURE], _SIGNED + root)
    except InvalidSignature:
        raise JwsError("SIGNATURE") from None
    return payload


def _hash(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def _pair(one: bytes, other: bytes) -> bytes:
    return _hash(_PAIR + one + other if one < other else _PAIR + other + one)
