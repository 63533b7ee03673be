"""How a node proves that a request to the gateway is its own: a signed statement over the body, good for 30 seconds.

The counterpart of delegation.py, in the other direction. Replay memory lives in gateway/city/credentials.py. No clock and no
randomness here: both are passed in.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from msgspec import Meta

from schema import jws
from schema.delegation import body_digest

LIFE_SECONDS = 30
LEEWAY_SECONDS = 5
TYPE = "node-request+jwt"
AUDIENCE = "gateway"


class NodeRequestError(Exception):
    """code: MALFORMED, UNKNOWN_KEY, SIGNATURE, AUDIENCE, PATH, NOT_YET_VALID, EXPIRED or DIGEST. Never carries the token."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Claims(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """iss: the node's id. iat, exp: Unix seconds. digest: of the body's bytes."""

    iss: Annotated[str, Meta(min_length=1, max_length=200)]
    aud: str
    path: str
    iat: int
    exp: int
    jti: Annotated[str, Meta(min_length=16, max_length=64)]
    digest: str


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Claims)


def sign_request(key: Ed25519PrivateKey, node_id: str, path: str, body: bytes, now: float, jti: str) -> str:
    """The token for one request body. jti: 16 to 64 random characters."""
    issued = int(now)
    claims = Claims(node_id, AUDIENCE, path, issued, issued + LIFE_SECONDS, jti, body_digest(body))
    return jws.sign(key, jws.key_id(key.public_key()), TYPE, _encoder.encode(claims))


def verify_request(token: str, key: Ed25519PublicKey, path: str, body: bytes, now: float) -> Claims:
    """The claims, when `key` signed them for this path, body and moment. Raises NodeRequestError; replays are the caller's."""
    try:
        payload = jws.verify(token, {jws.key_id(key): key}, TYPE)
    except jws.JwsError as error:
        raise NodeRequestError(error.code) from None
    try:
        claims = _decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise NodeRequestError("MALFORMED") from None
    if not claims.iat < claims.exp <= claims.iat + LIFE_SECONDS:
        raise NodeRequestError("MALFORMED")
    for code, wrong in (
        ("AUDIENCE", claims.aud != AUDIENCE),
        ("PATH", claims.path != path),
        ("NOT_YET_VALID", claims.iat > now + LEEWAY_SECONDS),
        ("EXPIRED", now >= claims.exp + LEEWAY_SECONDS),
        ("DIGEST", claims.digest != body_digest(body)),
    ):
        if wrong:
            raise NodeRequestError(code)
    return claims
