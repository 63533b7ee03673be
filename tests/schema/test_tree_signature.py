"""One signature over many statements: each token stands alone, tells nothing of the others, and cannot be made from them."""

from __future__ import annotations

import base64
import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from schema import jws, tree_signature
from schema.tree_signature import DEPTH, sign_all, verify

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KID = jws.key_id(KEY.public_key())
KEYS = {KID: KEY.public_key()}
TYPE = "test+jwt"
# Made once: neighbours are random, and a token made anew in each example would be another input to it.
TOKEN = sign_all(KEY, KID, TYPE, [b'{"n":1}', b'{"n":2}', b'{"n":3}'])[1]


def refusal(token: str) -> str:
    with pytest.raises(jws.JwsError) as caught:
        verify(token, KEYS, TYPE)
    return caught.value.code


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def proof_of(token: str) -> bytes:
    return jws.decode_segment(token.rpartition(".")[2].encode())


@settings(deadline=None)
@given(st.lists(st.binary(max_size=60), max_size=140))
def test_every_statement_comes_back_from_its_own_token(payloads: list[bytes]) -> None:
    tokens = sign_all(KEY, KID, TYPE, payloads)
    assert [verify(token, KEYS, TYPE) for token in tokens] == payloads


def test_sixty_four_statements_cost_one_signature() -> None:
    tokens = sign_all(KEY, KID, TYPE, [str(n).encode() for n in range(64)])
    assert len({proof_of(token)[:64] for token in tokens}) == 1
    more = sign_all(KEY, KID, TYPE, [str(n).encode() for n in range(65)])
    assert len({proof_of(token)[:64] for token in more}) == 2


@pytest.mark.parametrize("count", [1, 2, 3, 5, 42, 64])
def test_a_token_does_not_tell_how_many_were_signed_with_it(count: int) -> None:
    tokens = sign_all(KEY, KID, TYPE, [f"{n:04}".encode() for n in range(count)])
    assert {len(token) for token in tokens} == {len(sign_all(KEY, KID, TYPE, [b"0000"])[0])}
    neighbours = [proof_of(t)[at : at + 32] for t in tokens for at in range(64, 64 + 32 * DEPTH, 32)]
    assert bytes(32) not in neighbours and len({proof_of(t)[64:] for t in tokens}) == count


@given(st.data())
def test_no_token_with_one_character_changed_is_accepted(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(TOKEN) - 1))
    other = data.draw(st.sampled_from("ABCxyz019-_.=+/ ").filter(lambda c: c != TOKEN[at]))
    with pytest.raises(jws.JwsError):
        verify(TOKEN[:at] + other + TOKEN[at + 1 :], KEYS, TYPE)


def test_the_proof_of_one_statement_proves_no_other() -> None:
    one, other = sign_all(KEY, KID, TYPE, [b"one", b"other"])
    assert refusal(one.rpartition(".")[0] + "." + other.rpartition(".")[2]) == "SIGNATURE"
    forged = one.split(".")[0] + "." + b64(b"three") + "." + one.split(".")[2]
    assert refusal(forged) == "SIGNATURE"


def test_an_inner_hash_is_no_statement() -> None:
    """Else whoever holds two tokens could shorten the path and present the pair of hashes as a leaf."""
    token = sign_all(KEY, KID, TYPE, [b"one", b"other"])[0]
    proof = proof_of(token)
    assert refusal(f"{token.rpartition('.')[0]}.{b64(proof[:64] + proof[96:])}") == "MALFORMED"
    assert refusal(f"{token.rpartition('.')[0]}.{b64(proof + bytes(32))}") == "MALFORMED"


def test_a_plain_signature_of_the_same_key_is_no_proof_and_the_other_way_round() -> None:
    plain = jws.sign(KEY, KID, TYPE, b"{}")
    assert refusal(plain) == "MALFORMED"
    token = sign_all(KEY, KID, TYPE, [b"{}"])[0]
    with pytest.raises(jws.JwsError, match="MALFORMED"):
        jws.verify(token, KEYS, TYPE)
    header, body, _ = token.split(".")
    signature = KEY.sign(f"{header}.{body}".encode())
    assert refusal(f"{header}.{body}.{b64(signature + proof_of(token)[64:])}") == "SIGNATURE"


@pytest.mark.parametrize("algorithm", ["none", "Ed25519", "EdDSA", "HS256", tree_signature.ALGORITHM.upper()])
def test_no_other_algorithm_is_even_looked_at(algorithm: str) -> None:
    _, body, proof = sign_all(KEY, KID, TYPE, [b"{}"])[0].split(".")
    header = b64(json.dumps({"alg": algorithm, "kid": KID, "typ": TYPE}, separators=(",", ":")).encode())
    assert refusal(f"{header}.{body}.{proof}") == "MALFORMED"


def test_a_strange_key_is_told_apart_from_a_broken_token() -> None:
    stranger = Ed25519PrivateKey.from_private_bytes(bytes(32))
    assert refusal(sign_all(stranger, jws.key_id(stranger.public_key()), TYPE, [b"{}"])[0]) == "UNKNOWN_KEY"
    assert refusal(sign_all(stranger, KID, TYPE, [b"{}"])[0]) == "SIGNATURE"


@pytest.mark.parametrize("token", ["", ".", "..", "...", "a.b.c", "ă.ă.ă", "x" * 40_000])
def test_rubbish_is_malformed(token: str) -> None:
    assert refusal(token) == "MALFORMED"
