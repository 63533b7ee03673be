"""Two gateways of one city, real processes on one PostgreSQL database: what is done at one holds at the other."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from benchmarks import hospital
from compose.demo.launch import NodeSpec, Process, RunningCity, free_port, launch, wait_for
from gateway.access.callers import Role
from gateway.city.enrolment import revoke
from gateway.city.registry import read_city
from gateway.settings import Settings
from gateway.store.engine import open_store
from schema.identity import IdentifierKind, canonical
from tests.end_to_end.conftest import HISTORY
from tests.forked import FORKED
from tests.plain import Json
from tests.postgres import fresh_database
from tests.running import outside

PATIENT = canonical(IdentifierKind.CCCD, hospital.CCCD)
BY = {"kind": "CCCD", "value": hospital.CCCD}
CODES = ("01003", "01006")
WITHDRAW = "mutation($id: ID!) { withdrawGrant(id: $id) { id } }"


@pytest.fixture(scope="module")
def url() -> str:
    return fresh_database()


@pytest.fixture(scope="module")
def gateways(tmp_path_factory: pytest.TempPathFactory, url: str) -> Iterator[tuple[RunningCity, RunningCity]]:
    """The same city as each of its two gateways knows it. Both use one folder, as replicas share the city's keys."""
    folder = tmp_path_factory.mktemp("city")
    specs = [NodeSpec(code, f"Bệnh viện {code}", "bhyt_xml", hospital.files(code)) for code in CODES]
    with launch(folder, specs, gateway_options={"database_url": url}, programs=FORKED) as one:
        one.settle()
        port = free_port()
        environment = {**one.gateway.environment, "CITY_GATEWAY_LISTEN_PORT": str(port)}
        (folder / "other").mkdir()
        other = Process(
            "gateway 2", f"http://127.0.0.1:{port}", folder / "other", one.gateway.command, environment, FORKED
        )
        other.start()
        try:
            yield one, replace(one, gateway=other)
        finally:
            other.stop()


def own(city: RunningCity) -> Json:
    """The patient's own history, as this gateway answers it."""
    token = city.token(Role.CITIZEN, "citizen", identity=PATIENT)
    answer: Json = city.ask(token, HISTORY, {"by": BY, "access": {"purpose": "PATRQT", "basis": "SELF"}})
    assert answer.pop("extensions")["coverage"]["patient"]["connected"] == 2  # its times are each gateway's own
    return answer


def doctor(city: RunningCity, grant: str) -> dict[str, Any]:
    token = city.token(Role.PRACTITIONER, "doctor", facility="01006", licence="001234/HNO-CCHN")
    answer: Json = city.ask(
        token, HISTORY, {"by": BY, "access": {"purpose": "TREAT", "basis": "GRANT", "evidence": grant}}
    )
    answer.pop("extensions", None)
    return answer


def test_nodes_that_joined_at_one_gateway_are_asked_by_the_other(gateways: tuple[RunningCity, RunningCity]) -> None:
    one, other = map(own, gateways)
    assert one == other
    assert one["data"]["patient"]["coverage"]["completeness"] == "COMPLETE"
    assert len(one["data"]["patient"]["patient"]["encounters"]["edges"]) == 2 * hospital.ENCOUNTERS
    assert not (gateways[0].gateway.folder / "gateway.db").exists()


def test_a_grant_given_at_one_opens_and_withdrawn_at_one_closes_the_very_next_query_at_the_other(
    gateways: tuple[RunningCity, RunningCity],
) -> None:
    one, other = gateways
    for here, there in ((one, other), (other, one)):
        grant = here.give_grant(PATIENT, granteeFacility="01006")
        assert "errors" not in doctor(there, grant)
        withdrawn = here.ask(here.token(Role.CITIZEN, "citizen", identity=PATIENT), WITHDRAW, {"id": grant})
        assert withdrawn["data"]["withdrawGrant"]["id"] == grant
        refused = doctor(there, grant)
        assert [e["extensions"]["code"] for e in refused["errors"]] == ["ACCESS_DENIED"] and not any(
            (refused["data"] or {}).values()
        )


def test_a_page_cursor_of_one_gateway_is_good_at_the_other(gateways: tuple[RunningCity, RunningCity]) -> None:
    one, other = gateways
    query = """query($by: PatientBy!, $access: AccessInput!, $after: String) { patient(by: $by, access: $access) {
        coverage { completeness } patient { encounters(first: 5, after: $after) {
          edges { node { id } } pageInfo { endCursor hasNextPage } } } } }"""
    variables = {"by": BY, "access": {"purpose": "PATRQT", "basis": "SELF"}}
    token = one.token(Role.CITIZEN, "citizen", identity=PATIENT)
    seen: list[str] = []
    after: str | None = None
    for turn in range(2 * hospital.ENCOUNTERS // 5 + 1):
        city = (one, other)[turn % 2]
        page = city.ask(token, query, {**variables, "after": after})["data"]["patient"]["patient"]["encounters"]
        seen += [edge["node"]["id"] for edge in page["edges"]]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert len(seen) == len(set(seen)) == 2 * hospital.ENCOUNTERS


def test_a_node_revoked_behind_both_is_asked_by_neither_and_stays_in_both_ledgers(
    gateways: tuple[RunningCity, RunningCity], url: str
) -> None:
    assert _revoke_node_of("01003", gateways[0], url)
    started = time.monotonic()
    for city in gateways:
        wait_for("the registry to be read again", lambda city=city: _complete(city) != "COMPLETE", 10)  # type: ignore[misc]
    assert time.monotonic() - started < 8
    for city in gateways:
        part = own(city)["data"]["patient"]
        outcomes = {line["facility"]["code"]: line["outcome"] for line in part["coverage"]["facilities"]}
        assert outcomes.keys() == set(CODES) and outcomes["01006"] == "ANSWERED" != outcomes["01003"]
        assert {e["facility"]["code"] for e in part["patient"]["encounters"]["edges"]} == {"01006"}


def test_one_gateway_goes_on_when_the_other_is_gone(gateways: tuple[RunningCity, RunningCity]) -> None:
    one, other = gateways
    one.gateway.stop()
    assert own(other)["data"]["patient"]["patient"]["encounters"]["edges"]


def _complete(city: RunningCity) -> str:
    return str(own(city)["data"]["patient"]["coverage"]["completeness"])


def _revoke_node_of(code: str, city: RunningCity, url: str) -> bool:
    """As `city-gateway nodes revoke` does it, in neither gateway's process."""

    async def work() -> bool:
        store = open_store(Settings(data_folder=city.folder / "looking", database_url=url))
        node_id = (await read_city(store)).facilities[code].node_id
        done = await revoke(store, str(node_id), datetime.now(UTC))
        await store.close()
        return done

    return outside(work())
