"""A document that two hospitals hold is shown once, with both; one number with two contents stays both, and says so (DESIGN 5)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from compose.demo.launch import NodeSpec, RunningCity
from gateway.access.callers import Role
from schema.identity import Identifier, IdentifierKind
from tests.end_to_end.databases import BOTH, launched

pytestmark = BOTH

SENDER, RECEIVER = "01816", "01929"
SYSTEM = "http://fhir.vn/sid/cccd"
SAME, ALTERED = "001090700901", "001090700902"
REFERRALS = """query Referrals($by: PatientBy!, $access: AccessInput!) {
  patient(by: $by, access: $access) { coverage { completeness facilities { facility { code } records } }
    patient { referrals(first: 50) { edges { facility { code } alsoAt { code name } conflict node { number } }
                                     pageInfo { hasNextPage } }
              timeline(first: 50) { edges { facility { code } alsoAt { code } node { kind } } } } } }"""
Json = dict[str, Any]


def letter(local: str, number: str, reason: str = "Chuyển tuyến tim mạch") -> Json:
    """A referral letter as both hospitals keep it: the issuer is in the identifier's system."""
    return {
        "resourceType": "ServiceRequest", "id": f"{local}-letter", "status": "active", "intent": "order",
        "identifier": [{"system": f"http://fhir.vn/sid/referral/{SENDER}", "value": number}],
        "category": [{"coding": [{"system": "http://snomed.info/sct", "code": "3457005", "display": "Patient referral"}]}],
        "code": {"text": "Giấy chuyển tuyến"}, "subject": {"reference": f"Patient/{local}"},
        "authoredOn": "2025-04-02T09:00:00+07:00", "reasonCode": [{"text": reason}],
        "requester": {"reference": f"Organization/org-{SENDER}"},
        "performer": [{"identifier": {"system": "http://fhir.vn/sid/cskcb", "value": RECEIVER}}],
    }  # fmt: skip


def people(facility: str) -> bytes:
    sender = {"system": "http://fhir.vn/sid/cskcb", "value": SENDER}
    resources: list[Json] = [{"resourceType": "Organization", "id": f"org-{SENDER}", "identifier": [sender]}]
    for local, cccd, reason in (
        ("one", SAME, "Chuyển tuyến tim mạch"),
        ("two", ALTERED, f"Lý do ghi tại {facility}"),
    ):
        number = {"system": SYSTEM, "value": cccd}
        resources += [
            {
                "resourceType": "Patient",
                "id": local,
                "identifier": [number],
                "gender": "male",
                "birthDate": "1990-05-01",
            },
            letter(local, f"{local}/2025/GCT", reason),
        ]
    return json.dumps(
        {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": r} for r in resources]}
    ).encode()


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory, database: str) -> Iterator[RunningCity]:
    specs = [
        NodeSpec(code, f"Bệnh viện {code}", "fhir", {"all.json": people(code)}, {SYSTEM: "CCCD"})
        for code in (SENDER, RECEIVER)
    ]
    with launched(database, tmp_path_factory.mktemp("copies"), specs) as running:
        running.settle()
        yield running


def own(town: RunningCity, cccd: str) -> Json:
    token = town.token(Role.CITIZEN, "citizen", identity=Identifier(IdentifierKind.CCCD, cccd))
    variables = {"by": {"kind": "CCCD", "value": cccd}, "access": {"purpose": "PATRQT", "basis": "SELF"}}
    found: Json = town.ask(token, REFERRALS, variables)["data"]["patient"]
    return found


def test_a_referral_at_sender_and_receiver_is_one_row_that_names_both(town: RunningCity) -> None:
    answer = own(town, SAME)
    (edge,) = answer["patient"]["referrals"]["edges"]
    assert edge["node"] == {"number": "one/2025/GCT"} and edge["conflict"] is False
    assert {edge["facility"]["code"], *(x["code"] for x in edge["alsoAt"])} == {SENDER, RECEIVER}
    assert edge["alsoAt"][0]["name"] == f"Bệnh viện {edge['alsoAt'][0]['code']}"
    (row,) = [e for e in answer["patient"]["timeline"]["edges"] if e["node"]["kind"] == "REFERRAL"]
    assert len(row["alsoAt"]) == 1
    assert {x["facility"]["code"]: x["records"] for x in answer["coverage"]["facilities"]}.keys() == {SENDER, RECEIVER}


def test_one_number_with_two_contents_stays_both_and_is_flagged(town: RunningCity) -> None:
    edges = own(town, ALTERED)["patient"]["referrals"]["edges"]
    assert {e["facility"]["code"] for e in edges} == {SENDER, RECEIVER}
    assert all(e["conflict"] and not e["alsoAt"] and e["node"]["number"] == "two/2025/GCT" for e in edges)
