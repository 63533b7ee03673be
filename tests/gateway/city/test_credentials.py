"""Who may speak to the gateway as a node, and how often: over a real socket, signed by hand."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from schema.identity import IdentifierKind
from schema.messages import BATCH_LIMIT
from tests.hand_made_node import CCCD, HandMadeNode, patient
from tests.running import RunningGateway

pytestmark = pytest.mark.usefixtures("database")


def refs(gateway: RunningGateway, value: str = CCCD) -> list[str]:
    return [located.ref for located in gateway.find(IdentifierKind.CCCD, value)]


def refused(reply: httpx.Response) -> tuple[int, str]:
    return reply.status_code, reply.json()["code"]


def test_requests_that_are_not_proven_are_refused_alike(gateway: RunningGateway, node: HandMadeNode) -> None:
    stranger = HandMadeNode(gateway, "01002")
    body, other = node.message(patient()), node.message()
    unknown = node.message(node_id="node-nobody")
    attempts = [
        node.send(unknown, node.token(unknown, node_id="node-nobody")),
        node.send(body, node.token(other)),
        node.send(body, node.token(body, seconds=-36)),
        node.send(body, node.token(body, seconds=7)),
        node.send(body, node.token(body, path="/nodes/enrol")),
        node.send(body, stranger.token(body, node_id=node.id)),
        node.send(body, "not.a.token"),
        httpx.post(gateway.url + "/nodes/sync", content=body),
    ]
    assert {refused(reply) for reply in attempts} == {(401, "NODE_REFUSED")}
    assert refs(gateway) == []


def test_a_token_works_once(gateway: RunningGateway, node: HandMadeNode) -> None:
    body = node.message(patient())
    token = node.token(body)
    assert node.send(body, token).status_code == 200
    assert refused(node.send(body, token)) == (401, "NODE_REFUSED")


def test_a_token_seen_before_a_restart_does_not_work_after_it(gateway: RunningGateway, node: HandMadeNode) -> None:
    body = node.message(patient())
    token, unused = node.token(body), node.token(body)
    assert node.send(body, token).status_code == 200
    gateway.stop()
    gateway.start()
    assert node.send(body, token).status_code == 401
    assert node.send(body, unused).status_code == 200


def test_requests_that_were_seen_are_forgotten_long_after_they_died(
    gateway: RunningGateway, node: HandMadeNode
) -> None:
    for minutes, left in ((0, 1), (2, 2), (30, 1)):
        gateway.shift = timedelta(minutes=minutes)
        assert node.send(node.message(patient(), position=minutes + 1)).status_code == 200
        assert gateway.rows("SELECT count(*) FROM node_request") == [(left,)]


def test_a_text_that_postgresql_cannot_hold_is_malformed_on_both(gateway: RunningGateway, node: HandMadeNode) -> None:
    reply = node.send(node.message(patient(ref="ref-00000\x00")))
    assert refused(reply) == (400, "MESSAGE_MALFORMED")


def test_a_revoked_node_is_refused_at_once(gateway: RunningGateway, node: HandMadeNode) -> None:
    assert node.send(node.message(patient())).status_code == 200
    gateway.revoke(node.id)
    assert refused(node.send(node.message(since=1))) == (401, "NODE_REFUSED")


def test_too_many_patients_a_minute_are_told_when_to_come_back(tmp_path: Path) -> None:
    gateway = RunningGateway(tmp_path, sync_patients_per_minute=BATCH_LIMIT)
    gateway.start()
    try:
        node = HandMadeNode(gateway, "01001")
        many = [patient(ref=f"ref-{i:08d}") for i in range(BATCH_LIMIT)]
        assert node.send(node.message(*many)).status_code == 200
        reply = node.send(node.message(*many[:100]))
        assert refused(reply) == (429, "RATE_EXCEEDED")
        assert 1 <= int(reply.headers["retry-after"]) <= 14
        gateway.shift = timedelta(seconds=int(reply.headers["retry-after"]))
        assert node.send(node.message(*many[:100])).status_code == 200
    finally:
        gateway.stop()
