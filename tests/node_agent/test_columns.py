"""The one walk over the contract: which column, child table or relation each field becomes."""

from __future__ import annotations

import pytest

from node_agent.columns import (
    SPINE_FIELDS,
    Children,
    Embedded,
    Relation,
    Scalar,
    Shape,
    child_layouts,
    layout,
    scalars,
    snake,
)
from node_agent.tables import CHILD, DETAIL
from schema.clinical import RECORD_TYPES
from schema.elements import RecordKind


@pytest.mark.parametrize(
    ("name", "column"), [("weightKg", "weight_kg"), ("DocumentReference", "document_reference"), ("days", "days")]
)
def test_names_become_snake_case(name: str, column: str) -> None:
    assert snake(name) == column


@pytest.mark.parametrize("kind", RecordKind)
def test_every_field_of_a_kind_has_exactly_one_place(kind: RecordKind) -> None:
    fields = [f.python_name for f in RECORD_TYPES[kind].__strawberry_definition__.fields]  # type: ignore[attr-defined]
    own = [name for name in fields if name not in SPINE_FIELDS]
    placed = [snake(f.name) for f in layout(kind).fields]
    assert placed == [name.rstrip("_") for name in own]
    columns = [s.column for s in scalars(layout(kind).fields)]
    assert len(set(columns)) == len(columns)
    assert [c.name for c in DETAIL[kind].columns] == ["pk", *columns]


def test_no_two_tables_share_a_name() -> None:
    names = [t.name for t in DETAIL.values()] + [t.name for t in CHILD.values()]
    assert len(set(names)) == len(names)
    assert set(CHILD) == set(child_layouts())


def test_an_object_is_flattened_under_its_field_and_a_list_becomes_a_child_with_its_role() -> None:
    fields = {f.name: f for f in layout(RecordKind.ENCOUNTER).fields}
    assert isinstance(fields["class"], Scalar)
    period = fields["period"]
    assert isinstance(period, Embedded)
    assert [s.column for s in scalars((period,))] == ["period_start", "period_end"]
    reasons = fields["reasons"]
    assert isinstance(reasons, Children)
    assert (reasons.table, reasons.role, reasons.type_name) == ("code", "reasons", "Code")


def test_records_of_the_encounter_and_records_named_by_a_report_are_relations() -> None:
    encounter = {f.name: f for f in layout(RecordKind.ENCOUNTER).fields if isinstance(f, Relation)}
    assert encounter["diagnoses"].view
    assert encounter["diagnoses"].kind is RecordKind.CONDITION
    assert not any(f.by_link for f in encounter.values())
    [results] = [f for f in layout(RecordKind.DIAGNOSTIC_REPORT).fields if isinstance(f, Relation)]
    assert (results.name, results.kind, results.by_link, results.view) == (
        "results",
        RecordKind.OBSERVATION,
        True,
        False,
    )


def test_shapes_follow_the_contract() -> None:
    allergy = {s.name: s for s in scalars(layout(RecordKind.ALLERGY_INTOLERANCE).fields)}
    assert (allergy["statedNone"].shape, allergy["statedNone"].nullable) == (Shape.BOOLEAN, False)
    assert allergy["categories"].shape is Shape.LIST
    study = {s.name: s for s in scalars(layout(RecordKind.IMAGING_STUDY).fields)}
    assert study["numberOfSeries"].shape is Shape.INTEGER
    assert {s.shape for s in scalars(layout(RecordKind.REFERRAL).fields)} == {Shape.TEXT}
