"""A node's guard: what it lets in once, and that its policy only narrows."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from node_agent.access import Guard, JtiMemory, NodePolicy
from schema import jws
from schema.delegation import (
    LEEWAY_SECONDS,
    LIFE_SECONDS,
    RESTRICTED_ALL,
    Allowed,
    Delegation,
    DelegationError,
    Subject,
    new_delegation,
    sign_delegation,
)

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEYS = {jws.key_id(KEY.public_key()): KEY.public_key()}
NODE = "node-01003"
BODY = b"{}"


class Clock:
    """A clock that the test moves."""

    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def delegation(now: float, jti: str = "j" * 22, denied_labels: int = 0) -> Delegation:
    return new_delegation(
        audience=NODE,
        body=BODY,
        now=now,
        jti=jti,
        purpose="TREAT",
        subjects=(Subject("ref-1", "GRANT", "g"), Subject("ref-2", "GRANT", "h")),
        allowed=Allowed(None, denied_labels, "", "~"),
        contract="1.0",
    )


def header(value: Delegation) -> str:
    return "Bearer " + sign_delegation(KEY, value)


def refusal(guard: Guard, authorization: str | None, body: bytes = BODY) -> str:
    with pytest.raises(DelegationError) as caught:
        guard.check(authorization, body)
    return caught.value.code


def test_a_good_delegation_passes_once() -> None:
    clock = Clock()
    guard, sent = Guard(NODE, KEYS, clock), header(delegation(clock.now))
    assert guard.check(sent, BODY).subjects[0].ref == "ref-1"
    assert refusal(guard, sent) == "DELEGATION_REPLAYED"
    assert guard.check(header(delegation(clock.now, "k" * 22)), BODY).jti == "k" * 22


def test_a_replay_is_refused_until_the_delegation_has_expired_for_good() -> None:
    clock = Clock()
    guard, sent = Guard(NODE, KEYS, clock), header(delegation(clock.now))
    guard.check(sent, BODY)
    clock.now += LIFE_SECONDS + LEEWAY_SECONDS - 0.001
    assert refusal(guard, sent) == "DELEGATION_REPLAYED"
    clock.now += 0.001
    assert refusal(guard, sent) == "DELEGATION_EXPIRED"


def test_a_refused_delegation_is_not_used_up() -> None:
    clock = Clock()
    guard, sent = Guard(NODE, KEYS, clock), header(delegation(clock.now))
    assert refusal(guard, sent, b"another body") == "DELEGATION_DIGEST"
    assert guard.check(sent, BODY).jti == "j" * 22


@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer ", "Basic abc", "abc"])
def test_no_bearer_token_is_missing(authorization: str | None) -> None:
    assert refusal(Guard(NODE, KEYS, Clock()), authorization) == "DELEGATION_MISSING"


def test_another_node_refuses_the_same_delegation() -> None:
    clock = Clock()
    assert refusal(Guard("node-01929", KEYS, clock), header(delegation(clock.now))) == "DELEGATION_AUDIENCE"


def test_a_node_without_keys_refuses_everything() -> None:
    clock = Clock()
    assert refusal(Guard(NODE, {}, clock), header(delegation(clock.now))) == "DELEGATION_ISSUER"


def test_every_label_is_denied_in_this_release_whatever_the_gateway_says() -> None:
    clock = Clock()
    passed = Guard(NODE, KEYS, clock).check(header(delegation(clock.now, denied_labels=0)), BODY)
    assert passed.allowed.denied_labels == RESTRICTED_ALL


@given(st.integers(0, RESTRICTED_ALL), st.integers(0, RESTRICTED_ALL))
def test_a_policy_only_narrows(asked: int, own: int) -> None:
    before = delegation(0, denied_labels=asked)
    after = NodePolicy(denied_labels=own).narrow(before)
    assert after.allowed.denied_labels & asked == asked
    assert after.allowed.denied_labels & own == own
    assert replace(after, allowed=before.allowed) == before


def test_the_memory_forgets_what_expired_and_refuses_rather_than_forget_what_has_not() -> None:
    memory = JtiMemory(limit=2)
    assert memory.claim("a", until=10, now=0) and memory.claim("b", until=20, now=0)
    with pytest.raises(DelegationError, match="DELEGATION_MEMORY_FULL"):
        memory.claim("c", until=30, now=5)
    assert not memory.claim("a", until=10, now=9.9)
    assert memory.claim("c", until=30, now=10)
    assert len(memory) == 2
    assert not memory.claim("b", until=20, now=19)
