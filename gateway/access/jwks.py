"""The public keys of token issuers: JWKS from a local file or an https URL, cached, renewed, refetched for a new key id.

Only verification keys come out: RSA of 2048 bits or more, P-256 and Ed25519. What a token says is callers.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import msgspec
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey, import_key

from schema.jws import JwsError, decode_segment

JWKS_BYTES_LIMIT = 262_144
FETCH_SECONDS = 5.0
REFETCH_SECONDS = 10.0  # strange key ids in forged tokens must not make the gateway knock at the issuer's door
RENEW_SECONDS = 600.0  # so that a key the issuer took away stops working
STALE_SECONDS = 3600.0  # longest life of keys that can no longer be renewed

VerificationKey = RSAKey | ECKey | OKPKey
RSA_BITS = 2048
_PUBLIC = ("kty", "crv", "n", "e", "x", "y")


class _KeySet(msgspec.Struct):
    keys: list[dict[str, Any]]


class KeysUnavailable(Exception):
    """The issuer's keys cannot be had now. Carries nothing."""


class KeySource:
    """Keys of one issuer by key id. clock: Unix seconds; client: used for URLs only, closed by its owner."""

    def __init__(self, jwks: str, clock: Callable[[], float], client: httpx.AsyncClient | None = None) -> None:
        url = urlsplit(jwks)
        self._is_url = url.scheme in ("http", "https")
        if url.scheme == "http" and url.hostname not in ("127.0.0.1", "::1", "localhost"):
            raise ValueError("the address of a JWKS must be https")
        self._jwks, self._clock, self._client = jwks, clock, client
        self._keys: dict[str, VerificationKey] = {}
        self._fetched_at: float | None = None
        self._tried_at: float | None = None
        self._lock = asyncio.Lock()

    async def find(self, kid: str) -> VerificationKey | None:
        """The key, or None when the issuer does not publish it; KeysUnavailable when that cannot be known."""
        now = self._clock()
        if kid not in self._keys or self._age(now) > RENEW_SECONDS:
            async with self._lock:
                if self._due(kid, self._clock()):
                    await self._refetch()
        if self._age(now) > STALE_SECONDS:
            raise KeysUnavailable
        return self._keys.get(kid)

    def _age(self, now: float) -> float:
        return float("inf") if self._fetched_at is None else now - self._fetched_at

    def _due(self, kid: str, now: float) -> bool:
        wanted = kid not in self._keys or self._age(now) > RENEW_SECONDS
        return wanted and (self._tried_at is None or now - self._tried_at >= REFETCH_SECONDS)

    async def _refetch(self) -> None:
        """Replaces the keys; leaves the old ones when the issuer cannot be read, for STALE_SECONDS at most."""
        self._tried_at = self._clock()
        try:
            async with asyncio.timeout(FETCH_SECONDS):
                text = await self._download() if self._is_url else self._read()
            keys = verification_keys(text)
        except (OSError, httpx.HTTPError, TimeoutError, ValueError):
            return
        self._keys, self._fetched_at = keys, self._tried_at

    def _read(self) -> bytes:
        with Path(self._jwks).open("rb") as file:
            return file.read(JWKS_BYTES_LIMIT + 1)

    async def _download(self) -> bytes:
        if self._client is None:
            async with httpx.AsyncClient() as client:
                return await self._stream(client)
        return await self._stream(self._client)

    async def _stream(self, client: httpx.AsyncClient) -> bytes:
        content = b""
        async with client.stream("GET", self._jwks, follow_redirects=False, timeout=FETCH_SECONDS) as response:
            if response.status_code != 200:
                raise ValueError("the issuer did not answer 200")
            async for chunk in response.aiter_bytes():
                content += chunk
                if len(content) > JWKS_BYTES_LIMIT:
                    break
        return content


def verification_keys(text: bytes) -> dict[str, VerificationKey]:
    """The usable keys of a JWKS document by key id; ValueError when it is no such document. Other keys are passed over."""
    if len(text) > JWKS_BYTES_LIMIT:
        raise ValueError("the JWKS is too large")
    try:
        entries = msgspec.json.decode(text, type=_KeySet).keys
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ValueError("not a JWKS") from None
    usable = {str(entry["kid"]): _usable(entry) for entry in entries if entry.get("kid") and entry.get("use") != "enc"}
    return {kid: key for kid, key in usable.items() if key is not None}


def _usable(entry: dict[str, Any]) -> VerificationKey | None:
    shape = (entry.get("kty"), entry.get("crv"))
    if shape not in (("RSA", None), ("EC", "P-256"), ("OKP", "Ed25519")):
        return None
    if shape[0] == "RSA" and _bits(entry.get("n")) < RSA_BITS:
        return None
    # Only the public part is taken, and nothing that could switch algorithms.
    public: dict[str, str | list[str]] = {name: entry[name] for name in _PUBLIC if name in entry}
    try:
        key = import_key(public)
    except (JoseError, ValueError, TypeError):
        return None
    return key if isinstance(key, RSAKey | ECKey | OKPKey) else None


def _bits(modulus: object) -> int:
    try:
        return int.from_bytes(decode_segment(str(modulus).encode())).bit_length()
    except JwsError:
        return 0
