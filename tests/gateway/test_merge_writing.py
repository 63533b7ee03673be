"""What is written of a page, against the naive whole, for any selection a client may make."""

from __future__ import annotations

from typing import Any

import msgspec
from graphql import GraphQLObjectType, GraphQLUnionType, get_named_type
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.cursor import Walk
from gateway.merge import Page, merge
from gateway.reading import Slice
from gateway.walk import Turn
from schema.connections import BY_FIELD
from tests import plain
from tests.gateway.asking import (
    CITY_SCHEMA,
    Question,
    compiled,
    node_answer,
    node_patient,
    question,
    read_answer,
    request,
)
from tests.gateway.union import (
    KIND,
    TIMES,
    cities,
    decoded,
    made_city,
    naive_collapse,
    naive_page,
    rows_of,
)
from tests.node_agent.naive import position
from tests.plain import Json

EXPIRES = 1_800_000_000


class Selections:
    """Draws selections on the gateway's types; every response key is used for one field only."""

    def __init__(self, data: st.DataObject) -> None:
        self.data, self.keys = data, 0

    def on(self, type_name: str, depth: int, skip: frozenset[str] = frozenset()) -> str:
        kind = CITY_SCHEMA.type_map[type_name]
        assert isinstance(kind, GraphQLObjectType)
        names = sorted(set(kind.fields) - skip)
        parts = [
            self.field(kind, n, depth)
            for n in self.data.draw(st.lists(st.sampled_from([*names, "__typename"]), max_size=5))
        ]
        return " ".join(p for p in parts if p) or "__typename @skip(if: true)"

    def field(self, kind: GraphQLObjectType, name: str, depth: int) -> str:
        self.keys += 1
        alias = f"a{self.keys}: "
        left_out = self.data.draw(
            st.sampled_from(["", "", "", " @skip(if: $yes)", " @include(if: $yes)", " @include(if: false)"])
        )
        if name == "__typename":
            return f"{alias}{name}{left_out}"
        inner = get_named_type(kind.fields[name].type)
        assert not isinstance(inner, GraphQLUnionType)
        if not hasattr(inner, "fields"):
            return f"{alias}{name}{left_out}"
        if depth == 0:
            return ""
        body = self.on(inner.name, depth - 1)
        match self.data.draw(st.sampled_from(["plain", "inline", "typed"])):
            case "inline":
                body = f"... @include(if: $yes) {{ {body} }}"
            case "typed":
                body = (
                    f"... on {inner.name} {{ {body} }} ... on Record {{ k{self.keys}: kind }}"
                    if inner.name in plain.RECORD_NAMES
                    else f"... on {inner.name} {{ {body} }}"
                )
        return f"{alias}{name}{left_out} {{ {body} }}"

    def connection(self, field: str) -> str:
        types = BY_FIELD[field]
        name = types.gateway.__name__
        edge = name.removesuffix("Connection") + "Edge"
        parts = []
        for _ in range(self.data.draw(st.integers(1, 3))):
            self.keys += 1
            inner = " ".join(
                f"n{self.keys}x{i}: node {{ {self.on(plain.type_of(KIND), 2)} }}"
                for i in range(self.data.draw(st.integers(0, 2)))
            )
            parts.append(f"a{self.keys}: edges {{ {inner} {self.on(edge, 1, frozenset({'node', 'cursor'}))} }}")
        return (
            " ".join(parts)
            + " "
            + self.on(name, 1, frozenset({"edges"}))
            + " pageInfo { hasNextPage gapCursor startCursor endCursor }"
        )


def naive_connection(rows: list[Json], more: bool) -> Json:
    kept = naive_collapse(rows)

    def facility(code: str) -> Json:
        return {"__typename": "Facility", "code": code, "name": f"Bệnh viện {code}"}

    def cursor(row: Json) -> str:
        return "|".join(position(row))

    edges = [
        {
            "__typename": "ReferralEdge", "cursor": cursor(row), "sortKey": cursor(row), "facility": facility(row["facility"]),
            "late": False, "conflict": conflict, "alsoAt": [facility(a) for a in also], "node": row["body"],
        }
        for row, also, conflict in kept
    ]  # fmt: skip
    info = {
        "__typename": "PageInfo", "hasNextPage": more, "hasPreviousPage": False, "gapCursor": None,
        "startCursor": cursor(rows[0]) if rows else None, "endCursor": cursor(rows[-1]) if rows else None,
    }  # fmt: skip
    return {"__typename": "ReferralConnection", "edges": edges, "pageInfo": info}


