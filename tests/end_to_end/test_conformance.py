"""Outside programs judge the running city: the GraphQL over HTTP audit of npm graphql-http, and npm @apollo/composition."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gateway.city.registry import read_city
from gateway.keys import load_signing_key
from gateway.settings import Settings
from gateway.store.engine import open_store
from tests.end_to_end.conftest import TestCity
from tests.npm_programs import FOLDER, run
from tests.signing_proxy import Signer, signing_proxy

ROOT = Path(__file__).resolve().parents[2]
NODE_SDL = ROOT / "schema" / "node.graphql"
ALL_AUDITS = {"ok": 61, "warn": 0, "error": 0, "notOk": []}
FACILITY = "01003"

# A stranger's subgraph that knows patients by the same ref and adds a field of its own.
CARE = """extend schema @link(url: "https://specs.apollo.dev/federation/v2.7", import: ["@key"])
type Query { carePlans(ref: ID!): Patient }
type Patient @key(fields: "ref") { ref: ID! carePlan: String }
"""
WITHOUT_KEY = """extend schema @link(url: "https://specs.apollo.dev/federation/v2.7", import: ["@key"])
type Query { carePlans(ref: ID!): Patient }
type Patient { carePlan: String }
"""


def node_id(gateway_folder: Path, facility: str) -> str:
    """The id under which the gateway enrolled a facility's node."""

    async def look() -> str:
        store = open_store(Settings(data_folder=gateway_folder))
        try:
            found = (await read_city(store)).facilities[facility].node_id
        finally:
            await store.close()
        assert found is not None
        return found

    return asyncio.run(look())


def test_the_gateway_passes_every_audit_of_graphql_over_http(city: TestCity) -> None:
    found = run("audit.mjs", f"{city.running.gateway.url}/graphql", f"Bearer {city.practitioner()}")
    assert found == ALL_AUDITS


def test_a_node_passes_every_audit_of_graphql_over_http_behind_a_signing_client(city: TestCity) -> None:
    folder = city.running.gateway.folder
    signer = Signer(load_signing_key(folder / "gateway.key"), node_id(folder, FACILITY))
    with signing_proxy(city.running.nodes[FACILITY].url, signer) as url:
        assert run("audit.mjs", url) == ALL_AUDITS


def test_the_audit_notices_an_endpoint_that_refuses_everybody(city: TestCity) -> None:
    found = run("audit.mjs", f"{city.running.gateway.url}/graphql", "Bearer wrong")
    assert found["error"] > 10


def test_the_node_composes_as_a_federation_subgraph() -> None:
    composed = run("compose.mjs", f"hospital={NODE_SDL}")
    assert composed["errors"] == []
    assert '@join__type(graph: HOSPITAL, key: "ref")' in composed["supergraph"]


def test_another_subgraph_can_add_fields_to_the_node_s_patient(tmp_path: Path) -> None:
    care = tmp_path / "care.graphql"
    care.write_text(CARE, encoding="utf-8")
    composed = run("compose.mjs", f"hospital={NODE_SDL}", f"care={care}")
    assert composed["errors"] == []
    patient = composed["supergraph"].partition("type Patient\n")[2].partition("}")[0]
    assert 'graph: CARE, key: "ref"' in patient
    assert 'graph: HOSPITAL, key: "ref"' in patient
    assert "carePlan: String @join__field(graph: CARE)" in patient
    assert "encounters(" in patient


def test_a_subgraph_that_does_not_know_the_key_is_refused(tmp_path: Path) -> None:
    care = tmp_path / "care.graphql"
    care.write_text(WITHOUT_KEY, encoding="utf-8")
    composed = run("compose.mjs", f"hospital={NODE_SDL}", f"care={care}")
    assert any("cannot move to subgraph" in error for error in composed["errors"])


def test_without_node_js_the_programs_are_skipped_loudly_and_fail_on_ci(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="WARNING: conformance NOT checked"):
        run("compose.mjs")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="NOT checked"):
        run("compose.mjs")


def test_the_lock_file_names_no_registry() -> None:
    text = (FOLDER / "package-lock.json").read_text(encoding="utf-8")
    assert '"resolved"' not in text
    assert "registry" not in text
