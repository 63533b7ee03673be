"""What a caller may ask of an incomplete answer: to fail, to fail without certain hospitals, to have errors beside the data.

And `extensions.coverage`, which says the same as the field whatever was selected.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from graphql import GraphQLObjectType, get_named_type

from gateway.access.callers import Role
from gateway.graph import city_schema
from schema.identity import IdentifierKind, canonical
from schema.messages import PublicKey
from tests.end_to_end.conftest import HISTORY, TestCity, ledger, rows
from tests.end_to_end.databases import BOTH
from tests.fault_proxy import Fault

pytestmark = BOTH

Json = dict[str, Any]
BROKEN = "01003"
ALL = ("01003", "01006", "01025", "01816", "01929")
HEAD = "query($by: PatientBy!, $access: AccessInput!, $on: OnIncomplete! = CONTINUE, $need: [String!], $tell: Boolean! = false)"
STRICT = HEAD + HISTORY[HISTORY.index(" {") :].replace("$first", "100").replace(
    "access: $access)", "access: $access, onIncomplete: $on, require: $need, partialErrors: $tell)", 1
)


@pytest.fixture
def broken(city: TestCity) -> Iterator[str]:
    """One hospital of the showcase person answers with status 500."""
    city.proxies[BROKEN].fault = Fault.STATUS_500
    yield BROKEN


def code(answer: Json) -> str:
    """The code of the only error, of the field; there is no data."""
    (error,) = answer["errors"]
    assert answer["data"] == {"patient": None} and error["path"] == ["patient"]
    return str(error["extensions"]["code"])


def check_nothing_of_the_patient(city: TestCity, answer: Json) -> None:
    """Neither rows nor who it is."""
    person = city.people[city.truth["showcase"]]
    text = str(answer)
    assert city.showcase not in text and person["identifiers"]["cccd"] not in text
    assert "sortKey" not in text and "birthDate" not in text and "NGUYỄN THỊ MINH HÒA" not in text


def test_by_default_an_incomplete_answer_goes_on_without_errors(city: TestCity, broken: str) -> None:
    answer = city.ask(city.showcase, STRICT)
    assert "errors" not in answer and rows(answer)
    assert answer["data"]["patient"]["coverage"]["completeness"] == "INCOMPLETE"


def test_an_incomplete_answer_fails_for_who_wants_it_so_and_still_says_why(city: TestCity, broken: str) -> None:
    answer = city.ask(city.showcase, STRICT, on="FAIL")
    assert code(answer) == "INCOMPLETE_ANSWER"
    assert answer["errors"][0]["extensions"]["facilities"] == [BROKEN]
    told = answer["extensions"]["coverage"]["patient"]
    assert told["completeness"] == "INCOMPLETE"
    lines = {x["facility"]["code"]: x["outcome"] for x in told["facilities"]}
    assert lines == {**dict.fromkeys(ALL, "ANSWERED"), BROKEN: "INVALID_RESPONSE"}
    check_nothing_of_the_patient(city, answer)


def test_a_complete_answer_is_the_same_however_strict_the_caller(city: TestCity) -> None:
    plain = city.ask(city.showcase, STRICT)
    strict = city.ask(city.showcase, STRICT, on="FAIL", need=list(ALL), tell=True)
    assert "errors" not in strict and rows(strict) == rows(plain)
    assert strict["data"]["patient"]["coverage"]["completeness"] == "COMPLETE"


def test_an_uncertain_answer_does_not_fail(city: TestCity) -> None:
    mother = str(city.story("newborn")[0]["identifiers"]["cccd"])
    answer = city.ask(mother, STRICT, on="FAIL")
    assert "errors" not in answer
    assert answer["data"]["patient"]["coverage"]["completeness"] == "UNCERTAIN"


def test_a_required_hospital_that_failed_takes_the_answer_away(city: TestCity, broken: str) -> None:
    for on in ("CONTINUE", "FAIL"):
        answer = city.ask(city.showcase, STRICT, need=[BROKEN, "01929"], on=on)
        assert code(answer) == "REQUIRED_FACILITY_MISSING"
        assert answer["errors"][0]["extensions"]["facilities"] == [BROKEN]
        assert answer["extensions"]["coverage"]["patient"]["completeness"] == "INCOMPLETE"
        check_nothing_of_the_patient(city, answer)
    others = city.ask(city.showcase, STRICT, need=[c for c in ALL if c != BROKEN])
    assert "errors" not in others and ledger(others)[BROKEN] == ("INVALID_RESPONSE", "HTTP_500")


def test_a_required_hospital_that_does_not_know_the_patient_is_no_reason_to_fail(city: TestCity) -> None:
    person = next(
        p for p in city.truth["people"] if p["identifiers"].get("cccd") and len(ledger(own(city, p))) in range(1, 4)
    )
    found = ledger(own(city, person))
    elsewhere = next(c for c in ALL if c not in found)
    answer = city.ask(str(person["identifiers"]["cccd"]), STRICT, need=[elsewhere])
    assert "errors" not in answer and elsewhere not in ledger(answer)


def own(city: TestCity, person: Json) -> Json:
    return city.ask(str(person["identifiers"]["cccd"]))


def test_a_required_hospital_that_the_query_itself_leaves_out_is_missing(city: TestCity) -> None:
    filtered = STRICT.replace("encounters(first: 100)", 'encounters(filter: {facility: "01929"})')
    answer = city.ask(city.showcase, filtered, need=["01006"])
    assert code(answer) == "REQUIRED_FACILITY_MISSING"
    assert "errors" not in city.ask(city.showcase, filtered, need=["01929"])


def test_an_unknown_required_facility_is_refused_and_not_repeated(city: TestCity) -> None:
    answer = city.ask(city.showcase, STRICT, need=["01929", "001085067891"])
    assert code(answer) == "UNKNOWN_FACILITY" and "extensions" not in answer
    assert "001085067891" not in str(answer) and "{ facilities { code name } }" in answer["errors"][0]["message"]


def test_who_has_no_right_learns_nothing_by_requiring_a_facility(city: TestCity, broken: str) -> None:
    """Whoever is refused is refused alike, whatever they require and whether or not the patient is known there."""
    other = str(city.story("newborn")[0]["identifiers"]["cccd"])
    by = {"kind": "CCCD", "value": city.showcase}
    wrong_grant = city.access(other)
    asked = [{}, {"need": [BROKEN]}, {"need": ["01929"]}, {"need": ["99999"]}, {"on": "FAIL"}, {"tell": True}]
    for token, access in (
        (city.practitioner(), wrong_grant),
        (city.running.token(Role.ANALYST, "analyst"), city.access(city.showcase)),
        (city.running.token(Role.PRACTITIONER, "x", facility="01929"), city.access(city.showcase)),
    ):
        answers = [city.running.ask(token, STRICT, {"by": by, "access": access, **more}) for more in asked]
        assert code(answers[0]) == "ACCESS_DENIED"
        assert all(answer == answers[0] for answer in answers)


def test_errors_of_single_hospitals_stand_beside_the_data_for_who_wants_them(city: TestCity, broken: str) -> None:
    plain, told = city.ask(city.showcase, STRICT), city.ask(city.showcase, STRICT, tell=True)
    assert rows(told) == rows(plain) and "errors" not in plain
    (error,) = told["errors"]
    assert error["path"] == ["patient"]
    assert error["extensions"] == {
        "code": "FACILITY_FAILED",
        "facility": BROKEN,
        "outcome": "INVALID_RESPONSE",
        "reason": "HTTP_500",
    }
    assert "Trả lời sai quy cách" in error["message"] and "was not valid" in error["message"]


def test_errors_of_single_hospitals_come_with_the_failure_too(city: TestCity, broken: str) -> None:
    city.proxies["01929"].fault = Fault.GARBAGE
    answer = city.ask(city.showcase, STRICT, on="FAIL", tell=True)
    assert answer["data"] == {"patient": None}
    assert [e["extensions"]["code"] for e in answer["errors"]] == ["INCOMPLETE_ANSWER", *["FACILITY_FAILED"] * 2]
    assert [e["extensions"].get("facility") for e in answer["errors"][1:]] == [BROKEN, "01929"]
    check_nothing_of_the_patient(city, answer)


def fields_of(name: str) -> str:
    """A selection of every field of a type; a text in both languages, under v_ and e_."""
    kind = city_schema()._schema.type_map[name]
    assert isinstance(kind, GraphQLObjectType)
    parts: list[str] = []
    for field, value in kind.fields.items():
        inner = get_named_type(value.type)
        if "language" in value.args:
            parts.append(f"v_{field}: {field} e_{field}: {field}(language: EN)")
        else:
            parts.append(f"{field} {{ {fields_of(inner.name)} }}" if isinstance(inner, GraphQLObjectType) else field)
    return " ".join(parts)


def as_selected(value: Any) -> Any:
    """The mirror's value in the shape of fields_of."""
    if isinstance(value, list):
        return [as_selected(item) for item in value]
    if not isinstance(value, dict):
        return value
    out: Json = {}
    for key, inner in value.items():
        if isinstance(inner, dict) and inner.keys() == {"VI", "EN"}:
            out |= {f"v_{key}": inner["VI"], f"e_{key}": inner["EN"]}
        else:
            out[key] = as_selected(inner)
    return out


