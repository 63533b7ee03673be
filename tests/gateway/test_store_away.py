"""A gateway whose database is away says so at every door, opens none, and works again when it is back."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.access.callers import Role
from gateway.app import locator_of
from gateway.city.registry import City, read_city
from gateway.errors import StoreUnavailable
from gateway.settings import Settings
from gateway.store.engine import open_store
from gateway.store.migrate import prepare
from schema.identity import IdentifierKind
from schema.messages import PublicKey
from tests.gateway.knocking import BY, NAME, Door, open_door
from tests.postgres import away, fresh_database
from tests.running import RunningGateway, wait_until

GIVE = 'mutation { giveGrant(terms: {days: 1, granteeFacility: "01001"}) { id } }'
GRANTS = "{ grants { id withdrawnAt } }"
READING = {"purpose": "TREAT", "basis": "GRANT"}


@pytest.fixture(scope="module")
def url() -> str:
    return fresh_database()


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory, url: str) -> Iterator[Door]:
    with open_door(tmp_path_factory.mktemp("gateway"), url) as found:
        yield found


def code_of(found: dict[str, Any]) -> str:
    (error,) = found["errors"]
    assert not any((found["data"] or {}).values())
    return str(error["extensions"]["code"])


def test_a_query_is_refused_and_never_answered_as_an_empty_history(door: Door, url: str) -> None:
    before = door.post(NAME)
    assert before["data"]["patient"]["coverage"]["completeness"] == "UNCERTAIN"
    with away(url):
        for _ in range(2):
            found = door.post(NAME)
            assert code_of(found) == "STORE_UNAVAILABLE" and "coverage" not in found.get("extensions", {})
    assert door.post(NAME) == before


def test_grants_fail_closed(door: Door, url: str) -> None:
    doctor = door.token(Role.PRACTITIONER, "doctor", facility="01001", licence="001234/HNO-CCHN")
    reading = {**READING, "evidence": door.post(GIVE)["data"]["giveGrant"]["id"]}
    assert "errors" not in door.post(NAME, doctor, access=reading)
    with away(url):
        assert code_of(door.post(NAME, doctor, access=reading)) == "GRANT_STORE_UNAVAILABLE"
        assert code_of(door.post(GRANTS)) == "GRANT_STORE_UNAVAILABLE"
        assert code_of(door.post(GIVE)) == "GRANT_STORE_UNAVAILABLE"
        withdraw = f'mutation {{ withdrawGrant(id: "{reading["evidence"]}") {{ id }} }}'
        assert code_of(door.post(withdraw)) == "GRANT_STORE_UNAVAILABLE"
    assert "errors" not in door.post(NAME, doctor, access=reading)
    assert len(door.post(GRANTS)["data"]["grants"]) == 1


def test_health_and_the_list_of_facilities_say_that_it_is_away(door: Door, url: str) -> None:
    assert door.client.get("/health").json()["facilities"] == 1
    with away(url):
        wait_until(lambda: door.client.get("/health").status_code != 200)  # the registry is kept for two seconds
        answer = door.client.get("/health")
        assert (answer.status_code, answer.json()) == (503, {"status": "STORE_UNAVAILABLE"})
        assert code_of(door.post("{ facilities { code } }")) == "STORE_UNAVAILABLE"
    assert door.client.get("/health").status_code == 200


def test_a_node_is_told_to_come_again_and_its_code_stays_good(tmp_path: Path) -> None:
    url = fresh_database()
    gateway = RunningGateway(tmp_path, database_url=url)
    gateway.start()
    try:
        code = gateway.invite("01001")
        with away(url):
            reply = enrol(gateway, code)
            assert (reply.status_code, reply.json()["code"]) == (503, "STORE_UNAVAILABLE")
        assert enrol(gateway, code).status_code == 200
        city: City = gateway.city()
        assert len(city.nodes) == 1
    finally:
        gateway.stop()


def test_nothing_of_a_question_or_of_the_database_is_logged_while_it_is_away(
    door: Door, url: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with away(url):
        door.post(NAME)
        door.post(NAME, access={**READING, "evidence": "evidence-canary"})
    printed = capfd.readouterr()
    text = printed.out + printed.err
    assert "database unavailable" in text
    token = door.key.patient_token(IdentifierKind.CCCD, BY["value"])
    for canary in (BY["value"], "evidence-canary", token.hex(), base64.b64encode(token).decode(), "/pg", "locator"):
        assert canary not in text


@pytest.mark.anyio
async def test_a_standby_is_refused_where_the_primary_is_asked_for(tmp_path: Path, url: str) -> None:
    primary = open_store(Settings(data_folder=tmp_path, database_url=f"{url}&target_session_attrs=read-write"))
    standby = open_store(Settings(data_folder=tmp_path, database_url=f"{url}&target_session_attrs=standby"))
    await prepare(primary)
    assert not await locator_of(primary).find((b"t",)) and not (await read_city(primary)).nodes
    for work in (locator_of(standby).find((b"t",)), read_city(standby), prepare(standby)):
        with pytest.raises(StoreUnavailable):
            await work
    await primary.close()
    await standby.close()


def enrol(gateway: RunningGateway, code: str) -> httpx.Response:
    key = PublicKey.of(Ed25519PrivateKey.generate().public_key())
    message = {
        "code": code,
        "public_key": {"kty": key.kty, "crv": key.crv, "x": key.x},
        "url": "https://node.example",
        "feeds": {"01001": ["FHIR"]},
        "contract_version": "1.0",
    }
    return httpx.post(gateway.url + "/nodes/enrol", json=message)
