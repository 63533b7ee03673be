"""A node of the previous contract and two of the next beside a current agent, all on real sockets behind a real gateway."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from compose.demo.data import build_city
from compose.demo.launch import NodeSpec, RunningCity
from gateway.access.callers import Role
from gateway.contracts.contract import digest_of
from schema.elements import RecordKind
from schema.identity import Identifier, IdentifierKind
from tests.aged_node import AgedNode
from tests.end_to_end.conftest import SYSTEMS
from tests.end_to_end.databases import BOTH, launched
from tests.gateway.ages import NEXT, SDL, Aged, older
from tests.gateway.asking import make_row, node_patient

pytestmark = BOTH

OLD, NEW, SILENT = "01901", "01902", "01903"
QUERY = """query Q($by: PatientBy!, $access: AccessInput!, $filter: RecordFilter, $kinds: [RecordKind!]) {
  patient(by: $by, access: $access) {
    coverage { completeness facilities { facility { code } outcome reason advice kinds { kind outcome reason records } } }
    patient { name
      encounters(first: 100, filter: $filter) { edges { facility { code } node { why: reason class ...Doctors } } }
      timeline(first: 100, filter: {kinds: $kinds}) { edges { facility { code } node { kind ... on Observation { note } } } } } } }
fragment Doctors on Encounter { practitioners { name } }"""


class Ages:
    """The city, its nodes of other ages, and the person all of them know."""

    def __init__(self, running: RunningCity, cccd: str, current: str, nodes: dict[str, AgedNode]) -> None:
        self.running, self.cccd, self.current, self.nodes = running, cccd, current, nodes

    def ask(self, query: str = QUERY, **variables: Any) -> dict[str, Any]:
        token = self.running.token(Role.CITIZEN, "citizen", identity=Identifier(IdentifierKind.CCCD, self.cccd))
        access = {"purpose": "PATRQT", "basis": "SELF"}
        by = {"kind": "CCCD", "value": self.cccd}
        answer = self.running.ask(token, query, {"by": by, "access": access, **variables})
        assert "errors" not in answer, answer
        part: dict[str, Any] = answer["data"]["patient"]
        return part


def lines(part: dict[str, Any]) -> dict[str, tuple[str, str | None]]:
    return {x["facility"]["code"]: (x["outcome"], x["reason"]) for x in part["coverage"]["facilities"]}


def kinds(part: dict[str, Any], facility: str) -> dict[str, tuple[str, str | None]]:
    (line,) = (x for x in part["coverage"]["facilities"] if x["facility"]["code"] == facility)
    return {k["kind"]: (k["outcome"], k["reason"]) for k in line["kinds"]}


def seen(part: dict[str, Any], facility: str) -> list[dict[str, Any]]:
    edges = part["patient"]["encounters"]["edges"]
    return [e["node"] for e in edges if e["facility"]["code"] == facility]


def invite(running: RunningCity, code: str) -> str:
    """A one-time code, by the gateway's own command."""
    program = [str(Path(sys.executable).parent / "city-gateway"), "nodes", "invite", "--facility", code]
    environment = dict(running.gateway.environment)
    return subprocess.run(program, env=environment, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture(scope="module")
def ages(tmp_path_factory: pytest.TempPathFactory, database: str) -> Iterator[Ages]:
    made = build_city(people=80)
    hospital = next(f for f in made.facilities if f.feed == "fhir")
    files = {x.name: x.data for x in made.files if x.facility == hospital.code}
    spec = NodeSpec(hospital.code, hospital.name, "fhir", files, SYSTEMS)
    person = next(p for p in made.truth["people"] if hospital.code in p["facilities"] and p["identifiers"].get("cccd"))
    cccd = str(person["identifiers"]["cccd"])
    nodes = {
        OLD: AgedNode(
            older(["Encounter.reason", "RecordFilter.encounter", "Observation.note"], [RecordKind.IMMUNIZATION]), OLD
        ),
        NEW: AgedNode(NEXT, NEW, "1.9"),
        SILENT: AgedNode(NEXT, SILENT, "1.9", tells=False),
    }
    registered = {code: f"Bệnh viện {code}" for code in nodes}
    with ExitStack() as stack:
        running = stack.enter_context(
            launched(database, tmp_path_factory.mktemp("ages"), [spec], registered=registered)
        )
        running.settle()
        for code, node in nodes.items():
            stack.enter_context(node.running())
            invitation = invite(running, code)
            node.enrol(running.gateway.url, invitation)
            node.patients = {f"ref-{code}": node_patient(code, held(code))}
            node.sync({f"ref-{code}": cccd})
        yield Ages(running, cccd, hospital.code, nodes)


def held(code: str) -> list[Any]:
    made = (RecordKind.ENCOUNTER, RecordKind.OBSERVATION, RecordKind.PRESCRIPTION)
    rows = [
        make_row(random.Random(n), code, n, kind, f"2024-0{n + 1}-01T00:00:00.000000") for n, kind in enumerate(made)
    ]
    rows[0]["body"] |= {"reason": "Sốt cao", "class": "TELEHEALTH" if code != OLD else "HOME"}
    return rows


def test_all_ages_answer_in_one_list_and_null_stands_only_where_a_field_is_missing(ages: Ages) -> None:
    part = ages.ask(kinds=["ENCOUNTER", "OBSERVATION"])
    assert lines(part) == dict.fromkeys([ages.current, OLD, NEW, SILENT], ("ANSWERED", None))
    assert [(n["why"], n["class"]) for n in seen(part, OLD)] == [(None, "HOME")]
    assert [(n["why"], n["class"]) for n in seen(part, NEW)] == [("Sốt cao", "UNKNOWN")]
    assert seen(part, SILENT) == seen(part, NEW)
    assert seen(part, ages.current) and all(n["class"] for n in seen(part, ages.current))
    assert {tuple(n) for code in (OLD, NEW, ages.current) for n in seen(part, code)} == {
        ("why", "class", "practitioners")
    }
    shown = [(e["facility"]["code"], e["node"]) for e in part["patient"]["timeline"]["edges"]]
    assert [n for code, n in shown if code == OLD] == [{"kind": "OBSERVATION", "note": None}, {"kind": "ENCOUNTER"}]
    assert part["coverage"]["completeness"] == "COMPLETE"


def test_what_an_old_node_cannot_be_asked_is_in_the_ledger_and_nobody_else_suffers(ages: Ages) -> None:
    part = ages.ask(filter={"encounter": f"{NEW}-000"}, kinds=["OBSERVATION"])
    assert lines(part)[OLD] == ("ANSWERED", "KINDS_UNSUPPORTED")
    assert kinds(part, OLD) == {"ENCOUNTER": ("UNSUPPORTED", "ARGUMENT_UNKNOWN"), "OBSERVATION": ("ANSWERED", None)}
    assert kinds(part, ages.current)["ENCOUNTER"] == ("EMPTY", None)
    assert part["coverage"]["completeness"] == "INCOMPLETE"
    nothing = ages.ask(
        QUERY.replace("{kinds: $kinds}", '{kinds: $kinds, encounter: "x"}'),
        kinds=["IMMUNIZATION"],
        filter={"encounter": "x"},
    )
    assert lines(nothing)[OLD][0] == "UNSUPPORTED" and lines(nothing)[NEW] == ("EMPTY", None)


def test_a_timeline_of_all_kinds_reaches_every_age(ages: Ages) -> None:
    part = ages.ask()
    found = {kind for kind, (outcome, _) in kinds(part, OLD).items() if outcome == "UNSUPPORTED"}
    assert found == {"IMMUNIZATION"} and kinds(part, OLD)["IMMUNIZATION"] == ("UNSUPPORTED", "KIND_UNKNOWN")
    assert all(outcome in ("ANSWERED", "EMPTY") for outcome, _ in kinds(part, NEW).values())
    shown = {(e["facility"]["code"], e["node"]["kind"]) for e in part["patient"]["timeline"]["edges"]}
    made = ("ENCOUNTER", "OBSERVATION", "PRESCRIPTION")
    assert {(code, kind) for code in (OLD, NEW, SILENT) for kind in made} <= shown


def test_an_updated_node_is_asked_by_its_new_contract_from_its_next_report_on(ages: Ages) -> None:
    node = ages.nodes[SILENT]
    assert node.sync({f"ref-{SILENT}": ages.cccd}, sdl_sha256="0" * 64)["wants_sdl"] is True
    node.aged = Aged.of(SDL)
    node.patients[f"ref-{SILENT}"] = node_patient(
        SILENT, [{**r, "body": {**r["body"], "class": "HOME"}} if r["kind"] == "ENCOUNTER" else r for r in held(SILENT)]
    )
    assert node.sync({f"ref-{SILENT}": ages.cccd}, sdl_sha256=digest_of(SDL))["wants_sdl"] is False
    part = ages.ask(kinds=["ENCOUNTER"])
    assert [n["class"] for n in seen(part, SILENT)] == ["HOME"]
    assert "q_refs" in node.aged.asked[-1], "the ordinary sub-query, since it speaks our contract"
