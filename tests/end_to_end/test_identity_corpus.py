"""Everybody in the generated city is asked for by every identifier they have: no answer holds another person's visit."""

from __future__ import annotations

from typing import Any

from gateway.access.callers import Role
from schema.identity import IdentifierError, IdentifierKind, canonical
from tests.end_to_end.conftest import TestCity
from tests.end_to_end.databases import BOTH

pytestmark = BOTH

QUERY = """query Q($by: PatientBy!, $access: AccessInput!) {
  patient(by: $by, access: $access) {
    coverage { completeness facilities { facility { code } outcome reason } }
    patient { encounters(first: 200) { edges { facility { code } node { period { start } } } pageInfo { hasNextPage } } } } }"""
KINDS = {"cccd": "CCCD", "cmnd": "CMND", "bhxh": "BHXH"}


def visits_of(person: dict[str, Any]) -> set[tuple[str, str]]:
    """(facility, start to the minute) of the visits that are truly this person's."""
    return {(code, v["start"][:16]) for code, f in person["facilities"].items() for v in f["visits"]}


def ask(city: TestCity, kind: str, value: str) -> dict[str, Any] | None:
    """The patient's own answer; None for an identifier that the gateway refuses to look up."""
    try:
        identity = canonical(IdentifierKind(kind), value)
    except IdentifierError:
        return None
    token = city.running.token(Role.CITIZEN, "citizen", identity=identity)
    by = {"kind": kind, "value": value}
    answer = city.running.ask(token, QUERY, {"by": by, "access": {"purpose": "PATRQT", "basis": "SELF"}})
    assert "errors" not in answer, answer
    part: dict[str, Any] = answer["data"]["patient"]
    return part


def test_no_answer_holds_a_visit_of_somebody_else(city: TestCity) -> None:
    asked = found = missed = withheld = 0
    for person in city.people.values():
        own = visits_of(person)
        for name, kind in KINDS.items():
            value = person["identifiers"][name]
            part = ask(city, kind, value) if value else None
            if part is None:
                continue
            asked += 1
            edges = part["patient"]["encounters"]["edges"] if part["patient"] else []
            seen = {(e["facility"]["code"], e["node"]["period"]["start"][:16]) for e in edges}
            strangers = seen - own
            assert not strangers, (
                f"{person['person']} ({person['story']}) by {kind} was shown {len(strangers)} foreign visits"
            )
            found, missed = found + len(seen), missed + len(own - seen)
            withheld += sum(f["outcome"] == "WITHHELD" for f in part["coverage"]["facilities"])
    assert asked > 100
    assert withheld > 0
    print(f"asked {asked}, visits found {found}, not found by that identifier {missed}, facilities withheld {withheld}")


def test_what_is_withheld_makes_the_answer_incomplete_and_says_why(city: TestCity) -> None:
    conflicts = 0
    for person in city.story("birth_conflict"):
        part = ask(city, "CCCD", person["identifiers"]["cccd"])
        assert part is not None
        if not part["coverage"]["facilities"]:
            continue  # this one's number was never written anywhere: a clerk typed somebody else's
        conflicts += 1
        lines = {f["facility"]["code"]: (f["outcome"], f["reason"]) for f in part["coverage"]["facilities"]}
        assert ("WITHHELD", "IDENTITY_CONFLICT") in lines.values()
        assert part["coverage"]["completeness"] == "INCOMPLETE"
    assert conflicts >= 2


def test_placeholders_lead_to_nobody(city: TestCity) -> None:
    asked = 0
    for person in city.story("placeholder"):
        value = person["identifiers"]["cccd"]
        if value:
            assert ask(city, "CCCD", value) is None
            asked += 1
        token = city.practitioner()
        by = {"kind": "CCCD", "value": "123456789012"}
        answer = city.running.ask(token, QUERY, {"by": by, "access": city.access(city.showcase)})
        assert answer["errors"][0]["extensions"]["code"] == "BAD_IDENTIFIER"
    assert city.story("placeholder")


def test_a_childs_row_under_the_mothers_card_is_shown_to_neither_as_the_others(city: TestCity) -> None:
    mothers = {p["person"]: p for p in city.people.values()}
    checked = 0
    for child in city.people.values():
        if not child["mother"]:
            continue
        part = ask(city, "CCCD", mothers[child["mother"]]["identifiers"]["cccd"])
        assert part is not None and part["patient"] is not None
        edges = part["patient"]["encounters"]["edges"]
        seen = {(e["facility"]["code"], e["node"]["period"]["start"][:16]) for e in edges}
        assert not seen & visits_of(child)
        assert seen == visits_of(mothers[child["mother"]])
        assert "IDENTITY_DOUBTFUL" in {f["reason"] for f in part["coverage"]["facilities"]}
        checked += 1
    assert checked >= 2