def written(asked: Question, city: dict[str, list[Json]], sizes: tuple[int, ...]) -> list[bytes]:
    """The JSON of every connection of the question."""
    entities = [decoded(asked, f, rows, sizes) for f, rows in city.items()]

    def facility(code: str) -> Json:
        return {"code": code, "name": f"Bệnh viện {code}"}

    def seal(walk: Walk) -> str:
        assert walk.expires == EXPIRES and walk.after is not None
        return "|".join(walk.after)

    pages = [
        merge([getattr(e, w.plan.part) for e in entities], size) for w, size in zip(asked.writers, sizes, strict=True)
    ]
    return [w.write(first_turn(p), asked.raw, facility, seal) for w, p in zip(asked.writers, pages, strict=True)]


def first_turn(page: Page) -> Turn:
    return Turn(lambda: Walk(EXPIRES, ()), page, ())


def whole(city: dict[str, list[Json]]) -> Json:
    """The naive gateway: root of the query over all hospitals at once."""

    def referrals(first: int, after: str | None = None, filter: Json | None = None) -> Json:  # noqa: A002
        return naive_connection(*naive_page(city, first, after, filter))

    return {
        "patient": lambda by, access, **_: {
            "coverage": {"completeness": "COMPLETE"},
            "patient": {"referrals": referrals},
        }
    }


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(cities, st.data(), st.booleans())
def test_what_is_written_equals_the_naive_whole_for_any_selection(found: Any, data: st.DataObject, yes: bool) -> None:
    city = made_city(found)
    draw = Selections(data)
    sizes = (data.draw(st.integers(1, 12)), data.draw(st.integers(1, 12)))
    one, two = (draw.connection("referrals") for _ in range(2))
    code = data.draw(st.sampled_from(["null", '"E11"', '""']))
    query = question(
        f"one: referrals(first: {sizes[0]}) {{ {one} }} two: referrals(first: {sizes[1]}, filter: {{code: {code}}}) {{ {two} }} three: __typename @include(if: $yes)",
        ", $yes: Boolean!",
    )
    asked = compiled(query, yes=yes)
    texts = written(asked, city, sizes)
    variables = {"by": {"kind": "CCCD", "value": "x"}, "access": {"purpose": "TREAT", "basis": "GRANT"}, "yes": yes}
    root = whole(city)
    root["patient"] = (
        lambda p: (
            lambda by, access, **_: {**p(by, access), "patient": {**p(by, access)["patient"], "__typename": "Patient"}}
        )
    )(root["patient"])
    expected = plain.answer(CITY_SCHEMA, query, root, variables)["patient"]["patient"]
    for key, text in zip(("one", "two"), texts, strict=True):
        assert text == msgspec.json.encode(expected[key])


def test_bodies_are_copied_byte_for_byte() -> None:
    asked = compiled(question("referrals { edges { node { id reason { code } } } }"))
    odd = b'{ "id" : "A-000" ,\t"reason":{"code":"1.50e2"} }'
    body = node_answer(asked, (20,), node_patient("A", rows_of("A", [(TIMES[1], None, "")])))
    at = body.index(b'"n0":') + 5
    end = body.index(b"}]", at)
    changed = body[:at] + odd + body[end:]
    (entity,) = read_answer(changed, request("A"), asked.subquery, (Slice(20),))
    (writer,) = asked.writers
    text = writer.write(first_turn(merge([entity.c0], 20)), {}, lambda c: {"code": c, "name": c}, lambda p: "")
    assert text == b'{"edges":[{"node":' + odd + b"}]}"


def test_a_null_of_one_hospital_stays_null_and_is_never_filled_from_anothers_row() -> None:
    """Two rows of the same local id and number are still two hospitals' words."""
    asked = compiled(question("referrals { edges { facility { code } node { id summary: reason { code } } } }"))
    city = {f: rows_of(f, [(TIMES[1], "k1", f)]) for f in "AB"}
    for code, (row,) in city.items():
        row["id"] = row["body"]["id"] = "same"
        row["body"]["reason"] = None if code == "A" else {**(row["body"]["reason"] or {}), "code": "E11"}
    (text,) = written(asked, city, (20,))
    assert [(e["facility"]["code"], e["node"]) for e in msgspec.json.decode(text)["edges"]] == [
        ("B", {"id": "same", "summary": {"code": "E11"}}),
        ("A", {"id": "same", "summary": None}),
    ]


def test_no_rows_are_an_empty_list_never_null() -> None:
    asked = compiled(question("referrals { edges { node { id } } pageInfo { endCursor startCursor hasNextPage } }"))
    (text,) = written(asked, {}, (20,))
    assert msgspec.json.decode(text) == {
        "edges": [],
        "pageInfo": {"endCursor": None, "startCursor": None, "hasNextPage": False},
    }
