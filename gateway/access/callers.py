"""Access token -> caller. Verifies who asks; what they may read is decide.py, the issuers' keys are jwks.py.

A token is a JWS of a configured issuer with `iss`, `aud`, `exp`, `sub`, `client_id` and `role`; see docs/ACCESS.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Annotated

import httpx
import msgspec
from cachetools import TLRUCache
from joserfc import jws
from joserfc.errors import JoseError, UnsupportedAlgorithmError
from joserfc.jwa import JWSAlgModel
from msgspec import Meta

from gateway.access.jwks import KeySource, KeysUnavailable, VerificationKey
from gateway.errors import ClientError
from gateway.settings import Issuer
from schema.identity import Identifier, IdentifierError, IdentifierKind, canonical

DEMO_ISSUER = "urn:hanoi-health-graph:demo"
SKEW_SECONDS = 5
CACHE_SECONDS = 60  # a token verified by a key since taken away works at most this much longer
TOKEN_CHARACTERS_LIMIT = 8192
_CACHE_ENTRIES = 10_000

# The algorithms, and the only kind of key each may be used with.
_KEY_TYPES = {"RS256": "RSA", "ES256": "EC", "EdDSA": "OKP", "Ed25519": "OKP"}


class _Registry(jws.JWSRegistry):
    """joserfc's registry without its warning at every token that says EdDSA for Ed25519, as most issuers still do."""

    def get_alg(self, name: str) -> JWSAlgModel:
        if self.allowed is None or name not in self.allowed:
            raise UnsupportedAlgorithmError
        return self.algorithms[name]


_REGISTRY = _Registry(algorithms=frozenset(_KEY_TYPES))


class Role(Enum):
    """What a caller is to the city. Only the first two read records in this release."""

    PRACTITIONER = "PRACTITIONER"
    CITIZEN = "CITIZEN"
    GUARDIAN = "GUARDIAN"
    OPERATOR = "OPERATOR"
    ANALYST = "ANALYST"
    REVIEWER = "REVIEWER"
    AUDITOR = "AUDITOR"


@dataclass(frozen=True, slots=True)
class Caller:
    """application: the client's id. facility: MA_CSKCB a practitioner works at. licence: practising licence number.
    identity: a citizen's own identifier. reads_extensions: the client reads extensions.coverage (DESIGN 3a).
    """

    role: Role
    subject: str
    issuer: str
    application: str
    facility: str | None = None
    licence: str | None = None
    identity: Identifier | None = None
    reads_extensions: bool = False

    def __repr__(self) -> str:
        return f"Caller(role={self.role.value}, application={self.application!r})"


class Unauthenticated(ClientError):
    """No caller. reason is MISSING, MALFORMED, ALGORITHM, ISSUER, KEY, KEYS_UNAVAILABLE, SIGNATURE, AUDIENCE, EXPIRED,
    NOT_YET_VALID or CLAIMS. Carries nothing of the token.
    """

    code = "UNAUTHENTICATED"
    status = 401

    def __init__(self, reason: str) -> None:
        super().__init__(f"Cần mã truy cập hợp lệ ({reason})", f"a valid access token is needed ({reason})")
        self.reason = reason


_Name = Annotated[str, Meta(min_length=1, max_length=200)]


class _Identity(msgspec.Struct, frozen=True):
    kind: IdentifierKind
    value: Annotated[str, Meta(max_length=200)]


class _Claims(msgspec.Struct, frozen=True):
    iss: _Name
    sub: _Name
    aud: _Name | list[_Name]
    exp: float
    client_id: _Name
    role: Role
    nbf: float = 0
    facility: _Name | None = None
    licence: _Name | None = None
    identity: _Identity | None = None
    reads_extensions: bool = False


class _Issued(msgspec.Struct, frozen=True):
    iss: str


