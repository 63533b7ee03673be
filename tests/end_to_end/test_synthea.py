"""Whole lives made by others, cut into hospitals: the federated answer holds exactly the source's records, by content hash."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from compose.demo.launch import NodeSpec, RunningCity
from gateway.access.callers import Role
from schema.clinical import CONNECTION_FIELDS
from schema.elements import RecordKind
from schema.identity import IdentifierKind, canonical
from tests.end_to_end.databases import SQLITE, launched
from tests.synthea import (
    KINDS,
    SELECTION,
    SSN,
    Expected,
    content_hash,
    expected,
    folder,
    from_answer,
    lives,
    organizations,
    split,
)

HOSPITALS = tuple(f"S00{n:02d}" for n in range(1, 9))
PAGE = 200
# An HIV antigen test (SNOMED CT), an HIV status (LOINC): restricted records are never shown, their visits are.
CLOSED_BY_LAW = frozenset({"31676001", "55277-8"})

pytestmark = pytest.mark.skipif(
    not folder().exists() and not os.environ.get("CI"),
    reason="CẢNH BÁO / WARNING: ../shared/data/fhir-synthea-r4 is absent; the federation was NOT compared with it",
)


def seen_at_several() -> set[str]:
    """The SSNs of patients whose encounters name two or more organizations."""
    codes = organizations(folder())
    assert len(codes) > len(HOSPITALS)
    return {
        life.patient
        for life in lives(folder())
        if len({where for _, r, where in life.entries if r["resourceType"] == "Encounter"}) > 1
    }


@pytest.fixture(scope="module")
def synthea() -> Iterator[tuple[RunningCity, set[str]]]:
    """Eight hospitals hold the lives of everybody seen at two or more organizations."""
    import tempfile
    from pathlib import Path

    wanted = seen_at_several()
    files: dict[str, dict[str, bytes]] = {code: {} for code in HOSPITALS}
    for number, (facility, bundle) in enumerate(split(folder(), HOSPITALS)):
        if any(ssn.encode() in bundle for ssn in _ssns(bundle) & wanted):
            files[facility][f"{number:05d}.json"] = bundle
    specs = [NodeSpec(code, f"Hospital {code}", "fhir", files[code], {SSN: "SSN"}) for code in HOSPITALS]
    options = {"node_deadline_seconds": 20.0, "request_deadline_seconds": 25.0}
    with (
        tempfile.TemporaryDirectory() as place,
        launched(SQLITE, Path(place) / "city", specs, gateway_options=options) as running,
    ):
        running.settle(600)
        yield running, wanted


def _ssns(bundle: bytes) -> set[str]:
    import msgspec

    for entry in msgspec.json.decode(bundle)["entry"]:
        if entry["resource"]["resourceType"] == "Patient":
            return {i["value"] for i in entry["resource"]["identifier"] if i.get("system") == SSN}
    return set()


def test_every_patient_of_several_organizations_has_exactly_the_records_of_the_source(
    synthea: tuple[RunningCity, set[str]],
) -> None:
    running, wanted = synthea
    assert len(wanted) == 192
    truth = _counted(expected(folder(), HOSPITALS, CLOSED_BY_LAW))
    whole = _counted(expected(folder(), HOSPITALS))
    hidden = sum(sum((whole[p] - truth[p]).values()) for p in wanted)
    assert 0 < hidden < sum(sum(whole[p].values()) for p in wanted) / 200
    spread = [len({facility for facility, _ in truth[p]}) for p in wanted]
    assert sum(n > 1 for n in spread) > 150
    for patient in sorted(wanted):
        found = Counter(_federated(running, patient))
        assert found == truth[patient], f"{found - truth[patient]} beside, {truth[patient] - found} missing"


def _counted(records: Expected) -> dict[str, Counter[tuple[str, str]]]:
    return {
        patient: Counter((facility, f"{kind.value} {content_hash(content)}") for facility, kind, content in mine)
        for patient, mine in records.items()
    }


def _federated(running: RunningCity, ssn: str) -> Iterator[tuple[str, str]]:
    identity = canonical(IdentifierKind.SSN, ssn)
    token = running.token(Role.CITIZEN, "citizen", identity=identity)
    by = {"kind": "SSN", "value": ssn}
    after: dict[RecordKind, str | None] = dict.fromkeys(KINDS)
    while after:
        query = _query(after)
        variables: dict[str, Any] = {"by": by, "access": {"purpose": "PATRQT", "basis": "SELF"}}
        variables |= {f"after{k.value}": cursor for k, cursor in after.items()}
        answer = running.ask(token, query, variables, 60)
        assert "errors" not in answer, answer["errors"]
        part = answer["data"]["patient"]
        assert part["coverage"]["completeness"] == "COMPLETE"
        for kind in list(after):
            connection = part["patient"][CONNECTION_FIELDS[kind]]
            for edge in connection["edges"]:
                yield edge["facility"]["code"], f"{kind.value} {content_hash(from_answer(kind, edge['node']))}"
            if connection["pageInfo"]["hasNextPage"]:
                after[kind] = connection["pageInfo"]["endCursor"]
            else:
                del after[kind]


def _query(kinds: dict[RecordKind, str | None]) -> str:
    variables = "".join(f", $after{k.value}: String" for k in kinds)
    fields = " ".join(
        f"{CONNECTION_FIELDS[k]}(first: {PAGE}, after: $after{k.value}) {{ edges {{ facility {{ code }} node {{ {SELECTION[k]} }} }} "
        "pageInfo { hasNextPage endCursor } }"
        for k in kinds
    )
    return (
        f"query($by: PatientBy!, $access: AccessInput!{variables}) {{ patient(by: $by, access: $access) "
        f"{{ coverage {{ completeness }} patient {{ {fields} }} }} }}"
    )