def test_the_mirror_equals_the_field_under_aliases_and_for_each_patient(city: TestCity, broken: str) -> None:
    other = city.story("newborn")[0]["identifiers"]["cccd"]
    part = f"coverage {{ {fields_of('Coverage')} }} again: coverage {{ completeness summary(language: EN) }}"
    records = "patient { encounters(first: 2) { edges { sortKey } } }"
    query = f"""query($by: PatientBy!, $access: AccessInput!, $by2: PatientBy!, $access2: AccessInput!) {{
      patient(by: $by, access: $access) {{ {part} {records} }}
      second: patient(by: $by2, access: $access2) {{ {part} {records} }} }}"""
    answer = city.ask(city.showcase, query, by2={"kind": "CCCD", "value": other}, access2=city.access(other))
    assert "errors" not in answer
    mirror = answer["extensions"]["coverage"]
    assert mirror.keys() == {"patient", "second"}
    for key, value in mirror.items():
        assert as_selected(value) == answer["data"][key]["coverage"]
        assert answer["data"][key]["again"] == {
            "completeness": value["completeness"],
            "summary": value["summary"]["EN"],
        }
    assert mirror["patient"] != mirror["second"]


def test_a_registered_reader_of_extensions_needs_no_coverage_field_and_sees_the_whole_ledger(
    city: TestCity, broken: str
) -> None:
    bare = """query($by: PatientBy!, $access: AccessInput!) {
      a: patient(by: $by, access: $access) { patient { encounters(first: 2) { edges { sortKey } } } } }"""
    variables = {"by": {"kind": "CCCD", "value": city.showcase}, "access": city.access(city.showcase)}
    reader = city.running.token(Role.PRACTITIONER, "doctor", facility="01006", reads_extensions=True)
    answer = city.running.ask(reader, bare, variables)
    assert "errors" not in answer and answer["extensions"]["coverage"]["a"]["completeness"] == "INCOMPLETE"
    stranger = city.running.ask(city.practitioner(), bare, variables)
    assert [e["extensions"]["code"] for e in stranger["errors"]] == ["COVERAGE_NOT_SELECTED"]
    assert stranger["data"] == {"a": None} and "extensions" not in stranger


