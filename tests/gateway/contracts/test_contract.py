"""Which contract a node is taken to speak: what it told, kept by hash, or what its version must have."""

from __future__ import annotations

import httpx
import msgspec
import pytest

from gateway.contracts.contract import (
    NOTHING,
    SDL_LIMIT,
    Contract,
    UnreadableSchema,
    assumed,
    contract_of,
    digest_of,
    given,
    ours,
    read_contract,
    unread,
)
from gateway.plan import cannot_hold
from schema.elements import RecordKind
from schema.messages import EnrolmentReply, EnrolmentRequest, PublicKey
from tests.gateway.ages import SDL, older
from tests.hand_made_node import HandMadeNode
from tests.running import RunningGateway

OLD = older(["Encounter.reason"])


def test_our_own_schema_is_no_other_contract() -> None:
    assert contract_of(digest_of(SDL), "1.0", {}) is None
    assert unread([digest_of(SDL), "", "f" * 64]) == {"f" * 64}


def test_a_schema_that_was_told_is_what_the_node_speaks() -> None:
    contract = contract_of(digest_of(OLD), "1.0", {digest_of(OLD): OLD})
    assert contract is not None and contract.exact
    assert "reason" not in contract.fields["Encounter"] and "class" in contract.fields["Encounter"]


@pytest.mark.parametrize(
    "text", ["", "no schema {", "type A { a: Int }", "{" * 5_000, "type Query { a: Int }" + " " * SDL_LIMIT]
)
def test_a_text_that_is_no_schema_leaves_the_version_to_say(text: str) -> None:
    with pytest.raises(UnreadableSchema):
        read_contract(text)
    told = contract_of(digest_of(text), "2.0", {digest_of(text): text})
    assert told is NOTHING


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("1.0", "1.0"),
        ("1.7", "1.0"),
        ("2.0", None),
        ("0.9", None),
        ("", None),
        ("1", None),
        ("1.0.0", None),
        ("9" * 99, None),
    ],
)
def test_a_declared_version_stands_for_the_newest_release_that_it_must_hold(version: str, expected: str | None) -> None:
    contract = assumed(version)
    assert (contract is NOTHING) is (expected is None)
    assert contract.exact is (version != "1.7")


def test_null_in_an_argument_is_not_in_use() -> None:
    value = {"period": {"from": None, "to": "2024"}, "code": None, "kinds": ["A"]}
    assert given(value) == {"period": {"to": "2024"}, "kinds": ["A"]}


@pytest.mark.parametrize(
    ("drop", "value", "reason"),
    [
        ("TimelineFilter.code", {"code": "E11"}, "ARGUMENT_UNKNOWN"),
        ("TimelineFilter.code", {"code": None}, None),
        ("PeriodFilter.to", {"period": {"to": "2024"}}, "ARGUMENT_UNKNOWN"),
        ("PeriodFilter.to", {"period": {"from": "2024"}}, None),
        ("RecordKind.OBSERVATION", {"kinds": ["ENCOUNTER", "OBSERVATION"]}, "ENUM_VALUE_UNKNOWN"),
        ("RecordKind.OBSERVATION", {"kinds": "OBSERVATION"}, "ENUM_VALUE_UNKNOWN"),
        ("RecordKind.OBSERVATION", {"kinds": ["ENCOUNTER"]}, None),
    ],
)
def test_an_argument_is_lacking_only_when_it_is_in_use(drop: str, value: object, reason: str | None) -> None:
    contract: Contract = read_contract(older([drop]))
    assert contract.lacks("TimelineFilter", value) == reason
    assert ours().lacks("TimelineFilter", value) is None


@pytest.fixture
def gateway(tmp_path_factory: pytest.TempPathFactory) -> RunningGateway:
    running = RunningGateway(tmp_path_factory.mktemp("gateway"))
    running.start()
    return running