_decoder = msgspec.json.Decoder(_Claims)
_issuer_decoder = msgspec.json.Decoder(_Issued)
_DECODING_ERRORS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Authenticator:
    """Knows the trusted issuers. The demo issuer is one of them only in demo mode, even when it is configured."""

    def __init__(
        self,
        issuers: Iterable[Issuer],
        demo_mode: bool,
        clock: Callable[[], float],
        client: httpx.AsyncClient | None = None,
    ) -> None:
        self._clock = clock
        self._issuers = {
            issuer.issuer: (issuer, KeySource(str(issuer.jwks_url or issuer.jwks_file), clock, client))
            for issuer in issuers
            if demo_mode or issuer.issuer != DEMO_ISSUER
        }
        self._verified: TLRUCache[bytes, tuple[Caller, float]] = TLRUCache(
            _CACHE_ENTRIES, ttu=lambda _key, entry, now: min(entry[1], now + CACHE_SECONDS), timer=clock
        )

    async def authenticate(self, authorization: str | None) -> Caller:
        """The caller of an Authorization header; raises Unauthenticated."""
        if not authorization or authorization[:7].lower() != "bearer ":
            raise Unauthenticated("MISSING")
        token = authorization[7:].strip()
        if len(token) > TOKEN_CHARACTERS_LIMIT or not token.isascii():
            raise Unauthenticated("MALFORMED")
        raw = token.encode()
        digest = hashlib.sha256(raw).digest()
        known = self._verified.get(digest)
        if known is not None:
            return known[0]
        claims = await self._verify(raw)
        caller = _caller(claims)
        self._verified[digest] = (caller, claims.exp)
        return caller

    async def _verify(self, token: bytes) -> _Claims:
        try:
            signed = jws.extract_compact(token)
            claimed = _issuer_decoder.decode(signed.payload).iss
        except (JoseError, ValueError, RecursionError):
            raise Unauthenticated("MALFORMED") from None
        algorithm, kid = signed.protected.get("alg"), signed.protected.get("kid")
        if not isinstance(algorithm, str) or algorithm not in _KEY_TYPES:
            raise Unauthenticated("ALGORITHM")
        if claimed not in self._issuers:
            raise Unauthenticated("ISSUER")
        trusted, keys = self._issuers[claimed]
        key = await _key(keys, kid)
        if key.key_type != _KEY_TYPES[algorithm]:
            raise Unauthenticated("ALGORITHM")
        try:
            genuine = jws.validate_compact(signed, key, registry=_REGISTRY)
        except (JoseError, ValueError):
            genuine = False
        if not genuine:
            raise Unauthenticated("SIGNATURE")
        return self._claims(signed.payload, trusted)

    def _claims(self, payload: bytes, trusted: Issuer) -> _Claims:
        try:
            claims = _decoder.decode(payload)
        except _DECODING_ERRORS:
            raise Unauthenticated("CLAIMS") from None
        now = self._clock()
        if claims.iss != trusted.issuer:  # a name given twice reads differently in two decoders
            raise Unauthenticated("ISSUER")
        if trusted.audience not in ([claims.aud] if isinstance(claims.aud, str) else claims.aud):
            raise Unauthenticated("AUDIENCE")
        if now >= claims.exp + SKEW_SECONDS:
            raise Unauthenticated("EXPIRED")
        if now < claims.nbf - SKEW_SECONDS:
            raise Unauthenticated("NOT_YET_VALID")
        return claims


async def _key(keys: KeySource, kid: object) -> VerificationKey:
    if not isinstance(kid, str) or not kid:
        raise Unauthenticated("KEY")
    try:
        key = await keys.find(kid)
    except KeysUnavailable:
        raise Unauthenticated("KEYS_UNAVAILABLE") from None
    if key is None:
        raise Unauthenticated("KEY")
    return key


def _caller(claims: _Claims) -> Caller:
    """The caller that verified claims describe; the place where an issuer's own claim names would be mapped."""
    identity = None
    if claims.identity is not None:
        try:
            identity = canonical(claims.identity.kind, claims.identity.value)
        except IdentifierError:
            raise Unauthenticated("CLAIMS") from None
    return Caller(
        role=claims.role,
        subject=claims.sub,
        issuer=claims.iss,
        application=claims.client_id,
        facility=claims.facility,
        licence=claims.licence,
        identity=identity,
        reads_extensions=claims.reads_extensions,
    )