def test_a_filter_nothing_matches_is_empty_and_one_that_leaves_hospitals_out_says_so(city: TestCity) -> None:
    plain = """query($by: PatientBy!, $access: AccessInput!, $f: RecordFilter) { patient(by: $by, access: $access) {
      coverage { completeness facilities { facility { code } outcome reason } }
      patient { encounters(filter: $f) { edges { sortKey } } } } }"""
    nothing = ledger(city.ask(city.showcase, plain, f={"code": "Z99"}))
    assert nothing == dict.fromkeys(ALL, ("EMPTY", None))
    one = ledger(city.ask(city.showcase, plain, f={"facility": "01929"}))
    assert one == {**dict.fromkeys(ALL, ("NOT_ASKED", "FILTERED")), "01929": ("ANSWERED", None)}


def test_kinds_beyond_the_grant_are_not_asked_of_anybody(city: TestCity) -> None:
    grant = city.running.give_grant(
        canonical(IdentifierKind.CCCD, city.showcase), granteeFacility="01006", kinds=["ENCOUNTER"]
    )
    access = {"purpose": "TREAT", "basis": "GRANT", "evidence": grant}
    by = {"kind": "CCCD", "value": city.showcase}
    answer = city.running.ask(city.practitioner(), HISTORY, {"by": by, "access": access})
    for line in answer["data"]["patient"]["coverage"]["facilities"]:
        kinds = {k["kind"]: (k["outcome"], k["reason"]) for k in line["kinds"]}
        assert kinds.pop("ENCOUNTER") == ("ANSWERED", None)
        assert kinds and set(kinds.values()) == {("NOT_ASKED", "NOT_PERMITTED")}


def test_rows_of_another_birth_date_are_withheld_with_their_reason(city: TestCity) -> None:
    person = str(city.story("birth_conflict")[0]["identifiers"]["cccd"])
    answer = city.ask(person, STRICT, tell=True)
    withheld = {code: why for code, (outcome, why) in ledger(answer).items() if outcome == "WITHHELD"}
    assert withheld and set(withheld.values()) == {"IDENTITY_CONFLICT"}
    assert {e["extensions"]["facility"] for e in answer["errors"]} == set(withheld)
    assert all("another birth date or sex" in e["message"] for e in answer["errors"])


def test_a_node_that_does_not_trust_the_gateway_refuses(city: TestCity) -> None:
    """Its enrolment names another gateway's key: by law and by code the holder of the records has the last word."""
    node = city.running.nodes[BROKEN]
    file = node.folder / "data" / "enrolment.json"
    before = file.read_text()
    stranger = Ed25519PrivateKey.generate().public_key()
    keys = [json.loads(msgspec.json.encode(PublicKey.of(stranger)))]
    node.stop()
    try:
        file.write_text(json.dumps({**json.loads(before), "gateway_keys": keys}))
        node.start()
        answer = city.ask(city.showcase, STRICT)
        assert ledger(answer)[BROKEN] == ("REFUSED", "HTTP_401")
        assert answer["data"]["patient"]["coverage"]["completeness"] == "INCOMPLETE"
        assert {facility for facility, _ in rows(answer)} == {c for c in ALL if c != BROKEN}
    finally:
        node.stop()
        file.write_text(before)
        node.start()
    city.running.settle(30)
    assert ledger(city.ask(city.showcase))[BROKEN] == ("ANSWERED", None)
