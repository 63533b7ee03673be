"""The contract does not break within a major version: the printed schemas against the released ones that nodes and apps speak."""

from __future__ import annotations

import re

import pytest
from graphql import (
    DangerousChangeType,
    GraphQLInterfaceType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    build_schema,
    find_breaking_changes,
    find_dangerous_changes,
)

from gateway.contracts.contract import assumed, digest_of
from schema.messages import CONTRACT_VERSION
from schema.sdl import FILES, FOLDER, printed

# An added enum value reaches no older client (gateway/contracts/filling.py); an added type, argument or interface disturbs nobody. A
# default that changes makes the same query mean something else.
SILENT = frozenset({DangerousChangeType.ARG_DEFAULT_VALUE_CHANGE, DangerousChangeType.INPUT_FIELD_DEFAULT_VALUE_CHANGE})
RELEASED = re.compile(r"(gateway|node)-(\d+)\.(\d+)\.graphql")


def released() -> list[str]:
    return sorted(p.name for p in (FOLDER / "released").iterdir())


def schema_of(text: str) -> GraphQLSchema:
    return build_schema(text, assume_valid_sdl=True)  # the federation directives are declared nowhere


def faults(old: GraphQLSchema, new: GraphQLSchema) -> list[str]:
    """What may not happen within a major version."""
    out = [c.description for c in find_breaking_changes(old, new)]
    out += [c.description for c in find_dangerous_changes(old, new) if c.type in SILENT]
    for name, kind in new.type_map.items():
        before = old.type_map.get(name)
        if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType) and isinstance(before, type(kind)):
            added = kind.fields.keys() - before.fields.keys()
            firm = sorted(f for f in added if isinstance(kind.fields[f].type, GraphQLNonNull))
            # Roots are answered by the gateway alone, and so is what no node fills in.
            out += [f"{name}.{f} was added and may not be null: older nodes do not have it." for f in firm]
    return out


@pytest.mark.parametrize("file", released())
def test_the_contract_breaks_nothing_that_was_released_in_its_major_version(file: str) -> None:
    found = RELEASED.fullmatch(file)
    assert found, f"{file}: not a released schema"
    side, major, _ = found.groups()
    if major != CONTRACT_VERSION.split(".")[0]:
        return
    new, old = (
        schema_of(printed(f"{side}.graphql")),
        schema_of((FOLDER / "released" / file).read_text(encoding="utf-8")),
    )
    wrong = faults(old, new)
    if side == "gateway":  # the gateway's own types are filled by itself, whatever age the nodes have
        node = schema_of(printed("node.graphql")).type_map
        wrong = [w for w in wrong if "was added" not in w or w.split(".")[0] in node]
    assert not wrong, "\n".join(wrong)


def test_both_sides_of_this_contract_version_are_released() -> None:
    major = CONTRACT_VERSION.split(".")[0]
    for side in FILES:
        assert any(f.startswith(f"{side.split('.')[0]}-{major}.") for f in released())


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("reason: String\n", "", "Encounter.reason was removed"),
        ("reason: String\n", "reason: Int\n", "Encounter.reason changed type"),
        (
            "  code: String = null\n  facility: String = null\n  encounter: ID = null\n}",
            "  facility: String = null\n}",
            "removed",
        ),
        ("first: Int! = 20, after", "first: Int! = 50, after", "has changed defaultValue"),
        ("  PHARMACY\n", "", "PHARMACY was removed"),
        ("reason: String\n", "reason: String\n  triage: String!\n", "Encounter.triage was added and may not be null"),
        ("after: String = null", "after: String = null, must: String!", "A required arg"),
    ],
)
def test_the_check_finds(old: str, new: str, fault: str) -> None:
    text = (FOLDER / "released" / "node-1.0.graphql").read_text(encoding="utf-8")
    assert old in text
    assert any(fault in found for found in faults(schema_of(text), schema_of(text.replace(old, new)))), faults(
        schema_of(text), schema_of(text.replace(old, new))
    )


def test_additions_that_older_nodes_can_live_with_are_no_fault() -> None:
    text = (FOLDER / "released" / "node-1.0.graphql").read_text(encoding="utf-8")
    more = text.replace("  PHARMACY\n", "  PHARMACY\n  TELEHEALTH\n").replace(
        "reason: String\n", "reason: String\n  triage: String\n"
    )
    more = more.replace("after: String = null", "after: String = null, deep: Boolean = null") + "type New { id: ID! }\n"
    assert more != text and faults(schema_of(text), schema_of(more)) == []


def test_a_released_schema_is_what_nodes_of_that_version_are_taken_to_speak() -> None:
    for file in released():
        side, major, minor = RELEASED.fullmatch(file).groups()  # type: ignore[union-attr]
        if side == "node":
            text = (FOLDER / "released" / file).read_text(encoding="utf-8")
            assert assumed(f"{major}.{minor}").digest == digest_of(text)
