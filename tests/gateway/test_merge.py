"""The union of the nodes' rows against the naive whole: order, copies, pages."""

from __future__ import annotations

import random
from typing import Any

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.merge import Page, collapse, merge
from tests.gateway.asking import compiled
from tests.gateway.union import (
    EMPTY_BODY,
    TIMES,
    cities,
    decoded,
    made_city,
    merged,
    naive_collapse,
    naive_page,
    rows_of,
    shown,
)
from tests.node_agent.naive import position
from tests.plain import Json

relaxed = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
ANY = compiled(EMPTY_BODY, n=1)


@relaxed
@given(cities, st.integers(1, 12))
def test_a_page_is_the_top_of_the_total_order_with_copies_collapsed(found: Any, size: int) -> None:
    city = made_city(found)
    page = merged(city, size)
    rows, more = naive_page(city, size)
    assert page.has_next is more
    assert page.end == (position(rows[-1]) if rows else None)
    expected = [(r["facility"], r["id"], tuple(also), conflict) for r, also, conflict in naive_collapse(rows)]
    assert shown(page) == expected


@relaxed
@given(cities, st.integers(1, 12), st.randoms(use_true_random=False))
def test_the_order_in_which_nodes_answered_changes_nothing(found: Any, size: int, shuffle: random.Random) -> None:
    city = made_city(found)
    mixed = list(city.items())
    shuffle.shuffle(mixed)
    one, two = merged(city, size), merged(dict(mixed), size)
    assert shown(one) == shown(two)
    assert (one.has_next, one.end) == (two.has_next, two.end)


@relaxed
@given(cities, st.integers(1, 7))
def test_a_walk_by_cursors_sees_every_source_row_once(found: Any, size: int) -> None:
    city = made_city(found)
    seen: list[str] = []
    copies = 0
    after: str | None = None
    while True:
        page = merged(city, size, after)
        seen += [e.id for e in page.edges]
        copies += sum(
            len(naive) for _, naive, _ in naive_collapse(naive_page(city, size, after and tuple(after.split("|")))[0])
        )
        if not page.has_next:
            break
        assert page.end is not None
        after = "|".join(page.end)
    assert len(seen) == len(set(seen))
    assert len(seen) + copies <= sum(map(len, city.values()))
    if not any(r["key"] for rows in city.values() for r in rows):
        assert len(seen) == sum(map(len, city.values()))


@relaxed
@given(cities, st.integers(1, 5), st.dictionaries(st.sampled_from("ABCDE"), st.integers(1, 2), max_size=3))
def test_a_node_that_cuts_its_list_short_loses_no_row(found: Any, size: int, caps: dict[str, int]) -> None:
    """Rows of others below the cut must wait: a cursor past them would pass over what the node still has."""
    city = {f: [{**row, "key": None} for row in rows] for f, rows in made_city(found).items()}
    seen: list[str] = []
    page = merged(city, size, caps=caps)
    while page.edges:
        seen += [e.id for e in page.edges]
        assert page.end is not None and page.has_next is (len(seen) < sum(map(len, city.values())))
        page = merged(city, size, "|".join(page.end), caps)
    assert seen == [r["id"] for r in naive_page(city, 1_000)[0]]


def test_a_union_keeps_every_row_of_lists_of_unequal_length() -> None:
    lengths = {"A": 7, "B": 1, "C": 0, "D": 3}
    city = {f: rows_of(f, [(TIMES[2], None, "")] * n) for f, n in lengths.items()}
    page = merged(city, 50)
    assert {f: sum(e.facility == f for e in page.edges) for f in lengths} == lengths and not page.has_next


