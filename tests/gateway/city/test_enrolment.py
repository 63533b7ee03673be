"""The gateway's side of enrolment, over a real socket."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.city.enrolment import REFUSAL_SECONDS, usable_url
from gateway.errors import UnknownFacility
from schema.messages import PublicKey
from tests.running import RunningGateway

pytestmark = pytest.mark.usefixtures("database")


def ask(gateway: RunningGateway, code: str, *facilities: str, **more: Any) -> httpx.Response:
    key = PublicKey.of(Ed25519PrivateKey.generate().public_key())
    message = {
        "code": code,
        "public_key": {"kty": key.kty, "crv": key.crv, "x": key.x},
        "url": "https://node.example",
        "feeds": {f: ["FHIR"] for f in facilities or ("01001",)},
        "contract_version": "1.0",
        **more,
    }
    return httpx.post(gateway.url + "/nodes/enrol", json=message)


def test_a_code_takes_a_node_in_once(gateway: RunningGateway) -> None:
    code = gateway.invite("01001", "01002")
    reply = ask(gateway, code, "01001", "01002")
    assert reply.status_code == 200
    node_id = reply.json()["node_id"]
    assert gateway.city().nodes[node_id].facilities == ("01001", "01002")
    assert reply.json()["gateway_keys"][0]["x"] == PublicKey.of(gateway.signing_key.public_key()).x
    assert ask(gateway, code).json()["code"] == "ENROLMENT_REFUSED"


def test_wrong_used_and_expired_codes_get_one_answer_that_takes_as_long(gateway: RunningGateway) -> None:
    used = gateway.invite("01001")
    assert ask(gateway, used.lower()).status_code == 200
    expired = gateway.invite("01001", days=1)
    gateway.shift = timedelta(days=1, seconds=1)
    answers = set()
    for code in ("AAAAA-AAAAA", used, expired):
        started = time.monotonic()
        reply = ask(gateway, code)
        assert REFUSAL_SECONDS <= time.monotonic() - started < REFUSAL_SECONDS + 1
        answers.add((reply.status_code, reply.json()["code"], reply.json()["vi"], reply.json()["en"]))
    assert len(answers) == 1
    assert answers.pop()[:2] == (403, "ENROLMENT_REFUSED")


def test_the_code_is_not_stored(gateway: RunningGateway) -> None:
    code = gateway.invite("01001")
    content = gateway.content()
    assert b"01001" in content
    assert code.encode() not in content and code.replace("-", "").encode() not in content


def test_a_code_covers_its_facilities_and_no_other_and_is_not_used_up_by_the_attempt(
    gateway: RunningGateway,
) -> None:
    code = gateway.invite("01001")
    assert ask(gateway, code, "01001", "01002").json()["code"] == "FACILITY_NOT_YOURS"
    assert ask(gateway, code, "01001").status_code == 200


def test_nobody_is_invited_for_a_facility_that_is_not_registered(gateway: RunningGateway) -> None:
    with pytest.raises(UnknownFacility):
        gateway.invite("01001", "99999")


def test_a_new_code_replaces_the_key_of_the_same_node(gateway: RunningGateway) -> None:
    node_id = ask(gateway, gateway.invite("01001")).json()["node_id"]
    before = gateway.city().nodes[node_id].public_key
    again = ask(gateway, gateway.invite("01001"), node_id=node_id)
    assert again.json()["node_id"] == node_id
    assert gateway.city().nodes[node_id].public_key != before


def test_a_code_for_one_facility_cannot_take_over_the_node_of_another(gateway: RunningGateway) -> None:
    node_id = ask(gateway, gateway.invite("01001")).json()["node_id"]
    key = gateway.city().nodes[node_id].public_key
    other = ask(gateway, gateway.invite("01002"), "01002", node_id=node_id).json()["node_id"]
    city = gateway.city()
    assert other != node_id
    assert city.nodes[node_id].public_key == key and city.nodes[node_id].facilities == ("01001",)


@pytest.mark.parametrize(
    "change",
    [
        {"url": "http://node.example"},
        {"url": "https://user:pw@node.example"},
        {"public_key": {"kty": "OKP", "crv": "Ed25519", "x": "A" * 42 + "!"}},
        {"public_key": {"kty": "EC", "crv": "P-256", "x": "A" * 43}},
        {"feeds": {}},
        {"feeds": {"0100": ["FHIR"]}},
    ],
)
def test_a_malformed_message_is_refused_and_the_code_stays_good(
    gateway: RunningGateway, change: dict[str, Any]
) -> None:
    code = gateway.invite("01001")
    reply = ask(gateway, code, **change)
    assert (reply.status_code, reply.json()["code"]) == (400, "MESSAGE_MALFORMED")
    assert code not in reply.text
    assert ask(gateway, code).status_code == 200


def test_guessing_is_capped_for_the_whole_city(tmp_path: Path) -> None:
    gateway = RunningGateway(tmp_path, enrolments_per_minute=2)
    gateway.start()
    try:
        replies = [ask(gateway, "AAAAA") for _ in range(3)]
        assert [r.status_code for r in replies] == [403, 403, 429]
        assert int(replies[2].headers["retry-after"]) >= 1
    finally:
        gateway.stop()


def test_only_https_and_loopback_addresses_are_usable() -> None:
    good = [
        "https://n.example",
        "https://n.example:8443/sub",
        "http://127.0.0.1:8101",
        "http://localhost:1",
        "http://[::1]:1",
    ]
    bad = [
        "http://10.0.0.1",
        "ftp://n",
        "https://",
        "https://n?q=1",
        "https://n#f",
        "https://n:99999",
        "http://[::1",
        "n",
    ]
    assert [u for u in good if not usable_url(u)] == []
    assert [u for u in bad if usable_url(u)] == []
