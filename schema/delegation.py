"""The statement with which the gateway asks one node: who may be read, why, on what basis, how much (DESIGN 7).

Written by the gateway for one node and one request body, checked by that node; it names no other facility. Replay memory
and the node's own policy live in node_agent/access.py. No clock here: the moment is passed in, and so is the jti.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from msgspec import Meta

from schema import jws, tree_signature

LIFE_SECONDS = 30
LEEWAY_SECONDS = 5
TYPE = "delegation+jwt"
GATEWAY_ISSUER = "urn:hanoi-health-graph:gateway"

# Every label there is or will be. This release shows no labelled record to anybody.
RESTRICTED_ALL = 2**31 - 1

_Text = Annotated[str, Meta(min_length=1, max_length=200)]
_Seconds = Annotated[int, Meta(ge=0, le=2**53)]


class DelegationError(Exception):
    """A delegation that a node refuses. `code` is stable, starts with DELEGATION_ and is safe to send back."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Subject:
    """One patient of the node: its own ref, the basis of this reading (schema.access.Basis) and the evidence (a grant's id)."""

    ref: _Text
    basis: _Text
    evidence: _Text | None


@dataclass(frozen=True, slots=True)
class Allowed:
    """What may be shown: kinds (RecordKind values; None for all), without any record that has a bit of denied_labels,
    and with period_low <= sort time < period_high, compared bytewise; '' and '~' leave an end open (filters.period_bounds).
    """

    kinds: tuple[_Text, ...] | None
    denied_labels: Annotated[int, Meta(ge=0, le=RESTRICTED_ALL)]
    period_low: Annotated[str, Meta(max_length=40)]
    period_high: Annotated[str, Meta(max_length=40)]

    @property
    def all_times(self) -> bool:
        """Whether records of every time may be shown, undated ones too."""
        return (self.period_low, self.period_high) == ("", "~")


@dataclass(frozen=True, slots=True)
class Delegation:
    """audience: the node's id. issued_at, expires_at: Unix seconds. digest: body_digest of the request body's bytes.
    purpose: an HL7 PurposeOfUse code. contract: the contract version the gateway speaks.
    """

    issuer: str
    audience: str
    issued_at: int
    expires_at: int
    jti: str
    digest: str
    purpose: str
    subjects: tuple[Subject, ...]
    allowed: Allowed
    contract: str


class _Claims(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    iss: _Text
    aud: _Text
    iat: _Seconds
    exp: _Seconds
    jti: Annotated[str, Meta(min_length=16, max_length=64)]
    digest: Annotated[str, Meta(min_length=43, max_length=43)]
    purpose: _Text
    subjects: Annotated[tuple[Subject, ...], Meta(max_length=500)]
    allowed: Allowed
    contract: _Text


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(_Claims)


def body_digest(body: bytes) -> str:
    """base64url, without padding, of the SHA-256 of a request body."""
    return jws.encode_segment(hashlib.sha256(body).digest()).decode()


def new_delegation(
    *,
    audience: str,
    body: bytes,
    now: float,
    jti: str,
    purpose: str,
    subjects: tuple[Subject, ...],
    allowed: Allowed,
    contract: str,
    issuer: str = GATEWAY_ISSUER,
) -> Delegation:
    """A delegation for one request body, alive for LIFE_SECONDS from now (Unix seconds). jti: 16 to 64 random characters."""
    issued_at = int(now)
    return Delegation(
        issuer,
        audience,
        issued_at,
        issued_at + LIFE_SECONDS,
        jti,
        body_digest(body),
        purpose,
        subjects,
        allowed,
        contract,
    )


def sign_delegations(key: Ed25519PrivateKey, kid: str, delegations: Sequence[Delegation]) -> list[str]:
    """A token for each, all under one signature. kid: jws.key_id of the public key, which costs a tenth of the signature."""
    return tree_signature.sign_all(key, kid, TYPE, [_encoder.encode(_claims_of(d)) for d in delegations])


def sign_delegation(key: Ed25519PrivateKey, delegation: Delegation, kid: str | None = None) -> str:
    """A token for one."""
    return sign_delegations(key, kid or jws.key_id(key.public_key()), [delegation])[0]


def _claims_of(d: Delegation) -> _Claims:
    return _Claims(
        d.issuer,
        d.audience,
        d.issued_at,
        d.expires_at,
        d.jti,
        d.digest,
        d.purpose,
        d.subjects,
        d.allowed,
        d.contract,
    )


def verify_delegation(
    token: str | None,
    keys: Mapping[str, Ed25519PublicKey],
    audience: str,
    body: bytes,
    now: float,
    leeway_seconds: float = LEEWAY_SECONDS,
    issuer: str = GATEWAY_ISSUER,
) -> Delegation:
    """The delegation, when it was signed by one of `keys` (key id -> key) for this node, this body and this moment.

    Raises DelegationError with DELEGATION_MISSING, _MALFORMED, _SIGNATURE, _ISSUER (also a key not held), _AUDIENCE,
    _NOT_YET_VALID, _EXPIRED or _DIGEST. Replays are the caller's to remember.
    """
    if not token:
        raise DelegationError("DELEGATION_MISSING")
    claims = _claims(token, keys)
    if claims.iss != issuer:
        raise DelegationError("DELEGATION_ISSUER")
    if claims.aud != audience:
        raise DelegationError("DELEGATION_AUDIENCE")
    if claims.iat > now + leeway_seconds:
        raise DelegationError("DELEGATION_NOT_YET_VALID")
    if now >= claims.exp + leeway_seconds:
        raise DelegationError("DELEGATION_EXPIRED")
    if claims.digest != body_digest(body):
        raise DelegationError("DELEGATION_DIGEST")
    return Delegation(
        claims.iss,
        claims.aud,
        claims.iat,
        claims.exp,
        claims.jti,
        claims.digest,
        claims.purpose,
        claims.subjects,
        claims.allowed,
        claims.contract,
    )


def _claims(token: str, keys: Mapping[str, Ed25519PublicKey]) -> _Claims:
    try:
        payload = tree_signature.verify(token, keys, TYPE)
    except jws.JwsError as error:
        raise DelegationError(
            "DELEGATION_ISSUER" if error.code == "UNKNOWN_KEY" else f"DELEGATION_{error.code}"
        ) from None
    try:
        claims = _decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise DelegationError("DELEGATION_MALFORMED") from None
    # Byte for byte what this contract writes: a restriction this node does not know must not be read as no restriction,
    # and a name given twice must not mean two things.
    if _encoder.encode(claims) != payload or not claims.iat < claims.exp <= claims.iat + LIFE_SECONDS:
        raise DelegationError("DELEGATION_MALFORMED")
    if len({subject.ref for subject in claims.subjects}) != len(claims.subjects):
        raise DelegationError("DELEGATION_MALFORMED")
    return claims
