"""What was tried against a running city and once worked: each stays a test. Two hospitals, files put in while they run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest

from compose.demo.launch import NodeSpec, RunningCity, wait_for
from gateway.access.callers import Role
from schema.identity import Identifier, IdentifierKind, canonical
from tests.end_to_end.conftest import HISTORY
from tests.end_to_end.databases import SQLITE, launched

Json = dict[str, Any]
FHIR, OTHER = "01929", "01816"
SYSTEM = "http://fhir.vn/sid/cccd"
SNOMED = "http://snomed.info/sct"
NOTICES = """query($by: PatientBy!, $access: AccessInput!) {
  patient(by: $by, access: $access) { coverage { completeness notices(language: EN) } } }"""
NUMBERS = count(700001)
LOOPBACK = httpx.Client(trust_env=False, timeout=30)


def someone() -> str:
    """A CCCD nobody has had yet: a man born in 1990."""
    return f"001090{next(NUMBERS)}"


def patient(local: str, cccd: str, **more: Any) -> Json:
    number = {"system": SYSTEM, "value": cccd}
    base = {"resourceType": "Patient", "id": local, "identifier": [number], "gender": "male", "birthDate": "1990-05-01"}
    return {**base, **more}


def encounter(number: str, local: str) -> Json:
    period = {"start": "2025-03-03T08:00:00+07:00", "end": "2025-03-03T09:00:00+07:00"}
    subject = {"reference": f"Patient/{local}"}
    return {
        "resourceType": "Encounter", "id": number, "status": "finished", "class": {"code": "AMB"}, "subject": subject,
        "period": period,
    }  # fmt: skip


def allergy(number: str, local: str, code: str = "91936005", on: str = "2015-01-01", status: str = "confirmed") -> Json:
    coding = {"system": SNOMED, "code": code}
    return {
        "resourceType": "AllergyIntolerance", "id": number, "patient": {"reference": f"Patient/{local}"},
        "clinicalStatus": {"coding": [{"code": "active"}]}, "verificationStatus": {"coding": [{"code": status}]},
        "code": {"coding": [coding]}, "recordedDate": on,
    }  # fmt: skip


def bundle(*resources: Json) -> bytes:
    entries = [{"resource": r} for r in resources]
    return json.dumps({"resourceType": "Bundle", "type": "collection", "entry": entries}).encode()


class City:
    """The running city, and a way to put files into a hospital's folder."""

    def __init__(self, running: RunningCity) -> None:
        self.running = running

    def inbox(self, facility: str = FHIR) -> Path:
        return self.running.nodes[facility].folder / "inbox"

    def put(self, name: str, data: bytes, facility: str = FHIR) -> None:
        """The file, whole at once, and the wait until the gateway knows what came of it."""
        half = self.inbox(facility) / f".{name}"
        half.write_bytes(data)
        half.rename(self.inbox(facility) / name)
        wait_for(name, lambda: not (self.inbox(facility) / name).exists(), 20)
        self.running.settle(30)

    def citizen(self, cccd: str) -> str:
        return self.running.token(Role.CITIZEN, "citizen", identity=Identifier(IdentifierKind.CCCD, cccd))

    def own(self, cccd: str) -> Json:
        """The patient's own answer."""
        variables = {"by": {"kind": "CCCD", "value": cccd}, "access": {"purpose": "PATRQT", "basis": "SELF"}}
        answer = self.running.ask(self.citizen(cccd), HISTORY, variables)
        found: Json = answer["data"]["patient"]
        return found

    def by_grant(self, cccd: str, query: str = HISTORY, **terms: Any) -> Json:
        """A doctor's answer under a grant of these terms."""
        grant = self.running.give_grant(canonical(IdentifierKind.CCCD, cccd), granteeFacility="01006", **terms)
        access = {"purpose": "TREAT", "basis": "GRANT", "evidence": grant}
        token = self.running.token(Role.PRACTITIONER, "doctor", facility="01006")
        answer = self.running.ask(token, query, {"by": {"kind": "CCCD", "value": cccd}, "access": access})
        found: Json = answer["data"]["patient"]
        return found


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    """Both hospitals send FHIR; each begins with one file, since a feed that never brought anything counts as silent."""
    first = {"first.json": bundle(patient("first", someone()), encounter("first", "first"))}
    specs = [NodeSpec(code, f"Bệnh viện {code}", "fhir", first, {SYSTEM: "CCCD"}) for code in (FHIR, OTHER)]
    with launched(SQLITE, tmp_path_factory.mktemp("attacked"), specs) as running:
        running.settle()
        yield City(running)


def test_an_allergy_behind_two_hundred_statements_of_none_never_reads_as_none(town: City) -> None:
    cccd = someone()
    none = [allergy(f"n{i}", "many", "716186003", f"2020-01-01T08:{i // 60:02}:{i % 60:02}+07:00") for i in range(201)]
    town.put("many.json", bundle(patient("many", cccd), encounter("many", "many"), *none))
    assert town.own(cccd)["patient"]["allergyStatus"] == "UNKNOWN"
    town.put("late.json", bundle(patient("many", cccd), allergy("penicillin", "many", on="2015-01-01")))
    assert town.own(cccd)["patient"]["allergyStatus"] == "UNKNOWN"


