"""A folder a behaviour under tests/cases: query.graphql, nodes.json (who asks about whom, and what is wrong), expected.json.

Clocks, random ids and cursors are masked. A new case: write the first two files, run with UPDATE_CASES=1, and read what
was written before believing it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from gateway.access.callers import Role
from tests.end_to_end.conftest import TestCity
from tests.fault_proxy import Fault

CASES = Path(__file__).resolve().parent.parent / "cases"
MASKED = frozenset(
    {
        "id",
        "encounterId",
        "tookMs",
        "asOf",
        "feedLagSeconds",
        "endCursor",
        "startCursor",
        "cursor",
        "sortKey",
        "receivedAt",
    }
)


def masked(value: Any, key: str = "") -> Any:
    """The value without clocks, ids and cursors; null stays null."""
    if key in MASKED and value is not None:
        return "*"
    if isinstance(value, dict):
        return {k: masked(v, k) for k, v in value.items()}
    return [masked(v) for v in value] if isinstance(value, list) else value


def shortened(answer: dict[str, Any]) -> dict[str, Any]:
    """The answer with its mirrored ledgers cut to who did what: test_coverage_options.py compares the whole with the field."""
    for key, told in answer.get("extensions", {}).get("coverage", {}).items():
        lines = told["facilities"][: told["located"]]
        answer["extensions"]["coverage"][key] = {
            "completeness": told["completeness"],
            "facilities": [
                {"code": x["facility"]["code"], "outcome": x["outcome"], "reason": x["reason"]} for x in lines
            ],
            "behind": told["registered"] - told["current"],
        }
    return answer


def names() -> list[str]:
    return sorted(p.parent.name for p in CASES.glob("*/query.graphql"))


@pytest.mark.parametrize("name", names())
def test_case(city: TestCity, name: str) -> None:
    folder = CASES / name
    nodes = json.loads((folder / "nodes.json").read_text())
    query = (folder / "query.graphql").read_text()
    for facility, fault in nodes.get("faults", {}).items():
        city.proxies[facility].fault = Fault(fault)
    kind, value = identifier(city, nodes["patient"])
    variables = nodes.get("variables", {})
    caller = nodes.get("caller", "practitioner")
    if "by" in nodes:
        asked = {"by": nodes["by"], "access": city.access(value), **variables}
        answer = city.running.ask(city.practitioner(), query, asked)
    elif caller == "practitioner":
        answer = city.ask(value, query, kind, **variables)
    elif caller == "citizen":
        answer = city.own(value, query, **variables)
    else:
        token = city.running.token(Role[caller.upper()], "somebody", facility="01929", licence="1")
        by = {"kind": kind, "value": value}
        access = nodes.get("access") or city.access(value)
        answer = city.running.ask(token, query, {"by": by, "access": access, **variables})
    found = masked(shortened(answer))
    file = folder / "expected.json"
    if os.environ.get("UPDATE_CASES"):
        file.write_text(json.dumps(found, ensure_ascii=False, indent=1) + "\n")
    assert found == json.loads(file.read_text())


def identifier(city: TestCity, patient: dict[str, Any]) -> tuple[str, str]:
    """The identifier a case asks by: of the showcase person, of a story's nth person, or given outright."""
    if "value" in patient:
        return patient.get("kind", "CCCD"), patient["value"]
    person = (
        city.people[city.truth["showcase"]]
        if patient.get("showcase")
        else city.story(patient["story"])[patient.get("nth", 0)]
    )
    kind = patient.get("kind", "CCCD")
    return kind, str(person["identifiers"][kind.lower()])
