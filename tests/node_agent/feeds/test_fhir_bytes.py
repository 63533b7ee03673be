"""What the feed does with bytes: broken ones, doubled keys, NDJSON, and anything at all."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node_agent.feeds.fhir import FhirFeed
from node_agent.feeds.fhir_r4.problem import REASONS
from tests.node_agent.feeds.contract import problems
from tests.node_agent.feeds.fhir_files import (
    ENCOUNTER,
    HERE,
    PATIENT,
    bundle,
    concept,
    errors,
    feed,
    make,
    parse,
    records,
    remarks,
)

OBSERVATION = make(
    "Observation",
    status="final",
    code=concept("8302-2", "http://loinc.org", "Chiều cao"),
    encounter={"reference": "Encounter/e1"},
    valueQuantity={"value": 17, "unit": "cm"},
)


def test_a_byte_order_mark_is_no_obstacle() -> None:
    parsed = feed().parse(b"\xef\xbb\xbf" + bundle(PATIENT, OBSERVATION))
    assert len(records(parsed)) == 1 and not parsed.errors


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "EMPTY"),
        (b" \n ", "EMPTY"),
        (b'{"resourceType":"Patient","id":"\xff"}', "INVALID_UTF8"),
        (b"not json", "INVALID_JSON"),
        (b'{"resourceType":"Observation","valueQuantity":{"value":NaN}}', "INVALID_JSON"),
        (b'{"resourceType":"Observation","valueQuantity":{"value":-Infinity}}', "INVALID_JSON"),
        (b"[" * 100_000, "TOO_DEEP"),
        (b'{"a":1}', "NOT_A_RESOURCE"),
        (b"[]", "NOT_A_RESOURCE"),
        (b'{"resourceType":"Bundle","entry":{}}', "WRONG_TYPE"),
        (b'{"resourceType":"Bundle","entry":[],"entry":[]}', "DUPLICATE_KEY"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_error_with_a_stable_code(data: bytes, code: str) -> None:
    parsed = feed().parse(data)
    assert [error.code for error in parsed.errors] == [code]
    assert parsed.errors[0].reason_vi and parsed.errors[0].reason_en and not parsed.units


def test_a_file_over_the_limit_is_refused_unread() -> None:
    parsed = FhirFeed([HERE], {}, max_bytes=10).parse(bundle(PATIENT))
    assert [error.code for error in parsed.errors] == ["TOO_LARGE"]


def test_a_doubled_key_costs_its_own_entry_only_and_names_the_patient() -> None:
    data = bundle(PATIENT, ENCOUNTER, OBSERVATION).replace(
        b'"status": "final"', b'"status": "final", "status": "amended"'
    )
    parsed = feed().parse(data)
    assert errors(parsed) == [("DUPLICATE_KEY", "entry[2] Observation", None)]
    assert parsed.errors[0].patient is not None and parsed.errors[0].patient.local_id == "p1"
    assert [record.source_key for record in records(parsed)] == ["Encounter/e1"]


@pytest.mark.parametrize("escape", ["\\ud800", "\\u0000"])
def test_characters_no_store_keeps_cost_their_own_entry_only(escape: str) -> None:
    data = bundle(PATIENT, ENCOUNTER, OBSERVATION).replace("Chiều cao".encode(), escape.encode())
    assert errors(feed().parse(data)) == [("INVALID_TEXT", "entry[2] Observation", None)]


def test_ndjson_with_one_broken_line_keeps_every_other_line() -> None:
    lines = [
        json.dumps(PATIENT),
        '{"resourceType": "Observation", "id": }',
        json.dumps(OBSERVATION),
        "",
        json.dumps(ENCOUNTER),
    ]
    parsed = feed().parse("\r\n".join(lines).encode())
    assert errors(parsed) == [("INVALID_JSON", "line 2", None)]
    assert [record.source_key for record in records(parsed)] == ["Observation/x1", "Encounter/e1"]


def test_ndjson_may_hold_a_bundle_a_line_and_says_where_an_error_is() -> None:
    broken = {**OBSERVATION, "id": "x2", "code": "8302-2"}
    data = bundle(PATIENT, OBSERVATION) + b"\n" + bundle(PATIENT, broken)
    parsed = feed().parse(data)
    assert errors(parsed) == [("WRONG_TYPE", "line 2 entry[1] Observation", "Observation.code")]
    assert len(records(parsed)) == 1


def test_a_bundle_inside_a_bundle_is_opened() -> None:
    inner = json.loads(bundle(PATIENT, OBSERVATION))
    assert [record.source_key for record in records(parse(inner))] == ["Observation/x1"]


def test_a_misspelt_entry_hides_nothing_in_silence() -> None:
    parsed = feed().parse(bundle(PATIENT).replace(b'"entry"', b'"enty"'))
    assert remarks(parsed) == {("EMPTY_BUNDLE", "Bundle"): 1, ("UNMAPPED_ELEMENT", "Bundle.enty"): 1}


def test_a_delete_request_is_an_error_and_a_read_request_a_remark() -> None:
    entries = [
        {"request": {"method": "DELETE", "url": "Observation/9"}},
        {"request": {"method": "GET", "url": "Patient/1"}},
    ]
    parsed = feed().parse(json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": entries}).encode())
    assert errors(parsed) == [("DELETE_UNSUPPORTED", "entry[0]", "Bundle.entry.request.method")]
    assert remarks(parsed) == {("READ_REQUEST", "Bundle.entry"): 1}


def test_no_error_text_holds_what_the_file_said() -> None:
    canary = "CANARY-7f3a"
    broken = [
        {**OBSERVATION, "id": "a", "effectiveDateTime": canary},
        {**OBSERVATION, "id": "b", "code": {"text": {canary: canary}}},
        {**OBSERVATION, "id": "c", "subject": {"display": canary}},
        {**OBSERVATION, "id": "d", canary: canary, "status": 1},
        {**OBSERVATION, "id": "e", canary + " x": canary},
        {"resourceType": canary, "id": canary},
    ]
    parsed = parse({**PATIENT, "identifier": [{"system": f"urn:x:{canary} {canary}", "value": canary}]}, *broken)
    said = [f"{e.code} {e.where} {e.table} {e.field} {e.reason_vi} {e.reason_en}" for e in parsed.errors]
    said += [f"{r.code} {r.where}" for r in parsed.remarks]
    assert len(parsed.errors) == 5
    assert canary not in " ".join(said)


def test_every_problem_code_has_a_reason_in_both_languages() -> None:
    assert all(vi.strip() and en.strip() and vi != en for vi, en in REASONS.values())


@given(st.binary(max_size=400))
def test_no_bytes_make_parse_raise(data: bytes) -> None:
    parsed = feed().parse(data)
    assert parsed.units or parsed.errors or parsed.remarks or data.strip()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["coding", "reference", "value", "id"]), inner, max_size=3)
    ),
    max_leaves=6,
)
LIFE: list[dict[str, Any]] = [
    PATIENT,
    ENCOUNTER,
    {
        **OBSERVATION,
        "component": [{"code": concept("1"), "valueString": "x"}],
        "referenceRange": [{"low": {"value": 1}}],
    },
    make("Condition", code=concept("E11.9", "http://hl7.org/fhir/sid/icd-10"), onsetDateTime="2020"),
    make("AllergyIntolerance", code=concept("716186003"), reaction=[{"manifestation": [{"text": "x"}]}]),
    make(
        "MedicationRequest",
        medicationCodeableConcept={"text": "A"},
        dosageInstruction=[{"timing": {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}}}],
    ),
    make(
        "MedicationAdministration",
        medicationReference={"reference": "#m"},
        contained=[{"resourceType": "Medication", "id": "m", "code": {"text": "B"}}],
    ),
    make("ImagingStudy", series=[{"uid": "1.2", "number": 1}], identifier=[{"value": "urn:oid:1.2"}]),
    make("DocumentReference", content=[{"attachment": {"contentType": "text/plain", "data": "eA=="}}]),
    {
        "resourceType": "Composition",
        "id": "c",
        "subject": {"reference": "Patient/p1"},
        "section": [{"text": {"div": "<p>x</p>"}}],
    },
    make("ServiceRequest", category=[concept("3457005")], performer=[{"identifier": {"value": "01003"}}]),
    {"resourceType": "Appointment", "id": "a", "participant": [{"actor": {"reference": "Patient/p1"}}]},
]


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path] * bool(path) + [found for key, inner in items for found in _paths(inner, (*path, key))]


PATHS = _paths(LIFE)


@settings(max_examples=400, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(PATHS), JSON), min_size=1, max_size=3))
def test_any_element_may_be_replaced_by_anything_and_what_is_stored_still_fits_the_contract(
    changes: list[tuple[Any, Any]],
) -> None:
    life = json.loads(json.dumps(LIFE))
    for path, value in changes:
        holder: Any = life
        try:
            for step in path[:-1]:
                holder = holder[step]
            holder[path[-1]] = value
        except (KeyError, IndexError, TypeError):
            continue
    parsed = feed().parse(json.dumps({"resourceType": "Bundle", "entry": [{"resource": r} for r in life]}).encode())
    assert [p for p in problems(parsed) if "unknown" not in p] == []
    touched = {path[0] for path, _ in changes}
    kept = {record.source_key for record in records(parsed)}
    untouched = [r for place, r in enumerate(LIFE) if place not in touched and r["resourceType"] != "Patient"]
    if not touched & {0, 1}:
        assert {f"{r['resourceType']}/{r['id']}" for r in untouched} <= kept


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_a_bundle_cut_or_changed_anywhere_never_raises_and_says_something(data: st.DataObject) -> None:
    whole = bundle(*LIFE)
    start = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(start, min(len(whole), start + 20)))
    parsed = feed().parse(whole[:start] + data.draw(st.binary(max_size=6)) + whole[end:])
    assert parsed.errors or parsed.units or parsed.remarks


def test_a_line_of_ndjson_that_is_no_utf8_costs_that_line_only() -> None:
    lines = [json.dumps(r, ensure_ascii=False).encode() for r in (PATIENT, ENCOUNTER, OBSERVATION)]
    parsed = feed().parse(b"\n".join([*lines[:2], b'{"resourceType":"Observation","id":"\xff"}', lines[2]]))
    assert errors(parsed) == [("INVALID_UTF8", "line 3", None)]
    assert len(records(parsed)) == 2


def test_a_patient_of_unusable_text_is_an_error_that_finds_the_person() -> None:
    parsed = feed().parse(bundle(PATIENT).replace("Thử".encode(), b"\\ud83d"))
    assert errors(parsed) == [("INVALID_TEXT", "entry[0] Patient", None)]
    who = parsed.errors[0].patient
    assert who and (who.local_id, [i.value for i in who.identifiers], who.name) == ("p1", ["001085012347"], None)
