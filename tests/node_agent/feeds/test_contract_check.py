"""The check of bodies against the contract finds each kind of misfit it claims to find."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.node_agent.feeds.bhyt_files import DRUG, records_of, unit_of
from tests.node_agent.feeds.contract import record_problems

RECORD = records_of(unit_of({"XML2": [DRUG]}), "XML2")[0]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"dose": "1"}, "PRESCRIPTION.dose is not in the contract"),
        ({"id": "x"}, "PRESCRIPTION.id is not in the contract"),
        ({"use": None}, "PRESCRIPTION.use is null"),
        ({"use": "CURRENT"}, "PRESCRIPTION.use is no MedicationUse"),
        ({"authoredOn": "20261110"}, "PRESCRIPTION.authoredOn is no PartialDate"),
        ({"items": None}, "PRESCRIPTION.items is null"),
        ({"reasons": {}}, "PRESCRIPTION.reasons is no list"),
        ({"note": 5}, "PRESCRIPTION.note is no str"),
        ({"period": {"start": None}}, "PRESCRIPTION.period.end is missing"),
        (
            {"items": [RECORD.body["items"][0] | {"quantity": "028"}]},
            "PRESCRIPTION.items[0].quantity is no Decimal",
        ),
        (
            {"items": [RECORD.body["items"][0] | {"position": 2**40}]},
            "PRESCRIPTION.items[0].position does not fit Int",
        ),
    ],
)
def test_a_misfit_is_named_by_its_place(change: dict[str, Any], problem: str) -> None:
    assert record_problems(replace(RECORD, body=RECORD.body | change)) == [problem]


def test_a_missing_field_and_a_bad_time_are_found() -> None:
    body = {name: value for name, value in RECORD.body.items() if name != "use"}
    found = record_problems(replace(RECORD, body=body, time="x"))
    assert found == ["PRESCRIPTION.use is missing", "time is no PartialDate"]


def test_a_body_that_fits_has_no_problem() -> None:
    assert record_problems(RECORD) == []