def enrolled(gateway: RunningGateway, sdl: str, digest: str | None = None, version: str = "1.0") -> HandMadeNode:
    """A hand-made node that enrols again, with this schema."""
    node = HandMadeNode(gateway, "01001")
    code = gateway.invite("01001")
    message = EnrolmentRequest(
        code, PublicKey.of(node.key.public_key()), "https://node.example", {"01001": []}, version,
        digest_of(sdl) if digest is None else digest, node.id, sdl=sdl,
    )  # fmt: skip
    reply = httpx.post(gateway.url + "/nodes/enrol", content=msgspec.json.encode(message))
    assert msgspec.json.decode(reply.content, type=EnrolmentReply).node_id == node.id
    return node


def contract(gateway: RunningGateway, node: HandMadeNode) -> Contract | None:
    return gateway.city().nodes[node.id].contract


def test_the_schema_told_at_enrolment_is_kept_by_its_hash(gateway: RunningGateway) -> None:
    try:
        node = enrolled(gateway, OLD)
        assert gateway.rows("SELECT digest, sdl FROM node_schema") == [(digest_of(OLD), OLD)]
        known = contract(gateway, node)
        assert known is not None and known.digest == digest_of(OLD)
        current = enrolled(gateway, SDL)
        assert contract(gateway, current) is None
        assert gateway.rows("SELECT count(*) FROM node_schema") == [(1,)], "ours is never kept"
    finally:
        gateway.stop()


def test_a_schema_that_is_not_what_its_digest_says_is_not_believed(gateway: RunningGateway) -> None:
    try:
        node = enrolled(gateway, OLD, digest="0" * 64)
        assert gateway.rows("SELECT * FROM node_schema") == []
        assert contract(gateway, node) is (None if assumed("1.0").digest == ours().digest else assumed("1.0"))
    finally:
        gateway.stop()


def test_a_changed_schema_is_wanted_once_and_what_nobody_speaks_goes(gateway: RunningGateway) -> None:
    try:
        node = enrolled(gateway, OLD)
        newer = older(["Encounter.reason", "Encounter.advice"])
        digest = digest_of(newer)
        first = node.send(node.message(sdl_sha256=digest)).json()
        assert first["wants_sdl"] is True
        again = node.send(node.message(since=1, position=2, sdl_sha256=digest, sdl=newer)).json()
        assert again["wants_sdl"] is False
        assert node.send(node.message(since=2, position=3, sdl_sha256=digest)).json()["wants_sdl"] is False
        assert gateway.rows("SELECT digest FROM node_schema") == [(digest,)]
        known = contract(gateway, node)
        assert known is not None and "advice" not in known.fields["Encounter"]
    finally:
        gateway.stop()


def test_an_agent_that_never_tells_its_schema_keeps_what_it_enrolled_with_until_its_version_changes(
    gateway: RunningGateway,
) -> None:
    try:
        node = enrolled(gateway, OLD)
        assert node.send(node.message()).json()["wants_sdl"] is False
        assert contract(gateway, node) is not None
        reply = node.send(node.message(since=1, position=2, contract_version="1.7")).json()
        assert reply["wants_sdl"] is False
        known = contract(gateway, node)
        assert known is not None and not known.exact
    finally:
        gateway.stop()


def test_a_newer_agents_feed_keeps_it_from_nothing_and_nothing_is_concluded_from_it(gateway: RunningGateway) -> None:
    try:
        node = HandMadeNode(gateway, "01001")
        feeds = [{"feed": f, "rhythm_seconds": 60, "last_received_at": None} for f in ("BHYT_XML", "TELEPATHY")]
        report = {"facility": "01001", "feeds": feeds, "lagging": False}
        reply = node.send(node.message(facilities=[report]))
        assert reply.status_code == 200
        city = gateway.city()
        assert city.facilities["01001"].newer_feeds and not city.facilities["01002"].newer_feeds
        assert not cannot_hold(city, "01001", RecordKind.ALLERGY_INTOLERANCE)
    finally:
        gateway.stop()