@given(st.lists(st.tuples(st.sampled_from(TIMES), st.sampled_from("ABé"), st.text("01zđ", max_size=3)), unique=True))
def test_the_order_is_total_and_that_of_the_bytes_with_the_undated_last(keys: list[tuple[str, str, str]]) -> None:
    """Bytes of UTF-8 and code points sort alike, so that databases and the gateway agree (COLLATE "C" / BINARY)."""
    edges: list[Json] = [
        {"sortKey": t, "facility": f, "id": i, "subject": "ref", "key": None, "contentHash": "", "n0": {}}
        for t, f, i in keys
    ]
    patient = {
        "ledger": {"failedItems": 0, "asOf": None, "lagging": False, "feedLagSeconds": None},
        "ref": "ref", "name": None, "birthDate": None, "gender": None, "c0": {"edges": edges, "pageInfo": {"hasNextPage": False}},
    }  # fmt: skip
    body = msgspec.json.encode({"data": {"_entities": [patient]}})
    page = merge([ANY.subquery.decoder.decode(body).data._entities[0].c0], 1_000)
    found = [(e.sortKey, e.facility, e.id) for e in page.edges]
    assert found == sorted(keys, key=lambda k: [part.encode() for part in k], reverse=True)
    dated = [bool(sort_time) for sort_time, *_ in found]
    assert dated == sorted(dated, reverse=True)


def test_a_page_that_ends_in_a_copy_goes_on_after_the_copy() -> None:
    """Else the copy would come again on the next page, as a record of its own."""
    city = {
        "B": rows_of("B", [(TIMES[3], "k1", "h1")]),
        "A": rows_of("A", [(TIMES[2], "k1", "h1"), (TIMES[1], None, "h2")]),
    }
    page = merged(city, 2)
    assert shown(page) == [("B", "B-000", ("A",), False)] and page.has_next
    assert page.end == (TIMES[2], "A", "A-000")
    assert [e.id for e in merged(city, 2, "|".join(page.end)).edges] == ["A-001"]


def test_copies_at_three_facilities_name_the_two_others_once() -> None:
    city = {f: rows_of(f, [(TIMES[2], "k1", "h1")]) for f in "ABC"} | {
        "D": rows_of("D", [(TIMES[2], "k1", "h1"), (TIMES[1], "k1", "h1")])
    }
    assert shown(merged(city, 10)) == [
        ("D", "D-000", ("C", "B", "A"), False),
        ("D", "D-001", (), False),
    ]
    twice = {"D": rows_of("D", [(TIMES[3], "k1", "h1")]), "A": rows_of("A", [(TIMES[2], "k1", "h1")] * 2)}
    assert shown(merged(twice, 10)) == [("D", "D-000", ("A",), False)]


def test_equal_content_without_an_issuers_number_is_never_collapsed() -> None:
    city = {f: rows_of(f, [(TIMES[2], None, "same")]) for f in "AB"}
    assert shown(merged(city, 10)) == [("B", "B-000", (), False), ("A", "A-000", (), False)]


def test_equal_numbers_with_other_content_stay_both_and_say_so() -> None:
    city = {
        "A": rows_of("A", [(TIMES[2], "k1", "h1")]),
        "B": rows_of("B", [(TIMES[2], "k1", "h2")]),
        "C": rows_of("C", [(TIMES[1], "k1", "h1")]),
    }
    assert shown(merged(city, 10)) == [
        ("B", "B-000", (), True),
        ("A", "A-000", ("C",), True),
    ]


def test_one_facilitys_own_repetition_is_kept() -> None:
    assert len(merged({"A": rows_of("A", [(TIMES[2], "k1", "h1")] * 2)}, 10).edges) == 2
    assert collapse(Page([], False, None)).edges == []


def test_two_hospitals_with_the_same_local_id_are_two_rows() -> None:
    one, two = rows_of("A", [(TIMES[2], None, "")]), rows_of("B", [(TIMES[2], None, "")])
    two[0]["id"] = one[0]["id"]
    assert [(e.facility, e.id) for e in merged({"A": one, "B": two}, 5).edges] == [("B", "A-000"), ("A", "A-000")]


def test_a_node_that_says_it_has_more_is_believed() -> None:
    asked = compiled(EMPTY_BODY, n=5)
    entity = decoded(asked, "A", rows_of("A", [(TIMES[1], None, "")]), (5,))
    entity.c0.pageInfo.hasNextPage = True
    assert merge([entity.c0], 5).has_next and not merge([], 5).has_next and merge([], 5).end is None
