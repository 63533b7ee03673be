"""The union of the nodes' rows and its writing, against the naive whole: order, copies, pages, and every selection."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

import msgspec
from graphql import GraphQLObjectType, GraphQLUnionType, get_named_type
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.cursor import Position
from gateway.merge import Page, collapse, merge
from gateway.scatter import Slice, read_answer
from schema.connections import BY_FIELD
from schema.elements import RecordKind
from tests import plain
from tests.gateway.asking import (
    CITY_SCHEMA,
    Question,
    compiled,
    make_row,
    node_answer,
    node_patient,
    question,
    request,
)
from tests.node_agent.filled import matches, position
from tests.plain import Json

relaxed = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
EXPIRES = 1_800_000_000
KIND = RecordKind.REFERRAL
TIMES = ("", "2023-01-01T00:00:00.000000", "2024-01-01T00:00:00.000000", "2024-01-01T07:30:00.000000")
EMPTY_BODY = question("referrals(first: $n, after: $a) { edges { sortKey node { id } } }", ", $n: Int!, $a: String")


def rows_of(facility: str, facts: Iterable[tuple[str, str | None, str]]) -> list[Json]:
    """Rows with these (sort time, key, content)."""
    rng = random.Random(1)
    return [make_row(rng, facility, n, KIND, sort, key, digest) for n, (sort, key, digest) in enumerate(facts)]


facts = st.tuples(st.sampled_from(TIMES), st.sampled_from([None, None, "k1", "k2"]), st.sampled_from(["h1", "h2"]))
cities = st.dictionaries(st.sampled_from("ABCDE"), st.lists(facts, max_size=6), max_size=5)


def decoded(
    asked: Question, facility: str, rows: list[Json], sizes: tuple[int, ...], after: tuple[Any, ...] = ()
) -> Any:
    """What the gateway makes of the answer of this facility's naive node."""
    body = node_answer(asked, sizes, node_patient(facility, rows), after=after)
    pages = tuple(Slice(s) for s in sizes)
    (entity,) = read_answer(body, request(facility), asked.subquery, pages)
    return entity


def merged(city: dict[str, list[Json]], size: int, after: str | None = None) -> Page:
    asked = compiled(EMPTY_BODY, n=size, a=after)
    return merge([decoded(asked, f, rows, (size,), (after,)).c0 for f, rows in city.items()], size)


def naive_page(
    city: dict[str, list[Json]], size: int, after: Any = None, given_: Json | None = None
) -> tuple[list[Json], bool]:
    """Source rows of the page, and whether there are more."""
    rows = sorted((r for rows in city.values() for r in rows if matches(r, given_ or {})), key=position, reverse=True)
    left = [r for r in rows if after is None or position(r) < after]
    return left[:size], len(left) > size


def naive_collapse(rows: list[Json]) -> list[tuple[Json, list[str], bool]]:
    """(row, also at, conflict): the first of equal (key, content) stands for those of other facilities."""
    kept: list[tuple[Json, list[str], bool]] = []
    for row in rows:
        twins = [
            k
            for k in kept
            if row["key"]
            and k[0]["key"] == row["key"]
            and k[0]["hash"] == row["hash"]
            and k[0]["facility"] != row["facility"]
        ]
        if not twins:
            kept.append((row, [], False))
        elif row["facility"] not in twins[0][1]:
            twins[0][1].append(row["facility"])
    contents: dict[str, set[str]] = {}
    for row, _, _ in kept:
        contents.setdefault(row["key"], set()).add(row["hash"])
    return [(row, also, row["key"] is not None and len(contents[row["key"]]) > 1) for row, also, _ in kept]


def made_city(found: dict[str, list[tuple[str, str | None, str]]]) -> dict[str, list[Json]]:
    return {f: rows_of(f, x) for f, x in found.items()}


@relaxed
@given(cities, st.integers(1, 12))
def test_a_page_is_the_top_of_the_total_order_with_copies_collapsed(found: Any, size: int) -> None:
    city = made_city(found)
    page = merged(city, size)
    rows, more = naive_page(city, size)
    assert page.has_next is more
    assert page.end == (position(rows[-1]) if rows else None)
    expected = [(r["facility"], r["id"], tuple(also), conflict) for r, also, conflict in naive_collapse(rows)]
    assert [(r.facility, r.id, r.also_at, r.conflict) for r in page.rows] == expected


@relaxed
@given(cities, st.integers(1, 12), st.randoms(use_true_random=False))
def test_the_order_in_which_nodes_answered_changes_nothing(found: Any, size: int, shuffle: random.Random) -> None:
    city = made_city(found)
    mixed = list(city.items())
    shuffle.shuffle(mixed)
    one, two = merged(city, size), merged(dict(mixed), size)
    assert [(r.facility, r.id, r.also_at, r.conflict) for r in one.rows] == [
        (r.facility, r.id, r.also_at, r.conflict) for r in two.rows
    ]
    assert (one.has_next, one.end) == (two.has_next, two.end)


