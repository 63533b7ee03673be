"""Compact JWS: one algorithm, one spelling."""

from __future__ import annotations

import base64
import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws as other_jws
from joserfc.jwk import OKPKey

from schema import jws

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KID = jws.key_id(KEY.public_key())
KEYS = {KID: KEY.public_key()}
TYPE = "test+jwt"


def refusal(token: str) -> str:
    with pytest.raises(jws.JwsError) as caught:
        jws.verify(token, KEYS, TYPE)
    return caught.value.code


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@given(st.binary(max_size=300))
def test_what_was_signed_comes_back(payload: bytes) -> None:
    assert jws.verify(jws.sign(KEY, KID, TYPE, payload), KEYS, TYPE) == payload


def test_another_implementation_reads_our_tokens() -> None:
    token = jws.sign(KEY, KID, TYPE, b'{"a":1}')
    public = OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": b64(KEY.public_key().public_bytes_raw())})
    read = other_jws.deserialize_compact(token, public, algorithms=["Ed25519"])
    assert read.payload == b'{"a":1}'
    assert read.headers() == {"alg": "Ed25519", "kid": KID, "typ": TYPE}


@given(st.data())
def test_no_token_with_one_character_changed_is_accepted(data: st.DataObject) -> None:
    token = jws.sign(KEY, KID, TYPE, b'{"n":12345}')
    at = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.sampled_from("ABCxyz019-_.=+/ ").filter(lambda c: c != token[at]))
    with pytest.raises(jws.JwsError):
        jws.verify(token[:at] + other + token[at + 1 :], KEYS, TYPE)


@pytest.mark.parametrize("algorithm", ["none", "HS256", "EdDSA", "ed25519", "RS256"])
def test_no_other_algorithm_is_even_looked_at(algorithm: str) -> None:
    header = b64(json.dumps({"alg": algorithm, "kid": KID, "typ": TYPE}, separators=(",", ":")).encode())
    signed = f"{header}.{b64(b'{}')}"
    assert refusal(f"{signed}.{b64(KEY.sign(signed.encode()))}") == "MALFORMED"
    assert refusal(f"{signed}.") == "MALFORMED"


def test_the_same_header_in_other_bytes_is_refused() -> None:
    header = b64(json.dumps({"alg": "Ed25519", "kid": KID, "typ": TYPE}).encode())  # with spaces
    signed = f"{header}.{b64(b'{}')}"
    assert refusal(f"{signed}.{b64(KEY.sign(signed.encode()))}") == "MALFORMED"


def test_a_token_of_another_type_is_refused() -> None:
    assert refusal(jws.sign(KEY, KID, "at+jwt", b"{}")) == "MALFORMED"


def test_a_strange_key_is_told_apart_from_a_broken_token() -> None:
    stranger = Ed25519PrivateKey.from_private_bytes(bytes(32))
    assert refusal(jws.sign(stranger, jws.key_id(stranger.public_key()), TYPE, b"{}")) == "UNKNOWN_KEY"
    assert refusal(jws.sign(stranger, KID, TYPE, b"{}")) == "SIGNATURE"


def test_a_second_spelling_of_the_signature_is_refused() -> None:
    head, _, signature = jws.sign(KEY, KID, TYPE, b"{}").rpartition(".")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    twin = alphabet[alphabet.index(signature[-1]) | 1]  # only unused trailing bits differ
    assert twin != signature[-1]
    assert refusal(f"{head}.{signature[:-1]}{twin}") == "MALFORMED"
    assert refusal(f"{head}.{signature}==") == "MALFORMED"


@pytest.mark.parametrize("token", ["", ".", "..", "...", "a.b.c", "ă.ă.ă", "x" * 40_000])
def test_rubbish_is_malformed(token: str) -> None:
    assert refusal(token) == "MALFORMED"


def test_a_hostile_header_is_malformed_and_not_a_crash() -> None:
    for header in (b"[" * 20_000, b"\xff\xfe", b'{"alg":"Ed25519","kid":"\xff","typ":"x"}', b"null"):
        assert refusal(f"{b64(header)}.{b64(b'{}')}.{b64(b'x' * 64)}") == "MALFORMED"