def test_a_grant_for_a_period_never_says_that_there_are_no_allergies_or_medicines(town: City) -> None:
    cccd = someone()
    resources = [allergy("p1", "period"), allergy("p2", "period", "716186003", "2024-06-01")]
    town.put("period.json", bundle(patient("period", cccd), encounter("period", "period"), *resources))
    assert town.by_grant(cccd)["patient"]["allergyStatus"] == "RECORDED"
    part = town.by_grant(cccd, period={"from": "2024"})["patient"]
    assert (part["allergyStatus"], part["medicationStatus"]) == ("UNKNOWN", "UNKNOWN")
    notice = "The grant reaches a period only; records outside it are not shown."
    assert notice in town.by_grant(cccd, NOTICES, period={"from": "2024"})["coverage"]["notices"]
    assert notice not in town.by_grant(cccd, NOTICES)["coverage"]["notices"]


@pytest.mark.parametrize("spoiled", [{"birthDate": "1990-13-45"}, {"name": [{"text": "A\ud83dB"}]}])
def test_a_patient_resource_that_cannot_be_read_spoils_the_persons_completeness(town: City, spoiled: Json) -> None:
    cccd, local = someone(), f"bad-{next(iter(spoiled))}"
    town.put(f"{local}-0.json", bundle(patient("good", cccd), encounter("good", "good")), OTHER)
    assert town.own(cccd)["coverage"]["completeness"] == "COMPLETE"
    bad = [patient(local, cccd, **spoiled), encounter(local, local), allergy(local, local)]
    town.put(f"{local}.json", bundle(*bad))
    part = town.own(cccd)
    lines = {x["facility"]["code"]: x for x in part["coverage"]["facilities"]}
    assert part["coverage"]["completeness"] == "INCOMPLETE" and lines[FHIR]["failedItems"] >= 1
    town.put(f"{local}-1.json", bundle(patient(local, cccd), encounter(local, local), allergy(local, local)))
    after = town.own(cccd)
    assert (after["coverage"]["completeness"], after["patient"]["allergyStatus"]) == ("COMPLETE", "RECORDED")


def test_bytes_that_come_back_after_a_withdrawal_stand_again(town: City) -> None:
    cccd = someone()
    good = bundle(patient("back", cccd), encounter("back", "back"), allergy("back", "back"))
    error = bundle(patient("back", cccd), encounter("back", "back"), allergy("back", "back", status="entered-in-error"))
    for name, data, status in (("b1", good, "RECORDED"), ("b2", error, "NOT_RECORDED"), ("b3", good, "RECORDED")):
        town.put(f"{name}.json", data)
        assert town.own(cccd)["patient"]["allergyStatus"] == status, name


def test_a_link_to_nothing_hides_no_other_file_and_leaves_the_node_behind(town: City) -> None:
    cccd = someone()
    link = town.inbox() / "a-link.json"
    link.symlink_to("/nonexistent/file")
    try:
        name = town.inbox() / "b.json"
        (town.inbox() / ".b.json").write_bytes(bundle(patient("linked", cccd), encounter("linked", "linked")))
        (town.inbox() / ".b.json").rename(name)
        wait_for("the file behind the link", lambda: not name.exists(), 20)
        health = LOOPBACK.get(f"{town.running.nodes[FHIR].url}/health").json()
        assert health["pending"] >= 1
    finally:
        link.unlink()
    town.running.settle(30)
    assert town.own(cccd)["coverage"]["located"] == 1


def test_a_store_that_was_lost_is_made_again_from_the_inbox_before_the_node_answers(town: City) -> None:
    cccd = someone()
    town.put("lost.json", bundle(patient("lost", cccd), encounter("lost", "lost"), allergy("lost", "lost")))
    node = town.running.nodes[FHIR]
    node.stop()
    for file in (node.folder / "data").glob("store.db*"):
        file.unlink()
    node.start()
    town.put("after.json", bundle(patient("lost", cccd), encounter("lost2", "lost")))
    part = town.own(cccd)
    assert (part["coverage"]["completeness"], part["patient"]["allergyStatus"]) == ("COMPLETE", "RECORDED")
    assert len(part["patient"]["encounters"]["edges"]) == 2


@pytest.mark.parametrize("accept", ["application/json;q=²", "*/*;q=²,application/json;q=1.³"])
def test_a_quality_that_is_no_number_is_refused_like_any_other_stranger(town: City, accept: str) -> None:
    headers = [(b"accept", accept.encode("latin-1")), (b"content-type", b"application/json")]
    answer = LOOPBACK.post(f"{town.running.gateway.url}/graphql", content=b"{}", headers=headers)
    assert answer.status_code == 401
    log = (town.running.gateway.folder / "log.txt").read_text()
    assert "Traceback" not in log


def test_introspection_cannot_be_repeated_until_the_city_stands_still(town: City) -> None:
    part = "__schema { types { name fields { name args { name } type { name ofType { name } } } } }"
    query = "{" + " ".join(f"a{i}: {part}" for i in range(180)) + "}"
    answer = town.running.ask(town.citizen(someone()), query)
    assert answer["errors"][0]["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED" and "data" not in answer