@relaxed
@given(cities, st.integers(1, 7))
def test_a_walk_by_cursors_sees_every_source_row_once(found: Any, size: int) -> None:
    city = made_city(found)
    shown: list[str] = []
    copies = 0
    after: str | None = None
    while True:
        page = merged(city, size, after)
        shown += [r.id for r in page.rows]
        copies += sum(
            len(naive) for _, naive, _ in naive_collapse(naive_page(city, size, after and tuple(after.split("|")))[0])
        )
        if not page.has_next:
            break
        assert page.end is not None
        after = "|".join(page.end)
    assert len(shown) == len(set(shown))
    assert len(shown) + copies <= sum(map(len, city.values()))
    if not any(r["key"] for rows in city.values() for r in rows):
        assert len(shown) == sum(map(len, city.values()))


def test_a_page_that_ends_in_a_copy_goes_on_after_the_copy() -> None:
    """Else the copy would come again on the next page, as a record of its own."""
    city = {
        "B": rows_of("B", [(TIMES[3], "k1", "h1")]),
        "A": rows_of("A", [(TIMES[2], "k1", "h1"), (TIMES[1], None, "h2")]),
    }
    page = merged(city, 2)
    assert [(r.id, r.also_at) for r in page.rows] == [("B-000", ("A",))] and page.has_next
    assert page.end == (TIMES[2], "A", "A-000")
    assert [r.id for r in merged(city, 2, "|".join(page.end)).rows] == ["A-001"]


def test_copies_at_three_facilities_name_the_two_others_once() -> None:
    city = {f: rows_of(f, [(TIMES[2], "k1", "h1")]) for f in "ABC"} | {
        "D": rows_of("D", [(TIMES[2], "k1", "h1"), (TIMES[1], "k1", "h1")])
    }
    assert [(r.id, r.also_at, r.conflict) for r in merged(city, 10).rows] == [
        ("D-000", ("C", "B", "A"), False),
        ("D-001", (), False),
    ]
    twice = {"D": rows_of("D", [(TIMES[3], "k1", "h1")]), "A": rows_of("A", [(TIMES[2], "k1", "h1")] * 2)}
    assert [(r.id, r.also_at) for r in merged(twice, 10).rows] == [("D-000", ("A",))]


def test_equal_content_without_an_issuers_number_is_never_collapsed() -> None:
    city = {f: rows_of(f, [(TIMES[2], None, "same")]) for f in "AB"}
    assert [(r.facility, r.also_at, r.conflict) for r in merged(city, 10).rows] == [("B", (), False), ("A", (), False)]


def test_equal_numbers_with_other_content_stay_both_and_say_so() -> None:
    city = {
        "A": rows_of("A", [(TIMES[2], "k1", "h1")]),
        "B": rows_of("B", [(TIMES[2], "k1", "h2")]),
        "C": rows_of("C", [(TIMES[1], "k1", "h1")]),
    }
    assert [(r.facility, r.also_at, r.conflict) for r in merged(city, 10).rows] == [
        ("B", (), True),
        ("A", ("C",), True),
    ]


def test_one_facilitys_own_repetition_is_kept() -> None:
    assert len(merged({"A": rows_of("A", [(TIMES[2], "k1", "h1")] * 2)}, 10).rows) == 2
    assert collapse([]) == []


def test_two_hospitals_with_the_same_local_id_are_two_rows() -> None:
    one, two = rows_of("A", [(TIMES[2], None, "")]), rows_of("B", [(TIMES[2], None, "")])
    two[0]["id"] = one[0]["id"]
    assert [(r.facility, r.id) for r in merged({"A": one, "B": two}, 5).rows] == [("B", "A-000"), ("A", "A-000")]


def test_a_node_that_says_it_has_more_is_believed() -> None:
    asked = compiled(EMPTY_BODY, n=5)
    entity = decoded(asked, "A", rows_of("A", [(TIMES[1], None, "")]), (5,))
    entity.c0.pageInfo.hasNextPage = True
    assert merge([entity.c0], 5).has_next and not merge([], 5).has_next and merge([], 5).end is None


# ---- writing -------------------------------------------------------------------------------------------------------


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

    def seal(at: Position) -> str:
        assert at.expires == EXPIRES
        return at.text()

    pages = [
        merge([getattr(e, w.plan.part) for e in entities], size) for w, size in zip(asked.writers, sizes, strict=True)
    ]
    return [w.write(p, asked.raw, facility, seal, EXPIRES) for w, p in zip(asked.writers, pages, strict=True)]


def whole(city: dict[str, list[Json]]) -> Json:
    """The naive gateway: root of the query over all hospitals at once."""

    def referrals(first: int, after: str | None = None, filter: Json | None = None) -> Json:  # noqa: A002
        return naive_connection(*naive_page(city, first, after, filter))

    return {
        "patient": lambda by, access: {"coverage": {"completeness": "COMPLETE"}, "patient": {"referrals": referrals}}
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
        lambda p: lambda by, access: {**p(by, access), "patient": {**p(by, access)["patient"], "__typename": "Patient"}}
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
    text = writer.write(merge([entity.c0], 20), {}, lambda c: {"code": c, "name": c}, lambda p: "", 0)
    assert text == b'{"edges":[{"node":' + odd + b"}]}"


def test_no_rows_are_an_empty_list_never_null() -> None:
    asked = compiled(question("referrals { edges { node { id } } pageInfo { endCursor startCursor hasNextPage } }"))
    (text,) = written(asked, {}, (20,))
    assert msgspec.json.decode(text) == {
        "edges": [],
        "pageInfo": {"endCursor": None, "startCursor": None, "hasNextPage": False},
    }
