"""The printed schemas in the repository are those of the code."""

from __future__ import annotations

import pytest
from graphql import build_schema

from schema.sdl import FILES, FOLDER, main, printed


@pytest.mark.parametrize("name", FILES)
def test_the_printed_schema_is_that_of_the_code(name: str) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == printed(name), "run: make sdl"


def test_printing_again_changes_nothing() -> None:
    before = {name: (FOLDER / name).read_bytes() for name in FILES}
    try:
        main()
        assert {name: (FOLDER / name).read_bytes() for name in FILES} == before
    finally:
        for name, text in before.items():
            (FOLDER / name).write_bytes(text)


def test_both_sides_have_the_same_record_types() -> None:
    """Bodies are copied unread from the one to the other, so their types must be equal to the letter."""
    from graphql import print_type

    from gateway.graph import city_schema
    from node_agent.graph import subgraph
    from tests import plain

    sides = [plain.plain_schema(s).type_map for s in (city_schema(), subgraph())]
    shared = list(
        plain.RECORD_NAMES | {"Record", "Code", "Period", "Quantity", "RecordFilter", "TimelineFilter", "RecordKind"}
    )
    assert len(shared) > 15
    for name in shared:
        assert print_type(sides[0][name]) == print_type(sides[1][name])


def test_the_gateways_printed_schema_can_be_read_by_anyone() -> None:
    schema = build_schema((FOLDER / "gateway.graphql").read_text(encoding="utf-8"))
    assert schema.query_type is not None and "patient" in schema.query_type.fields
