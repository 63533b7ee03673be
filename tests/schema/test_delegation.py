"""Delegations: what the gateway signs, and everything a node refuses."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from schema import jws, tree_signature
from schema.delegation import (
    GATEWAY_ISSUER,
    LEEWAY_SECONDS,
    LIFE_SECONDS,
    RESTRICTED_ALL,
    TYPE,
    Allowed,
    Delegation,
    DelegationError,
    Subject,
    body_digest,
    new_delegation,
    sign_delegation,
    verify_delegation,
)

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KID = jws.key_id(KEY.public_key())
KEYS = {KID: KEY.public_key()}
NOW = 1_800_000_000.0
BODY = b'{"query":"{ a }"}'
NODE = "node-01003"
D = new_delegation(
    audience=NODE,
    body=BODY,
    now=NOW,
    jti="j" * 22,
    purpose="TREAT",
    subjects=(Subject("ref-1", "GRANT", "grant-1"), Subject("ref-2", "SELF", None)),
    allowed=Allowed(("ENCOUNTER",), RESTRICTED_ALL, "2024", "~"),
    contract="1.0",
)


def verify(token: str | None, **changes: Any) -> Delegation:
    arguments: dict[str, Any] = {"keys": KEYS, "audience": NODE, "body": BODY, "now": NOW} | changes
    return verify_delegation(token, **arguments)


def refusal(token: str | None, **changes: Any) -> str:
    with pytest.raises(DelegationError) as caught:
        verify(token, **changes)
    return caught.value.code


def signed_claims(**changes: Any) -> str:
    """D as JSON with some claims changed, signed by the right key: what only a broken or newer gateway would send."""
    claims = json.loads(tree_signature.verify(sign_delegation(KEY, D), KEYS, TYPE)) | changes
    return tree_signature.sign_all(KEY, KID, TYPE, [json.dumps(claims, separators=(",", ":")).encode()])[0]


texts = st.text(min_size=1, max_size=40).filter(lambda s: s.isprintable())


@given(
    st.lists(st.builds(Subject, texts, texts, st.none() | texts), max_size=5, unique_by=lambda s: s.ref),
    st.builds(
        Allowed,
        st.none() | st.lists(texts, max_size=4).map(tuple),
        st.integers(0, RESTRICTED_ALL),
        st.sampled_from(["", "2024", "2024-05-06T07:08"]),
        st.sampled_from(["~", "2025~"]),
    ),
)
def test_a_signed_delegation_comes_back_equal(subjects: list[Subject], allowed: Allowed) -> None:
    delegation = replace(D, subjects=tuple(subjects), allowed=allowed)
    assert verify(sign_delegation(KEY, delegation)) == delegation


def test_a_key_id_given_ahead_makes_the_same_token() -> None:
    assert sign_delegation(KEY, D, KID).rpartition(".")[0] == sign_delegation(KEY, D).rpartition(".")[0]
    assert verify(sign_delegation(KEY, D, KID)) == verify(sign_delegation(KEY, D)) == D


@pytest.mark.parametrize("token", [None, ""])
def test_no_token_is_missing(token: str | None) -> None:
    assert refusal(token) == "DELEGATION_MISSING"


def test_a_delegation_for_another_node_is_refused() -> None:
    assert refusal(sign_delegation(KEY, D), audience="node-01929") == "DELEGATION_AUDIENCE"


def test_a_delegation_for_another_body_is_refused() -> None:
    assert refusal(sign_delegation(KEY, D), body=BODY + b" ") == "DELEGATION_DIGEST"


def test_a_delegation_by_a_strange_key_or_issuer_is_refused() -> None:
    stranger = Ed25519PrivateKey.from_private_bytes(bytes(32))
    assert refusal(sign_delegation(stranger, D)) == "DELEGATION_ISSUER"
    assert refusal(sign_delegation(stranger, D, KID)) == "DELEGATION_SIGNATURE"
    assert refusal(sign_delegation(KEY, replace(D, issuer="urn:other"))) == "DELEGATION_ISSUER"


def test_it_lives_thirty_seconds_and_five_of_leeway_on_both_sides() -> None:
    token = sign_delegation(KEY, D)
    assert LIFE_SECONDS == 30 and D.expires_at - D.issued_at == 30
    assert verify(token, now=NOW - LEEWAY_SECONDS) == D
    assert verify(token, now=NOW + LIFE_SECONDS + LEEWAY_SECONDS - 0.01) == D
    assert refusal(token, now=NOW - LEEWAY_SECONDS - 0.01) == "DELEGATION_NOT_YET_VALID"
    assert refusal(token, now=NOW + LIFE_SECONDS + LEEWAY_SECONDS) == "DELEGATION_EXPIRED"


def test_a_delegation_that_would_live_longer_is_refused() -> None:
    assert refusal(sign_delegation(KEY, replace(D, expires_at=D.issued_at + 31))) == "DELEGATION_MALFORMED"
    assert refusal(sign_delegation(KEY, replace(D, expires_at=D.issued_at))) == "DELEGATION_MALFORMED"


def test_a_restriction_the_node_does_not_know_is_not_read_as_no_restriction() -> None:
    assert verify(signed_claims()) == D
    narrower = {"kinds": None, "denied_labels": 0, "period_low": "", "period_high": "~", "only_code": "E11"}
    assert refusal(signed_claims(allowed=narrower)) == "DELEGATION_MALFORMED"
    assert refusal(signed_claims(grant_version=3)) == "DELEGATION_MALFORMED"


def test_a_claim_given_twice_is_refused() -> None:
    payload = tree_signature.verify(sign_delegation(KEY, D), KEYS, TYPE)
    twice = payload[:-1] + b',"purpose":"PATRQT"}'
    assert refusal(tree_signature.sign_all(KEY, KID, TYPE, [twice])[0]) == "DELEGATION_MALFORMED"


@pytest.mark.parametrize(
    "change",
    [
        {"jti": "short"},
        {"iat": 1.5},
        {"iat": -1},
        {"digest": None},
        {"subjects": None},
        {"subjects": [{"ref": "r", "basis": "SELF", "evidence": None}] * 2},
        {"allowed": {"kinds": None, "denied_labels": -1, "period_low": "", "period_high": "~"}},
        {
            "allowed": {
                "kinds": None,
                "denied_labels": RESTRICTED_ALL + 1,
                "period_low": "",
                "period_high": "~",
            }
        },
    ],
)
def test_malformed_claims_are_refused(change: dict[str, Any]) -> None:
    assert refusal(signed_claims(**change)) == "DELEGATION_MALFORMED"


def test_a_signed_payload_that_is_no_object_is_refused() -> None:
    for payload in (b"", b"null", b"[]", b"\xff", b"[" * 10_000):
        assert refusal(tree_signature.sign_all(KEY, KID, TYPE, [payload])[0]) == "DELEGATION_MALFORMED"


def test_only_the_documented_claims_travel() -> None:
    claims = json.loads(tree_signature.verify(sign_delegation(KEY, D), KEYS, TYPE))
    names = {"iss", "aud", "iat", "exp", "jti", "digest", "purpose", "subjects", "allowed", "contract"}
    assert set(claims) == names
    assert claims["iss"] == GATEWAY_ISSUER and claims["aud"] == NODE and claims["digest"] == body_digest(BODY)
