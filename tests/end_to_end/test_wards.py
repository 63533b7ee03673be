"""A ward list: many patients in one operation cost one request a node, and each answer is what it would have been alone."""

from __future__ import annotations

from typing import Any

import pytest

from tests.end_to_end.conftest import TestCity
from tests.end_to_end.databases import BOTH
from tests.fault_proxy import Fault

pytestmark = BOTH

FIELDS = """coverage { completeness facilities { facility { code } outcome reason records } }
    patient { name allergyStatus encounters(first: 5) { edges { sortKey node { id diagnoses { code } } }
      pageInfo { hasNextPage } } }"""
Json = dict[str, Any]


def ward(numbers: list[str], body: str = FIELDS, more: str = "") -> str:
    """One operation with an alias a patient, and a fragment they share."""
    declared = "".join(f", $b{n}: PatientBy!, $a{n}: AccessInput!" for n in range(len(numbers)))
    fields = " ".join(f"p{n}: patient(by: $b{n}, access: $a{n}) {{ ...F }}" for n in range(len(numbers)))
    return f"query Ward({declared[2:]}) {{ {fields} {more} }} fragment F on PatientAnswer {{ {body} }}"


def variables(city: TestCity, numbers: list[str]) -> Json:
    out: Json = {}
    for n, number in enumerate(numbers):
        out |= {f"b{n}": {"kind": "CCCD", "value": number}, f"a{n}": city.access(number)}
    return out


def asked(city: TestCity, numbers: list[str], **options: Any) -> tuple[Json, dict[str, int]]:
    """The answer, and how many requests each hospital's node got."""
    before = {code: proxy.requests for code, proxy in city.proxies.items()}
    answer = city.running.ask(city.practitioner(), ward(numbers, **options), variables(city, numbers))
    return answer, {code: proxy.requests - before[code] for code, proxy in city.proxies.items()}


@pytest.fixture(scope="module")
def numbers(city: TestCity) -> list[str]:
    """Thirty people with a CCCD of their own, none of a story about identity."""
    plain = [p["identifiers"].get("cccd") for p in city.truth["people"]]
    found = list(dict.fromkeys(n for n in plain if n))[:30]
    assert len(found) == 30
    return found


def test_thirty_patients_cost_one_request_a_node_and_each_is_answered_as_if_alone(
    city: TestCity, numbers: list[str]
) -> None:
    answer, requests = asked(city, numbers)
    assert "errors" not in answer and set(requests.values()) == {1}
    alone = "query($b0: PatientBy!, $a0: AccessInput!) { p0: patient(by: $b0, access: $a0) { ...F } } "
    alone += f"fragment F on PatientAnswer {{ {FIELDS} }}"
    for n, number in enumerate(numbers):
        one = city.running.ask(city.practitioner(), alone, variables(city, [number]))
        assert answer["data"][f"p{n}"] == one["data"]["p0"], n


def test_a_hospital_that_fails_is_missing_from_every_patient_and_nothing_else_is(
    city: TestCity, numbers: list[str]
) -> None:
    whole, _ = asked(city, numbers)
    city.proxies["01003"].fault = Fault.STATUS_500
    answer, _ = asked(city, numbers)
    for n in range(len(numbers)):
        good, part = whole["data"][f"p{n}"], answer["data"][f"p{n}"]
        lines = {x["facility"]["code"]: x["outcome"] for x in part["coverage"]["facilities"]}
        seen_there = [x["outcome"] for x in good["coverage"]["facilities"] if x["facility"]["code"] == "01003"]
        assert ("01003" in lines) is bool(seen_there)
        if seen_there and seen_there != ["WITHHELD"]:
            assert lines["01003"] == "INVALID_RESPONSE" and part["coverage"]["completeness"] == "INCOMPLETE"
            rows = [e for e in good["patient"]["encounters"]["edges"] if "|01003|" not in e["sortKey"]]
            assert [e for e in part["patient"]["encounters"]["edges"] if e in rows] == rows
        else:
            assert part == good


def test_one_patient_refused_or_unknown_leaves_the_others_answered(city: TestCity, numbers: list[str]) -> None:
    given = variables(city, numbers[:4])
    given["a1"] = {**given["a1"], "evidence": "no-such-grant"}
    given["b2"] = {"kind": "CCCD", "value": "12"}
    answer = city.running.ask(city.practitioner(), ward(numbers[:4]), given)
    assert {e["path"][0]: e["extensions"]["code"] for e in answer["errors"]} == {
        "p1": "ACCESS_DENIED",
        "p2": "BAD_IDENTIFIER",
    }
    whole, _ = asked(city, numbers[:4])
    assert answer["data"] == {**whole["data"], "p1": None, "p2": None}


def test_the_same_patient_under_two_aliases_is_asked_once(city: TestCity) -> None:
    number = city.showcase
    answer, requests = asked(city, [number, number])
    assert answer["data"]["p0"] == answer["data"]["p1"] and set(requests.values()) == {1}


def test_nothing_is_shared_between_two_operations(city: TestCity) -> None:
    number = city.showcase
    before = sum(proxy.requests for proxy in city.proxies.values())
    for _ in range(2):
        asked(city, [number, number])
    assert sum(proxy.requests for proxy in city.proxies.values()) - before == 10


def test_more_patients_than_a_ward_are_refused(city: TestCity, numbers: list[str]) -> None:
    many = (numbers * 3)[:61]
    answer, requests = asked(city, many)
    assert {e["extensions"]["code"] for e in answer["errors"]} == {"TOO_MANY_PATIENTS"} and not any(requests.values())
