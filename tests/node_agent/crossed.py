"""A store in which people's records point at each other's, and how a node is asked about them."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from node_agent.records import ParsedPatient
from schema.clinical import CONNECTION_FIELDS
from schema.delegation import Allowed
from schema.elements import RecordKind
from tests.node_agent.filled import (
    FACILITY,
    OTHER_FACILITY,
    Filled,
    Person,
    fill,
    make_person,
    make_record,
)
from tests.node_agent.naive import EVERYTHING

FIELDS = [*CONNECTION_FIELDS.values(), "timeline"]
EDGE = "__typename sortKey id kind facility key contentHash subject"


def ask(selection: str, more: str = "") -> str:
    return f"query($r:[_Any!]!{more}){{_entities(representations:$r){{...on Patient{{{selection}}}}}}}"


def same(store: Filled, query: str, *names: str, allowed: Allowed = EVERYTHING, **variables: Any) -> Any:
    """Asserts byte equality with the naive answer and returns the decoded entities."""
    expected = store.naive(query, *names, allowed=allowed, **variables)
    assert store.body(query, *names, allowed=allowed, **variables) == msgspec.json.encode({"data": expected})
    return expected["_entities"]


def crossed(folder: Path) -> Filled:
    """Two people of one facility whose records point at each other's, one elsewhere with the same local keys, one labelled."""
    rng = random.Random(5)
    a, b = make_person(1, FACILITY, "a", 5), make_person(2, FACILITY, "b")
    for n, kind in enumerate(RecordKind):
        if kind is not RecordKind.ENCOUNTER:
            b.records.append(make_record(rng, kind, f"stolen-{n}", "a-visit0"))
    stolen = ("a-visit0/o1", "stolen-2", "b-visit0/o1")
    b.records.append(
        replace(make_record(rng, RecordKind.DIAGNOSTIC_REPORT, "both", "a-visit0"), links={"results": stolen})
    )
    labelled = make_person(4, FACILITY, "l")
    labelled.records = [
        replace(r, labels=frozenset({"TB"}) if n % 3 == 1 else frozenset()) for n, r in enumerate(labelled.records)
    ]
    people = {"a": a, "b": b, "c": make_person(3, OTHER_FACILITY, "a", 5), "labelled": labelled, "nobody": empty()}
    return fill(folder, people)


def empty() -> Person:
    return Person(ParsedPatient(FACILITY, "empty", (), "Không Có Gì"))
