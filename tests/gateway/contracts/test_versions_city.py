"""Plan, scatter, ledger and answer over nodes of several ages at once: what each gives, and what is said of it."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest

from gateway.city.registry import City
from gateway.contracts.contract import NOTHING, assumed, read_contract
from gateway.plan import NodeRequest, plan_query
from gateway.reading import Slice
from gateway.subquery import SubQuery
from schema.coverage import Completeness, Outcome
from schema.elements import RecordKind
from tests.gateway.aged_city import asked_of, bodies, city_with, full_variables, kinds, lines, replace_contract, rows
from tests.gateway.ages import Aged, newer, older
from tests.gateway.asking import choice, city, compiled, node_patient, question, scatter, state

ENCOUNTERS = "encounters { edges { node { id reason class diagnoses { code display } } } }"
TELE = ("  PHARMACY\n  OTHER", "  PHARMACY\n  TELEHEALTH\n  OTHER")
DREAM = [
    ("  OBSERVATION\n", "  OBSERVATION\n  DREAM\n"),
    ("type Quantity {", "type Dream implements Record { id: ID! kind: RecordKind! facility: Facility! feed: Feed! encounterId: ID receivedAt: PartialDate! notResent: Boolean! plot: String }\ntype Quantity {"),
]  # fmt: skip


def test_nodes_of_three_ages_answer_beside_each_other() -> None:
    asked = compiled(question(ENCOUNTERS))
    held = {f: rows(f, RecordKind.ENCOUNTER, **{"reason": f"Sốt {f}", "class": "HOME"}) for f in "ABC"}
    ages = {
        "A": older(["Encounter.reason"]),
        "B": None,
        "C": newer(TELE, ("reason: String\n", "reason: String\n  triage: String\n")),
    }
    _, results, ledger, nodes = asked_of(asked, ages, held)
    found = bodies(results)
    assert {i: (b["reason"], b["class"]) for i, b in found.items()} == {
        "A-000": (None, "HOME"),
        "B-000": ("Sốt B", "HOME"),
        "C-000": ("Sốt C", "HOME"),
    }
    assert [list(b) for b in found.values()] == [["id", "reason", "class", "diagnoses"]] * 3
    assert ledger.completeness is Completeness.COMPLETE and set(lines(ledger).values()) == {("ANSWERED", None)}
    assert "reason" not in nodes["A"].asked[0]


def test_a_newer_node_that_has_all_a_query_needs_is_asked_as_ever() -> None:
    sdl = newer(
        ("reason: String\n", "reason: String\n  triage: String\n"),
        ("code: String = null\n", "code: String = null\n  ward: String = null\n"),
    )
    asked = compiled(question(ENCOUNTERS))
    plan, _, _, nodes = asked_of(asked, {"A": sdl}, {"A": rows("A", RecordKind.ENCOUNTER)})
    assert plan.requests[0].reduced is None and nodes["A"].asked == [asked.subquery.text]


@pytest.mark.parametrize(
    ("change", "body", "expected"),
    [
        # Not null and an UNKNOWN to say; null; neither.
        (TELE, {"class": "TELEHEALTH"}, ("class", "UNKNOWN")),
        (("  ADMISSION\n", "  ADMISSION\n  DREAMT\n"), {}, ("diagnoses", [{"role": None}])),
    ],
)
def test_a_newer_nodes_enum_value_never_reaches_a_client(change: Any, body: Any, expected: Any) -> None:
    asked = compiled(question("encounters { edges { node { id class diagnoses { role } } } }"))
    held = rows("A", RecordKind.ENCOUNTER, **body)
    dx = rows("A", RecordKind.ENCOUNTER, RecordKind.CONDITION)[1]
    dx |= {"encounter": "A-000", "body": {**dx["body"], "role": "DREAMT" if not body else "MAIN"}}
    _, results, ledger, _ = asked_of(asked, {"A": newer(change)}, {"A": [*held, dx]})
    (record,) = bodies(results).values()
    assert record[expected[0]] == expected[1]
    assert lines(ledger) == {"A": ("ANSWERED", None)}


def test_an_enum_value_that_can_be_neither_null_nor_unknown_spoils_its_kind_and_no_other() -> None:
    asked = compiled(question("encounters { edges { node { id feed } } } observations { edges { node { id } } }"))
    held = rows("A", RecordKind.ENCOUNTER, RecordKind.OBSERVATION, feed="TELEPATHY")
    sdl = newer(("  EMR\n", "  EMR\n  TELEPATHY\n"))
    _, results, ledger, _ = asked_of(asked, {"A": sdl}, {"A": held})
    assert bodies(results) == {} and list(bodies(results, "n0", "c1")) == ["A-001"]
    assert kinds(ledger, "A") == {
        "ENCOUNTER": ("INVALID_RESPONSE", "ENUM_VALUE_UNKNOWN", 0),
        "OBSERVATION": ("ANSWERED", None, 1),
    }
    assert lines(ledger) == {"A": ("ANSWERED", "KINDS_INVALID")} and ledger.completeness is Completeness.INCOMPLETE


def test_a_newer_nodes_timeline_is_asked_for_the_kinds_we_know() -> None:
    asked = compiled(question("timeline(first: 10) { edges { node { id kind } } }"))
    held = rows("A", RecordKind.ENCOUNTER, RecordKind.OBSERVATION)
    dream = {
        **held[0],
        "id": "A-dream",
        "kind": "DREAM",
        "body": {**held[0]["body"], "__typename": "Dream", "id": "A-dream", "kind": "DREAM"},
    }
    node = Aged.of(newer(*DREAM))
    plan = plan_query(asked.subquery, asked.raw, choice("A"), city_with(node), None)
    (request,) = plan.requests
    assert request.reduced is not None
    told = json.loads(request.reduced.body(full_variables(asked)))["variables"]
    named = next(v["kinds"] for v in told.values() if isinstance(v, dict))
    assert set(named) == set(RecordKind.__members__)
    # A node that sends such a row all the same is not believed, and nothing else of it is lost.
    patient = node_patient("A", held)
    page = patient["timeline"]
    patient["timeline"] = lambda **given: {
        **(p := page(**{**given, "filter": {}})),
        "edges": [*p["edges"], _edge(p["edges"][0], dream)],
    }
    filled = request.reduced.fill(node.reply(request.reduced.body(full_variables(asked)), {"ref-A": patient}))
    assert filled.left_out == ({"c0": "ENUM_VALUE_UNKNOWN"},)
    assert set(request.reduced.kinds_in("c0")) == set(RecordKind)


def _edge(like: Any, row: Any) -> Any:
    return {**like, "id": row["id"], "kind": row["kind"], "sortKey": "2000", "node": row["body"]}


def test_an_old_nodes_timeline_leaves_out_what_it_cannot_give_and_says_so() -> None:
    asked = compiled(
        question(
            "timeline(first: 10) { edges { node { id ... on Observation { categories { code } } ... on Encounter { reason } } } }"
        )
    )
    held = rows("A", RecordKind.ENCOUNTER, RecordKind.OBSERVATION, RecordKind.REFERRAL)
    sdl = older(["Observation.categories"], [RecordKind.IMMUNIZATION])
    _, results, ledger, _ = asked_of(asked, {"A": sdl}, {"A": held})
    assert list(bodies(results)) == ["A-000", "A-002"]
    found = kinds(ledger, "A")
    assert found.pop("OBSERVATION") == ("UNSUPPORTED", "FIELD_REQUIRED", 0)
    assert found.pop("IMMUNIZATION") == ("UNSUPPORTED", "KIND_UNKNOWN", 0)
    assert {outcome for outcome, _, _ in found.values()} == {"ANSWERED", "EMPTY"}
    assert lines(ledger) == {"A": ("ANSWERED", "KINDS_UNSUPPORTED")}


@pytest.mark.parametrize(
    ("drops", "given", "reason"),
    [
        (["RecordFilter.code"], 'filter: {code: "E11"}', "ARGUMENT_UNKNOWN"),
        (["Patient.encounters(filter)"], 'filter: {code: "E11"}', "ARGUMENT_UNKNOWN"),
        (["Patient.encounters(after)"], "first: 3", "ARGUMENT_UNKNOWN"),
        (["Encounter.class"], "first: 3", "FIELD_REQUIRED"),
        (["EncounterEdge.contentHash"], "first: 3", None),
        (["EncounterEdge.sortKey"], "first: 3", "FIELD_REQUIRED"),
        (["Patient.encounters"], "first: 3", "KIND_UNKNOWN"),
        (["RecordFilter.code"], 'filter: {code: null, period: {from: "2020"}}', None),
    ],
)
def test_a_facility_is_unsupported_when_nothing_askable_is_left(
    drops: list[str], given: str, reason: str | None
) -> None:
    asked = compiled(question(ENCOUNTERS.replace("encounters", f"encounters({given})")))
    held = {f: rows(f, RecordKind.ENCOUNTER, **{"class": "HOME"}) for f in "AB"}
    plan, results, ledger, nodes = asked_of(asked, {"A": older(drops), "B": None}, held)
    if reason is None:
        assert lines(ledger)["A"] in (("ANSWERED", None), ("EMPTY", None)) and nodes["A"].asked
        return
    assert lines(ledger)["A"] == ("UNSUPPORTED", reason) and lines(ledger)["B"][0] in ("ANSWERED", "EMPTY")
    assert plan.as_json()["skip"] == {"A": [["UNSUPPORTED", reason]]} and nodes["A"].asked == []
    assert ledger.completeness is Completeness.INCOMPLETE and [r.request.node.id for r in results] == ["node-B"]


def test_rows_that_could_not_be_asked_are_never_shown_as_an_empty_facility() -> None:
    asked = compiled(
        question(
            'encounters(filter: {code: "E11"}) { edges { node { id } } } referrals { edges { node { id } } } allergyStatus'
        )
    )
    _, _, ledger, _ = asked_of(asked, {"A": older(["Patient.encounters(filter)"])}, {"A": []})
    assert lines(ledger) == {"A": ("UNSUPPORTED", "KINDS_UNSUPPORTED")}
    assert kinds(ledger, "A")["REFERRAL"] == ("EMPTY", None, 0)
    assert ledger.completeness is Completeness.INCOMPLETE


@pytest.mark.parametrize("drop", ["Patient.ref", "Patient.ledger", "NodeLedger.failedItems", "NodeLedger.lagging"])
def test_a_node_that_cannot_say_how_it_is_is_not_asked(drop: str) -> None:
    asked = compiled(question(ENCOUNTERS))
    _, _, ledger, _ = asked_of(asked, {"A": older([drop])}, {"A": []})
    assert lines(ledger) == {"A": ("UNSUPPORTED", "FIELD_REQUIRED")}


@pytest.mark.parametrize("patient", ["name", ENCOUNTERS])
def test_a_node_whose_contract_nobody_knows_is_not_asked(patient: str) -> None:
    plain = city(state("A"))
    (one,) = plain.nodes.values()
    of = City(plain.facilities, MappingProxyType({one.id: replace(one, contract=NOTHING)}))
    asked = compiled(question(patient))
    plan = plan_query(asked.subquery, asked.raw, choice("A"), of, None)
    assert plan.as_json()["skip"] == {"A": [["UNSUPPORTED", "CONTRACT_UNKNOWN"]]}


def test_a_node_of_an_unknown_minor_version_is_read_with_care() -> None:
    """It declared 1.7 and told no schema: 1.0 is what it surely has, and any enum may hold more."""
    contract = assumed("1.7")
    asked = compiled(question(ENCOUNTERS))
    plan = plan_query(asked.subquery, asked.raw, choice("A"), city_with(replace_contract(contract)), None)
    (request,) = plan.requests
    assert request.reduced is not None
    held = rows("A", RecordKind.ENCOUNTER, **{"class": "TELEHEALTH"})
    reply = Aged.of(newer(TELE)).reply(request.reduced.body(full_variables(asked)), {"ref-A": node_patient("A", held)})
    assert b"TELEHEALTH" in reply and b"TELEHEALTH" not in request.reduced.fill(reply).body


FAULTS = {
    b"\xff": "NOT_UTF8",
    b"no json": "NOT_JSON",
    b"[]": "NOT_THE_CONTRACT",
    b"null": "NOT_THE_CONTRACT",
    b'{"data":null}': "ERRORS_IN_ANSWER",
    b'{"data":{"_entities":[null]}}': "REF_UNKNOWN",
    b'{"data":{"_entities":[]}}': "WRONG_NUMBER_OF_ENTITIES",
    b'{"data":{"_entities":[7]}}': "NOT_THE_CONTRACT",
    b'{"data":{"_entities":[{}]}}': "NOT_THE_CONTRACT",
    b'{"data":{"_entities":[{}]},"errors":[{"message":"half"}]}': "ERRORS_IN_ANSWER",
    b'{"data":{"_entities":'
    + b"[" * 100_000
    + b"]" * 100_000
    + b"}}": "NOT_THE_CONTRACT",  # the decoder expects an object there
}


@pytest.mark.parametrize("body", FAULTS, ids=range(len(FAULTS)))
def test_an_old_nodes_faulty_answer_is_its_own_fault_alone(body: bytes) -> None:
    asked = compiled(question(ENCOUNTERS))
    plan = plan_query(asked.subquery, asked.raw, choice("A"), city_with(Aged.of(older(["Encounter.reason"]))), None)

    async def send(_: NodeRequest) -> bytes:
        return body

    (result,) = asyncio.run(scatter(plan, send, asked.subquery, (Slice(20),)))
    assert (result.outcome, result.reason) == (Outcome.INVALID_RESPONSE, FAULTS[body])


def test_null_where_our_contract_has_none_spoils_the_kind() -> None:
    """A newer node's contract lets be null what ours does not."""
    asked = compiled(question("encounters { edges { node { id class } } } name"))
    sdl = newer(("  class: EncounterClass!\n", "  class: EncounterClass\n"))
    _, results, ledger, _ = asked_of(asked, {"A": sdl}, {"A": rows("A", RecordKind.ENCOUNTER, **{"class": None})})
    assert kinds(ledger, "A") == {"ENCOUNTER": ("INVALID_RESPONSE", "NOT_THE_CONTRACT", 0)}
    assert lines(ledger) == {"A": ("INVALID_RESPONSE", "KINDS_INVALID")}
    assert results[0].entities[0].name == "Tên ở A"


def test_a_contract_is_compared_with_a_document_once() -> None:
    asked = compiled(question(ENCOUNTERS))
    sub: SubQuery = asked.subquery
    contract = read_contract(older(["Encounter.reason"]))
    of = city_with(replace_contract(contract))
    surveys = []
    for _ in range(2):
        (request,) = plan_query(sub, asked.raw, choice("A"), of, None).requests
        assert request.reduced is not None
        surveys.append(request.reduced.survey)
    assert surveys[0] is surveys[1] and len(sub.surveys) == 1


def test_a_timeline_that_cannot_be_asked_takes_only_its_own_kinds_with_it() -> None:
    asked = compiled(
        question(
            "timeline(filter: {kinds: [CONDITION]}) { edges { node { id } } } encounters { edges { node { id } } }"
        )
    )
    held = rows("A", RecordKind.ENCOUNTER, RecordKind.CONDITION)
    _, _, ledger, _ = asked_of(asked, {"A": older(["Patient.timeline(after)"])}, {"A": held})
    assert kinds(ledger, "A") == {
        "ENCOUNTER": ("ANSWERED", None, 1),
        "CONDITION": ("UNSUPPORTED", "ARGUMENT_UNKNOWN", 0),
    }
